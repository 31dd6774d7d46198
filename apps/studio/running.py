"""One run: the steps of ``Editor.stream`` as moments that a page can show, until the end or until stopped."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.studio.pace import Pace
from apps.studio.visits import Ticket
from glide_edit.editor import Editor
from glide_edit.pipeline.partial_result import PartialResult
from glide_edit.pipeline.previews import PreviewFrame
from glide_edit.requests import Request
from glide_edit.results import EditResult, Progress

LONGEST_PREVIEW = 640
"""Pixels of the longer side of what is shown at each step."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A step as it is shown: uint8 (H, W, 3), and the seconds that are left where they can be told."""

    progress: Progress
    shown: NDArray[np.uint8]
    left: float | None


@dataclass(frozen=True, eq=False)
class Ending:
    """What came of a run; ``complete`` is False where it was stopped."""

    result: EditResult
    complete: bool


def follow(
    editor: Editor, request: Request, ticket: Ticket, pace: Pace, drawn: EditResult | None = None
) -> Generator[Moment | Ending, None, None]:
    """Run a request until it is done, or until its ticket says stop: then what there was is the ending.

    With ``drawn``, the request is for one of that result's candidates, which is finished from its draft on.

    Raises:
        GlideEditError, MaskError: what ``Editor.stream`` raises.
    """
    plan = editor.plan(request)
    frame = PreviewFrame.of(plan, LONGEST_PREVIEW)
    clock = pace.clock(plan, from_draft=drawn is not None)
    so_far = PartialResult(plan)
    stream = editor.stream(plan) if drawn is None else editor.stream_candidate(drawn, request.seed)
    with closing(stream) as events:
        for event in events:
            if isinstance(event, EditResult):
                yield Ending(event, complete=True)
                return
            so_far.add(event)
            left = clock.left(event)
            yield Moment(event, frame.show(event.preview), left)
            if ticket.is_stopped:
                break
    yield Ending(so_far.kept(), complete=False)

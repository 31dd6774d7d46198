"""One run: the events of ``Editor.stream`` as steps that a page can show, until it ends or is stopped."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.studio.eta import Eta, StepTimes
from apps.studio.sessions import Run
from glide_edit.editor import Editor
from glide_edit.operations.rerank import as_candidates
from glide_edit.operations.strengths import over_strengths
from glide_edit.pipeline.partial_result import PartialResult
from glide_edit.pipeline.previews import PreviewFrame
from glide_edit.requests import Request
from glide_edit.results import EditResult, Progress

PREVIEW_SIDE = 640
"""Pixels of the longer side of a preview."""


@dataclass(frozen=True, eq=False)
class RunStep:
    """A step with its preview, uint8 (H, W, 3), and the seconds left, None where they are not known."""

    progress: Progress
    preview: NDArray[np.uint8]
    seconds_left: float | None


@dataclass(frozen=True, eq=False)
class RunEnd:
    """The result of a run; ``complete`` is False where it was stopped."""

    result: EditResult
    complete: bool


def requests_for(request: Request, strengths: Sequence[float] = ()) -> Sequence[Request]:
    """The requests to run one after the other: one for each strength, or one that ranks its candidates."""
    return over_strengths(request, strengths) if strengths else [as_candidates(request)]


def run_steps(
    editor: Editor, request: Request, run: Run, times: StepTimes, drafts: EditResult | None = None
) -> Generator[RunStep | RunEnd, None, None]:
    """Run a request until it ends, or until ``run`` is stopped: then the end has the partial result.

    With ``drafts``, the request is for one of that result's candidates, and begins from its draft.

    Raises:
        GlideEditError, MaskError: what ``Editor.stream`` raises.
    """
    plan = editor.plan(request)
    frame, partial = PreviewFrame.of(plan, PREVIEW_SIDE), PartialResult(plan)
    eta = Eta(times, plan.model, plan.runs(from_drafts=drafts is not None))
    stream = editor.stream(plan) if drafts is None else editor.stream_candidate(drafts, request.seed)
    with closing(stream) as events:
        for event in events:
            if isinstance(event, EditResult):
                yield RunEnd(event, complete=True)
                return
            partial.add(event)
            yield RunStep(event, frame.show(event.preview), eta.seconds_left(event))
            if run.is_stopped:
                break
    yield RunEnd(partial.kept(), complete=False)

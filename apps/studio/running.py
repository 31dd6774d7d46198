"""One run: the events of ``Editor.stream`` as steps that a page can show, until it ends or is stopped."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.studio.eta import Eta, StageRun, StepTimes
from apps.studio.sessions import Run
from glide_edit.editor import Editor
from glide_edit.models import ModelSpec
from glide_edit.operations.cascade import MOST_AT_ONCE, settings_of
from glide_edit.operations.choosing import as_candidates
from glide_edit.operations.detail import DETAIL_FROM
from glide_edit.operations.inpaint import InpaintWork
from glide_edit.operations.partial_result import PartialResult
from glide_edit.operations.previews import PreviewFrame
from glide_edit.operations.strengths import over_strengths
from glide_edit.operations.work import Work
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
    frame = PreviewFrame.of(request, PREVIEW_SIDE)
    has_eta = _is_cascade_only(frame.work, editor.model.spec)
    eta = Eta(times, editor.model.spec.identity, _stages(editor.model.spec, request, drafts is not None))
    partial = PartialResult(request, editor.label(request))
    stream = editor.stream(request) if drafts is None else editor.stream_candidate(drafts, request.seed)
    with closing(stream) as events:
        for event in events:
            if isinstance(event, EditResult):
                yield RunEnd(event, complete=True)
                return
            partial.add(event)
            seconds_left = eta.seconds_left(event) if has_eta else None
            yield RunStep(event, frame.show(event.preview), seconds_left)
            if run.is_stopped:
                break
    yield RunEnd(partial.kept(), complete=False)


def _is_cascade_only(work: Work | None, spec: ModelSpec) -> bool:
    """Whether the steps are those of the cascade alone, with no further frames or detail tiles."""
    if not isinstance(work, InpaintWork):
        return work is not None
    return work.crop.side < DETAIL_FROM * spec.cascade(inpainting=True)[-1].config.image_size


def _stages(spec: ModelSpec, request: Request, from_draft: bool) -> list[StageRun]:
    """The stages in the order in which they run; ``from_draft``: the base stage has run already."""
    stages = spec.cascade(request.repaints)
    steps = [(stage.role, settings_of(stage, request).steps) for stage in stages]
    runs: list[StageRun] = []
    if request.candidates is not None:
        runs = [StageRun(*steps[0], group) for group in _groups(request.candidates)]
    if request.candidates is not None or from_draft:
        # A model of one stage has nothing left to do, and reports that as one step.
        steps = steps[1:] or [(steps[0][0], 1)]
    return runs + [StageRun(*each, group) for group in _groups(request.n) for each in steps]


def _groups(count: int) -> list[int]:
    """How many pictures are drawn side by side, group by group."""
    return [min(MOST_AT_ONCE, count - start) for start in range(0, count, MOST_AT_ONCE)]

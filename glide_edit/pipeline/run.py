"""Carrying out a plan: frames are drawn, put on their canvases, and finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glide_edit.models.model import Model
from glide_edit.operations.clip import Clip
from glide_edit.operations.frame import Canvas
from glide_edit.operations.postprocess import Drawn, Postprocessed, preview, to_pixels
from glide_edit.operations.rerank import Drafts, Ranking, rank
from glide_edit.pipeline.cascade import Cascade, DrawStep
from glide_edit.pipeline.plan import SIDE_BY_SIDE, Plan
from glide_edit.pipeline.stage import Row
from glide_edit.results import EditResult, Progress
from glide_edit.sampling import SampleStep

OnStep = Callable[[SampleStep], None]


@dataclass
class _Count:
    """Network calls so far, of how many; and seconds in samplers."""

    total: int
    calls: int = 0
    seconds: float = 0.0

    def add(self, step: DrawStep) -> float:
        """The share of all network calls after this step."""
        self.calls += step.calls
        self.seconds += step.sample.seconds
        return min(1.0, self.calls / self.total) if self.total else 1.0


def run(
    plan: Plan,
    model: Model,
    clip: Clip | None = None,
    drafts: Drafts | None = None,
    on_step: OnStep | None = None,
) -> Iterator[Progress | EditResult]:
    """Carry out a plan: ``Progress`` for every step, and the ``EditResult`` last.

    ``clip`` takes the place of the model's own. ``drafts`` are what the first stage has drawn already: only
    their seeds are finished, in their order. Stop iterating and the work stops.
    """
    began, request = time.perf_counter(), plan.request
    cascade, ranking, done = Cascade.of(plan, model, clip), Ranking(), list[Postprocessed]()
    count = _Count(sum(each.calls for each in plan.runs(from_drafts=drafts is not None)))
    if request.candidates is not None and drafts is None:
        drawn: dict[int, tuple[Tensor, ...]] = {}
        for step, ranking in _candidates(plan, model, cascade, clip, drawn):
            yield _progress(step, count, (), len(done), ranking, on_step)
        drafts = {seed: drawn[seed] for seed in ranking.best(request.n)}
    for step, new in _finished(plan, cascade, drafts):
        done += new
        yield _progress(step, count, new, len(done), ranking, on_step)
    notes = [*plan.notes, *(note for each in done for note in each.notes), *ranking.notes]
    yield EditResult(
        request=request,
        pictures=tuple(each.picture for each in done),
        receipts=tuple(each.receipt for each in done if each.receipt is not None),
        model=plan.model,
        notes=tuple(dict.fromkeys(notes)),
        seconds=time.perf_counter() - began,
        network_seconds=count.seconds,
        allowed=plan.allowed,
        seeds=request.seeds if drafts is None else tuple(drafts),
        candidates=ranking.candidates,
        sheet=ranking.sheet(request.n) if ranking.candidates else None,
    )


def _progress(
    step: DrawStep,
    count: _Count,
    new: Sequence[Postprocessed],
    finished: int,
    ranking: Ranking,
    on_step: OnStep | None,
) -> Progress:
    """The only place where ``Progress`` is made."""
    sampled = step.sample
    if on_step is not None:
        _told(on_step, sampled)
    return Progress(
        sampled.stage,
        sampled.index + 1,
        sampled.total,
        lambda: preview(step.picture()),
        finished=finished,
        pictures=tuple(each.picture for each in new),
        seeds=sampled.seeds if new else (),
        candidates=ranking.candidates,
        share=count.add(step),
    )


def _told(on_step: OnStep, step: SampleStep) -> None:
    """With copies, so that nothing ``on_step`` does to them changes the picture."""
    try:
        on_step(replace(step, latents=step.latents.clone(), x0=step.x0.clone()))
    except StopIteration as error:  # which no generator can hand on
        raise RuntimeError("on_step raised StopIteration: to stop the work, raise something else.") from error


def _candidates(
    plan: Plan, model: Model, cascade: Cascade, clip: Clip | None, drafts: dict[int, tuple[Tensor, ...]]
) -> Iterator[tuple[DrawStep, Ranking]]:
    """The first stage's picture of every frame for all candidates, ranked as they are completed.

    They are put into ``drafts``, by seed; a ``Ranking`` has copies, which callers may change.
    """
    operation, request, ranking = plan.operation, plan.request, Ranking()
    canvas = operation.canvas(request, plan.allowed)
    inputs = [operation.inputs(request, frame, canvas) for frame in plan.frames]
    drafts.update(dict.fromkeys(request.candidate_seeds, ()))
    for frame, given in zip(plan.frames, inputs, strict=True):
        for seeds in _batches(request.candidate_seeds, SIDE_BY_SIDE):
            for step in cascade.draw_stage([Row(plan, frame, seed, given) for seed in seeds], 0, None):
                if step.sample.is_last:
                    for seed, draft in zip(seeds, step.picture().split(1), strict=True):
                        drafts[seed] += (draft,)
                    whole = {seed: drafts[seed] for seed in seeds if len(drafts[seed]) == len(inputs)}
                    if whole:
                        ranking = rank(whole, inputs, request, model, clip, ranking.candidates)
                yield step, ranking


def _finished(
    plan: Plan, cascade: Cascade, drafts: Drafts | None
) -> Iterator[tuple[DrawStep, list[Postprocessed]]]:
    """All steps of a plan, each with the pictures that it finished.

    Edits of several frames are drawn again, not from drafts: a frame may show those before it.
    """
    operation, request = plan.operation, plan.request
    for seeds in _batches(request.seeds if drafts is None else tuple(drafts), plan.batch):
        blank = operation.canvas(request, plan.allowed)
        canvases: dict[int, Canvas] = {}
        for frame in plan.frames:
            inputs = operation.inputs(request, frame, canvases.get(seeds[0], blank))
            rows = [Row(plan, frame, seed, inputs) for seed in seeds]
            first = None
            if drafts is not None and plan.is_one_draft:
                first = torch.cat([drafts[seed][0] for seed in seeds]).to(cascade.device)
            for step in cascade.draw(rows, first):
                done = []
                for row, drawn in _drawn(step):
                    canvas = operation.place(request, frame, canvases.get(row.seed, blank), drawn, row.seed)
                    canvases[row.seed] = canvas
                    if frame is plan.frames[-1]:
                        done.append(operation.finish(request, canvases.pop(row.seed), plan.allowed))
                yield step, done


def _drawn(step: DrawStep) -> Iterator[tuple[Row, Drawn]]:
    if step.finished:
        yield from zip(step.rows, to_pixels(step.picture()), strict=True)


def _batches(seeds: tuple[int, ...], size: int) -> Iterator[tuple[int, ...]]:
    return (seeds[start : start + size] for start in range(0, len(seeds), size))

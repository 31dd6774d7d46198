"""Drawing frames: a batch of them through the stages in order, then detail for each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glide_edit.models.memory import give_back_freed_memory
from glide_edit.models.model import Model
from glide_edit.operations.clip import Clip
from glide_edit.operations.repaint import shown_side
from glide_edit.pipeline.detail import PassRun
from glide_edit.pipeline.plan import REPAIR, Plan
from glide_edit.pipeline.stage import LoadedStage, Row
from glide_edit.sampling import SampleStep, sample

LARGE = 1024
"""px: after a pass of this size its freed memory is given back, since the photograph needs as much next."""


@dataclass(frozen=True, eq=False)
class DrawStep:
    """A step of a sampler for some rows, in ``calls`` network calls.

    ``picture()`` gives what they look like so far, (B, 3, H, W) in [-1, 1]; it is made when it is asked for.
    ``finished``: nothing follows for these rows, and it is the result.
    """

    sample: SampleStep
    rows: tuple[Row, ...]
    finished: bool
    picture: Callable[[], Tensor]
    calls: int = 1


@dataclass(frozen=True, eq=False)
class Cascade:
    """The stages that a plan runs, loaded, by their place."""

    stages: Mapping[int, LoadedStage]
    device: torch.device

    @classmethod
    def of(cls, plan: Plan, model: Model, clip: Clip | None) -> Cascade:
        device = model.runtime.device
        guide = None
        if any(settings.clip_prompt for settings in plan.stages):
            guide = clip or model.clip
        run = plan.stages if plan.cascade else plan.stages[-1:]
        loaded = {settings.index: model.load_stage[settings.stage]() for settings in run}
        return cls(
            {index: LoadedStage(stage, index, device, guide) for index, stage in loaded.items()}, device
        )

    @property
    def last(self) -> LoadedStage:
        return self.stages[max(self.stages)]

    def draw(self, rows: Sequence[Row], drafts: Tensor | None = None) -> Iterator[DrawStep]:
        """Draw a batch of rows through all stages, then the passes of each.

        ``drafts`` (B, 3, S, S) are what the first stage has drawn already. Stop iterating and the work stops.
        """
        plan, rows = rows[0].plan, tuple(rows)
        if not plan.stages:
            yield _filled(rows)
            return
        picture, passes = drafts, rows[0].frame.passes
        if plan.cascade:
            last = self.last.index
            for index in range(0 if drafts is None else 1, last + 1):
                for step in self.draw_stage(rows, index, picture):
                    finished = step.sample.is_last and index == last and not passes
                    yield DrawStep(step.sample, rows, finished, step.picture)
                picture = step.picture()
            if drafts is not None and last == 0:
                yield _whole_draft(self.stages[0], plan, rows, drafts)
        else:
            picture = torch.cat([_low_res(row) for row in rows]).to(self.device)
        if passes:
            assert picture is not None
            for row, one in zip(rows, picture.split(1), strict=True):
                yield from self._passes(row, one)

    def draw_stage(self, rows: Sequence[Row], index: int, before: Tensor | None) -> Iterator[DrawStep]:
        """One stage alone; no step is told to be the end of a picture."""
        if self.device.type == "cpu":
            give_back_freed_memory()
        loaded = self.stages[index]
        for step in sample(loaded.task(rows, before)):
            yield DrawStep(step, tuple(rows), False, _decoded(loaded, step.x0))

    def _passes(self, row: Row, before: Tensor) -> Iterator[DrawStep]:
        for number, tiled in enumerate(row.frame.passes):
            for step, result in _steps(PassRun(self.last, row, tiled, before.float(), row.plan.factor)):
                finished = step.is_last and number + 1 == len(row.frame.passes)
                yield DrawStep(step, (row,), finished, result, len(tiled.tiles))
            before = result()


def _steps(run: PassRun) -> Iterator[tuple[SampleStep, Callable[[], Tensor]]]:
    """The steps of a pass, each with what the picture looks like; with the last one its memory is free."""
    step = None
    for step in sample(run.task()):
        if not step.is_last:
            yield step, _pasted(run, step)
    assert step is not None, "a pass has steps"
    result = run.result(step.x0)
    run.forget()
    if result.device.type == "cpu" and result.shape[-1] >= LARGE:
        give_back_freed_memory()
    yield step, lambda: result


def _decoded(loaded: LoadedStage, x0: Tensor) -> Callable[[], Tensor]:
    return lambda: loaded.stage.codec.decode(x0)


def _pasted(run: PassRun, step: SampleStep) -> Callable[[], Tensor]:
    return lambda: run.whole(step.x0)


def _low_res(row: Row) -> Tensor:
    assert row.inputs.low_res is not None, "without the cascade there is a picture to enlarge"
    return row.inputs.low_res


def _filled(rows: tuple[Row, ...]) -> DrawStep:
    """Frames of which the init image is the result."""
    frame, inputs = rows[0].frame, rows[0].inputs
    assert frame.crop is not None
    assert inputs.init_image is not None
    began = time.perf_counter()
    picture = inputs.init_image(shown_side(frame.crop)).expand(len(rows), -1, -1, -1)
    seconds, seeds = time.perf_counter() - began, tuple(row.seed for row in rows)
    step = SampleStep(REPAIR, 0, 1, 0.0, seeds, picture, picture, seconds)
    return DrawStep(step, rows, True, lambda: picture)


def _whole_draft(loaded: LoadedStage, plan: Plan, rows: tuple[Row, ...], drafts: Tensor) -> DrawStep:
    """A model of one stage has nothing left to do after its drafts, and says so in one step."""
    seeds, values = tuple(row.seed for row in rows), loaded.stage.codec.encode(drafts)
    step = SampleStep(plan.stages[0].label, 0, 1, 0.0, seeds, values, values)
    return DrawStep(step, rows, True, lambda: drafts, calls=0)

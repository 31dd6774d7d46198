"""A plan: every choice of an edit, settled before any work. ``planner.plan`` makes it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from glide_edit.images import Picture
from glide_edit.operations.frame import Frame, Operation
from glide_edit.operations.registry import operation_of
from glide_edit.operations.repaint import shown_side
from glide_edit.pipeline.plain import plain
from glide_edit.pipeline.stage_settings import StageSettings
from glide_edit.requests import Request
from masks import Mask

FORMAT = 1
"""Of plans as JSON."""

REPAIR = "repair"
"""What progress calls the filling of a frame."""

SIDE_BY_SIDE = 4
"""Pictures drawn side by side; more would only cost memory."""


@dataclass(frozen=True)
class SamplerRun:
    """One run of a sampler: ``steps`` for ``pictures`` at once, each step in ``tiles`` network calls."""

    label: str
    steps: int
    pictures: int
    tiles: int = 1

    @property
    def calls(self) -> int:
        """Network calls."""
        return self.steps * self.tiles


@dataclass(frozen=True, eq=False)
class Plan:
    """What an edit will do. Plain data: it can be printed, compared, and sent to another process as JSON.

    ``stages`` run for each of the ``frames``, then the frame's passes; with ``cascade`` False the passes
    alone; without stages nothing runs, and the frames are filled. ``allowed`` is where pixels may change.
    ``batch`` seeds are drawn side by side. ``model`` names and identifies what draws; ``notes`` are sentences
    for the user.
    """

    request: Request
    model: str
    stages: tuple[StageSettings, ...]
    frames: tuple[Frame, ...]
    allowed: Mask | None
    batch: int
    cascade: bool
    is_one_draft: bool
    factor: int
    notes: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plan) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    @property
    def operation(self) -> Operation:
        return operation_of(self.request)

    @property
    def signature(self) -> object:
        """Equal for plans that can be drawn in one batch: they differ in words, pictures and seeds."""
        request = self.request
        clip = (request.clip_cuts, request.clip_interval)
        return request.operation, self.model, clip, tuple(settings.signature for settings in self.stages)

    def settings_at(self, index: int) -> StageSettings:
        """The settings of the stage at this place of the cascade."""
        return self._by_index[index]

    @cached_property
    def _by_index(self) -> dict[int, StageSettings]:
        return {settings.index: settings for settings in self.stages}

    def runs(self, *, from_drafts: bool = False) -> Iterator[SamplerRun]:
        """All runs of samplers in order; ``from_drafts``: the first stage has drawn its part already."""
        candidates = 0 if from_drafts else self.request.candidates or 0
        for _ in self.frames if candidates else ():
            yield from (self._first_run(count) for count in groups(candidates, SIDE_BY_SIDE))
        skip = 1 if (candidates or from_drafts) and self.is_one_draft else 0
        for count in groups(self.request.n, self.batch):
            for frame in self.frames:
                stages = self.stages[skip:] if self.cascade else ()
                for settings in stages:
                    yield SamplerRun(settings.label, len(settings.timesteps), count)
                if not self.stages:
                    yield SamplerRun(REPAIR, 1, count)
                if skip and not stages:  # a finished draft is the result, told in one step
                    yield SamplerRun(self.stages[0].label, 1, count, tiles=0)
                for _ in range(count):
                    for tiled in frame.passes:
                        yield SamplerRun(tiled.label, len(tiled.timesteps), 1, len(tiled.tiles))

    def _first_run(self, count: int) -> SamplerRun:
        return SamplerRun(self.stages[0].label, len(self.stages[0].timesteps), count)

    @property
    def network_calls(self) -> int:
        """How often networks are called; a call answers all branches of guidance for a whole batch."""
        return sum(run.calls for run in self.runs())

    @property
    def memory_bytes(self) -> int:
        """Pictures in memory at once beside the source: the canvases and the largest frame's arrays.

        Weights and activations of the networks are not counted.
        """
        source, canvas = self.request.source, 0
        if source is not None and self.allowed is not None:
            at_once = min(self.batch, self.request.n)
            canvas = self.allowed.selected.size * (3 * source.pixels.itemsize + 1) * at_once
        blocks = [frame.block for frame in self.frames if frame.block is not None]
        if blocks:  # an enlargement is made in float32
            canvas = (
                12
                * max(each.y + each.height for each in blocks)
                * max(each.x + each.width for each in blocks)
            )
        sides = [shown_side(frame.crop) for frame in self.frames if frame.crop is not None]
        return canvas + 8 * 3 * 4 * max(sides, default=0) ** 2

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; pictures are their hashes, masks their run lengths."""
        record = {field.name: plain(getattr(self, field.name)) for field in dataclasses.fields(self)}
        return {"plan": FORMAT, **record, "request": self.request.to_json()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any], source: Picture | Sequence[Picture] | None = None) -> Plan:
        """The plan that ``to_json`` wrote, with the pictures that the request starts from.

        Raises:
            InputError: not a plan, other pictures, or one that its request would not give (``Editor.stream``
                compares it with what this model makes of the request). MaskError: a mask that cannot be read.
        """
        from glide_edit.pipeline.plan_check import read_plan  # which makes plans of its own to compare

        return read_plan(record, source)

    def __str__(self) -> str:
        return describe(self)


def describe(plan: Plan) -> str:
    """A few lines for a person: size of each frame, settings of each stage, network calls."""
    request = plan.request
    count = _counted(request.n, "picture")
    if request.candidates is not None:
        count += f", the best of {_counted(request.candidates, 'candidate')}"
    seeds = request.seeds if request.candidates is None else request.candidate_seeds
    lines = [f"{request.operation} with {plan.model}: {count}, seeds {_listed(seeds)}"]
    if plan.allowed is not None:
        lines.append(f"may change: {plan.allowed.count:,} of {plan.allowed.selected.size:,} px")
    if not plan.stages:
        lines.append("filled by the repair network alone")
    for settings in plan.stages if plan.cascade else plan.stages[-1:]:
        preset, steps = settings.preset, _counted(len(settings.timesteps), "step")
        lines.append(
            f"stage {settings.stage}, {settings.image_size} px: {steps} of {preset.sampler}, "
            f"guidance {preset.guidance:g}, {_counted(_asked(settings), 'branch', 'es')}"
            + (", from an init image" if settings.from_init else "")
        )
    for frame in plan.frames[:_MOST_LINES]:
        lines.append(_frame_line(frame))
    if len(plan.frames) > _MOST_LINES:
        lines.append(f"... and {_counted(len(plan.frames) - _MOST_LINES, 'more frame')}")
    lines.append(
        f"network calls: {plan.network_calls:,}; pictures in memory: {plan.memory_bytes / 1e6:.0f} MB"
    )
    return "\n".join([*lines, *(f"note: {note}" for note in plan.notes)])


def _asked(settings: StageSettings) -> int:
    """How many branches the network is asked for: the first, and those of some weight."""
    return 1 + sum(branch.weight != 0 for branch in settings.branches[1:])


_MOST_LINES = 12


def _frame_line(frame: Frame) -> str:
    what = "the whole picture"
    if frame.crop is not None:
        what = f"{frame.crop.side} px square at {frame.crop.x0}, {frame.crop.y0}"
    elif frame.block is not None:
        what = f"block of {frame.block.width} x {frame.block.height} px at {frame.block.x}, {frame.block.y}"
    passes = "".join(
        f", {tiled.label} at {tiled.size[1]} x {tiled.size[0]} px in {_counted(len(tiled.tiles), 'tile')}"
        for tiled in frame.passes
    )
    backdrop = ", with a filled backdrop" if frame.fills_backdrop else ""
    return f"frame {frame.number + 1}: {what}{passes}{backdrop}"


def _counted(count: int, what: str, plural: str = "s") -> str:
    return f"{count} {what}{'' if count == 1 else plural}"


def _listed(seeds: Sequence[int]) -> str:
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def groups(count: int, size: int) -> list[int]:
    """How many of ``count`` pictures are drawn at a time, at most ``size`` together."""
    return [min(size, count - start) for start in range(0, count, size)]

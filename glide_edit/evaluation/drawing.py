"""Pictures of many requests at once, for benches: what an editor draws of each, in batches.

An editor draws the pictures of one prompt at a time, which leaves small networks idle; here every picture of
a batch has a prompt, a seed, a known picture or a drawing of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.models.model import Model
from glide_edit.operations.postprocess import to_pixels, to_uint8
from glide_edit.pipeline.cascade import Cascade
from glide_edit.pipeline.check import check
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan
from glide_edit.pipeline.stage import Row
from glide_edit.requests import Generate

Pictures = NDArray[np.uint8]

MOST_TOGETHER = 32
_PIXELS_TOGETHER = 64 * 64**2
"""Pictures and pixels in a batch at most."""


@dataclass(frozen=True)
class Settings:
    """What differs from the model's preset; None is as the preset says.

    ``steps``, ``sampler``, ``guidance`` and ``clip_guidance`` are the base network's, as in a ``Request``.
    """

    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    clip_guidance: float | None = None


Size = Literal["base", "full"]
"""What to draw: the base network's picture alone, or through all upsamplers."""


def check_settings(model: Model, settings: Settings | None = None) -> None:
    """Refuse what this model cannot draw, before any time is spent.

    Raises:
        InputError: no base network, guidance by CLIP with a model that has no CLIP of its own, or a value out
            of range.
    """
    check(model, Generate(prompt="anything", **vars(settings or Settings())))


def draw(
    model: Model,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Settings | None = None,
    size: Size = "full",
) -> Iterator[Pictures]:
    """Pictures of the prompts, each from its own seed, in order: batches of uint8 (B, S, S, 3).

    Stop iterating and the work stops.

    Raises:
        InputError: what ``check_settings`` refuses.
    """
    check_settings(model, settings)
    asked = vars(settings or Settings())
    plans = [
        plan(Generate(prompt=prompt, seed=seed, **asked), model)
        for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    for drawn in draw_plans(model, plans, size):
        yield to_uint8(drawn)


def draw_plans(model: Model, plans: Sequence[Plan], size: Size = "full") -> Iterator[NDArray[np.float32]]:
    """What the stages draw of each plan's one frame from its first seed, in order: batches (B, S, S, 3), 0 to
    255.

    The plans are of this model and of one operation; CLIP guidance is by the model's own. Passes that add
    detail are left out. Stop iterating and the work stops.
    """
    for _, alike in groupby(plans, key=lambda each: each.signature):
        rows = [_row(each) for each in alike]
        cascade = Cascade.of(rows[0].plan, model, None)
        together = _together(rows[0].plan.stages[0].image_size)
        for start in range(0, len(rows), together):
            yield to_pixels(_draw_batch(cascade, rows[start : start + together], size))


def _row(one: Plan) -> Row:
    (frame,), request = one.frames, one.request
    canvas = one.operation.canvas(request, one.allowed)
    return Row(one, frame, request.seed, one.operation.inputs(request, frame, canvas))


def _draw_batch(cascade: Cascade, rows: Sequence[Row], size: Size) -> Tensor:
    """What the last stage draws, (B, 3, S, S) in [-1, 1]."""
    drawn: Tensor | None = None
    for settings in rows[0].plan.stages[: 1 if size == "base" else None]:
        together, before = _together(settings.image_size), drawn
        parts = [slice(start, start + together) for start in range(0, len(rows), together)]
        drawn = torch.cat(
            [
                _last(cascade, rows[part], settings.index, None if before is None else before[part])
                for part in parts
            ]
        )
    assert drawn is not None
    return drawn


def _last(cascade: Cascade, rows: Sequence[Row], index: int, before: Tensor | None) -> Tensor:
    *_, step = cascade.draw_stage(rows, index, before)
    return step.picture()


def _together(image_size: int) -> int:
    return max(1, min(MOST_TOGETHER, _PIXELS_TOGETHER // image_size**2))

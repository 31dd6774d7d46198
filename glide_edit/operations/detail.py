"""Detail at the photograph's own resolution, where a frame is larger than the model's picture.

The cascade's picture is enlarged a step at a time by the upsampler, in tiles over what is repainted, with the
photograph's own pixels around it. So a repaint is as sharp as its surroundings, not a small picture enlarged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import ceil

import torch
from torch import Tensor

from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job, Upsampling, run_cascade
from glide_edit.operations.clip import Clip
from glide_edit.operations.level import Level, Place, plan
from glide_edit.operations.postprocess import to_pixels
from glide_edit.operations.sharpness import without_grain
from glide_edit.operations.tiles import ROW

DETAIL_FROM = 1.25
"""A frame so many times wider than the model's picture gets detail; below it there is none to be gained."""

STRETCH = 1.5
"""The picture before may be enlarged so far to stand for the upsampler's low-resolution picture."""

MOST_TILES = 64
"""In one level. A larger repaint is drawn smaller than the photograph and enlarged: cost is bounded."""


def draw(
    model: Model, job: Job, clip: Clip | None = None, drafts: Mapping[int, Tensor] | None = None
) -> Iterator[CascadeStep]:
    """Run the cascade, and where ``job.side`` is larger than its picture the detail after it.

    A last step's ``x0`` is then (1, 3, S, S) with S up to ``job.side``. ``drafts`` is as in ``run_cascade``.
    Stop iterating and the work stops.
    """
    sides = _sides(model, job)
    for step in run_cascade(model, job, clip, drafts):
        yield replace(step, is_last=step.is_last and not sides)
        if step.is_last and sides:
            for seed, picture in zip(step.seeds, step.x0.split(1), strict=True):
                yield from _detail(model, job, seed, picture, sides)


def level_sides(side: int, drawn: int, factor: int) -> list[int]:
    """The sizes at which a frame of ``side`` px is drawn after a cascade whose picture is ``drawn`` px.

    Each is at most ``factor`` * STRETCH times the one before it; the last is ``side``. None where the frame
    is hardly larger than what was drawn.
    """
    if side < DETAIL_FROM * drawn:
        return []
    sides = [side]
    while sides[0] > STRETCH * factor * drawn:
        sides.insert(0, ceil(sides[0] / factor))
    return sides


def _sides(model: Model, job: Job) -> list[int]:
    if job.side is None or job.known is None:
        return []
    upsampling = Upsampling.of(model, job, job.request.seed)
    if upsampling is None:
        return []
    return level_sides(job.side, upsampling.stage.image_size, upsampling.factor)


def _detail(model: Model, job: Job, seed: int, picture: Tensor, sides: list[int]) -> Iterator[CascadeStep]:
    upsampling = Upsampling.of(model, job, seed)
    assert upsampling is not None
    assert job.known is not None
    for number, side in enumerate(sides):
        fitting = _fitting(upsampling, job, side)
        at_end = number + 1 == len(sides) or fitting < side
        place = Place(seed, number, job.frame * ROW**2)
        start = None
        if job.start is not None and job.fine_strength is not None:
            start = job.start(fitting), job.fine_strength
        level = Level.of(upsampling, picture, job.known(fitting), place, start)
        for step in level.run():
            picture = step.x0
            if step.is_last and not job.grain:
                picture = _as_sharp(picture, level.enlarged, level.known[1])
            yield replace(step, x0=picture, is_last=step.is_last and at_end)
        if at_end:
            return


def _fitting(upsampling: Upsampling, job: Job, side: int) -> int:
    """The largest side up to ``side`` at which no more than MOST_TILES are needed."""
    assert job.known is not None
    while True:
        keep_mask = job.known(side)[1]
        count = len(plan(upsampling, keep_mask)[1])
        if count <= MOST_TILES or side <= upsampling.stage.image_size:
            return side
        side = max(upsampling.stage.image_size, int(side * min(0.9, (MOST_TILES / count) ** 0.5)))


def _as_sharp(drawn: Tensor, smooth: Tensor, keep_mask: Tensor) -> Tensor:
    """(1, 3, S, S) no sharper than its known surroundings; what is not finite stays so."""
    if not bool(torch.isfinite(drawn).all()):
        return drawn
    pixels = without_grain(to_pixels(drawn)[0], to_pixels(smooth)[0], (keep_mask[0, 0] == 0).cpu().numpy())
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None].to(drawn.device)

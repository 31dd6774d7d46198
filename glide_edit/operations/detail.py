"""Detail at the photograph's own resolution, where a frame is larger than the model's picture.

The cascade's picture is enlarged a step at a time by the upsampler, in tiles over what is repainted, with the
photograph's own pixels around it. So a repaint is as sharp as its surroundings, not a small picture enlarged.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.diffusion.noise import START
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.models.model import Model
from glide_edit.operations.cascade import (
    LOW_RES_NOISE,
    CascadeStep,
    Job,
    Known,
    Upsampling,
    run_cascade,
    timesteps_of,
    with_low_res_noise,
)
from glide_edit.operations.clip import Clip
from glide_edit.operations.finished import to_pixels
from glide_edit.operations.sharpness import without_grain
from glide_edit.operations.tiles import ROW, CanvasNoise, Tile, Tiled, tiles_of

DETAIL_FROM = 1.25
"""A frame so many times wider than the model's picture gets detail; below it there is none to be gained."""

STRETCH = 1.5
"""The picture before may be enlarged so far to stand for the upsampler's low-resolution picture."""

BEGIN = 0.8
"""Where on the noise axis the tiles begin, from the enlarged picture: what is there in middle sizes stays.

The low-resolution picture alone would say less than the picture before where that is enlarged less than the
upsampler's factor. On five photographs and two renders 0.8 came out sharper than 1, 0.6 and 0.4."""

MARGIN = 32
"""px around what is repainted that the tiles hold as well: what the repaint should go on from."""

MOST_TILES = 64
"""In one level. A larger repaint is drawn smaller than the photograph and enlarged: cost is bounded."""


def draw(model: Model, job: Job, clip: Clip | None = None) -> Iterator[CascadeStep]:
    """Run the cascade, and where ``job.side`` is larger than its picture the detail after it.

    A last step's ``x0`` is then (1, 3, S, S) with S up to ``job.side``. Stop iterating and the work stops.
    """
    sides = _sides(model, job)
    for step in run_cascade(model, job, clip):
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
        level = _Level.of(upsampling, picture, job.known(fitting), seed, number, job.frame)
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
        count = len(_plan(upsampling, keep_mask)[1])
        if count <= MOST_TILES or side <= upsampling.stage.image_size:
            return side
        side = max(upsampling.stage.image_size, int(side * min(0.9, (MOST_TILES / count) ** 0.5)))


def _plan(upsampling: Upsampling, keep_mask: Tensor) -> tuple[Tile, list[Tile]]:
    """The part of (1, 1, S, S) that is worked on, within S rounded up, and the tiles in it.

    The tiles are counted from its corner, and only those that hold something to repaint are there.
    """
    multiple, side = upsampling.multiple, upsampling.stage.image_size
    whole = _up(keep_mask.shape[-1], multiple)
    hidden = keep_mask[0, 0] == 0
    spans = []
    for axis in (1, 0):
        places = hidden.any(dim=axis).nonzero()[:, 0].tolist() or [0]
        start = max(0, places[0] - MARGIN) // multiple * multiple
        end = min(whole, _up(places[-1] + 1 + MARGIN, multiple))
        start = max(0, min(start, end - side))
        spans.append((start, max(end, min(whole, start + side))))
    (top, bottom), (left, right) = spans
    box = Tile(top, left, bottom - top, right - left)
    padded = F.pad(hidden, (0, whole - hidden.shape[1], 0, whole - hidden.shape[0]))
    inside = box.of(padded)
    tiles = tiles_of(box.height, box.width, side, multiple)
    return box, [tile for tile in tiles if bool(tile.of(inside).any())]


@dataclass(frozen=True, eq=False)
class _Level:
    """One level of detail for one seed: (1, 3, S, S) drawn from the smaller picture before it.

    ``enlarged`` is that picture at the size S, with the known pixels in it; ``box`` the part of it, within S
    rounded up, that is worked on, and ``tiles`` lie in the box.
    """

    upsampling: Upsampling
    before: Tensor
    known: Known
    enlarged: Tensor
    box: Tile
    tiles: list[Tile]
    seed: int
    index: int
    first_cell: int

    @classmethod
    def of(
        cls, upsampling: Upsampling, before: Tensor, known: Known, seed: int, level: int, frame: int
    ) -> _Level:
        box, tiles = _plan(upsampling, known[1])
        known = (known[0].to(upsampling.device), known[1].to(upsampling.device))
        size = known[0].shape[2:]
        enlarged = F.interpolate(before.float(), size, mode="bicubic", align_corners=False).clamp(-1, 1)
        enlarged = known[0] * known[1] + enlarged * (1 - known[1])
        index, first_cell = upsampling.index + 1 + level, frame * ROW**2
        return cls(upsampling, before, known, enlarged, box, tiles, seed, index, first_cell)

    @property
    def side(self) -> int:
        return int(self.enlarged.shape[-1])

    @property
    def whole(self) -> int:
        """The side rounded up to what tiles need."""
        return _up(self.side, self.upsampling.multiple)

    def cut(self, tensor: Tensor) -> Tensor:
        """The box of (1, C, S, S)."""
        return self.box.of(_padded(tensor, self.whole)).contiguous()

    def noise(self, shape: tuple[int, int, int], cell: int) -> CanvasNoise:
        return CanvasNoise(self.seed, self.index, shape, cell, self.upsampling.device, self.first_cell)

    def denoiser(self) -> Tiled:
        """Of the box: every tile is told of its own part."""
        up = self.upsampling
        known, keep_mask = (self.cut(each) for each in self.known)
        low_res = self.box.of(_low_res(self.before, self.side, self.whole, up.factor), up.factor).contiguous()
        grain = self.noise((3, *low_res.shape[2:]), up.stage.image_size // up.factor)
        low_res, level = with_low_res_noise(low_res, up.preset, lambda: grain(LOW_RES_NOISE))
        denoisers = [
            up.denoiser(
                tile.of(low_res, up.factor).contiguous(),
                level,
                (tile.of(known).contiguous(), tile.of(keep_mask).contiguous()),
            )
            for tile in self.tiles
        ]
        return Tiled(
            up.stage.schedule, list(zip(self.tiles, denoisers, strict=True)), self.cut(self.enlarged)
        )

    def run(self) -> Iterator[CascadeStep]:
        began = time.perf_counter()
        up = self.upsampling
        denoiser = self.denoiser()
        noise = self.noise((3, self.box.height, self.box.width), up.stage.image_size)
        steps = [BEGIN * t for t in timesteps_of(up.stage.schedule, up.preset)]
        start = torch.full((1,), steps[0], device=up.device)
        x_T = up.stage.schedule.add_noise(
            self.cut(self.enlarged), noise(START) * up.preset.temperature, start
        )
        for step in get_sampler(up.preset.sampler)(denoiser, x_T, steps, noise):
            at_end = step.index + 1 == step.total
            if up.device.type == "cuda":
                torch.cuda.synchronize(up.device)  # or the clock would stop before the work does
            yield CascadeStep(
                stage="detail",
                step=step.index + 1,
                total=step.total,
                seeds=(self.seed,),
                x0=self._pasted(step.x.clamp(-1, 1) if at_end else step.x0),
                is_last=at_end,
                network_seconds=time.perf_counter() - began,
            )
            began = time.perf_counter()  # what happens between the steps is not the network's time

    def _pasted(self, x0: Tensor) -> Tensor:
        """The box, as it is now, in the enlarged picture: (1, 3, S, S)."""
        whole = _padded(self.enlarged, self.whole).clone()
        self.box.of(whole).copy_(x0)
        return whole[..., : self.side, : self.side]


def _as_sharp(drawn: Tensor, smooth: Tensor, keep_mask: Tensor) -> Tensor:
    """(1, 3, S, S) no sharper than its known surroundings; what is not finite stays so."""
    if not bool(torch.isfinite(drawn).all()):
        return drawn
    pixels = without_grain(to_pixels(drawn)[0], to_pixels(smooth)[0], (keep_mask[0, 0] == 0).cpu().numpy())
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None].to(drawn.device)


def _low_res(before: Tensor, side: int, whole: int, factor: int) -> Tensor:
    """The picture before, (1, 3, P, P), as (1, 3, whole / factor, ...): ``side`` px of it are the picture."""
    before = before.float()
    if side % factor:
        # A size between two pixels: by way of the full size, so that nothing is shifted.
        full = F.interpolate(before, (side, side), mode="bicubic", align_corners=False)
        return F.avg_pool2d(_padded(full, whole), factor).clamp(-1, 1)
    small = side // factor
    mode = "area" if small < before.shape[-1] else "bicubic"
    resized = F.interpolate(
        before, (small, small), mode=mode, align_corners=None if mode == "area" else False
    )
    return _padded(resized, whole // factor).clamp(-1, 1)


def _padded(tensor: Tensor, side: int) -> Tensor:
    """(1, C, S, S) with its last row and column repeated up to ``side``."""
    more = side - tensor.shape[-1]
    return F.pad(tensor, (0, more, 0, more), mode="replicate") if more else tensor


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple

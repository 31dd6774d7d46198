"""One enlargement by a cascade's upsampler of a picture of any size, in tiles."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.diffusion.noise import START
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.operations.cascade import (
    LOW_RES_NOISE,
    CascadeStep,
    Known,
    Upsampling,
    timesteps_of,
    with_low_res_noise,
)
from glide_edit.operations.tiles import CanvasNoise, Tile, Tiled, tiles_of

BEGIN = 0.8
"""Where on the noise axis the tiles begin, from the enlarged picture: what is there in middle sizes stays.

The low-resolution picture alone would say less than the picture before where that is enlarged less than the
upsampler's factor. On two photographs and two renders 0.8 came out sharper than 1, 0.6 and 0.4."""

MARGIN = 32
"""px around what is repainted that the tiles hold as well: what the repaint should go on from."""

Start = tuple[Tensor, float]
"""What a level begins from, (1, 3, H, W) in [-1, 1], and how much noise is added to it, in (0, 1]."""


@dataclass(frozen=True, eq=False)
class Place:
    """Which noise a level gets: its number, the first cell's, and its corner's place on a larger canvas."""

    seed: int
    level: int = 0
    first_cell: int = 0
    y: int = 0
    x: int = 0


@dataclass(frozen=True, eq=False)
class Level:
    """(1, 3, H, W) drawn from the smaller picture before it, with what is known at the size (H, W).

    ``enlarged`` is the picture before at that size, with the known pixels in it; ``box`` the part of it that
    is worked on, within the size rounded up to what tiles need, and ``tiles`` lie in the box. ``begun``
    (1, 3, H, W) is what the tiles begin from, ``strength`` how much noise is added to it.
    """

    upsampling: Upsampling
    before: Tensor
    known: Known
    enlarged: Tensor
    box: Tile
    tiles: list[Tile]
    place: Place
    begun: Tensor
    strength: float

    @classmethod
    def of(
        cls, upsampling: Upsampling, before: Tensor, known: Known, place: Place, start: Start | None = None
    ) -> Level:
        """``before`` is (1, 3, h, w) in [-1, 1] and shows the same as ``known``, (1, 3, H, W).

        Without a ``start`` it begins from the picture before.
        """
        box, tiles = plan(upsampling, known[1])
        known = (known[0].to(upsampling.device), known[1].to(upsampling.device))
        size = known[0].shape[2:]
        before = before.to(upsampling.device).float()
        enlarged = F.interpolate(before, size, mode="bicubic", align_corners=False).clamp(-1, 1)
        enlarged = known[0] * known[1] + enlarged * (1 - known[1])
        begun, strength = (enlarged, BEGIN) if start is None else (start[0].to(upsampling.device), start[1])
        return cls(upsampling, before, known, enlarged, box, tiles, place, begun, strength)

    def run(self) -> Iterator[CascadeStep]:
        """Its steps; the last one's ``is_last`` is True. Stop iterating and the work stops."""
        began = time.perf_counter()
        up, preset = self.upsampling, self.upsampling.preset
        denoiser = self._denoiser()
        noise = self._noise((3, self.box.height, self.box.width))
        steps = [self.strength * t for t in timesteps_of(up.stage.schedule, preset)]
        eps = noise(START) * preset.temperature
        x_T = up.stage.schedule.add_noise(
            self._cut(self.begun), eps, torch.full((1,), steps[0], device=up.device)
        )
        for step in get_sampler(preset.sampler)(denoiser, x_T, steps, noise):
            at_end = step.index + 1 == step.total
            if up.device.type == "cuda":
                torch.cuda.synchronize(up.device)  # or the clock would stop before the work does
            yield CascadeStep(
                stage="detail",
                step=step.index + 1,
                total=step.total,
                seeds=(self.place.seed,),
                x0=self._pasted(step.x.clamp(-1, 1) if at_end else step.x0),
                is_last=at_end,
                network_seconds=time.perf_counter() - began,
            )
            began = time.perf_counter()  # what happens between the steps is not the network's time

    def _denoiser(self) -> Tiled:
        """Of the box: every tile is told of its own part."""
        up = self.upsampling
        known, keep_mask = (self._cut(each) for each in self.known)
        low_res = self.box.of(_low_res(self.before, self.enlarged, up), up.factor).contiguous()
        grain = self._noise((3, *low_res.shape[2:]), up.factor)
        low_res, level = with_low_res_noise(low_res, up.preset, lambda: grain(LOW_RES_NOISE))
        told = [
            up.denoiser(
                tile.of(low_res, up.factor).contiguous(),
                level,
                (tile.of(known).contiguous(), tile.of(keep_mask).contiguous()),
            )
            for tile in self.tiles
        ]
        return Tiled(up.stage.schedule, list(zip(self.tiles, told, strict=True)), self._cut(self.enlarged))

    def _noise(self, shape: tuple[int, int, int], scale: int = 1) -> CanvasNoise:
        up, place = self.upsampling, self.place
        return CanvasNoise(
            seed=place.seed,
            stage=up.index + 1 + place.level,
            shape=shape,
            cell=up.stage.image_size // scale,
            device=up.device,
            first=place.first_cell,
            corner=((place.y + self.box.y) // scale, (place.x + self.box.x) // scale),
        )

    def _cut(self, tensor: Tensor) -> Tensor:
        """The box of (1, C, H, W)."""
        return self.box.of(_padded(tensor, self.upsampling.multiple)).contiguous()

    def _pasted(self, x0: Tensor) -> Tensor:
        """The box, as it is now, in the enlarged picture: (1, 3, H, W)."""
        whole = _padded(self.enlarged, self.upsampling.multiple).clone()
        self.box.of(whole).copy_(x0)
        return whole[..., : self.enlarged.shape[2], : self.enlarged.shape[3]]


def plan(upsampling: Upsampling, keep_mask: Tensor) -> tuple[Tile, list[Tile]]:
    """The part of (1, 1, H, W) that is worked on, within its size rounded up, and the tiles in it.

    The tiles are counted from its corner, and only those that hold something to repaint are there.
    """
    multiple, side = upsampling.multiple, upsampling.stage.image_size
    hidden = keep_mask[0, 0] == 0
    spans = []
    for axis in (1, 0):
        whole = _up(hidden.shape[1 - axis], multiple)
        places = hidden.any(dim=axis).nonzero()[:, 0].tolist() or [0]
        start = max(0, places[0] - MARGIN) // multiple * multiple
        end = min(whole, _up(places[-1] + 1 + MARGIN, multiple))
        start = max(0, min(start, end - side))
        spans.append((start, max(end, min(whole, start + side))))
    (top, bottom), (left, right) = spans
    box = Tile(top, left, bottom - top, right - left)
    rows, columns = ((-length) % multiple for length in hidden.shape)
    inside = box.of(F.pad(hidden, (0, columns, 0, rows)))
    tiles = tiles_of(box.height, box.width, side, multiple)
    return box, [tile for tile in tiles if bool(tile.of(inside).any())]


def _low_res(before: Tensor, enlarged: Tensor, up: Upsampling) -> Tensor:
    """The picture before at a ``factor``-th of ``enlarged``, which is padded to what tiles need."""
    size = enlarged.shape[2:]
    if any(length % up.factor for length in size):
        # A size between two pixels: by way of the full size, so that nothing is shifted.
        full = F.interpolate(before, size, mode="bicubic", align_corners=False)
        return F.avg_pool2d(_padded(full, up.multiple), up.factor).clamp(-1, 1)
    small = (size[0] // up.factor, size[1] // up.factor)
    if small[0] < before.shape[2]:
        resized = F.interpolate(before, small, mode="area")
    else:
        resized = F.interpolate(before, small, mode="bicubic", align_corners=False)
    return _padded(resized, up.multiple // up.factor).clamp(-1, 1)


def _padded(tensor: Tensor, multiple: int) -> Tensor:
    """(1, C, H, W) with its last row and column repeated until both sides are multiples."""
    rows, columns = ((-length) % multiple for length in tensor.shape[2:])
    return F.pad(tensor, (0, columns, 0, rows), mode="replicate") if rows or columns else tensor


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple

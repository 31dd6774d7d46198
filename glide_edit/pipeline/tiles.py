"""Pictures larger than a network's own: overlapping tiles, blended again at each step.

Each step asks the network for the clean picture of every tile and blends the answers (MultiDiffusion, Bar-Tal
et al. 2023, for x0), so that all tiles move towards one picture and no border of a tile shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.noise import noise_for
from glide_edit.diffusion.schedule import Schedule
from glide_edit.operations.frame import Tile

OVERLAP_SHARE = 4
"""Neighbouring tiles share one part in this many of a tile's side."""

ROW = 2**16
"""Cell (row, column) of a canvas has the tile number row * ROW + column."""

MARGIN = 32
"""px around what is repainted that the tiles hold as well: what the repaint should go on from."""


def plan_tiles(hidden: Tensor, side: int, multiple: int) -> tuple[Tile, tuple[Tile, ...]]:
    """The box of a canvas that is worked on, and the tiles in it that hold something to repaint.

    ``hidden`` is bool (H, W), True where something is to be repainted. The box lies within the canvas rounded
    up to ``multiple``; the tiles, ``side`` square, are counted from the box's corner.
    """
    spans = []
    for axis in (1, 0):
        whole = _round_up(hidden.shape[1 - axis], multiple)
        places = hidden.any(dim=axis).nonzero()[:, 0].tolist() or [0]
        start = max(0, places[0] - MARGIN) // multiple * multiple
        end = min(whole, _round_up(places[-1] + 1 + MARGIN, multiple))
        start = max(0, min(start, end - side))
        spans.append((start, max(end, min(whole, start + side))))
    (top, bottom), (left, right) = spans
    box = Tile(top, left, bottom - top, right - left)
    rows, columns = ((-length) % multiple for length in hidden.shape)
    inside = box.of(torch.nn.functional.pad(hidden, (0, columns, 0, rows)))
    tiles = cover(box.height, box.width, side, multiple)
    return box, tuple(tile for tile in tiles if bool(tile.of(inside).any()))


def cover(height: int, width: int, side: int, multiple: int) -> list[Tile]:
    """Tiles that cover a canvas row by row, each ``side`` square or as large as the canvas, overlapping.

    Their places are multiples of ``multiple``, of which ``height``, ``width`` and ``side`` are multiples.
    """
    assert height % multiple == width % multiple == side % multiple == 0, (height, width, side, multiple)
    high, wide = min(side, height), min(side, width)
    return [
        Tile(y, x, high, wide)
        for y in _starts(height, high, multiple)
        for x in _starts(width, wide, multiple)
    ]


def _starts(length: int, side: int, multiple: int) -> list[int]:
    step = max(multiple, side * (OVERLAP_SHARE - 1) // OVERLAP_SHARE // multiple * multiple)
    return [*range(0, length - side, step), length - side]


def _round_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


class TiledDenoiser:
    """The Denoiser of a canvas: the mean of the predictions of the tiles' own denoisers, by their windows.

    Where no tile lies the clean picture is ``elsewhere``.

    Args:
        schedule: that of the tiles' denoisers.
        tiles: each with the denoiser that was told of this part of the canvas.
        elsewhere: (1, C, H, W), as the network has it.
    """

    def __init__(self, schedule: Schedule, tiles: Sequence[tuple[Tile, Denoiser]], elsewhere: Tensor) -> None:
        self._schedule = schedule
        self._tiles = [(tile, denoiser, _window(tile, elsewhere)) for tile, denoiser in tiles]
        self._elsewhere = elsewhere
        self._weight = torch.zeros_like(elsewhere[:, :1])
        for tile, _, window in self._tiles:
            tile.of(self._weight).add_(window)

    @property
    def schedule(self) -> Schedule:
        return self._schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W), t (B,) -> a Prediction of the whole canvas."""
        drawn = self._weight > 0
        weight = self._weight.clamp(min=1e-12)
        x0 = torch.zeros_like(x_t)
        variance: Tensor | None = None
        for tile, denoiser, window in self._tiles:
            answer = denoiser(tile.of(x_t).contiguous(), t)
            tile.of(x0).add_(answer.x0 * window)
            if answer.variance_fraction is not None:
                variance = torch.zeros_like(x_t) if variance is None else variance
                tile.of(variance).add_(answer.variance_fraction * window)
        x0 = torch.where(drawn, x0 / weight, self._elsewhere.to(x0.dtype))
        return Prediction(x0, None if variance is None else variance / weight)


def _window(tile: Tile, like: Tensor) -> Tensor:
    """(height, width): 1 in the middle, falling as a cosine over the overlap, above 0 everywhere."""
    return _ramp(tile.height, like)[:, None] * _ramp(tile.width, like)[None, :]


def _ramp(length: int, like: Tensor) -> Tensor:
    place = torch.arange(length, device=like.device) + 0.5
    from_edge = torch.minimum(place, length - place)
    rise = (from_edge / (length / OVERLAP_SHARE)).clamp(max=1)
    return (0.5 - 0.5 * torch.cos(torch.pi * rise)).clamp(min=1e-4).to(like.dtype)


@dataclass(frozen=True)
class CanvasNoise:
    """The noise of a canvas for one image, put together from cells that are counted apart.

    A cell's noise follows from (seed, stage, tile, step) alone, however large the canvas is. ``first`` is the
    number of the first cell, and ``corner`` (y, x) where this canvas begins on the one that has the cells.
    """

    seed: int
    stage: int
    shape: tuple[int, int, int]
    cell: int
    device: torch.device
    first: int = 0
    corner: tuple[int, int] = (0, 0)

    def __call__(self, step: int) -> Tensor:
        """(1, C, H, W) float32."""
        channels, height, width = self.shape
        top, left = self.corner
        out = torch.empty(1, channels, height, width)
        for row in range(top // self.cell, -(-(top + height) // self.cell)):
            for column in range(left // self.cell, -(-(left + width) // self.cell)):
                number = self.first + row * ROW + column
                noise = noise_for(self.seed, self.stage, number, step, (channels, self.cell, self.cell))
                y, x = row * self.cell - top, column * self.cell - left
                part = out[0, :, max(y, 0) : y + self.cell, max(x, 0) : x + self.cell]
                down, right = max(-y, 0), max(-x, 0)
                part.copy_(noise[:, down : down + part.shape[1], right : right + part.shape[2]])
        return out.to(self.device)

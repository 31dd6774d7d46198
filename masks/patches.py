"""Fill the hidden part of a picture with patches of the known part.

From coarse to fine, the most similar known patch is found for every patch that touches the hidden part, and
each hidden pixel is the weighted mean of the found patches that cover it: Wexler, Shechtman and Irani,
"Space-Time Completion of Video" (PAMI 2007), as simplified by Newson et al., "Video Inpainting of Complex
Scenes" (2014). This is done on small pictures, so that all known patches can be compared and the best is
always found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.areas import shrink_known
from masks.mask import BoolArray, FloatArray

FINEST = 96
"""px: the longer side of the largest picture in which patches are compared; larger ones copy its matches."""

COARSEST = 24
"""px: the longer side of the smallest one, which decides the large shapes."""

FOLLOWING = 45
"""px: the least side of the coarsest picture where patches follow another fill: below, they would lose it."""

STEP = 1.6
"""How much larger each picture is than the one before."""

MOST_SOURCES = 5000
"""The known patches that are compared: those nearest to the hidden part."""

LEAST_SOURCES = 64
"""With fewer known patches nothing is filled."""

ROUNDS = ((40, 10), (64, 6), (FINEST, 4))
"""(longer side, rounds): up to this size, how often patches are matched and averaged."""

_RADIUS = 3  # px: patches are 7 x 7
_SMALL_RADIUS = 2  # below 40 px, where little is known
_DEEPER = 1.15  # a patch's weight falls by this factor with each pixel further from the known part
_LEAST_LIKE = 20.0  # exponents are limited to this: beyond, weights would be rounded to 0
_BATCH = 1024
_LEAST_WEIGHT = 1e-6  # so that weights never sum to 0
_FADE = 0.5  # of the way from the middle of a cell to the next: mixing more blurs, mixing less shows cells


def patch_fill(
    picture: FloatArray, kept: BoolArray, finest: int = FINEST, start: FloatArray | None = None
) -> FloatArray | None:
    """The picture with its hidden part filled from the known part, which does not change.

    Args:
        picture: float32 (H, W, 3) in [-1, 1]; not read outside ``kept``.
        kept: bool (H, W), True = known.
        finest: px, up to FINEST, in its place: fewer are several times as fast, and coarser.
        start: (H, W, 3), another fill, whose shapes the patches follow. Without it they find their own.

    Returns:
        float32 (H, W, 3), or None where too little is known. Deterministic.
    """
    if kept.all():
        return picture
    sizes = list(_sizes(kept.shape, finest))
    if start is not None:
        sizes = [size for size in sizes if max(size) >= FOLLOWING] or sizes[-1:]
    fine, fine_kept = shrink_known(picture, kept, sizes[-1])
    filled: FloatArray | None = None
    places: NDArray[np.intp] | None = None
    for size in sizes:
        small, small_kept = shrink_known(fine, fine_kept, size)
        scale = _Scale(small, small_kept)
        if not scale.has_sources:
            continue
        if filled is not None:
            before = np.asarray(cv2.resize(filled, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        elif start is not None:
            before = np.asarray(cv2.resize(start, size[::-1], interpolation=cv2.INTER_AREA), np.float32)
        else:
            before = telea(small, small_kept, 3)
        filled, places = scale.fill(before)
    return None if places is None else _copied(picture, kept, places)


def _sizes(shape: tuple[int, ...], finest: int) -> Iterator[tuple[int, int]]:
    """(height, width) from coarse to fine."""
    longest = max(shape)
    sides = [min(finest, longest)]
    while sides[-1] / STEP >= COARSEST:
        sides.append(round(sides[-1] / STEP))
    for side in reversed(sides):
        height, width = (max(1, round(length * side / longest)) for length in shape)
        yield height, width


def telea(picture: FloatArray, kept: BoolArray, radius: int) -> FloatArray:
    """OpenCV's inpainting (Telea 2004), radius in px: float32 (H, W, 3) in [-1, 1], rounded to 8 bits."""
    levels = np.rint((picture + 1) * 127.5).clip(0, 255).astype(np.uint8)
    filled = cv2.inpaint(levels, (~kept).astype(np.uint8), radius, cv2.INPAINT_TELEA)
    return np.asarray(filled.astype(np.float32) / np.float32(127.5) - 1, np.float32)


class _Scale:
    """The picture at one size: (H, W, 3), of which ``kept`` (H, W) is known."""

    def __init__(self, picture: FloatArray, kept: BoolArray) -> None:
        self._picture, self._kept = picture, kept
        longest = max(kept.shape)
        self._radius = _RADIUS if longest > ROUNDS[0][0] else _SMALL_RADIUS
        self._rounds = next(rounds for side, rounds in ROUNDS if longest <= side)
        hidden = (~kept).astype(np.uint8)
        reach = np.ones((2 * self._radius + 1, 2 * self._radius + 1), np.uint8)
        self._touched: BoolArray = cv2.dilate(hidden, reach) > 0
        inner, r = np.zeros(kept.shape, np.bool_), self._radius
        inner[r : kept.shape[0] - r, r : kept.shape[1] - r] = True
        centres = np.argwhere(inner & ~self._touched)
        away = cv2.distanceTransform(kept.astype(np.uint8), cv2.DIST_L2, 5)[tuple(centres.T)]
        self._sources = centres[np.argsort(away, kind="stable")[:MOST_SOURCES]]
        self._known_patches = self._patches(picture, self._sources)
        self._lengths = np.square(self._known_patches).sum(1)
        depth = cv2.distanceTransform(hidden, cv2.DIST_L2, 5)
        self._confidence = (_DEEPER ** -depth[self._touched]).astype(np.float32)

    @property
    def has_sources(self) -> bool:
        return len(self._sources) >= LEAST_SOURCES

    def fill(self, start: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
        """The picture filled, beginning from ``start``; and (H, W, 2), the row and column of each source."""
        filled = np.where(self._kept[..., None], self._picture, start)
        targets = np.argwhere(self._touched)
        for _ in range(self._rounds):
            best, apart = self._nearest(self._patches(filled, targets))
            usual = max(float(np.quantile(apart, 0.75)), 1e-6)
            weights = self._confidence * np.exp(-np.minimum(apart / (2 * usual), _LEAST_LIKE))
            filled = self._averaged(self._known_patches[best], weights)
        return filled, self._places(self._sources[best], weights)

    def _patches(self, picture: FloatArray, centres: NDArray[np.intp]) -> FloatArray:
        """(N, 3 P P) around centres (N, 2); the picture is mirrored at its edges."""
        r = self._radius
        wide = cv2.copyMakeBorder(picture, r, r, r, r, cv2.BORDER_REFLECT_101)
        windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * r + 1, 2 * r + 1), axis=(0, 1))
        found = windows[centres[:, 0], centres[:, 1]]
        return np.asarray(found.reshape(len(centres), 3 * (2 * r + 1) ** 2), np.float32)

    def _nearest(self, wanted: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
        """For each row of ``wanted`` (N, D), the number of the most similar source and its distance."""
        sources = self._known_patches.T
        best: list[NDArray[np.intp]] = []
        apart: list[FloatArray] = []
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            unlike = self._lengths - 2 * (part @ sources)
            best.append(unlike.argmin(1))
            apart.append(unlike.min(1) + np.square(part).sum(1))
        return np.concatenate(best), np.maximum(np.concatenate(apart), 0)

    def _averaged(self, patches: FloatArray, weights: FloatArray) -> FloatArray:
        """The picture with each hidden pixel the weighted mean of the patches that cover it."""
        r, (height, width) = self._radius, self._kept.shape
        side = 2 * r + 1
        total = np.zeros((height + 2 * r, width + 2 * r, 4), np.float32)
        dense = np.zeros((height, width, 4), np.float32)
        dense[self._touched, 3] = weights
        parts = patches.reshape(-1, 3, side, side) * weights[:, None, None, None]
        for row, column in np.ndindex(side, side):
            dense[self._touched, :3] = parts[:, :, row, column]
            total[row : row + height, column : column + width] += dense
        sums = total[r : r + height, r : r + width]
        mean = sums[..., :3] / np.maximum(sums[..., 3:], 1e-20)
        return np.asarray(np.where(self._kept[..., None], self._picture, mean), np.float32)

    def _places(self, centres: NDArray[np.intp], weights: FloatArray) -> NDArray[np.intp]:
        """(H, W, 2): each hidden pixel's source in the patch of the greatest weight that covers it."""
        r, shape = self._radius, self._kept.shape
        best = np.zeros((shape[0] + 2 * r, shape[1] + 2 * r), np.float32)
        places = np.zeros((*best.shape, 2), np.intp)
        dense = np.zeros((*shape, 3))
        dense[self._touched] = np.column_stack([weights, centres])
        for row, column in np.ndindex(2 * r + 1, 2 * r + 1):
            # A patch matches best near its centre.
            weight = dense[..., 0] * np.exp(-((row - r) ** 2 + (column - r) ** 2) / (0.9 * r**2))
            part = np.s_[row : row + shape[0], column : column + shape[1]]
            better = weight > best[part]
            best[part][better] = weight[better]
            places[part][better] = (dense[..., 1:] + (row - r, column - r))[better]
        found = places[r : r + shape[0], r : r + shape[1]]
        own = np.moveaxis(np.indices(shape), 0, 2)
        return np.where(self._kept[..., None], own, found)


def _copied(picture: FloatArray, kept: BoolArray, places: NDArray[Any]) -> FloatArray:
    """Hidden pixels copied from the sources found at the smaller size, each at its offset within a cell.

    Where cells meet, a pixel is a mixture of what each of them copies, by how near their middles are: no
    border of a cell is seen where their sources do not go on alike.
    """
    size, small = np.array(kept.shape), np.array(places.shape[:2])
    hidden = np.argwhere(~kept)
    # In cells, from the middle of the first one.
    wanted = (hidden + 0.5) * (small / size) - 0.5
    first = np.floor(wanted)
    share = (((wanted - first) - 0.5) / _FADE + 0.5).clip(0, 1).astype(np.float32)
    filled = np.asarray(np.where(kept[..., None], picture, 0), np.float32)
    mixed = np.zeros((len(hidden), picture.shape[2]), np.float32)
    total = np.zeros((len(hidden), 1), np.float32)
    for corner in np.ndindex(2, 2):
        cell = (first + corner).clip(0, small - 1).astype(np.intp)
        source = places[cell[:, 0], cell[:, 1]] + (wanted - cell) + 0.5
        row, column = (source * (size / small)).astype(np.intp).clip(0, size - 1).T
        # A source may reach into the hidden part by a part of a cell.
        weight = np.where(corner, share, 1 - share).prod(axis=1) * kept[row, column] + _LEAST_WEIGHT
        mixed += weight[:, None] * filled[row, column]
        total += weight[:, None]
    filled[tuple(hidden.T)] = mixed / total
    return filled

"""Filling what is hidden with patches of what is known.

From coarse to fine every patch that touches the hidden part looks for the known patch most like it, and each
hidden pixel becomes what the patches over it vote for: Wexler, Shechtman and Irani, "Space-Time Completion of
Video" (PAMI 2007), as simplified by Newson et al., "Video Inpainting of Complex Scenes" (2014). Pictures are
small while that happens, so that all known patches can be compared and the best is found for certain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.areas import shrink_known

Pixels = NDArray[np.float32]
Cells = NDArray[np.bool_]

FINEST = 96
"""px: the longer side of the largest picture in which patches are compared. Larger ones copy its finds."""

COARSEST = 24
"""px: the longer side of the smallest one, in which large shapes are settled."""

STEP = 1.6
"""How much larger each picture is than the one before."""

MOST_SOURCES = 5000
"""Known patches that are compared, those nearest to the hidden part."""

LEAST_SOURCES = 64
"""With fewer known patches there is nothing to put together."""

ROUNDS = ((40, 10), (64, 6), (FINEST, 4))
"""Up to such a longer side, so often patches are looked for and votes counted."""

_RADIUS = 3  # px: patches are 7 x 7
_SMALL_RADIUS = 2  # below 40 px, where little is known
_DEEPER = 1.15  # a vote counts for so much less with each pixel farther from what is known
_LEAST_LIKE = 20.0  # beyond, votes would be rounded to nothing
_TOGETHER = 1024


def patch_fill(picture: Pixels, kept: Cells) -> Pixels | None:
    """The picture with its hidden part filled from the rest, which stays as it is.

    Args:
        picture: float32 (H, W, 3) in [-1, 1]; what it holds outside ``kept`` is not read.
        kept: bool (H, W), True = known.

    Returns:
        float32 (H, W, 3), or None where too little is known. Deterministic.
    """
    if kept.all():
        return picture
    *_, finest = sizes = list(_sizes(kept.shape))
    fine, fine_kept = shrink_known(picture, kept, finest)
    filled: Pixels | None = None
    places: NDArray[np.intp] | None = None
    for size in sizes:
        small, small_kept = shrink_known(fine, fine_kept, size)
        level = _Level(small, small_kept)
        if not level.has_sources:
            continue
        if filled is None:
            begun = telea(small, small_kept, 3)
        else:
            begun = np.asarray(cv2.resize(filled, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
        filled, places = level.settled(begun)
    return None if places is None else _copied(picture, kept, places)


def _sizes(shape: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    """(height, width) from coarse to fine."""
    longest = max(shape)
    sides = [min(FINEST, longest)]
    while sides[-1] / STEP >= COARSEST:
        sides.append(round(sides[-1] / STEP))
    for side in reversed(sides):
        height, width = (max(1, round(length * side / longest)) for length in shape)
        yield height, width


def telea(picture: Pixels, kept: Cells, radius: int) -> Pixels:
    """OpenCV's inpainting (Telea 2004), ``radius`` px around: (H, W, 3) in [-1, 1], rounded to 8 bits."""
    levels = np.rint((picture + 1) * 127.5).clip(0, 255).astype(np.uint8)
    filled = cv2.inpaint(levels, (~kept).astype(np.uint8), radius, cv2.INPAINT_TELEA)
    return np.asarray(filled.astype(np.float32) / np.float32(127.5) - 1, np.float32)


class _Level:
    """One size: ``picture`` (H, W, 3), of which ``kept`` (H, W) is known."""

    def __init__(self, picture: Pixels, kept: Cells) -> None:
        self._picture, self._kept = picture, kept
        longest = max(kept.shape)
        self._radius = _RADIUS if longest > ROUNDS[0][0] else _SMALL_RADIUS
        self._rounds = next(rounds for side, rounds in ROUNDS if longest <= side)
        hidden = (~kept).astype(np.uint8)
        reach = np.ones((2 * self._radius + 1, 2 * self._radius + 1), np.uint8)
        self._touched: Cells = cv2.dilate(hidden, reach) > 0
        inner, r = np.zeros(kept.shape, np.bool_), self._radius
        inner[r : kept.shape[0] - r, r : kept.shape[1] - r] = True
        middles = np.argwhere(inner & ~self._touched)
        away = cv2.distanceTransform(kept.astype(np.uint8), cv2.DIST_L2, 5)[tuple(middles.T)]
        self._sources = middles[np.argsort(away, kind="stable")[:MOST_SOURCES]]
        self._known_patches = self._patches(picture, self._sources)
        self._lengths = np.square(self._known_patches).sum(1)
        depth = cv2.distanceTransform(hidden, cv2.DIST_L2, 5)
        self._sureness = (_DEEPER ** -depth[self._touched]).astype(np.float32)

    @property
    def has_sources(self) -> bool:
        return len(self._sources) >= LEAST_SOURCES

    def settled(self, begun: Pixels) -> tuple[Pixels, NDArray[np.intp]]:
        """``begun`` filled anew, and (H, W, 2) row and column of the pixel that each is from."""
        filled = np.where(self._kept[..., None], self._picture, begun)
        targets = np.argwhere(self._touched)
        for _ in range(self._rounds):
            best, apart = self._nearest(self._patches(filled, targets))
            usual = max(float(np.quantile(apart, 0.75)), 1e-6)
            weights = self._sureness * np.exp(-np.minimum(apart / (2 * usual), _LEAST_LIKE))
            filled = self._voted(self._known_patches[best], weights)
        return filled, self._places(self._sources[best], weights)

    def _patches(self, picture: Pixels, middles: NDArray[np.intp]) -> Pixels:
        """(N, 3 P P) around middles (N, 2); the picture goes on mirrored beyond its edges."""
        r = self._radius
        wide = cv2.copyMakeBorder(picture, r, r, r, r, cv2.BORDER_REFLECT_101)
        windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * r + 1, 2 * r + 1), axis=(0, 1))
        found = windows[middles[:, 0], middles[:, 1]]
        return np.asarray(found.reshape(len(middles), 3 * (2 * r + 1) ** 2), np.float32)

    def _nearest(self, wanted: Pixels) -> tuple[NDArray[np.intp], Pixels]:
        """(N,) each: the number of the source most like each of ``wanted``, (N, D), and how unlike it is."""
        sources = self._known_patches.T
        best: list[NDArray[np.intp]] = []
        apart: list[Pixels] = []
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            unlike = self._lengths - 2 * (part @ sources)
            best.append(unlike.argmin(1))
            apart.append(unlike.min(1) + np.square(part).sum(1))
        return np.concatenate(best), np.maximum(np.concatenate(apart), 0)

    def _voted(self, patches: Pixels, weights: Pixels) -> Pixels:
        """Each hidden pixel as the weighted mean of what the patches over it hold there."""
        r, (height, width) = self._radius, self._kept.shape
        side = 2 * r + 1
        total = np.zeros((height + 2 * r, width + 2 * r, 4), np.float32)
        dense = np.zeros((height, width, 4), np.float32)
        dense[self._touched, 3] = weights
        parts = patches.reshape(-1, 3, side, side) * weights[:, None, None, None]
        for row, column in np.ndindex(side, side):
            dense[self._touched, :3] = parts[:, :, row, column]
            total[row : row + height, column : column + width] += dense
        votes = total[r : r + height, r : r + width]
        mean = votes[..., :3] / np.maximum(votes[..., 3:], 1e-20)
        return np.asarray(np.where(self._kept[..., None], self._picture, mean), np.float32)

    def _places(self, middles: NDArray[np.intp], weights: Pixels) -> NDArray[np.intp]:
        """Where the patch with the greatest weight over each hidden pixel has it from."""
        r, shape = self._radius, self._kept.shape
        best = np.zeros((shape[0] + 2 * r, shape[1] + 2 * r), np.float32)
        places = np.zeros((*best.shape, 2), np.intp)
        dense = np.zeros((*shape, 3))
        dense[self._touched] = np.column_stack([weights, middles])
        for row, column in np.ndindex(2 * r + 1, 2 * r + 1):
            # The middle of a patch is what it was chosen for.
            weight = dense[..., 0] * np.exp(-((row - r) ** 2 + (column - r) ** 2) / (0.9 * r**2))
            part = np.s_[row : row + shape[0], column : column + shape[1]]
            better = weight > best[part]
            best[part][better] = weight[better]
            places[part][better] = (dense[..., 1:] + (row - r, column - r))[better]
        found = places[r : r + shape[0], r : r + shape[1]]
        own = np.moveaxis(np.indices(shape), 0, 2)
        return np.where(self._kept[..., None], own, found)


def _copied(picture: Pixels, kept: Cells, places: NDArray[Any]) -> Pixels:
    """The hidden pixels copied from where the smaller picture has them from, each from its part of a cell."""
    height, width = kept.shape
    rows, columns = np.nonzero(~kept)
    small = places.shape[:2]
    down, across = rows * small[0] / height, columns * small[1] / width
    cells = places[down.astype(np.intp), across.astype(np.intp)]
    row = ((cells[:, 0] + down % 1) * height / small[0]).astype(np.intp).clip(0, height - 1)
    column = ((cells[:, 1] + across % 1) * width / small[1]).astype(np.intp).clip(0, width - 1)
    filled = np.where(kept[..., None], picture, 0)
    filled[rows, columns] = filled[row, column]
    return np.asarray(filled, np.float32)

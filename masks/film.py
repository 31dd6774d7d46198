"""The membrane of a large repaint: far from the edge it is smooth, so that a coarse grid holds it.

The difference to the original is measured on the ring at full size, window by window, and Laplace's equation
is solved on cells. What the cells miss close to the edge, a membrane of a window's own corrects
(``put_back`` with a ``longest_fade``).
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, FloatArray
from masks.membrane import FADE_SHARE, LEAST_FADE, harmonic, ring_around, smoothed_along
from masks.shape import distance_inside
from masks.windows import Window

Rows = tuple[slice, slice]


class Film:
    """The correction of a repaint of ``shape`` (H, W), in cells of ``cell`` px.

    ``fades`` as the membrane does, or not, as cloning does.
    """

    def __init__(self, shape: tuple[int, int], cell: int, *, fades: bool = True) -> None:
        self._shape, self._cell, self._fades = shape, cell, fades
        cells = -(-shape[0] // cell), -(-shape[1] // cell)
        self._sums = np.zeros((3, *cells), np.float32)
        self._counts = np.zeros(cells, np.float32)
        self._allowed = np.zeros(cells, bool)
        self._solved: FloatArray | None = None

    def add(self, window: Window, difference: FloatArray, valid: BoolArray, allowed: BoolArray) -> None:
        """What a window with its surroundings shows: ``difference`` is (h, w, 3), original minus repaint, and
        finite; the others are bool (h, w). Windows begin at whole cells.
        """
        rows, columns = self._cells(window.core)
        planes = np.ascontiguousarray(np.moveaxis(difference, 2, 0))
        smooth, ring = smoothed_along(planes, ring_around(allowed), valid)
        self._allowed[rows, columns] = self._summed(window.cut(allowed)) > 0
        self._counts[rows, columns] = self._summed(window.cut(ring))
        for total, plane in zip(self._sums, smooth, strict=True):
            total[rows, columns] = self._summed(window.cut(plane * ring))

    def fill(self, window: Window) -> None:
        """A window all of which is drawn, with its surroundings: it has no edge."""
        self._allowed[self._cells(window.core)] = True

    def at(self, window: Rows) -> FloatArray:
        """The correction in a window that begins at a whole cell: float32 (h, w, 3)."""
        if self._solved is None:
            self._solved = self._solve()
        rows, columns = self._cells(window)
        above, left = min(rows.start, 1), min(columns.start, 1)  # cells beside it, for what lies between
        part = self._solved[rows.start - above : rows.stop + 1, columns.start - left : columns.stop + 1]
        size = part.shape[1] * self._cell, part.shape[0] * self._cell
        enlarged = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        height, width = (each.stop - each.start for each in window)
        top, start = above * self._cell, left * self._cell
        return np.asarray(enlarged[top : top + height, start : start + width], np.float32)

    def _cells(self, window: Rows) -> Rows:
        rows, columns = (slice(each.start // self._cell, -(-each.stop // self._cell)) for each in window)
        return rows, columns

    def _solve(self) -> FloatArray:
        """float32 (h, w, 3), in cells."""
        known = self._counts > 0
        inside = self._allowed & ~known
        values = np.divide(self._sums, self._counts, out=np.zeros_like(self._sums), where=known)
        if known.any() and inside.any():
            film = np.where(known, values, harmonic(values, known, inside) * inside)
        else:
            film = values
        if self._fades:
            depth = distance_inside(self._allowed) * np.float32(self._cell)
            scale = max(LEAST_FADE, FADE_SHARE * float(depth.max(initial=0, where=np.isfinite(depth))))
            film = film * np.exp(-np.square(np.maximum(depth - self._cell, 0) / np.float32(scale)))
        return np.ascontiguousarray(np.moveaxis(film, 0, 2), np.float32)

    def _summed(self, values: NDArray[Any]) -> FloatArray:
        """(h, w) -> the sum over each cell."""
        cell = self._cell
        rows, columns = (-length % cell for length in values.shape)
        whole = np.pad(values.astype(np.float32), ((0, rows), (0, columns)))
        return np.asarray(
            whole.reshape(whole.shape[0] // cell, cell, whole.shape[1] // cell, cell).sum((1, 3)), np.float32
        )

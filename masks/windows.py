"""A large picture in windows: work on one at a time, with what lies around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray

CORE = 768
"""px: a window's side without its surroundings."""

HALO = 64
"""px around it: farther away nothing counts for grain, lines or the membrane close to the edge."""


@dataclass(frozen=True)
class Window:
    """``wide`` are the rows and columns of a window with its surroundings, ``core`` those without.

    Both are slices of the whole picture; cores cover it and do not overlap.
    """

    number: int
    core: tuple[slice, slice]
    wide: tuple[slice, slice]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) with the surroundings."""
        return self.wide[0].stop - self.wide[0].start, self.wide[1].stop - self.wide[1].start

    def cut(self, picture: NDArray[Any]) -> NDArray[Any]:
        """The core of what is of the size of ``wide``."""
        rows, columns = (
            slice(core.start - wide.start, core.stop - wide.start)
            for core, wide in zip(self.core, self.wide, strict=True)
        )
        return picture[rows, columns]


def windows_of(allowed: BoolArray, cell: int = 1, halo: int = HALO) -> Iterator[Window]:
    """The windows in which anything is ``allowed``; all begin at multiples of ``cell`` px."""
    height, width = allowed.shape
    core, reach = max(1, CORE // cell) * cell, -(-halo // cell) * cell
    number = 0
    for top in range(0, height, core):
        for left in range(0, width, core):
            inner = np.s_[top : min(top + core, height), left : min(left + core, width)]
            if allowed[inner].any():
                outer = tuple(
                    slice(max(each.start - reach, 0), min(each.stop + reach, length))
                    for each, length in zip(inner, allowed.shape, strict=True)
                )
                yield Window(number, inner, (outer[0], outer[1]))
            number += 1

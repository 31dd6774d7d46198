"""What was painted roughly, made exact by what is under it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.doctor import mend
from masks.mask import Mask, MaskError
from masks.select import grab_cut, magic_wand
from masks.shape import distance_inside

MARGIN = 0.15
"""Of the longer side of what was painted: so far beyond it the thing may reach."""
CORE = 0.5
"""Of the greatest depth of what was painted; what lies deeper is the thing for certain."""
MOST_POINTS = 24


def tighten(image: NDArray[Any], painted: Mask) -> Mask:
    """The thing that was painted over, or scribbled on, cut out by GrabCut.

    Its box is that of what was painted, and a MARGIN more; the CORE of what was painted is in it for certain.
    Specks and pinholes that the cut leaves are mended.

    Raises:
        MaskError: nothing is painted, its size is not the picture's, or the box leaves nothing outside.
    """
    rows, columns = _painted(painted)
    height, width = painted.size
    more = max(2, round(MARGIN * max(np.ptp(rows), np.ptp(columns))))
    box = (
        max(int(columns.min()) - more, 0),
        max(int(rows.min()) - more, 0),
        min(int(columns.max()) + 1 + more, width),
        min(int(rows.max()) + 1 + more, height),
    )
    depth = distance_inside(painted.selected)
    cut = grab_cut(image, box, inside=Mask(depth >= CORE * depth.max()))
    return mend(cut, codes=("specks", "holes"))[0]


def spread(image: NDArray[Any], painted: Mask, tolerance: float = 24) -> Mask:
    """What was painted, and around it what hangs together with it and has its colours.

    The magic wand is used at MOST_POINTS of the painted pixels, evenly through them.

    Raises:
        MaskError: nothing is painted, its size is not the picture's, or a bad tolerance.
    """
    rows, columns = _painted(painted)
    picked = np.unique(np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(int))
    points = [(int(columns[each]), int(rows[each])) for each in picked]
    return magic_wand(image, points, tolerance) | painted


def _painted(painted: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if painted.is_empty:
        raise MaskError("nothing is painted: paint roughly over what is meant")
    rows, columns = np.nonzero(painted.selected)
    return rows, columns

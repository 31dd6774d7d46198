"""Make a roughly painted selection exact, from the picture under it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.doctor import mend
from masks.mask import Mask, MaskError
from masks.select import grab_cut, magic_wand
from masks.shape import distance_inside

MARGIN = 0.15
"""How far the object may extend beyond the painted area, as a share of that area's longer side."""
CORE = 0.5
"""Pixels deeper inside the painted area than this share of its greatest depth certainly show the object."""
MOST_POINTS = 24


def tighten(image: NDArray[Any], painted: Mask) -> Mask:
    """The object that was painted over, or scribbled on, cut out by GrabCut.

    GrabCut's box is that of the painted pixels, larger by MARGIN; their CORE certainly shows the object.
    Specks and pinholes that the cut leaves are removed.

    Raises:
        MaskError: nothing is painted, its size is not the picture's, or the box leaves nothing outside.
    """
    _require_paint(painted)
    x0, y0, x1, y1 = painted.bounding_box()
    more = max(2, round(MARGIN * (max(x1 - x0, y1 - y0) - 1)))
    right, bottom = min(x1 + more, painted.width), min(y1 + more, painted.height)
    box = max(x0 - more, 0), max(y0 - more, 0), right, bottom
    depth = distance_inside(painted.selected)
    cut = grab_cut(image, box, inside=Mask(depth >= CORE * depth.max()))
    return mend(cut, codes=("specks", "holes"))[0]


def spread(image: NDArray[Any], painted: Mask, tolerance: float = 24) -> Mask:
    """The painted pixels, and the pixels of their colours that are connected with them.

    The magic wand is used at MOST_POINTS of the painted pixels, evenly spaced.

    Raises:
        MaskError: nothing is painted, its size is not the picture's, or a bad tolerance.
    """
    _require_paint(painted)
    rows, columns = np.nonzero(painted.selected)
    picked = np.unique(np.linspace(0, len(rows) - 1, MOST_POINTS).round().astype(int))
    points = [(int(columns[each]), int(rows[each])) for each in picked]
    return magic_wand(image, points, tolerance) | painted


def _require_paint(painted: Mask) -> None:
    if painted.is_empty:
        raise MaskError("nothing is painted: paint roughly over what is meant")

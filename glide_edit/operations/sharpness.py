"""How sharp a repaint is beside its surroundings, and removing grain that they do not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from masks import BoolArray, FloatArray, shape

EDGE = 3
"""px on either side of the boundary that do not count: there a seam would be taken for detail."""

RING = 48
"""px from the boundary outwards that the repaint is compared with."""


_LEAST = 0.05  # levels of 255: below it there is no detail to speak of
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_FINE = 1.5  # px: the radius of the blur whose rest is fine detail
_HALVINGS = 10
_MARGIN = 16  # px: farther away nothing counts for the blur


def sharpness(picture: NDArray[np.uint8], selected: BoolArray) -> float:
    """Detail inside ``selected``, bool (H, W), over detail in the ring around it; 1 is as sharp.

    Detail is the mean length of the Laplacian (4 neighbours) of the luma: what changes from pixel to pixel,
    which enlarging takes away. The mean of lengths, not of squares, so that no single hard edge decides.

    Raises:
        InputError: a selection of another size, or one without enough inside or around it.
    """
    if selected.shape != picture.shape[:2]:
        raise InputError(f"A selection {selected.shape} does not fit a picture {picture.shape[:2]}.")
    inside, ring = _places(selected)
    if not inside.any() or not ring.any():
        raise InputError("The selection leaves nothing inside or around it to compare.")
    return _ratio(picture.astype(np.float32), inside, ring, np.mean)


def without_grain(drawn: FloatArray, smooth: FloatArray, hidden: BoolArray) -> FloatArray:
    """``drawn`` with no more grain than the ring around ``hidden`` has.

    What it adds to ``smooth`` in fine detail is cored: differences up to a threshold are taken out and larger
    ones shortened by it (soft thresholding, Donoho 1995), so that grain goes and edges stay. The threshold is
    the least with which the median length of the Laplacian is the ring's, or the mean: edges raise the mean
    alone, and flat parts of a detailed ring lower the median alone.
    Where there is no more grain than around, or nothing around, ``drawn`` itself is given back.

    Args:
        drawn, smooth: (H, W, 3), 0 to 255; the same picture with and without detail.
        hidden: bool (H, W), what was drawn; the rest is the original.
    """
    inside, ring = _places(hidden)
    if not inside.any() or not ring.any() or _grain(drawn, inside, ring) <= 1:
        return drawn
    added = drawn - smooth
    fine = added - cv2.GaussianBlur(added, (0, 0), _FINE)
    low, high = 0.0, float(np.abs(fine).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _grain(drawn - fine + _cored(fine, middle), inside, ring) > 1:
            low = middle
        else:
            high = middle
    return np.where(hidden[..., None], drawn - fine + _cored(fine, high), drawn)


def around(hidden: BoolArray) -> tuple[slice, slice]:
    """The rows and columns that ``without_grain`` looks at; all where nothing is hidden."""
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(hidden.any(axis=axis))
        first, last = (int(places[0]), int(places[-1])) if len(places) else (0, len(hidden))
        spans.append(slice(max(0, first - RING - _MARGIN), last + 1 + RING + _MARGIN))
    return spans[0], spans[1]


def _grain(picture: FloatArray, inside: BoolArray, ring: BoolArray) -> float:
    return min(_ratio(picture, inside, ring, middle) for middle in (np.median, np.mean))


def _cored(added: FloatArray, threshold: float) -> FloatArray:
    return np.asarray(np.sign(added) * np.maximum(np.abs(added) - threshold, 0), np.float32)


def _places(selected: BoolArray) -> tuple[BoolArray, BoolArray]:
    """What counts as inside, and the ring, both away from the boundary."""
    if selected.all():
        return selected, ~selected
    depth, away = (shape.distance_inside(each) for each in (selected, ~selected))
    return np.asarray(depth > EDGE), np.asarray((away > EDGE) & (away <= RING))


def _ratio(
    picture: FloatArray, inside: BoolArray, ring: BoolArray, middle: Callable[[FloatArray], Any]
) -> float:
    detail = np.abs(cv2.Laplacian(picture @ _LUMA, cv2.CV_32F))
    return max(float(middle(detail[inside])), _LEAST) / max(float(middle(detail[ring])), _LEAST)

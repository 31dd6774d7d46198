"""Masks from masks: grow, shrink, feather, fill, combine, turn, resize."""

from __future__ import annotations

from functools import reduce
from math import ceil, inf, isfinite

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import TURNING, BoolArray, FloatArray, Mask, MaskError, Size, as_size

# Distances between pixels are square roots of whole numbers, rounded to float32. Up to a radius of 5000 px,
# two different ones are further apart than this.
ROUNDING = 1e-4

_BAND_PIXELS = 2**22
"""Pixels for which distances are computed at a time."""

_SMALL_RADIUS = 3
"""px; for these a dilation is quicker than distances."""


def grow(mask: Mask, radius: float) -> Mask:
    """Also select what lies within ``radius`` px (Euclidean, between pixel centres) of the selection.

    Raises MaskError for a radius that is negative or not finite.
    """
    require_radius(radius)
    if mask.is_empty or mask.share == 1 or radius + ROUNDING < 1:
        return mask
    # Only the surroundings of the selection are computed, in bands, so that large pictures cost no more.
    x0, y0, x1, y1 = mask.bounding_box()
    reach = ceil(radius) + 1
    left, right = max(x0 - reach, 0), min(x1 + reach, mask.width)
    rows = max(4 * reach, _BAND_PIXELS // (right - left))
    grown = np.zeros(mask.size, bool)
    for top in range(max(y0 - reach, 0), min(y1 + reach, mask.height), rows):
        above = min(reach, top)
        near = mask.selected[top - above : top + rows + reach, left:right]
        band = grown[top : top + rows, left:right]
        if near.any():
            band[...] = _within(near, radius)[above : above + len(band)]
    return Mask.from_owned(grown)


def _within(selected: BoolArray, radius: float) -> BoolArray:
    """Where the nearest selected pixel is at most ``radius`` px away."""
    if selected.all():
        return selected
    if radius > _SMALL_RADIUS:
        return np.asarray(distance_inside(~selected) <= radius + ROUNDING)
    return np.asarray(cv2.dilate(selected.astype(np.uint8), disc(radius)) > 0)


def disc(radius: float) -> NDArray[np.uint8]:
    """A kernel for cv2.dilate: 1 within ``radius`` px of its middle."""
    reach = np.square(np.arange(-int(radius + ROUNDING), int(radius + ROUNDING) + 1))
    return (np.add.outer(reach, reach) <= (radius + ROUNDING) ** 2).astype(np.uint8)


def shrink(mask: Mask, radius: float) -> Mask:
    """Unselect what lies within ``radius`` px of an unselected pixel: ``~grow(~mask, radius)``.

    The picture's border is no edge: a selection that touches it does not shrink away from it. Raises
    MaskError for a radius that is negative or not finite.
    """
    return ~grow(~mask, radius)


def feather(mask: Mask, radius: float, whole: Mask | None = None) -> FloatArray:
    """Weights that rise from the selection's edge inwards: float32 (H, W) in [0, 1].

    Exactly 0 outside the selection, above 0 everywhere in it, 1 from ``radius`` px inside its edge pixels,
    and smooth (3s^2 - 2s^3) between. As for ``shrink``, the picture's border is no edge. They are 1 in
    ``whole``, a part of the selection, and rise faster where it is nearer than ``radius``. Raises MaskError
    for a radius that is negative or not finite.
    """
    require_radius(radius)
    depth = distance_inside(mask.selected)
    risen = depth / np.float32(radius + 1)
    if whole is not None and not whole.is_empty:
        width = depth + distance_inside(~whole.selected)
        told = np.isfinite(depth) & (width > 0)
        np.maximum(risen, np.divide(depth, width, out=risen.copy(), where=told), out=risen)
    return smoothstep(np.clip(risen, 0, 1))


def smoothstep(s: FloatArray) -> FloatArray:
    """3s^2 - 2s^3 for s in [0, 1]: from 0 to 1, with no slope at either end."""
    return np.asarray(s * s * (3 - 2 * s))


def fill_holes(mask: Mask, max_area: float = inf) -> Mask:
    """Also select the holes of at most ``max_area`` px. Raises MaskError for a negative area."""
    if not max_area >= 0:
        raise MaskError(f"the largest hole to fill is {max_area} px: give 0 or more")
    labels, areas = holes(mask.selected)
    return Mask(mask.selected | ((areas > 0) & (areas <= max_area))[labels])


def holes(selected: BoolArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The unselected areas that are not connected with the picture's border.

    Pixels are connected by their sides, so a diagonal line of single pixels encloses.

    Returns:
        int32 (H, W), a number for each pixel; and for each number the px of its hole, 0 where it is none.
    """
    # A rim of unselected pixels joins everything that touches the border with the top left pixel.
    rest = np.pad(~selected, 1, constant_values=True).view(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.int64)
    areas[[0, labels[0, 0]]] = 0
    return np.asarray(labels[1:-1, 1:-1], np.int32), areas


def islands(selected: BoolArray) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The connected parts of a selection; pixels that share a corner are connected.

    Returns:
        int32 (H, W), 0 where nothing is selected, else the island's number from 1 up; and (N, 5), for each
        island x, y, width and height of its box and its area, px.
    """
    _, labels, stats, _ = cv2.connectedComponentsWithStats(selected.astype(np.uint8), connectivity=8)
    return np.asarray(labels, np.int32), stats[1:].astype(np.int64)


def outline(mask: Mask, inside: float = 1, outside: float = 0) -> Mask:
    """The selection's edge: ``inside`` px of the selection, and ``outside`` px beyond it.

    As for ``shrink``, the picture's border is no edge. Raises MaskError for a width that is negative or not
    finite.
    """
    return grow(mask, outside) - shrink(mask, inside)


def drop_specks(mask: Mask, min_area: int) -> Mask:
    """Unselect ``islands`` of fewer than ``min_area`` px. Raises MaskError for a negative area."""
    if min_area < 0:
        raise MaskError(f"the smallest area to keep is {min_area} px: give 0 or more")
    labels, stats = islands(mask.selected)
    return Mask(np.append(False, stats[:, cv2.CC_STAT_AREA] >= min_area)[labels])


def invert(mask: Mask) -> Mask:
    """Change what was kept and keep what was changed."""
    return ~mask


def turn_upright(mask: Mask, orientation: int) -> Mask:
    """A mask that was painted on a picture as its file stores it, turned as the picture is when it is opened.

    ``orientation`` is the EXIF orientation of the picture's file, 1 to 8; MaskError for any other.
    """
    require_orientation(orientation)
    turned = mask.selected.T if orientation in TURNING else mask.selected
    return Mask(
        turned[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]
    )


def resize(mask: Mask, size: Size) -> Mask:
    """The mask at another size, each pixel taken from the nearest one. Raises MaskError for a bad size."""
    height, width = as_size(size)
    resized = cv2.resize(
        mask.selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return Mask(resized > 0)


def union(first: Mask, *others: Mask) -> Mask:
    """What any of the masks selects. Raises MaskError where sizes differ."""
    return reduce(Mask.__or__, others, first)


def intersection(first: Mask, *others: Mask) -> Mask:
    """What all of the masks select. Raises MaskError where sizes differ."""
    return reduce(Mask.__and__, others, first)


def difference(first: Mask, *others: Mask) -> Mask:
    """What the first mask selects and none of the others does. Raises MaskError where sizes differ."""
    return reduce(Mask.__sub__, others, first)


def distance_inside(inside: BoolArray) -> FloatArray:
    """Distances from the centre of each pixel to that of the nearest pixel not inside: float32 (H, W), px.

    0 outside, at least 1 inside, infinite where everything is inside.
    """
    if inside.all():
        return np.full(inside.shape, np.inf, np.float32)
    # OpenCV 5 gives other last bits with another alignment of the result, so it always gets the same one.
    memory = np.empty(4 * inside.size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    depth = memory[start : start + 4 * inside.size].view(np.float32).reshape(inside.shape)
    cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE, dst=depth)
    return depth


def require_radius(radius: float) -> None:
    if not (isfinite(radius) and radius >= 0):
        raise MaskError(f"a radius of {radius} px: give a finite number from 0 up")


def require_orientation(orientation: int) -> None:
    if orientation not in range(1, 9):
        raise MaskError(f"an EXIF orientation of {orientation!r}: it is a number from 1 to 8")

"""Masks from masks: growing, shrinking, softening, mending, combining."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from math import ceil, inf, isfinite

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import Mask, MaskError, Size, as_size

# Distances between pixels are square roots of whole numbers, which float32 rounds; neighbouring ones are
# further apart than this up to a radius of 5000 px.
ROUNDING = 1e-4


def grow(mask: Mask, radius: float) -> Mask:
    """Select also what lies within ``radius`` px (Euclidean, between pixel centres) of the selection.

    Raises:
        MaskError: a radius that is negative or not finite.
    """
    checked_radius(radius)
    if mask.is_empty or mask.share == 1 or radius + ROUNDING < 1:
        return mask
    # Nothing farther away than the radius is reached: a large picture costs no more than what is selected.
    x0, y0, x1, y1 = mask.bounding_box()
    reach = ceil(radius) + 1
    near = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
    grown = np.zeros(mask.size, bool)
    grown[near] = (
        True if mask.selected[near].all() else distance_inside(~mask.selected[near]) <= radius + ROUNDING
    )
    return Mask(grown)


def shrink(mask: Mask, radius: float) -> Mask:
    """Unselect what lies within ``radius`` px of an unselected pixel.

    The picture is taken to go on beyond its border as it is there: a selection that touches the border does
    not shrink away from it. So ``shrink(mask, r) == ~grow(~mask, r)``.

    Raises:
        MaskError: a radius that is negative or not finite.
    """
    return ~grow(~mask, radius)


def feather(mask: Mask, radius: float) -> NDArray[np.float32]:
    """Weights that rise from the selection's edge inwards: float32 (H, W) in [0, 1].

    Exactly 0 outside the selection, above 0 everywhere in it, 1 from ``radius`` px within its edge pixels on,
    and smooth (3s^2 - 2s^3) between. Like ``shrink``, it does not count the picture's border as an edge.

    Raises:
        MaskError: a radius that is negative or not finite.
    """
    checked_radius(radius)
    depth = distance_inside(mask.selected)
    s = np.clip(depth / np.float32(radius + 1), 0, 1)
    weights: NDArray[np.float32] = s * s * (3 - 2 * s)
    return weights


def fill_holes(mask: Mask, max_area: float = inf) -> Mask:
    """Select also what the selection encloses: what the picture's border cannot be reached from.

    The path to the border goes by the pixels' sides, so a diagonal line of single pixels encloses.

    Args:
        mask: the selection.
        max_area: px; larger holes stay open.

    Raises:
        MaskError: a negative area.
    """
    if not max_area >= 0:
        raise MaskError(f"the largest hole to fill is {max_area} px: give 0 or more")
    # A rim of unselected pixels joins everything that touches the border: the island of the top left pixel.
    rest = np.pad(~mask.selected, 1, constant_values=True).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(rest, connectivity=4)
    filled = stats[:, cv2.CC_STAT_AREA] <= max_area
    filled[labels[0, 0]] = False
    filled[0] = True
    return Mask(filled[labels[1:-1, 1:-1]])


def outline(mask: Mask, inside: float = 1, outside: float = 0) -> Mask:
    """The selection's edge: ``inside`` px of the selection, and ``outside`` px beyond it.

    Like ``shrink``, it does not count the picture's border as an edge.

    Raises:
        MaskError: a width that is negative or not finite.
    """
    return grow(mask, outside) - shrink(mask, inside)


def drop_specks(mask: Mask, min_area: int) -> Mask:
    """Unselect every island of fewer than ``min_area`` px. Pixels that share a corner are one island.

    Raises:
        MaskError: a negative area.
    """
    if min_area < 0:
        raise MaskError(f"the smallest area to keep is {min_area} px: give 0 or more")
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.selected.astype(np.uint8), connectivity=8)
    stays = stats[:, cv2.CC_STAT_AREA] >= min_area
    stays[0] = False
    return Mask(stays[labels])


def invert(mask: Mask) -> Mask:
    """Change what was kept and keep what was changed."""
    return ~mask


def turn_upright(mask: Mask, orientation: int) -> Mask:
    """A mask that was painted on a picture as its file stores it, turned as the picture is on opening.

    Args:
        mask: the selection, on the stored pixels.
        orientation: the EXIF orientation of the picture's file, 1 to 8.

    Raises:
        MaskError: another orientation.
    """
    if orientation not in _UPRIGHT:
        raise MaskError(f"an EXIF orientation of {orientation!r}: it is a number from 1 to 8")
    return Mask(_UPRIGHT[orientation](mask.selected))


_UPRIGHT: dict[int, Callable[[NDArray[np.bool_]], NDArray[np.bool_]]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a, 1),
}


def resize(mask: Mask, size: Size) -> Mask:
    """The mask at another size, each pixel taken from the nearest one.

    Raises:
        MaskError: a bad size.
    """
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


def distance_inside(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """How deep each pixel lies: float32 (H, W), px from its centre to that of the nearest pixel not inside.

    0 outside, at least 1 inside, infinite where everything is inside.
    """
    if inside.all():
        return np.full(inside.shape, np.inf, np.float32)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(depth, np.float32)


def checked_radius(radius: float) -> None:
    if not (isfinite(radius) and radius >= 0):
        raise MaskError(f"a radius of {radius} px: give a finite number from 0 up")

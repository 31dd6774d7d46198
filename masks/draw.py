"""Masks from lines and outlines.

Points are (x, y) in pixels and may be fractions; (0, 0) is the *centre* of the top left pixel. Boxes are (x0,
y0, x1, y1) in whole pixels with x1 and y1 exclusive, as ``Mask.bounding_box`` returns them. Sizes are
(height, width). What lies beyond the picture is cut off; a mask that is empty for that reason is not an error
here.

Every function raises MaskError for a bad size, and for points that are not finite pairs or more than FARTHEST
px away; ``box`` and ``ellipse`` for corners that are not whole numbers or not in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, Mask, MaskError, Size, as_size
from masks.shape import require_radius

Points = Sequence[Sequence[float]] | NDArray[Any]
Box = tuple[int, int, int, int]

FRACTION_BITS = 4
"""OpenCV takes points as fixed-point integers: 1/16 px."""
FARTHEST = 32_000
"""px from the origin. OpenCV's lines are off by several pixels if their ends are much further away."""
THICKEST = 16_000
"""px of radius: OpenCV's lines are at most 32767 px thick."""


def strokes(points: Points | Sequence[Points], radius: float, size: Size) -> Mask:
    """What a round brush covers, exact to two pixels, as OpenCV draws.

    Args:
        points: one stroke, [(x, y), …], or several, [[(x, y), …], …]; a stroke of one point is a dot.
        radius: of the brush, px; 0 draws a line of single pixels.
        size: (height, width) of the picture.

    Raises:
        MaskError: no points, or a bad radius.
    """
    require_radius(radius)
    if radius > THICKEST:
        raise MaskError(f"a brush of {radius} px: the largest is {THICKEST} px")
    canvas = np.zeros(as_size(size), np.uint8)
    lines = [points] if _is_one_line(points) else list(points)
    if not lines:
        raise MaskError("no stroke: give at least one point")
    for line in lines:
        fixed = _fixed_point(as_points(line, 1))
        cv2.polylines(canvas, [fixed], False, 1, max(1, round(2 * radius)), cv2.LINE_8, FRACTION_BITS)
        # polylines takes whole thicknesses only; dots make the ends and joints round to the fraction.
        for x, y in fixed.tolist():
            cv2.circle(
                canvas, (x, y), round(radius * 2**FRACTION_BITS), 1, cv2.FILLED, cv2.LINE_8, FRACTION_BITS
            )
    return Mask(canvas > 0)


def box(corners: Box, size: Size) -> Mask:
    """Everything in a box (x0, y0, x1, y1)."""
    x0, y0, x1, y1 = _as_box(corners)
    selected = np.zeros(as_size(size), bool)
    selected[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = True
    return Mask(selected)


def ellipse(corners: Box, size: Size) -> Mask:
    """The ellipse that fills a box (x0, y0, x1, y1): every pixel whose centre lies in it."""
    x0, y0, x1, y1 = _as_box(corners)
    height, width = as_size(size)
    across = (2 * np.arange(width)[None, :] + 1 - x0 - x1) / (x1 - x0)
    down = (2 * np.arange(height)[:, None] + 1 - y0 - y1) / (y1 - y0)
    return Mask(across**2 + down**2 <= 1)


def polygon(points: Points, size: Size) -> Mask:
    """A polygon's inside and outline. Where it crosses itself, the even-odd rule leaves out the overlap.

    Raises MaskError for fewer than 3 points.
    """
    winding, outline = _outlined(points, size)
    return Mask((winding % 2 == 1) | outline)


def lasso(points: Points, size: Size) -> Mask:
    """A freehand outline, closed from the last point to the first, and everything inside.

    Unlike in ``polygon``, an area that is circled twice is selected (the non-zero winding rule). Raises
    MaskError for fewer than 3 points.
    """
    winding, outline = _outlined(points, size)
    return Mask((winding != 0) | outline)


def _outlined(points: Points, size: Size) -> tuple[NDArray[np.int32], BoolArray]:
    """How often a closed outline goes round each pixel centre, and the pixels on it: (H, W) both."""
    height, width = as_size(size)
    corners = as_points(points, 3)
    canvas = np.zeros((height, width), np.uint8)
    cv2.polylines(canvas, [_fixed_point(corners)], True, 1, 1, cv2.LINE_8, FRACTION_BITS)
    # Not cv2.fillPoly, which is wrong by tens of pixels where corners lie beyond the picture (OpenCV 5.0). In
    # each row whose centre it crosses, every edge marks the first pixel to its right with its direction; the
    # sum of the marks up to a pixel is its winding number. Marks in column `width` lie beyond the picture.
    marks = np.zeros((height, width + 1), np.int32)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        low, high = np.clip(np.ceil(sorted((y0, y1))), 0, height).astype(int)
        rows = np.arange(low, high)
        if rows.size:
            crossing = x0 + (rows - y0) * (x1 - x0) / (y1 - y0)
            marks[rows, np.clip(np.ceil(crossing), 0, width).astype(int)] += 1 if y1 > y0 else -1
    return np.cumsum(marks[:, :width], axis=1, dtype=np.int32), canvas > 0


def _is_one_line(points: Any) -> bool:
    """Whether these are points, not lists of points."""
    try:
        return len(points) > 0 and len(points[0]) > 0 and np.ndim(points[0][0]) == 0
    except (TypeError, KeyError):
        raise MaskError("points are given as [(x, y), …]") from None


def as_points(points: Any, least: int) -> NDArray[np.float64]:
    """``points`` as float64 (N, 2), finite and not too far away, or MaskError."""
    try:
        pairs = np.asarray(points, np.float64)
    except (TypeError, ValueError):
        raise MaskError("points are pairs of numbers (x, y)") from None
    if pairs.size and (pairs.ndim != 2 or pairs.shape[1] != 2):
        raise MaskError("points are pairs of numbers (x, y)")
    if len(pairs) < least:
        raise MaskError(f"{len(pairs)} points: at least {least} are needed")
    if not (np.abs(pairs) <= FARTHEST).all():
        raise MaskError(f"a point is not finite or more than {FARTHEST} px away")
    return pairs


def _fixed_point(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.asarray(np.rint(points * 2**FRACTION_BITS), np.int32)


def _as_box(corners: Any) -> Box:
    try:
        x0, y0, x1, y1 = (int(n) for n in corners)
        whole = all(int(n) == n for n in corners)
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise MaskError(f"a box is (x0, y0, x1, y1) in whole pixels, not {corners!r}")
    if x1 <= x0 or y1 <= y0:
        raise MaskError(
            f"a box of {x1 - x0} x {y1 - y0} px: x1 and y1 are exclusive and lie beyond x0 and y0"
        )
    return x0, y0, x1, y1

"""Seamless cloning by OpenCV, and which finish leaves the least of an edge."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.membrane import harmonic

Pixels = NDArray[Any]
Cells = NDArray[np.bool_]

UNSEEN = 1.0
"""Levels of 255: an edge that is off by no more is left alone, since nothing could be mended."""

_NARROW = 8  # px
_PAD = 3  # px; OpenCV's solver wants the selection away from the border


def can_clone(allowed: Cells) -> bool:
    """Whether OpenCV's solver takes such a selection: one with an edge, and a box that is not too narrow."""
    rows, columns = (np.flatnonzero(allowed.any(axis=axis)) for axis in (1, 0))
    if not rows.size or allowed.all():
        return False
    return bool(min(np.ptp(rows), np.ptp(columns)) + 1 >= _NARROW)


def seamless(
    original: NDArray[np.float32], repaint: NDArray[np.float32], allowed: Cells
) -> NDArray[np.float32]:
    """The repaint with the original's colours at its edge, by OpenCV's Poisson cloning (Perez et al. 2003).

    All gradients inside are the repaint's, so that a difference at the edge is carried through to the middle,
    where the membrane fades. OpenCV works in 8 bits: what it adds to the repaint is added at full depth.

    Args:
        original, repaint: float32 (H, W, 3), 0 to 255.
        allowed: bool (H, W), for which ``can_clone`` is true.

    Returns:
        float32 (H, W, 3), to be read inside ``allowed``.
    """
    if np.array_equal(original[~allowed], repaint[~allowed]):
        return repaint
    # OpenCV also goes by the old pixels inside, along the edge and the border: they must not shine through.
    outside = ~allowed
    planes = np.ascontiguousarray(np.moveaxis(original * outside[..., None], 2, 0), np.float32)
    filled = np.moveaxis(harmonic(planes, outside, np.ascontiguousarray(allowed)), 0, 2)
    original = np.where(allowed[..., None], filled, original)
    pad = ((_PAD, _PAD), (_PAD, _PAD), (0, 0))
    old, new = (np.pad(_bytes(each), pad, mode="edge") for each in (original, repaint))
    mask = np.pad(allowed.astype(np.uint8) * 255, _PAD)
    # OpenCV clones what it finds in the box of its mask to a box of the same size around the centre.
    x, y, width, height = cv2.boundingRect(mask)
    cloned = cv2.seamlessClone(new, old, mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    shift = cloned.astype(np.float32) - new
    return np.asarray(repaint + shift[_PAD:-_PAD, _PAD:-_PAD], np.float32)


def mismatch(picture: Pixels, allowed: Cells) -> float:
    """How far the step across the edge of ``allowed`` is from the steps beside it, in the picture's levels.

    For each pair of neighbours across the edge: the difference of the two, less the mean of the differences
    one pixel further in and one further out; its length, averaged over pairs and channels; 0 without an edge.
    """
    values = picture.astype(np.float32)
    total, count = 0.0, 0
    for axis in (0, 1):
        line, inside = np.moveaxis(values, axis, 0), np.moveaxis(allowed, axis, 0)
        if len(line) < 4:
            continue
        across = inside[1:-2] != inside[2:-1]
        steps = np.diff(line, axis=0)
        off = np.abs(steps[1:-1] - (steps[:-2] + steps[2:]) / 2)[across]
        total, count = total + float(off.sum()), count + off.size
    return total / count if count else 0.0


def best_finish(original: Pixels, composites: dict[str, Pixels], allowed: Cells) -> str:
    """The name of the composite whose edge is off least; "hard" where that is off by no more than UNSEEN."""
    unit = float(np.iinfo(original.dtype).max) / 255
    scores = {name: mismatch(picture, allowed) / unit for name, picture in composites.items()}
    if scores.get("hard", np.inf) <= UNSEEN:
        return "hard"
    return min(scores, key=lambda name: scores[name])


def _bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(pixels).clip(0, 255).astype(np.uint8)

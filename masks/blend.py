"""Composite a repaint into the original, so that nothing outside ``allowed`` changes."""

from __future__ import annotations

from math import ceil, inf
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.crop import Box
from masks.mask import BoolArray, FloatArray, Mask, MaskError, require_bool_array
from masks.membrane import RING_WIDTH, correction, harmonic
from masks.shape import feather, require_radius

Finish = Literal["hard", "membrane", "feather", "clone"]
"""The compositing method. hard: the repaint unchanged. membrane: its colours are corrected at the edge, and
less inwards (masks.membrane). feather: a cross-fade from the original over the first pixels inside. clone:
OpenCV's seamless cloning (Perez et al. 2003), or the membrane in strokes that are too narrow for it."""

FEATHER_RADIUS = 8.0
"""The default px over which the repaint fades in."""

UNSEEN = 1.0
"""Levels of 255: a ``mismatch`` of at most this is not corrected, since no edge shows."""

_NARROW = 8  # px
_PAD = 3  # px; OpenCV's solver needs the selection away from the border


def put_back(
    original: NDArray[Any],
    repaint: NDArray[Any],
    allowed: BoolArray,
    finish: Finish = "membrane",
    feather_radius: float = FEATHER_RADIUS,
    *,
    fade_within: BoolArray | None = None,
    whole_within: BoolArray | None = None,
    longest_fade: float = inf,
) -> NDArray[Any]:
    """The original with its ``allowed`` pixels repainted.

    Every pixel outside ``allowed`` is the original's, bit for bit, whatever ``repaint`` holds. Inside, values
    are clipped to the range, and pixels of which any channel is not finite (as float32) stay the original's.
    For "membrane" the RING_WIDTH px around ``allowed`` must show what the network drew (``Areas.repaint``
    contains them); pixels there that are not finite are ignored.

    Args:
        original: (H, W, C), uint8 or uint16, C from 1 to 4. Leave an alpha channel out: it does not change.
        repaint: (H, W, C); float in the *original's* range (0 to 255 or 0 to 65535), or integers of the
            original's dtype, or uint8 for a uint16 original (255 is then 65535).
        allowed: bool (H, W).
        finish: how the repaint meets the original.
        feather_radius: px from the edge inwards over which the repaint fades in; only for "feather".
        fade_within: bool (H, W), an area that holds ``allowed``: the repaint fades in from its edge instead;
            for pieces of a selection, which meet without one.
        whole_within: bool (H, W), where nothing of the original may show through: "feather" ends outside.
        longest_fade: px over which the membrane fades at most.

    Returns:
        A new array of the original's shape and dtype.

    Raises:
        MaskError: types or shapes that do not belong together, an unknown finish, a bad radius.
    """
    _check(original, repaint, allowed, finish)
    require_radius(feather_radius)
    out = original.copy()
    if not allowed.any():
        return out
    x0, y0, x1, y1 = Mask(allowed).bounding_box()
    # The selection's box with its ring; no pixel beyond it is read.
    box = np.s_[max(y0 - RING_WIDTH, 0) : y1 + RING_WIDTH, max(x0 - RING_WIDTH, 0) : x1 + RING_WIDTH]
    inside = allowed[box]
    # (C, H, W), so that one mask broadcasts over the channels.
    old = np.moveaxis(original[box], 2, 0).astype(np.float32, order="C")
    new, finite = _sanitised(np.moveaxis(repaint[box], 2, 0), old, original.dtype)
    if finish == "feather":
        within = allowed if fade_within is None else fade_within
        new = old + (new - old) * _fade_in(within, whole_within, (x0, y0, x1, y1), box, feather_radius)
    else:
        new = _finished(old, new, finite, inside, finish, longest_fade, _white(original.dtype))
    np.rint(new, out=new)
    np.clip(new, 0, _white(original.dtype), out=new)
    # `out[box]` is a view of `out`: only the pixels taken are ever written.
    np.copyto(np.moveaxis(out[box], 2, 0), new.astype(original.dtype), where=inside & finite)
    return out


def mismatch(picture: NDArray[Any], allowed: BoolArray) -> float:
    """How much the step across the edge of ``allowed`` differs from those beside it, in the picture's levels.

    For each pair of neighbours across the edge: the absolute value of their difference minus the mean of the
    differences one pixel further in and one further out. The mean over pairs and channels; 0 without an edge.
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


def best_finish(original: NDArray[Any], composites: dict[str, NDArray[Any]], allowed: BoolArray) -> str:
    """The name of the composite with the least ``mismatch``; "hard" where that is at most UNSEEN."""
    unit = float(np.iinfo(original.dtype).max) / 255
    scores = {name: mismatch(picture, allowed) / unit for name, picture in composites.items()}
    if scores.get("hard", np.inf) <= UNSEEN:
        return "hard"
    return min(scores, key=lambda name: scores[name])


def _finished(
    old: FloatArray,
    new: FloatArray,
    finite: BoolArray,
    inside: BoolArray,
    finish: Finish,
    longest_fade: float,
    white: int,
) -> FloatArray:
    """The repaint ``new`` as the finish wants it; pictures are (C, H, W), 0 to ``white``."""
    if finish == "clone" and len(old) == 3 and _can_clone(inside):
        scale = np.float32(255 / white)
        cloned = _seamless(np.moveaxis(old, 0, 2) * scale, np.moveaxis(new, 0, 2) * scale, inside)
        return np.moveaxis(cloned / scale, 2, 0)
    if finish in ("membrane", "clone"):
        return new + correction(old - new, finite, inside, longest_fade)
    return new


def _fade_in(
    within: BoolArray, whole: BoolArray | None, around: Box, box: tuple[slice, slice], radius: float
) -> FloatArray:
    """``feather`` in ``box``, from an edge that may lie up to ``radius`` px beyond ``around``; 1 where
    ``whole``."""
    x0, y0, x1, y1 = around
    reach = max(RING_WIDTH, ceil(radius) + 1)
    top, left = max(y0 - reach, 0), max(x0 - reach, 0)
    window = np.s_[top : y1 + reach, left : x1 + reach]
    weights = feather(Mask(within[window]), radius, None if whole is None else Mask(whole[window]))
    rows, columns = box
    return weights[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _sanitised(repaint: NDArray[Any], old: FloatArray, dtype: np.dtype[Any]) -> tuple[FloatArray, BoolArray]:
    """The repaint as float32 in range, the original's where not finite; and where it is finite, (H, W)."""
    with np.errstate(over="ignore"):
        new = repaint.astype(np.float32, order="C")
    if repaint.dtype.kind == "u":
        new *= _white(dtype) // _white(repaint.dtype)
    finite = np.asarray(np.isfinite(new).all(axis=0))
    np.clip(new, 0, _white(dtype), out=new)
    np.copyto(new, old, where=~finite)
    return new, finite


def _white(dtype: np.dtype[Any]) -> int:
    return int(np.iinfo(dtype).max)


def _check(original: NDArray[Any], repaint: NDArray[Any], allowed: BoolArray, finish: str) -> None:
    if original.dtype not in (np.uint8, np.uint16):
        raise MaskError(f"the original is uint8 or uint16, not {original.dtype}")
    if original.ndim != 3 or not 1 <= original.shape[2] <= 4:
        raise MaskError(f"the original has shape (H, W, C) with 1 to 4 channels, not {original.shape}")
    if repaint.dtype.kind != "f" and repaint.dtype not in (original.dtype, np.uint8):
        raise MaskError(f"the repaint is float, uint8 or {original.dtype}, not {repaint.dtype}")
    if repaint.shape != original.shape or require_bool_array(allowed, "allowed").shape != original.shape[:2]:
        raise MaskError(
            f"original {original.shape}, repaint {repaint.shape} and allowed {allowed.shape} differ in size: "
            "bring the repaint to the original's size first"
        )
    if finish not in get_args(Finish):
        raise MaskError(f"a finish of {finish!r}: choose from {', '.join(get_args(Finish))}")


def _can_clone(allowed: BoolArray) -> bool:
    """Whether OpenCV's solver accepts such a selection: one with an edge and a box that is wide enough."""
    rows, columns = (np.flatnonzero(allowed.any(axis=axis)) for axis in (1, 0))
    if not rows.size or allowed.all():
        return False
    return bool(min(np.ptp(rows), np.ptp(columns)) + 1 >= _NARROW)


def _seamless(original: FloatArray, repaint: FloatArray, allowed: BoolArray) -> FloatArray:
    """The repaint with the original's colours at its edge, by OpenCV's Poisson cloning (Perez et al. 2003).

    All gradients inside are the repaint's: a difference at the edge is carried to the middle, whereas the
    membrane fades. OpenCV works in 8 bits; the difference it makes is added to the repaint at full depth.
    Pictures are float32 (H, W, 3), 0 to 255; the result is valid inside ``allowed``.
    """
    if np.array_equal(original[~allowed], repaint[~allowed]):
        return repaint
    # OpenCV also reads the old pixels inside, along the edge and the border; they must not show through.
    outside = ~allowed
    planes = np.ascontiguousarray(np.moveaxis(original * outside[..., None], 2, 0), np.float32)
    filled = np.moveaxis(harmonic(planes, outside, np.ascontiguousarray(allowed)), 0, 2)
    original = np.where(allowed[..., None], filled, original)
    pad = ((_PAD, _PAD), (_PAD, _PAD), (0, 0))
    old, new = (np.pad(_bytes(each), pad, mode="edge") for each in (original, repaint))
    mask = np.pad(allowed.astype(np.uint8) * 255, _PAD)
    # OpenCV clones the content of its mask's box to a box of the same size around the given centre.
    x, y, width, height = cv2.boundingRect(mask)
    cloned = cv2.seamlessClone(new, old, mask, (x + width // 2, y + height // 2), cv2.NORMAL_CLONE)
    shift = cloned.astype(np.float32) - new
    return np.asarray(repaint + shift[_PAD:-_PAD, _PAD:-_PAD], np.float32)


def _bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(pixels).clip(0, 255).astype(np.uint8)

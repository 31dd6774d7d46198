"""Putting a repaint back into the original, so that nothing outside ``allowed`` changes."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from masks.finishes import can_clone, seamless
from masks.mask import Mask, MaskError, bool_plane
from masks.membrane import RING_WIDTH, correction
from masks.shape import checked_radius, feather

Finish = Literal["hard", "membrane", "feather", "clone"]
"""hard: the repaint as it is. membrane: its colours led over to the original's at the edge (masks.membrane).
feather: a cross-fade from the original over the first pixels inside. clone: OpenCV's seamless cloning
(masks.finishes); the membrane in strokes that are too narrow for it."""

FEATHER_RADIUS = 8.0
"""px over which the repaint fades in, where nobody says."""


def put_back(
    original: NDArray[Any],
    repaint: NDArray[Any],
    allowed: NDArray[np.bool_],
    finish: Finish = "membrane",
    feather_radius: float = FEATHER_RADIUS,
) -> NDArray[Any]:
    """The original with its ``allowed`` pixels repainted.

    Every pixel outside ``allowed`` is the original's, bit for bit, whatever ``repaint`` holds. Inside,
    values beyond the range are clipped, and a pixel that is not finite (as float32) in any channel stays
    the original's. For "membrane" the repaint must show the network's own drawing on the RING_WIDTH px
    around ``allowed`` (``Areas.repaint`` asks for it); pixels of that ring that are not finite are passed
    over.

    Args:
        original: (H, W, C), uint8 or uint16, C from 1 to 4. Leave an alpha channel out: it does not change.
        repaint: (H, W, C); float in the *original's* range (0 to 255 or 0 to 65535), or integers of the
            original's dtype, or uint8 for a uint16 original (255 is then 65535).
        allowed: bool (H, W).
        finish: how it meets the original.
        feather_radius: px inside the edge until the repaint stands alone; only for "feather".

    Returns:
        A new array of the original's shape and dtype.

    Raises:
        MaskError: types or shapes that do not belong together, an unknown finish, a bad radius.
    """
    _check(original, repaint, allowed, finish)
    checked_radius(feather_radius)
    out = original.copy()
    if not allowed.any():
        return out
    x0, y0, x1, y1 = Mask(allowed).bounding_box()
    # With the ring; nothing beyond it is read. A border of this box that is not the picture's is not allowed.
    box = np.s_[max(y0 - RING_WIDTH, 0) : y1 + RING_WIDTH, max(x0 - RING_WIDTH, 0) : x1 + RING_WIDTH]
    inside = allowed[box]
    # Planes, (C, H, W): a mask then applies to each of them without being spread over the channels.
    old = np.moveaxis(original[box], 2, 0).astype(np.float32, order="C")
    new, finite = _sanitised(np.moveaxis(repaint[box], 2, 0), old, original.dtype)
    if finish == "clone" and original.shape[2] == 3 and can_clone(inside):
        scale = np.float32(255 / _white(original.dtype))
        lit = [np.moveaxis(each, 0, 2) * scale for each in (old, new)]
        new = np.moveaxis(seamless(lit[0], lit[1], inside) / scale, 2, 0)
    elif finish in ("membrane", "clone"):
        new += correction(old - new, finite, inside)
    elif finish == "feather":
        new = old + (new - old) * feather(Mask(inside), feather_radius)
    np.rint(new, out=new)
    np.clip(new, 0, _white(original.dtype), out=new)
    # `out[box]` is a view of `out`: only the pixels taken are ever written.
    np.copyto(np.moveaxis(out[box], 2, 0), new.astype(original.dtype), where=inside & finite)
    return out


def _sanitised(
    repaint: NDArray[Any], old: NDArray[np.float32], dtype: np.dtype[Any]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
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


def _check(original: NDArray[Any], repaint: NDArray[Any], allowed: NDArray[np.bool_], finish: str) -> None:
    if original.dtype not in (np.uint8, np.uint16):
        raise MaskError(f"the original is uint8 or uint16, not {original.dtype}")
    if original.ndim != 3 or not 1 <= original.shape[2] <= 4:
        raise MaskError(f"the original has shape (H, W, C) with 1 to 4 channels, not {original.shape}")
    if repaint.dtype.kind != "f" and repaint.dtype not in (original.dtype, np.uint8):
        raise MaskError(f"the repaint is float, uint8 or {original.dtype}, not {repaint.dtype}")
    if repaint.shape != original.shape or bool_plane(allowed, "allowed").shape != original.shape[:2]:
        raise MaskError(
            f"original {original.shape}, repaint {repaint.shape} and allowed {allowed.shape} differ in size: "
            "bring the repaint to the original's size first"
        )
    if finish not in get_args(Finish):
        raise MaskError(f"a finish of {finish!r}: choose from {', '.join(get_args(Finish))}")

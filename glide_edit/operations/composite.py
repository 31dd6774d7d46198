"""Composites a drawn crop into a picture by the finish that a request names, or by the best one."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.operations.grain import GrainMatch
from glide_edit.operations.postprocess import Drawn
from masks import FEATHER_RADIUS, Crop, Finish, best_finish, mismatch, put_back

NOT_FINITE = "The model's output was not finite everywhere; the original was kept there."

AUTO: tuple[Finish, ...] = ("hard", "membrane", "clone")
"""What "auto" chooses from; not feathering, which hides any edge by letting the old picture show through."""


def composite_into(
    pixels: NDArray[Any],
    crop: Crop,
    drawn: Drawn,
    allowed: NDArray[np.bool_],
    finish: Finish | Literal["auto"],
    feather: float | None = None,
    grain: GrainMatch | None = None,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The part of a picture in ``crop.box`` with the drawn crop composited into it, and notes for the user.

    Args:
        pixels: (H, W, 3), the whole picture, uint8 or uint16.
        drawn: (S, S, 3), 0 to 255, resized to the crop's side.
        allowed: bool, of the size of the box.
        feather: px over which the finish "feather" fades; None for FEATHER_RADIUS.
        grain: matches the result to its surroundings; None leaves it as drawn.
    """
    side, white = crop.side, int(np.iinfo(pixels.dtype).max)
    patch = drawn
    if len(drawn) != side:
        how = cv2.INTER_AREA if side < len(drawn) else cv2.INTER_CUBIC
        patch = np.asarray(cv2.resize(drawn, (side, side), interpolation=how), np.float32)
    x0, y0, x1, y1 = crop.box
    patch = patch[y0 - crop.y0 : y1 - crop.y0, x0 - crop.x0 : x1 - crop.x0] * np.float32(white / 255)
    notes = () if np.isfinite(drawn).all() else (NOT_FINITE,)
    old = pixels[y0:y1, x0:x1]
    radius = FEATHER_RADIUS if feather is None else feather
    if grain is None:
        part, chosen = _put(old, patch, allowed, finish, radius)
    else:
        part, chosen = _put(old, grain.before(patch, old, allowed), allowed, finish, radius)
        part = grain.after(part, old, allowed)
    return part, (*notes, *chosen)


def _put(
    old: NDArray[Any],
    patch: Drawn,
    allowed: NDArray[np.bool_],
    finish: Finish | Literal["auto"],
    radius: float,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """By the finish, and which one "auto" chose."""
    if finish != "auto":
        return put_back(old, patch, allowed, finish, radius), ()
    made: dict[str, NDArray[Any]] = {name: put_back(old, patch, allowed, name) for name in AUTO}
    best = best_finish(old, made, allowed)
    white = int(np.iinfo(old.dtype).max)
    levels = ", ".join(f"{name} {mismatch(made[name], allowed) * 255 / white:.1f}" for name in AUTO)
    return made[best], (f"Finish {best} was chosen; the edge is off by this many levels of 255: {levels}.",)

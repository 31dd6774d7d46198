"""Composites a drawn crop into a picture by the finish that a request names, or by the best one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.operations.frame import Canvas
from glide_edit.operations.grain import GrainMatch
from glide_edit.operations.postprocess import Drawn
from masks import FEATHER_RADIUS, Crop, Finish, best_finish, mismatch, put_back

NOT_FINITE = "The model's output was not finite everywhere; the original was kept there."

AUTO: tuple[Finish, ...] = ("hard", "membrane", "clone")
"""What "auto" chooses from; not feathering, which hides any edge by letting the old picture show through."""


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Where a piece of a selection meets others, bool arrays of the size of what is composited.

    ``undrawn`` belongs to pieces that are still to be drawn: what is there now means nothing. ``drawn`` has
    been drawn already: the piece has to fit.
    """

    undrawn: NDArray[np.bool_]
    drawn: NDArray[np.bool_]


def neighbours_of(
    canvas: Canvas, where: tuple[slice, slice], allowed: NDArray[np.bool_]
) -> Neighbours | None:
    """Of a piece that is ``allowed`` in this part of the canvas; None where it meets none."""
    if canvas.allowed is None:
        return None
    assert canvas.unknown is not None
    unknown = canvas.unknown[where]
    undrawn, drawn = unknown & ~allowed, canvas.allowed[where] & ~unknown
    return Neighbours(undrawn, drawn) if undrawn.any() or drawn.any() else None


def composite_into(
    pixels: NDArray[Any],
    crop: Crop,
    drawn: Drawn,
    allowed: NDArray[np.bool_],
    finish: Finish | Literal["auto"],
    feather: float | None = None,
    grain: GrainMatch | None = None,
    neighbours: Neighbours | None = None,
    whole: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The part of a picture in ``crop.box`` with the drawn crop composited into it, and notes for the user.

    Args:
        pixels: (H, W, 3), the whole picture, uint8 or uint16.
        drawn: (S, S, 3), 0 to 255, resized to the crop's side.
        allowed: bool, of the size of the box.
        feather: px over which the finish "feather" fades; None for FEATHER_RADIUS.
        grain: matches the result to its surroundings; None leaves it as drawn.
        neighbours: None where it meets no other piece.
        whole: bool, of the size of the box: nothing of what was there shows through, whatever the feather.
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
    if grain is not None:
        patch = grain.before(patch, old, allowed)
    part, chosen = _put(old, patch, allowed, finish, radius, neighbours, whole)
    return part if grain is None else grain.after(part, old, allowed), (*notes, *chosen)


def _put(
    old: NDArray[Any],
    patch: Drawn,
    allowed: NDArray[np.bool_],
    finish: Finish | Literal["auto"],
    radius: float,
    neighbours: Neighbours | None,
    whole: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """By the finish, and which one "auto" chose."""
    if finish != "auto":
        return put_beside(old, patch, allowed, finish, radius, neighbours, whole=whole), ()
    made: dict[str, NDArray[Any]] = {
        name: put_beside(old, patch, allowed, name, radius, neighbours) for name in AUTO
    }
    best = best_finish(old, made, allowed)
    return made[best], (chosen_note(best, {name: levels_off(made[name], allowed) for name in AUTO}),)


def levels_off(picture: NDArray[Any], allowed: NDArray[np.bool_]) -> float:
    """How far the edge of what is ``allowed`` is off, in levels of 255."""
    return mismatch(picture, allowed) * 255 / int(np.iinfo(picture.dtype).max)


def chosen_note(best: str, levels: Mapping[Finish, float]) -> str:
    """What is said of the finish that "auto" chose, by how far each is off."""
    said = ", ".join(f"{name} {levels[name]:.1f}" for name in AUTO)
    return f"Finish {best} was chosen; the edge is off by this many levels of 255: {said}."


def put_beside(
    old: NDArray[Any],
    patch: Drawn,
    allowed: NDArray[np.bool_],
    finish: Finish,
    radius: float,
    neighbours: Neighbours | None,
    longest_fade: float = inf,
    whole: NDArray[np.bool_] | None = None,
) -> NDArray[Any]:
    """``masks.put_back`` for a piece, fitted to those that were drawn and not to those that will be."""
    if neighbours is None:
        return put_back(old, patch, allowed, finish, radius, whole_within=whole, longest_fade=longest_fade)
    patch = np.where(neighbours.undrawn[..., None], np.float32(np.nan), patch)
    if finish != "feather":
        return put_back(old, patch, allowed, finish, radius, longest_fade=longest_fade)
    # A fade at the cut would show what was there before: it is joined by a membrane of its own.
    inside = allowed | neighbours.drawn
    joined = np.where(inside[..., None], patch, np.float32(np.nan))
    fitted = put_back(old, joined, allowed, "membrane", longest_fade=longest_fade)
    around = inside | neighbours.undrawn
    return put_back(old, fitted, allowed, "feather", radius, fade_within=around, whole_within=whole)

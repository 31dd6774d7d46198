"""Matches the grain of a repaint to the photograph around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glide_edit.diffusion.noise import noise_for
from glide_edit.requests import Inpaint, Outpaint
from masks import (
    RING_WIDTH,
    BoolArray,
    FloatArray,
    Mask,
    add_grain,
    extend_edges,
    lay_grain,
    make_grain,
    remove_excess_noise,
    shape,
)

_SHIFT = (389, 617)
"""px by which a window's grain is shifted against that of the window before: none repeats its neighbour's."""

STAGE = 1000
"""In the count of the noise: no cascade has so many stages."""


@dataclass(frozen=True, eq=False)
class GrainLevels:
    """For all windows of a large box: what ``masks.excess_noise`` measured, and the grain that is added,
    float32 (H, W, 3), at least as large as a window; each window takes it shifted in another way."""

    noise: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    grain: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class GrainMatch:
    """For one frame of the picture of ``seed``.

    ``known`` is bool, of the size of the crop's box: where the picture is the photograph's, or drawn already.
    In a window of a large box, of its size; ``window`` is its number, and ``levels`` what all of it lacks.
    ``continues``: what was drawn goes on from its surroundings, so that it lacks their grain alone.
    """

    seed: int
    frame: int
    known: BoolArray
    window: int = 0
    levels: GrainLevels | None = None
    continues: bool = False

    def before(self, repaint: FloatArray, original: NDArray[Any], allowed: BoolArray) -> FloatArray:
        """The repaint, (H, W, 3) in the original's levels, without its excess noise: what is composited."""
        if self.continues or not allowed.any() or not np.isfinite(repaint).all():
            return repaint
        unit = unit_of(original)
        if self.levels is not None and self.levels.noise is None:
            return repaint
        levels = None if self.levels is None else self.levels.noise
        hidden = hidden_by(allowed)
        return remove_excess_noise(repaint / unit, of_255(original), self.known, hidden, levels) * unit

    def grain_for(self, lacking: NDArray[np.float64] | None, side: int) -> FloatArray | None:
        """Grain for windows of up to ``side`` px, with what ``masks.grain_levels`` says that they lack."""
        if lacking is None:
            return None
        noise = noise_for(self.seed, STAGE, self.frame, 0, (3, side, side)).numpy()
        return make_grain(np.moveaxis(noise, 0, 2), lacking)

    def after(self, finished: NDArray[Any], original: NDArray[Any], allowed: BoolArray) -> NDArray[Any]:
        """The composite, of the original's dtype, with lines extended over its edge and with its grain."""
        if not allowed.any():
            return finished
        picture = of_255(finished)
        if not self.continues:
            picture = extend_edges(picture, self.known, allowed)
        if self.levels is None:
            size = (3, *allowed.shape)
            noise = np.moveaxis(noise_for(self.seed, STAGE, self.frame, 0, size).numpy(), 0, 2)
            picture = add_grain(picture, self.known, allowed, noise)
        elif self.levels.grain is not None:
            height, width = allowed.shape
            shift = _SHIFT[0] * self.window, _SHIFT[1] * self.window
            grain = np.roll(self.levels.grain, shift, (0, 1))[:height, :width]
            picture = lay_grain(picture, allowed, grain)
        matched = picture * unit_of(original)
        levels = np.rint(matched).clip(0, np.iinfo(original.dtype).max).astype(original.dtype)
        return np.where(allowed[..., None], levels, finished)


def grain_match_for(
    request: Inpaint | Outpaint, seed: int, frame: int, known: BoolArray
) -> GrainMatch | None:
    """What the request asks for, None for nothing: for a hard edge, and detail as the model draws it, only
    where it says so."""
    wanted = request.match_grain
    if wanted is None:
        wanted = request.finish != "hard" and request.detail is not True
    return GrainMatch(seed, frame, known, continues=request.fills_alone) if wanted else None


def hidden_by(allowed: BoolArray) -> BoolArray:
    """What is drawn: ``allowed`` and the ring around it."""
    return shape.grow(Mask(allowed), RING_WIDTH).selected


def unit_of(original: NDArray[Any]) -> np.float32:
    """A level of 255 in the original's levels."""
    return np.float32(np.iinfo(original.dtype).max / 255)


def of_255(pixels: NDArray[Any]) -> FloatArray:
    return pixels.astype(np.float32) / unit_of(pixels)

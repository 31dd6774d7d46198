"""What a selection shows beside the thing that was put into it: what surrounds it, continued.

A small model draws a thing well and what lies behind it badly: soft, and of no texture. So the thing is cut
out of what was drawn (GrabCut, Rother et al. 2004: by the colours of the known surroundings, and by how what
was drawn differs from a fill of the selection) and put onto that fill, with the shadow that it casts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import BoolArray, FloatArray
from masks.shape import distance_inside

_LOOKED_AT = 128
"""px: the side at which the thing is looked for."""

_MARGIN = 0.5
"""What is looked at around the selection, as a share of its longer side."""

_UNLIKE = 18.0
"""How far a colour must be from the fill's to be the thing's at first, in CIELAB."""

_LIGHTNESS = 0.4
"""How much differences of lightness count beside those of colour: shadows are no things."""

_BLUR = 1.6  # px, at the size looked at: texture is no difference
_ROUNDS = 3
_THINGS = (0.1, 0.97)
"""The share of the selection that a thing takes; with less or more none was found."""

_DARKEST = 0.55
"""The least of the fill's light that is left in a shadow."""

_NEAR = 0.3
"""How far a shadow reaches, as a share of the thing's longer side."""

_ENDS = 0.4
"""Over this share of its reach a shadow ends at the border of the selection, where nothing may be darker."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """``alpha`` float32 (H, W), how much of each pixel is the thing's, 0 to 1; ``behind`` float32 (H, W, 3),
    0 to 255, what lies behind it, in its shadow."""

    alpha: FloatArray
    behind: FloatArray


def cut_out(drawn: FloatArray, fill: FloatArray, known: BoolArray) -> Cutout | None:
    """The thing that was drawn, and the fill that it is to stand on; None where no thing can be told.

    Args:
        drawn: float32 (H, W, 3), 0 to 255: the picture with what was drawn in its hidden part.
        fill: the same with a fill of that part.
        known: bool (H, W).
    """
    if known.all() or not np.isfinite(drawn).all():
        return None
    window = _around(~known)
    thing = _thing(drawn[window], fill[window], ~known[window])
    if thing is None:
        return None
    alpha = np.zeros(known.shape, np.float32)
    alpha[window] = thing
    return Cutout(alpha, fill * _shadow(drawn, fill, alpha, known))


def _around(hidden: BoolArray) -> tuple[slice, slice]:
    """The rows and columns in which the thing is looked for."""
    left, top, width, height = cv2.boundingRect(hidden.astype(np.uint8))
    margin = max(2, round(_MARGIN * max(width, height)))
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )


def _thing(drawn: FloatArray, fill: FloatArray, hidden: BoolArray) -> FloatArray | None:
    """How much of each pixel is the thing's, 0 to 1; None where there is none to be told."""
    scale = min(1.0, _LOOKED_AT / max(hidden.shape))
    size = [max(1, round(scale * length)) for length in hidden.shape[::-1]]
    small, small_fill = (_small(each, size) for each in (drawn, fill))
    inside = cv2.resize(hidden.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    apart = np.subtract(_lab(small), _lab(small_fill))
    apart[..., 0] *= _LIGHTNESS
    unlike = np.linalg.norm(apart, axis=2) > _UNLIKE
    labels = np.where(unlike, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[~inside] = cv2.GC_BGD
    if not _is_thing(labels, inside):
        return None
    cv2.setRNGSeed(0)  # GrabCut begins with k-means
    behind, thing = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = cv2.cvtColor(small.round().clip(0, 255).astype(np.uint8), cv2.COLOR_RGB2BGR)
    cv2.grabCut(bgr, labels, (0, 0, 0, 0), behind, thing, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    if not _is_thing(labels, inside):
        return None
    found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.resize(cv2.GaussianBlur(found, (0, 0), 0.8), hidden.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(soft.clip(0, 1), np.float32)


def _small(picture: FloatArray, size: Sequence[int]) -> FloatArray:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)


def _is_thing(labels: NDArray[np.uint8], inside: BoolArray) -> bool:
    share = (labels == cv2.GC_PR_FGD).sum() / max(1, int(inside.sum()))
    return bool(_THINGS[0] < share < _THINGS[1])


def _lab(picture: FloatArray) -> FloatArray:
    blurred = cv2.GaussianBlur(picture, (0, 0), _BLUR)
    return np.asarray(
        cv2.cvtColor((blurred / 255).clip(0, 1).astype(np.float32), cv2.COLOR_RGB2LAB), np.float32
    )


def _shadow(drawn: FloatArray, fill: FloatArray, alpha: FloatArray, known: BoolArray) -> FloatArray:
    """(H, W, 1), what is left of the fill's light: as much darker as what was drawn is, near the thing."""
    _, _, width, height = cv2.boundingRect((alpha > 0.5).astype(np.uint8))
    reach = max(1.0, _NEAR * max(width, height))
    away = cv2.distanceTransform((alpha < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    sigma = max(1.0, reach / 4)
    lights = [cv2.GaussianBlur(each.mean(axis=2), (0, 0), sigma) + 1 for each in (drawn, fill)]
    darker = np.clip(lights[0] / lights[1], _DARKEST, 1)
    ends = (distance_inside(~known) / (_ENDS * reach)).clip(0, 1)
    near = np.exp(-np.square(away / reach)) * ends
    return np.asarray(1 - near * (1 - darker), np.float32)[..., None]

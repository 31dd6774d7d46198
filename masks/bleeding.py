"""How far a thing shows beyond its selection: soft edges, blur, and what a hand has missed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, FloatArray, Mask, MaskError
from masks.shape import distance_inside

MOST_BLEED = 8
"""px that are looked at."""

_BEYOND = 8  # px further out, where the surroundings are measured
_COMPARED = slice(2, 5)  # px further out, with which each distance is compared
_SHOWS = 0.05  # the share of the thing's colour that counts as seen, beyond what these have of it
_SURE = 6.0  # and how many times its own error it has to be: neighbouring pixels are alike
_CONTRAST = 12.0  # levels of 255: where thing and surroundings differ by less nothing can be told
_FEWEST = 12  # px of such contrast
_THING, _AROUND = 2.0, 5.0  # px: over what distances the colours of both are averaged


def bleed(picture: NDArray[Any], selection: Mask) -> int:
    """How many px beyond its selection a thing still shows, 0 to MOST_BLEED.

    Each pixel around the selection is compared with the colours of the thing nearby, just inside, and of the
    surroundings nearby, well outside: how much of the way it is from these to those. Averaged for each px of
    distance, this share falls where a thing fades; that of surroundings of a similar colour does not.

    Args:
        picture: (H, W, C), uint8 or uint16.
        selection: of the picture's size.

    Raises:
        MaskError: they are not of one size.
    """
    if picture.shape[:2] != selection.size:
        raise MaskError(f"a picture of shape {picture.shape} and a selection of size {selection.size}")
    if selection.is_empty or selection.share == 1:
        return 0
    x0, y0, x1, y1 = selection.bounding_box()
    furthest = MOST_BLEED + _COMPARED.stop - 1
    reach = furthest + _BEYOND + 2
    window = np.s_[max(y0 - reach, 0) : y1 + reach, max(x0 - reach, 0) : x1 + reach]
    inside = selection.selected[window]
    pixels = picture[window].astype(np.float32) * np.float32(255 / np.iinfo(picture.dtype).max)
    away = distance_inside(~inside)
    thing = _nearby(pixels, inside & (distance_inside(inside) <= _THING + 1), _THING)
    around = _nearby(pixels, (away > furthest) & (away <= furthest + _BEYOND), _AROUND)
    apart = thing - around
    contrast = np.square(apart).sum(2)
    told = ~inside & (contrast > picture.shape[2] * _CONTRAST**2)
    towards = ((pixels - around) * apart).sum(2)
    rings = [told & (away > distance - 1) & (away <= distance) for distance in range(1, furthest + 1)]
    shares, errors = zip(*(_share(towards[ring], contrast[ring]) for ring in rings), strict=True)
    seen = 0
    while seen < MOST_BLEED:
        beyond = float(np.mean(shares[seen:][_COMPARED]))
        if not shares[seen] - beyond > max(_SHOWS, _SURE * errors[seen]):
            break
        seen += 1
    # What is left of a soft edge is too faint to be told, and shows all the same.
    return min(seen + 1, MOST_BLEED) if seen else 0


def _share(towards: FloatArray, contrast: FloatArray) -> tuple[float, float]:
    """The share of the thing in a ring's pixels, by least squares, and its error."""
    if len(towards) < _FEWEST:
        return 0.0, np.inf
    share = float(towards.sum() / contrast.sum())
    return share, float(np.sqrt(np.square(towards - share * contrast).sum()) / contrast.sum())


def _nearby(pixels: FloatArray, where: BoolArray, sigma: float) -> FloatArray:
    """The average of nearby pixels of ``where``; of all of them where none is near."""
    if not where.any():
        return np.zeros_like(pixels)
    weight = where.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), sigma)
    known = total > 1e-4
    averages = [cv2.GaussianBlur(plane * weight, (0, 0), sigma) for plane in cv2.split(pixels)]
    sums = np.stack(averages, axis=2) / np.maximum(total, 1e-4)[..., None]
    return np.asarray(np.where(known[..., None], sums, pixels[where].mean(0)), np.float32)

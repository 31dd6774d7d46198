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
_BEGINS = 0.1  # the share of the thing's colour in the first px, beyond what these have of it
_SHOWS = 0.05  # the share of the thing's colour that counts as seen further out, likewise
_SURE = 6.0  # and how many times its own error it has to be: neighbouring pixels are alike
_CONTRAST = 12.0  # levels of 255: where thing and surroundings differ by less nothing can be told
_FEWEST = 12  # px of such contrast
_THING, _AROUND = 6.0, 5.0  # px: over what distances the colours of both are averaged
_FURTHEST = MOST_BLEED + _COMPARED.stop - 1  # px that are measured
_REACH = _FURTHEST + _BEYOND + 2  # px that are looked at
_SIDE, _WINDOWS = 512, 16  # px, and how many windows of that side are looked at most


def bleed(picture: NDArray[Any], selection: Mask) -> int:
    """How many px beyond its selection a thing still shows, 0 to MOST_BLEED.

    Each pixel around the selection is compared with the colours of the thing nearby, inside, and of the
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
    sums = np.zeros((_FURTHEST, 6))
    for core, wide in _windows(selection):
        sums += _of_window(picture[wide], selection.selected[wide], core)
    shares, errors = zip(*map(_share, sums), strict=True)
    seen = 0
    while seen < MOST_BLEED:
        beyond = float(np.mean(shares[seen:][_COMPARED]))
        least = _SHOWS if seen else _BEGINS
        if not shares[seen] - beyond > max(least, _SURE * errors[seen]):
            break
        seen += 1
    # What is left of a soft edge is too faint to be told, and shows all the same.
    return min(seen + 1, MOST_BLEED) if seen else 0


def _windows(selection: Mask) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Up to _WINDOWS windows that hold an edge of the selection, evenly spaced; each as what is measured of
    it, within it, and with what is looked at around that."""
    x0, y0, x1, y1 = selection.bounding_box()
    found = []
    for top in range(max(y0 - _FURTHEST, 0), min(y1 + _FURTHEST, selection.height), _SIDE):
        for left in range(max(x0 - _FURTHEST, 0), min(x1 + _FURTHEST, selection.width), _SIDE):
            wide = tuple(slice(max(at - _REACH, 0), at + _SIDE + _REACH) for at in (top, left))
            inside = selection.selected[wide[0], wide[1]]
            if inside.any() and not inside.all():
                core = tuple(
                    slice(at - each.start, at - each.start + _SIDE)
                    for at, each in zip((top, left), wide, strict=True)
                )
                found.append(((core[0], core[1]), (wide[0], wide[1])))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(_WINDOWS, len(found))).round().astype(int))
    return [found[number] for number in chosen]


def _of_window(picture: NDArray[Any], inside: BoolArray, core: tuple[slice, slice]) -> NDArray[np.float64]:
    """For each px of distance: how many pixels, and the sums that ``_share`` takes."""
    pixels = picture.astype(np.float32) * np.float32(255 / np.iinfo(picture.dtype).max)
    away = distance_inside(~inside)
    thing = _nearby(pixels, inside, _THING)
    around = _nearby(pixels, (away > _FURTHEST) & (away <= _FURTHEST + _BEYOND), _AROUND)
    apart = thing - around
    contrast = np.square(apart).sum(2)
    told = ~inside & (contrast > picture.shape[2] * _CONTRAST**2)
    towards = ((pixels - around) * apart).sum(2)
    sums = []
    for distance in range(1, _FURTHEST + 1):
        ring = (told & (away > distance - 1) & (away <= distance))[core]
        t, c = (each[core][ring].astype(np.float64) for each in (towards, contrast))
        sums.append([len(t), t.sum(), c.sum(), t @ t, t @ c, c @ c])
    return np.array(sums)


def _share(sums: NDArray[np.float64]) -> tuple[float, float]:
    """The share of the thing in a ring's pixels, by least squares weighted by contrast, and its error."""
    count, towards, contrast, tt, tc, cc = sums.tolist()
    if count < _FEWEST:
        return 0.0, np.inf
    share = towards / contrast
    return share, float(np.sqrt(max(tt - 2 * share * tc + share**2 * cc, 0.0)) / contrast)


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

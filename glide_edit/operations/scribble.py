"""Reading a person's drawing: where there is ink, whatever the paper and the light on it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.images import Picture, to_uint8

Ink = NDArray[np.float32]
Colours = NDArray[np.float32]

LARGEST = 1024
"""px, the longer side at which a drawing is read: more than any model draws, and grain averages out."""

SHEET = 128
"""px, the longer side at which the light on the paper is looked at."""

PEN = 13
"""px at that size: what is darker than its surroundings and narrower than this is ink, and not a shadow."""

SHADOW = 0.3
"""Paper is at least this bright, beside the sheet's brightest part: what is darker is ink, however wide."""

DARKEST = 0.15
"""Brightness, 0 to 1, below which nothing can be darker than paper by more than its grain."""

FAINTEST = 0.03
"""How far brightness must jump somewhere, within 3 x 3 px of the sheet, for a drawing."""

FADED = 0.05
"""Paper made white is this uneven still, by grain and JPEG: what is no darker than that becomes white."""

BLANK = 0.15
"""Up to this saturation, beside the paper's own colour, a pixel is blank paper."""

REACH = 12
"""px of the sheet: from how far around blank paper tells the light on what is drawn over."""

GRAIN = 4.5
"""The same as a multiple of what it does in the smoothest tenth: pure grain reaches 3.5 times that."""


def scribble_lines(drawing: Picture) -> tuple[Ink, tuple[str, ...]]:
    """How much ink there is, float32 (h, w) in [0, 1], and notes. The longer side is ``LARGEST`` at most.

    Ink is what is darker, in any channel, than the paper around it: the light may fall unevenly and the ink
    be coloured. Light lines on a dark ground are taken for ink as well. Transparent parts are paper.

    Raises:
        InputError: an empty sheet.
    """
    colours = _on_paper(drawing)
    sheet = _reduced(colours, SHEET)
    jumps = cv2.morphologyEx(sheet, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    if jumps.max() < max(FAINTEST, GRAIN * float(np.quantile(jumps, 0.1))):
        said = "The drawing is an empty sheet: draw dark lines on light paper."
        raise InputError(said, code="drawing_empty", field="drawing")
    inverted = _has_light_lines(sheet)
    depth = _below_paper(1 - colours if inverted else colours)
    # Grain makes most of the paper a little darker than its brightest spots, which are taken for the paper.
    depth = np.maximum(depth - np.median(depth), 0)
    if depth.max() < FAINTEST:
        # Pale, and wider than any pen: only its rim is told from a shadow.
        depth = np.asarray(cv2.resize(jumps.max(axis=2), depth.shape[::-1]), np.float32)
    # A line of one pixel fills a third of 3 x 3 px; a single speck is not the measure.
    full = min(2 * float(cv2.blur(depth, (3, 3)).max()), float(depth.max()))
    ink = np.clip((depth - 0.15 * full) / (0.6 * full), 0, 1)
    said = "The drawing has light lines on a dark ground; they were taken as ink."
    return ink, (said,) if inverted else ()


def clean_colours(drawing: Picture, ink: Ink) -> Colours | None:
    """The drawing on paper made evenly white, (h, w, 3) in [0, 1], of the size of its ``ink``.

    Light and colour of the paper are read where nothing is drawn and divided out. None for light lines on a
    dark ground, whose colours are not those of ink.
    """
    colours = _on_paper(drawing)
    sheet = _reduced(colours, SHEET)
    if _has_light_lines(sheet):
        return None
    inked = np.asarray(_reduced(ink, SHEET)) >= 0.1
    free = ~inked if not inked.all() else inked
    paper = np.maximum(np.median(sheet[free], axis=0), DARKEST).astype(np.float32)
    share = sheet / paper
    brightest = share.max(axis=2)
    saturation = (brightest - share.min(axis=2)) / np.maximum(brightest, DARKEST)
    blank = (free & (saturation < BLANK) & (brightest > SHADOW)).astype(np.float32)
    weight = cv2.GaussianBlur(blank, (0, 0), REACH)[..., None]
    light = cv2.GaussianBlur(sheet * blank[..., None], (0, 0), REACH) / np.maximum(weight, 1e-6)
    light = np.where(weight > 0.01, light, paper).astype(np.float32)
    height, width = colours.shape[:2]
    light = np.asarray(cv2.resize(light, (width, height), interpolation=cv2.INTER_LINEAR))
    below = 1 - colours / np.maximum(light, DARKEST)
    faded = np.where(below.max(axis=2, keepdims=True) <= FADED, 0, below)
    return np.asarray((1 - faded).clip(0, 1), np.float32)


def _on_paper(drawing: Picture) -> Colours:
    """(h, w, 3) in [0, 1], reduced to ``LARGEST``; what is transparent is paper."""
    colours = np.asarray(_reduced(to_uint8(drawing.pixels), LARGEST) / 255, np.float32)
    if drawing.alpha is None:
        return colours
    share = _reduced(to_uint8(drawing.alpha), LARGEST).astype(np.float32)[:, :, None] / 255
    painted = float(share.mean())
    light = float((colours * share).mean()) > 0.5 * painted
    # Light strokes alone, without a sheet, were drawn on something dark.
    paper = 0.0 if light and painted < 0.5 else 1.0
    return np.asarray(colours * share + paper * (1 - share), np.float32)


def _has_light_lines(sheet: Colours) -> bool:
    """Whether what stands out from its surroundings is lighter than most of them."""
    surroundings = cv2.medianBlur(np.rint(sheet * 255).astype(np.uint8), 2 * PEN + 1)
    # Rounding alone, where nothing stands out, is below this.
    return float(np.mean((sheet - surroundings / np.float32(255)) ** 3)) > 1e-9


def _below_paper(colours: Colours) -> Ink:
    """How far below the paper around it each pixel is, (h, w), as a share of the paper's brightness."""
    height, width = colours.shape[:2]
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (PEN, PEN))
    sheet = cv2.morphologyEx(_reduced(colours, SHEET), cv2.MORPH_CLOSE, disc)
    sheet = np.maximum(sheet, SHADOW * np.percentile(sheet, 95, axis=(0, 1)).astype(np.float32))
    paper = cv2.resize(sheet, (width, height), interpolation=cv2.INTER_LINEAR)
    share = (paper - colours) / np.maximum(paper, DARKEST)
    return np.asarray(share.max(axis=2), np.float32)


def _reduced(array: NDArray[Any], largest: int) -> NDArray[Any]:
    """With ``largest`` for its longer side at most."""
    height, width = array.shape[:2]
    scale = largest / max(height, width)
    if scale >= 1:
        return array
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(array, size, interpolation=cv2.INTER_AREA))

"""From a line drawing with a few colour strokes to a picture that SDEdit can begin from.

Lines are walls: a stroke of colour fills the part of the sheet that it lies in, and where there are several,
they blend into each other. What no colour reaches stays blank.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.letterbox import padded_square
from glide_edit.operations.scribble import Colours, Ink

Cells = NDArray[np.bool_]

SIZE = 256
"""px, the longer side at which colours are spread."""

COLOURED = 0.2
"""From this difference of channels, of white paper's brightness, a stroke is one of colour, and no line."""

DIM = 0.32
"""Darker pixels show no colour that could be trusted."""

LINE = 0.5
"""From this much ink a pixel is part of a line."""

HUE = 0.25
"""From this share of colour in its darkness a pixel is a stroke's edge, and no line."""

GAP = 5
"""px at SIZE: gaps in lines up to this wide are closed."""

CONTACT = 0.05
"""Of a stroke's rim: where it touches a part of the sheet by less, it only went over a line."""

BLOB = 0.06
"""Of the longer side: a patch of colour on the open sheet that is thicker is a shape and fills nothing."""

SPECK = 10
"""px at SIZE: coloured spots of fewer pixels are dirt."""

STROKES_HOLD = 0.75
"""The strength of strokes, as a share of that of what they fill."""

SHADED = 0.55
"""How dark a line is in the filled picture, as a share of the colours beside it."""


@dataclass(frozen=True, eq=False)
class ScribbleFill:
    """A filled drawing. ``colours`` is float32 (h, w, 3) in [0, 1], white where blank; the others are bool
    (h, w): ``strokes`` of colour, ``filled`` (strokes and lines among them), and ``scribbles``, the strokes
    that only say a colour and are no shape's outline."""

    colours: Colours
    strokes: Cells
    filled: Cells
    scribbles: Cells

    @property
    def is_coloured(self) -> bool:
        return bool(self.strokes.any())

    def start(self, size: int) -> Tensor:
        """(1, 3, S, S) in [-1, 1], padded with paper to a square."""
        square = padded_square(self.colours, size, 1.0)
        return torch.from_numpy(square * 2 - 1).permute(2, 0, 1)[None].contiguous()

    def levels(self, size: int, strength: float) -> Tensor:
        """(1, 1, S, S): ``strength`` where filled, less on strokes, and 1 on blank paper."""
        levels = np.where(self.filled, strength, 1.0)
        levels = np.where(self.strokes, STROKES_HOLD * strength, levels).astype(np.float32)
        return torch.from_numpy(padded_square(levels, size, 1.0))[None, None]


def fill_scribble(ink: Ink, colours: Colours) -> ScribbleFill:
    """Fill a drawing: ``ink`` (h, w) in [0, 1], ``colours`` (h, w, 3) in [0, 1] on paper made white."""
    height, width = ink.shape
    scale = min(1.0, SIZE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    colours = np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_AREA)).clip(0, 1)
    ink = np.asarray(cv2.resize(ink, size, interpolation=cv2.INTER_AREA))
    strokes = _strokes(colours)
    lines = (ink >= LINE) & ~strokes & (_hue_share(colours) < HUE)
    regions = _regions(lines, strokes)
    filled, scribbles = strokes.copy(), np.zeros_like(strokes)
    seeds: dict[int, Cells] = {}
    for stroke in _components(strokes):
        reached, is_outline = _reached(stroke, regions)
        if not is_outline:
            scribbles |= stroke
        for region in reached:
            seeds[region] = seeds.get(region, np.zeros_like(strokes)) | stroke
    painted = np.where(strokes[..., None], colours, np.float32(1))
    for region, known in seeds.items():
        inside = regions == region
        painted = np.where(inside[..., None], _spread(colours, known), painted)
        filled |= inside
    return ScribbleFill(*_with_lines(painted, lines, filled, strokes), scribbles)


def _spread(colours: Colours, known: Cells) -> Colours:
    """The colours of ``known`` everywhere, (h, w, 3): near ones count more, by their squared distance."""
    total = np.zeros_like(colours)
    weights = np.full(known.shape, 1e-12, np.float32)
    sigma = 1.0
    while sigma < 2 * max(known.shape):
        # Wide Gaussians would need kernels as large as the sheet: on a smaller sheet they do not.
        step = max(1, int(sigma / 2))
        size = max(1, -(-known.shape[1] // step)), max(1, -(-known.shape[0] // step))
        planes = np.dstack([np.where(known[..., None], colours, 0), known]).astype(np.float32)
        small = cv2.resize(planes, size, interpolation=cv2.INTER_AREA)
        blurred = cv2.GaussianBlur(small, (0, 0), sigma / step, borderType=cv2.BORDER_CONSTANT)
        wide = np.asarray(cv2.resize(blurred, known.shape[::-1]), np.float32) / np.float32(sigma**2)
        total += wide[..., :3]
        weights += wide[..., 3]
        sigma *= 2
    return np.asarray(total / weights[..., None], np.float32)


def _hue_share(colours: Colours) -> NDArray[np.float32]:
    """How much of what is darker than paper is colour: 0 for grey lines, 1 for pure colours, however thin."""
    least = colours.min(axis=2)
    return np.asarray((colours.max(axis=2) - least) / np.maximum(1 - least, 0.02), np.float32)


def _strokes(colours: Colours) -> Cells:
    """Where there is colour, without specks. Grain and JPEG's blocks are smoothed away before."""
    smooth = cv2.medianBlur(np.rint(colours * 255).astype(np.uint8), 3)
    brightest = smooth.max(axis=2).astype(int)
    coloured = (brightest - smooth.min(axis=2) >= COLOURED * 255) & (brightest >= DIM * 255)
    # JPEG spreads the paper's colour over thin dark lines.
    square = np.ones((2, 2), np.uint8)
    thick = cv2.erode(coloured.astype(np.uint8), square, anchor=(0, 0))
    whole = cv2.dilate(thick, square, anchor=(1, 1)) > 0
    kept = np.zeros_like(whole)
    for part in _components(whole):
        if part.sum() >= SPECK:
            kept |= part
    return kept


def _regions(lines: Cells, strokes: Cells) -> NDArray[np.int32]:
    """What lines and strokes divide the sheet into, numbered from 1; 0 on lines and strokes."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (GAP, GAP))
    closed = cv2.morphologyEx(_padded(lines), cv2.MORPH_CLOSE, disc)[GAP:-GAP, GAP:-GAP] > 0
    free = ~(lines | strokes)
    count, labels = cv2.connectedComponents((free & ~closed).astype(np.uint8), connectivity=4)
    if count == 1:
        return np.zeros(lines.shape, np.int32)
    # The closed gaps themselves belong to the nearest region.
    _, nearest = cv2.distanceTransformWithLabels(
        (labels == 0).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.zeros(int(nearest.max()) + 1, np.int32)
    numbers[nearest[labels > 0]] = labels[labels > 0]
    return np.where(free, numbers[nearest], 0).astype(np.int32)


def _reached(stroke: Cells, regions: NDArray[np.int32]) -> tuple[list[int], bool]:
    """The regions that a stroke fills, and whether it is an outline between several.

    Loops within a scribble are no regions of their own. An outline fills what it surrounds and not the open
    sheet, and a patch that is a shape by itself does not fill that either.
    """
    beside = regions[_grown(stroke, 2) & ~stroke]
    numbers, contacts = np.unique(beside[beside > 0], return_counts=True)
    touched = [int(k) for k, n in zip(numbers, contacts, strict=True) if n >= CONTACT * contacts.sum()]
    enclosed = [k for k in touched if not _is_open(regions, k)]
    loops = [k for k in enclosed if (regions == k).sum() < 2 * stroke.sum()]
    is_outline = len(touched) - len(loops) > 1
    if len(enclosed) > len(loops) or _thickness(stroke) > BLOB * max(stroke.shape):
        return enclosed, is_outline
    return touched, is_outline


def _is_open(regions: NDArray[np.int32], number: int) -> bool:
    """Whether a region reaches the sheet's border."""
    inside = regions == number
    return bool(inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any())


def _with_lines(
    painted: Colours, lines: Cells, filled: Cells, strokes: Cells
) -> tuple[Colours, Cells, Cells]:
    """Lines between filled parts take a darker shade of the colours beside them; elsewhere they stay dark."""
    share = cv2.blur(filled.astype(np.float32), (5, 5))
    mean = cv2.blur(np.where(filled[..., None], painted, 0).astype(np.float32), (5, 5))
    beside = SHADED * mean / np.maximum(share, 1e-6)[..., None]
    near = lines & (share > 0)
    colours = np.where(near[..., None], beside, np.where(lines[..., None], 0.2, painted))
    return np.asarray(colours.clip(0, 1), np.float32), strokes, filled | lines


def _components(cells: Cells) -> list[Cells]:
    count, labels = cv2.connectedComponents(cells.astype(np.uint8), connectivity=8)
    return [labels == k for k in range(1, count)]


def _thickness(cells: Cells) -> float:
    """Twice the greatest distance from the edge, px."""
    return 2 * float(cv2.distanceTransform(np.pad(cells, 1).astype(np.uint8), cv2.DIST_L2, 5).max())


def _grown(cells: Cells, by: int) -> Cells:
    side = 2 * by + 1
    return cv2.dilate(cells.astype(np.uint8), np.ones((side, side), np.uint8)) > 0


def _padded(cells: Cells) -> NDArray[np.uint8]:
    return np.pad(cells, GAP).astype(np.uint8)

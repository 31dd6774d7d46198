"""Masks from what a picture shows: GrabCut, magic wand, colour range, a lasso that snaps to edges.

Pictures are (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) with an alpha that is ignored; uint8 or uint16.
Tolerances are in units of 8 bits whatever the picture's depth. Points are (x, y) in pixels as in
``masks.draw``; every function raises MaskError for one beyond the picture, and for anything that is no
picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil, isfinite, sqrt
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import draw, shape
from masks.draw import Box, Points
from masks.mask import BoolArray, FloatArray, Mask, MaskError, Size, describe, describe_size, same_size

Colour = tuple[float, float, float]
"""(red, green, blue), each from 0 to 255."""
Pixel = tuple[int, int]
"""(x, y)."""

GRABCUT_PIXELS = 100_000
"""GrabCut learns colours in a picture of this many pixels; the edge is then cut again at full size."""
GRABCUT_MARGIN = 0.25
"""How far around its box GrabCut looks, as a share of the box's longer side."""
EDGE_TILE = 192
"""px; the edge is cut again in squares of this side."""
EDGE_OVERLAP = 16
"""px by which these squares are extended."""
MOST_SNAPPED = 700
"""px; longer pieces of the snapping lasso are followed on a smaller picture."""
LAB_ROWS = 2**20
"""Pixels converted to Lab at once."""


def grab_cut(
    image: NDArray[Any],
    box: Box | None = None,
    inside: Mask | None = None,
    outside: Mask | None = None,
    rounds: int = 5,
) -> Mask:
    """What stands out from its surroundings (Rother et al. 2004, OpenCV's implementation).

    Large pictures are cut at about GRABCUT_PIXELS; then the edge alone is cut again at full size with the
    colours learned. So the time grows with the length of the edge, not with the picture.

    Args:
        image: the picture.
        box: (x0, y0, x1, y1) in whole pixels, x1 and y1 exclusive; only scribbles are selected beyond it.
        inside: scribbles on what is to be selected; they always are.
        outside: scribbles on what is not.
        rounds: how often colours and edge are estimated in turn.

    Raises:
        MaskError: neither a box nor scribbles inside; a box beyond the picture; scribbles of another size;
            nothing that is certainly outside, or nothing left inside.
    """
    pixels = rgb8(image)
    size = pixels.shape[0], pixels.shape[1]
    if box is None and inside is None:
        raise MaskError("give GrabCut a box around the thing, or scribbles on it")
    if rounds < 1:
        raise MaskError(f"{rounds} rounds of GrabCut: at least 1 is needed")
    hints = _hints(size, box, inside, outside)
    y, x = _window(box)
    labels = np.full(size, cv2.GC_BGD, np.uint8)
    labels[y, x] = _cut(pixels[y, x], hints[y, x], rounds)
    return Mask(_is_foreground(labels) | (hints == cv2.GC_FGD))


def magic_wand(image: NDArray[Any], points: Points, tolerance: float = 32, contiguous: bool = True) -> Mask:
    """Where no channel differs from the colour at a point by more than ``tolerance``.

    Args:
        image: the picture.
        points: one point (x, y) or several [(x, y), …]; pixels similar to any of them are selected.
        tolerance: 0 to 255.
        contiguous: select only pixels that are connected with the point, by their sides.

    Raises:
        MaskError: no point, or a bad tolerance.
    """
    pixels = _colours(image)
    _check_tolerance(tolerance, 255)
    reach = tolerance * (int(np.iinfo(pixels.dtype).max) // 255)
    selected = np.zeros(pixels.shape[:2], bool)
    for x, y in _pixels_in(points, (pixels.shape[0], pixels.shape[1])):
        colour = pixels[y, x].astype(np.int64)
        low = np.clip(np.ceil(colour - reach), 0, None)
        alike = cv2.inRange(pixels, low, colour + np.floor(reach))
        if contiguous:
            cv2.floodFill(alike, None, (x, y), 1, flags=4)
            alike = np.asarray(alike == 1)
        selected |= alike > 0
    return Mask(selected)


def colour_range(image: NDArray[Any], colours: Colour | Sequence[Colour], tolerance: float = 20) -> Mask:
    """Where the colour *looks* like a given one: near it in CIE Lab, anywhere in the picture.

    Args:
        image: the picture, taken to be sRGB.
        colours: one (red, green, blue) of 0 to 255, or several; ``colours_at`` picks them from the picture.
        tolerance: the largest distance in Lab (delta E of 1976): 2 is hardly visible, 20 is the same colour
            in another light.

    Raises:
        MaskError: no colour, one that is not three numbers of 0 to 255, a bad tolerance.
    """
    pixels = _colours(image)
    _check_tolerance(tolerance, 400)
    wanted = _lab(_as_colours(colours)[None])[0]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    white = np.float32(np.iinfo(pixels.dtype).max)
    selected = np.zeros(pixels.shape[:2], bool)
    rows = max(1, LAB_ROWS // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        lab = _lab(pixels[top : top + rows].astype(np.float32) / white)
        for colour in wanted:
            distance = np.square(lab - colour).sum(axis=2)
            selected[top : top + rows] |= distance <= np.float32(tolerance**2 + 1e-3)
    return Mask(selected)


def colours_at(image: NDArray[Any], points: Points) -> list[Colour]:
    """The colours (red, green, blue), 0 to 255, at one point or several. Raises MaskError for no point."""
    pixels = _colours(image)
    scale = 255 / int(np.iinfo(pixels.dtype).max)
    picked = [pixels[y, x] * scale for x, y in _pixels_in(points, (pixels.shape[0], pixels.shape[1]))]
    return [(float(c[0]), float(c[-2 % len(c)]), float(c[-1])) for c in picked]


def scissors(image: NDArray[Any], points: Points) -> Mask:
    """A closed outline that snaps to the picture's edges between the points, and everything inside.

    Raises MaskError for fewer than 3 points.
    """
    path = snap(image, points, closed=True)
    return draw.lasso(path, (int(image.shape[0]), int(image.shape[1])))


def snap(image: NDArray[Any], points: Points, *, closed: bool = False) -> list[Pixel]:
    """The path along the picture's edges through all points: intelligent scissors.

    Mortensen and Barrett 1995, OpenCV's implementation. Each piece is searched for around its two points
    only, so that the time does not grow with the picture. Pieces of more than MOST_SNAPPED px are followed on
    a smaller picture and are exact to a few pixels only: give more points.

    Args:
        image: the picture.
        points: [(x, y), …], all of them on the path.
        closed: whether it returns from the last to the first.

    Returns:
        The pixels of the path, (x, y), in order.

    Raises:
        MaskError: fewer than 2 points (3 where closed).
    """
    pixels = rgb8(image)
    corners = _pixels_in(points, (pixels.shape[0], pixels.shape[1]))
    least = 3 if closed else 2
    if len(corners) < least:
        raise MaskError(f"{len(corners)} points: at least {least} are needed")
    path = [corners[0]]
    for start, end in pairwise([*corners, corners[0]] if closed else corners):
        path += _snapped(pixels, start, end)[1:]
    return path


# -- GrabCut -------------------------------------------------------------------------------------------


def _hints(size: Size, box: Box | None, inside: Mask | None, outside: Mask | None) -> NDArray[np.uint8]:
    """OpenCV's labels before the cut: uint8 (H, W)."""
    picture = Mask.empty(size)
    hints = np.full(size, cv2.GC_PR_BGD, np.uint8)
    if box is not None:
        within = draw.box(box, size)
        if within.is_empty:
            raise MaskError(f"the box {box} lies beyond the picture, which is {describe_size(size)}")
        hints[:] = cv2.GC_BGD
        hints[within.selected] = cv2.GC_PR_FGD
    if inside is not None:
        hints[same_size(picture, inside).selected] = cv2.GC_FGD
    if outside is not None:
        hints[same_size(picture, outside).selected] = cv2.GC_BGD
    if not _is_foreground(hints).any():
        raise MaskError("nothing is left that could be selected: scribble outside on less of it")
    if _is_foreground(hints).all():
        raise MaskError(
            "nothing is outside for certain: draw the box smaller, or scribble on what to leave out"
        )
    return hints


def _window(box: Box | None) -> tuple[slice, slice]:
    """The part of a picture that is cut, as slices of rows and columns."""
    if box is None:
        return slice(None), slice(None)
    x0, y0, x1, y1 = box
    margin = max(8, ceil(max(x1 - x0, y1 - y0) * GRABCUT_MARGIN))
    return slice(max(y0 - margin, 0), y1 + margin), slice(max(x0 - margin, 0), x1 + margin)


def _cut(pixels: NDArray[np.uint8], hints: NDArray[np.uint8], rounds: int) -> NDArray[np.uint8]:
    """OpenCV's labels after the cut: uint8 (H, W)."""
    height, width = hints.shape
    factor = sqrt(GRABCUT_PIXELS / hints.size)
    if factor >= 1:
        return _grab_cut(pixels, hints, rounds)[0]
    small = max(1, round(width * factor)), max(1, round(height * factor))
    shrunk = np.asarray(cv2.resize(hints, small, interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    for certain in (cv2.GC_BGD, cv2.GC_FGD):  # thin scribbles must not fall between the sampled pixels
        touched = cv2.resize((hints == certain).astype(np.float32), small, interpolation=cv2.INTER_AREA)
        shrunk[touched > 0] = certain
    coarse = np.asarray(cv2.resize(pixels, small, interpolation=cv2.INTER_AREA), np.uint8)
    labels, models = _grab_cut(coarse, shrunk, rounds)
    return _cut_edge(pixels, hints, labels, models)


Models = tuple[NDArray[np.float64], NDArray[np.float64]]
"""The colours of background and foreground, as OpenCV learns them."""

NO_BOX = (0, 0, 1, 1)
"""OpenCV ignores its box where labels are given."""


def _grab_cut(
    pixels: NDArray[np.uint8], hints: NDArray[np.uint8], rounds: int
) -> tuple[NDArray[np.uint8], Models]:
    labels, models = hints.copy(), (np.zeros((1, 65)), np.zeros((1, 65)))
    if not _is_foreground(labels).any() or _is_foreground(labels).all():
        return labels, models  # one side has no pixel in the smaller picture
    cv2.setRNGSeed(0)  # its initial clusters are random
    cv2.grabCut(pixels, labels, NO_BOX, *models, rounds, cv2.GC_INIT_WITH_MASK)
    return labels, models


def _cut_edge(
    pixels: NDArray[np.uint8], hints: NDArray[np.uint8], labels: NDArray[np.uint8], models: Models
) -> NDArray[np.uint8]:
    """The cut of a smaller picture, its edge cut again at full size with the colours learned."""
    height, width = hints.shape
    resized = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    enlarged = np.asarray(resized, np.uint8)
    front = Mask(_is_foreground(enlarged))
    if front.is_empty or front.share == 1:
        return enlarged
    reach = 2 * max(height / len(labels), width / labels.shape[1])
    near = shape.outline(front, reach, reach).selected
    certain = (hints == cv2.GC_BGD) | (hints == cv2.GC_FGD)
    known = np.where(front.selected, cv2.GC_FGD, cv2.GC_BGD)
    maybe = np.where(front.selected, cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    full = np.where(certain, hints, np.where(near, maybe, known)).astype(np.uint8)
    out = full.copy()
    for y, x in _tiles(near & ~certain):
        rows = slice(max(y - EDGE_OVERLAP, 0), y + EDGE_TILE + EDGE_OVERLAP)
        columns = slice(max(x - EDGE_OVERLAP, 0), x + EDGE_TILE + EDGE_OVERLAP)
        tile = full[rows, columns].copy()
        learned = models[0].copy(), models[1].copy()
        seen = np.ascontiguousarray(pixels[rows, columns])
        cv2.grabCut(seen, tile, NO_BOX, *learned, 1, cv2.GC_EVAL_FREEZE_MODEL)
        own = tile[y - rows.start :, x - columns.start :][:EDGE_TILE, :EDGE_TILE]
        out[y : y + EDGE_TILE, x : x + EDGE_TILE] = own
    return out


def _tiles(wanted: BoolArray) -> Iterator[tuple[int, int]]:
    """The top left corners (y, x) of the squares of EDGE_TILE px that contain a wanted pixel."""
    for y in range(0, wanted.shape[0], EDGE_TILE):
        for x in range(0, wanted.shape[1], EDGE_TILE):
            if wanted[y : y + EDGE_TILE, x : x + EDGE_TILE].any():
                yield y, x


def _is_foreground(labels: NDArray[np.uint8]) -> BoolArray:
    return (labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)


# -- the snapping lasso --------------------------------------------------------------------------------


def _snapped(pixels: NDArray[np.uint8], start: Pixel, end: Pixel) -> list[Pixel]:
    """The path from one pixel to another along the edges around them, both ends included."""
    span = max(abs(end[0] - start[0]), abs(end[1] - start[1]))
    margin = max(16, span // 2)
    x0, y0 = (max(min(a, b) - margin, 0) for a, b in zip(start, end, strict=True))
    part = pixels[y0 : max(start[1], end[1]) + margin + 1, x0 : max(start[0], end[0]) + margin + 1]
    height, width = part.shape[:2]
    factor = min(1.0, MOST_SNAPPED / span) if span else 1.0
    small = max(1, round(width * factor)), max(1, round(height * factor))
    if factor < 1:
        part = np.asarray(cv2.resize(part, small, interpolation=cv2.INTER_AREA), np.uint8)
    across, down = small[0] / width, small[1] / height
    ends = [(int((x - x0) * across), int((y - y0) * down)) for x, y in (start, end)]
    tool = cv2.segmentation.IntelligentScissorsMB()
    tool.setEdgeFeatureCannyParameters(32, 100)
    tool.setGradientMagnitudeMaxLimit(200)
    tool.applyImage(np.ascontiguousarray(part))
    tool.buildMap(ends[0])
    found = tool.getContour(ends[1]).reshape(-1, 2).tolist()
    between = [(x0 + int((x + 0.5) / across), y0 + int((y + 0.5) / down)) for x, y in found]
    return [start, *between[1:-1], end]


# -- the arguments -------------------------------------------------------------------------------------


def _colours(image: object) -> NDArray[Any]:
    """A picture's colours: (H, W, 1 or 3), its own dtype."""
    if (
        not isinstance(image, np.ndarray)
        or image.dtype not in (np.uint8, np.uint16)
        or image.size == 0
        or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4)))
    ):
        raise MaskError(
            f"a picture is uint8 or uint16 of shape (H, W) or (H, W, 1, 3 or 4), not {describe(image)}"
        )
    return np.ascontiguousarray(np.atleast_3d(image)[:, :, :3])


def rgb8(image: object) -> NDArray[np.uint8]:
    """A picture's colours, uint8 (H, W, 3); MaskError for anything that is not a picture."""
    pixels = _colours(image)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def _pixels_in(points: Points, size: Size) -> list[Pixel]:
    """The pixels (x, y) of one point or several."""
    pairs = draw.as_points([points] if np.ndim(points) == 1 else points, 1).tolist()
    for x, y in pairs:
        if not (0 <= round(x) < size[1] and 0 <= round(y) < size[0]):
            raise MaskError(f"the point {x:g},{y:g} lies beyond the picture, which is {describe_size(size)}")
    return [(round(x), round(y)) for x, y in pairs]


def _as_colours(colours: Any) -> FloatArray:
    """(N, 3) of 0 to 1."""
    try:
        rows = np.atleast_2d(np.asarray(colours, np.float64))
    except (TypeError, ValueError):
        rows = np.empty((0, 0))
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows) or not ((rows >= 0) & (rows <= 255)).all():
        raise MaskError(f"a colour is (red, green, blue), each from 0 to 255, not {colours!r}")
    return (rows / 255).astype(np.float32)


def _check_tolerance(tolerance: float, most: float) -> None:
    if not (isfinite(tolerance) and 0 <= tolerance <= most):
        raise MaskError(f"a tolerance of {tolerance}: give a number from 0 to {most:g}")


def _lab(colours: FloatArray) -> FloatArray:
    """CIE Lab of sRGB colours from 0 to 1: (H, W, 3)."""
    return np.asarray(cv2.cvtColor(colours.astype(np.float32, copy=False), cv2.COLOR_RGB2Lab), np.float32)

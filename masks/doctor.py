"""The mask doctor: what is wrong with a mask, in words, before an edit is run; and how it is mended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import shape
from masks.areas import allowed_area
from masks.crop import AUTOMATIC_CONTEXT, Box, Crop, solve_crop_around
from masks.mask import TURNING, BoolArray, Finding, FloatArray, Mask, MaskError, Size, as_size, faults
from masks.membrane import RING_WIDTH
from masks.parts import Part, follow

THINNEST = 3.0
"""px at the network's size; thinner selections have too few pixels for an object."""
MOST_SELECTED = 0.9
"""Share of the picture; beyond it there is too little left to continue from."""
SPECK_SHARE = 0.01
"""Share of the largest island's pixels; smaller islands may be specks."""
SPECK_PIXELS = 16
"""px; a smaller island is a speck even where the network sees every pixel."""
BORDER_SHARE = 0.9
"""Share of the picture's border; a mask that selects it and half of the picture looks inverted."""

_LARGE = 2**23
"""Pixels; islands of a larger box are not told apart for their thickness."""


def diagnose(
    mask: Mask,
    picture_size: Size | None = None,
    orientation: int = 1,
    *,
    context: float = AUTOMATIC_CONTEXT,
    network_size: int = 64,
    grow: float = 0,
    protect: Mask | None = None,
) -> tuple[Finding, ...]:
    """What a user should know about a mask before using it, the most severe first; empty if all is well.

    Errors: ``size``, ``turned`` (width and height exchanged), ``scaled`` (the picture's shape at another
    size), ``empty``. Warnings: ``everything``, ``large`` (over 90 %), ``inverted`` (it looks so),
    ``specks``, ``holes`` (pinholes), ``thin`` (nowhere 3 px thick at the network's size). Notes:
    ``enclosed`` (larger holes), ``edge`` (touches the picture's edge), ``orientation`` (the picture's file
    is stored turned or mirrored, and the size does not tell whether the mask was).

    Args:
        mask: the selection.
        picture_size: (height, width) of the upright picture; None while there is none.
        orientation: the EXIF orientation of the picture's file, 1 to 8.
        context: as for ``solve_crop``.
        network_size: the side of the pictures that the network draws, px.
        grow, protect: as for ``derive_areas``; a ``protect`` of another size is ignored.

    Raises:
        MaskError: a bad size, context, network size, ``grow`` or orientation; a ``protect`` that leaves none.
    """
    shape.require_orientation(orientation)
    if network_size < 1:
        raise MaskError(f"a network of {network_size} px: give 1 or more")
    errors = faults(mask, picture_size, orientation)
    found = [_with_remedy(each, mask, picture_size, orientation) for each in errors]
    if not mask.is_empty:
        region = _Region.of(mask, grow, protect)
        islands = _Islands.of(region.mask, context, network_size)
        found += _extent(mask)
        found += _specks(region, islands, context)
        found += _holes(region, islands)
        found += _thin(region, islands, context, network_size)
        found += _edges(mask)
    if picture_size is not None:
        found += _orientation(mask, orientation)
    order = ("error", "warning", "note")
    return tuple(sorted(found, key=lambda each: order.index(each.severity)))


def mend(
    mask: Mask,
    picture_size: Size | None = None,
    orientation: int = 1,
    *,
    context: float = AUTOMATIC_CONTEXT,
    network_size: int = 64,
    grow: float = 0,
    codes: Sequence[str] | None = None,
) -> tuple[Mask, tuple[Finding, ...]]:
    """The mask with every remedy of ``diagnose`` applied, and the findings that were mended, in order.

    After each remedy the mask is diagnosed again; no remedy is applied twice. ``codes`` names the findings to
    mend, None for all. Raises what ``diagnose`` raises.
    """
    mended: list[Finding] = []
    while True:
        done = {each.code for each in mended}
        found = diagnose(
            mask, picture_size, orientation, context=context, network_size=network_size, grow=grow
        )
        fixable = (each for each in found if each.mend is not None and each.code not in done)
        chosen = next((each for each in fixable if codes is None or each.code in codes), None)
        if chosen is None:
            return mask, tuple(mended)
        mask = chosen.fix(mask)
        mended.append(chosen)


def _with_remedy(finding: Finding, mask: Mask, size: Size | None, orientation: int) -> Finding:
    """An error about the size with its remedy, where there is one."""
    if finding.code == "turned" and orientation in TURNING:
        turn = partial(shape.turn_upright, orientation=orientation)
        return replace(finding, remedy=f"turn it as EXIF orientation {orientation} says", mend=turn)
    if finding.code == "size" and size is not None and _same_shape(mask.size, size):
        height, width = as_size(size)
        scale = partial(shape.resize, size=(height, width))
        return replace(finding, code="scaled", remedy=f"scale it to {width} x {height}", mend=scale)
    return finding


def _same_shape(a: Size, b: Size) -> bool:
    """Whether one size is the other one scaled and rounded to whole pixels."""
    (height, width), (other_height, other_width) = a, b
    # Each side of the smaller one may be off by half a pixel.
    error = abs(height * other_width - width * other_height)
    return error <= 0.5 * (max(height, other_height) + max(width, other_width))


def _extent(mask: Mask) -> Iterator[Finding]:
    """Too much is selected, or what should have been left out."""
    if mask.share == 1:
        text = (
            "the mask selects everything: nothing of the picture will be left, so generate a new one instead"
        )
        yield Finding("everything", "warning", text)
        return
    percent = f"{min(mask.share * 100, 99.9):.3g} %"
    if mask.share > MOST_SELECTED:
        text = f"the mask selects {percent} of the picture: little is left to continue from, so select less"
        yield Finding("large", "warning", text)
    if mask.share > 0.5 and np.concatenate([*_rims(mask).values()]).mean() >= BORDER_SHARE:
        text = (
            f"the mask looks inverted, since it selects {percent} of the picture and its border too: "
            "invert it if white should be what stays"
        )
        yield Finding("inverted", "warning", text, "invert it", shape.invert)


def _rims(mask: Mask) -> dict[str, BoolArray]:
    """The pixels along each side of the picture."""
    a = mask.selected
    return {"left": a[:, 0], "top": a[0], "right": a[:, -1], "bottom": a[-1]}


@dataclass(frozen=True)
class _Region:
    """The part of a mask around the selection, since only that needs to be examined.

    Attributes:
        mask: the selection in it.
        allowed: what may change by it.
        corner: (x, y) of its top left pixel in the picture.
        size: of the picture.
    """

    mask: Mask
    allowed: Mask
    corner: tuple[int, int]
    size: Size

    @classmethod
    def of(cls, mask: Mask, grow: float, protect: Mask | None) -> _Region:
        x0, y0, x1, y1 = mask.bounding_box()
        # derive_areas refuses what is not a radius.
        margin = ceil(grow if 0 <= grow <= max(mask.size) else max(mask.size)) + 2 * RING_WIDTH
        x, y = max(x0 - margin, 0), max(y0 - margin, 0)
        box = x, y, min(x1 + margin, mask.width), min(y1 + margin, mask.height)
        selection = mask.window(box)
        shield = protect.window(box) if protect is not None and protect.size == mask.size else None
        return cls(selection, allowed_area(selection, grow, shield), (x, y), mask.size)

    def drawn_side(self, context: float) -> int:
        """px of the largest crop in which the selection is drawn: what is long is followed in pieces."""
        x, y = self.corner
        x0, y0, x1, y1 = self.allowed.bounding_box()
        allowed = self.allowed.selected[y0:y1, x0:x1]
        whole = Part((x + x0, y + y0, x + x1, y + y1), allowed)
        pieces = follow(whole, self.size, context)
        if len(pieces) == 1:
            return _ringed(whole.box, self.size, context).side
        return max(_ringed(each.box, self.size, context).side for each in pieces)

    def side(self, selected: Mask, context: float) -> int:
        """px of the crop around a selection in this region."""
        x0, y0, x1, y1 = selected.bounding_box()
        x, y = self.corner
        return solve_crop_around((x + x0, y + y0, x + x1, y + y1), self.size, context).side


@dataclass(frozen=True)
class _Islands:
    """The connected parts of a selection.

    Attributes:
        labels: as ``shape.islands`` returns them; None for a large selection, where they would take hundreds
            of megabytes.
        areas: px of each island.
        speck: px; smaller islands and holes are taken for mistakes.
    """

    labels: NDArray[np.int32] | None
    areas: NDArray[np.int64]
    speck: float

    @classmethod
    def of(cls, mask: Mask, context: float, network_size: int) -> _Islands:
        labels, stats = shape.islands(mask.selected)
        areas = stats[:, cv2.CC_STAT_AREA]
        main = int(np.argmax(areas))
        # What a pixel of the network would cover for the largest island alone: a far speck widens the crop.
        longer = int(stats[main, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max())
        pixel = (longer * context / network_size) ** 2
        return cls(
            labels if labels.size <= _LARGE else None,
            areas,
            min(SPECK_SHARE * int(areas[main]), max(pixel, SPECK_PIXELS)),
        )


def _specks(region: _Region, islands: _Islands, context: float) -> Iterator[Finding]:
    specks = islands.areas[islands.areas < islands.speck]
    if not len(specks):
        return
    drop = partial(shape.drop_specks, min_area=ceil(islands.speck))
    side, alone = (region.side(each, context) for each in (region.mask, drop(region.mask)))
    widening = f" and widen what the model looks at from {alone:,} to {side:,} px" if side > alone else ""
    text = (
        f"the mask has {_count(len(specks), 'speck')} beside its main part "
        f"({_count(int(specks.sum()), 'pixel')} in all), which will be repainted too{widening}: "
        "drop them if they are not meant"
    )
    yield Finding("specks", "warning", text, f"drop islands of fewer than {ceil(islands.speck)} px", drop)


def _holes(region: _Region, islands: _Islands) -> Iterator[Finding]:
    _, areas = shape.holes(region.mask.selected)
    areas = areas[areas > 0]
    largest = ceil(islands.speck) - 1
    small, large = areas[areas <= largest], areas[areas > largest]
    if len(small):
        text = (
            f"the mask has {_count(len(small), 'small hole')} ({_count(int(small.sum()), 'pixel')} in all), "
            "where the old picture will show through: fill them if they are not meant"
        )
        remedy = f"fill holes of at most {largest} px"
        yield Finding("holes", "warning", text, remedy, partial(shape.fill_holes, max_area=largest))
    if len(large):
        text = (
            f"the mask goes round {_count(len(large), 'area')} ({_count(int(large.sum()), 'pixel')} in all) "
            "that will stay as before: fill holes if that is not meant"
        )
        yield Finding("enclosed", "note", text)


def _thin(region: _Region, islands: _Islands, context: float, network_size: int) -> Iterator[Finding]:
    thickness = _thickness(region, islands)
    side = region.drawn_side(context)
    thin = thickness * network_size / side < THINNEST
    if not thin.any():
        return
    worst = float(thickness.min())
    growth = _growth(worst, side, network_size, context)
    what = "the selection is" if len(thin) == 1 else f"{thin.sum()} of {len(thin)} parts of the selection are"
    text = (
        f"{what} nowhere thicker than {THINNEST:g} px where the model draws ({worst:.3g} px of the picture "
        f"are {worst * network_size / side:.2g} px there, as {side:,} become {network_size}): "
        f"grow the mask by {growth} px, or select in shorter pieces"
    )
    if thin.all():
        yield Finding("thin", "warning", text, f"grow it by {growth} px", partial(shape.grow, radius=growth))
    else:
        yield Finding("thin", "note", text)


def _thickness(region: _Region, islands: _Islands) -> FloatArray:
    """px, of each island that is no speck; of a large selection the greatest alone, to a few px."""
    if islands.labels is None:
        cell = ceil((region.allowed.selected.size / _LARGE) ** 0.5)
        coarse = region.allowed.selected[::cell, ::cell]
        deepest = float(shape.distance_inside(coarse).max()) * cell
        return np.array([2 * deepest - 1], np.float32)
    depth = shape.distance_inside(region.allowed.selected)
    by_island = np.zeros(len(islands.areas) + 1, np.float32)
    np.maximum.at(by_island, islands.labels.ravel(), depth.ravel())
    # 1, 3, 5 px from depths of 1, 2, 3: the middle pixel counts once.
    return np.asarray(2 * by_island[1:][islands.areas >= islands.speck] - 1)


def _ringed(box: Box, size: Size, context: float) -> Crop:
    """The crop for a selection in a box, with the ring that is drawn around it."""
    (x0, y0, x1, y1), (height, width) = box, size
    x0, y0 = max(x0 - RING_WIDTH, 0), max(y0 - RING_WIDTH, 0)
    x1, y1 = min(x1 + RING_WIDTH, width), min(y1 + RING_WIDTH, height)
    return solve_crop_around((x0, y0, x1, y1), size, context)


def _growth(thickness: float, side: int, network_size: int, context: float) -> int:
    """px to grow by to be THINNEST at the network's size; the crop grows as well."""
    lacking = THINNEST * side / network_size - thickness
    # Growing by r adds 2 r to the thickness and, at most, 2 r context to the crop's side.
    gain = 1 - min(THINNEST * context / network_size, 0.5)
    return ceil(lacking / 2 / gain)


def _edges(mask: Mask) -> Iterator[Finding]:
    if mask.share == 1:
        return
    touched = [side for side, rim in _rims(mask).items() if rim.any()]
    if touched:
        sides = touched[0] if len(touched) == 1 else f"{', '.join(touched[:-1])} and {touched[-1]}"
        edge = "edge" if len(touched) == 1 else "edges"
        text = (
            f"the selection touches the {sides} {edge} of the picture, where the model has less around it to "
            "continue from: nothing to do if that is meant"
        )
        yield Finding("edge", "note", text)


def _orientation(mask: Mask, orientation: int) -> Iterator[Finding]:
    if orientation in (2, 3, 4) or (orientation in TURNING and mask.height == mask.width):
        how = "on its side" if orientation in TURNING else "upside down" if orientation == 3 else "mirrored"
        text = (
            f"the picture's file is stored {how} (EXIF orientation {orientation}) and was turned upright: "
            "see that the mask was painted on the upright picture"
        )
        yield Finding("orientation", "note", text)


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"

"""In how many parts a selection is drawn: far islands by themselves, and what is long piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from math import ceil

import numpy as np

from masks import shape
from masks.crop import AUTOMATIC_CONTEXT, Box, solve_crop_around
from masks.mask import BoolArray, Mask, Size, require_usable

SPLIT_FROM = 1.5
"""Two parts of a selection get separate crops where a common one would be at least this many times as wide
as the larger of the two: each part is then drawn that much larger."""

MOST_PARTS = 12
"""Islands that would need more crops than this are taken together."""

LARGEST_WHOLE = 1024
"""px: a part whose crop is no wider is drawn in one, whatever its shape."""

LONG = 4
"""A part whose crop is more than so many times as wide as the part is thick is followed in pieces."""

PIECE = 12
"""A piece's crop is so many times as wide as the selection is thick: that is 5 of 64 px that are drawn."""

PIECE_SIDES = (256, 1536)
"""px: the least and the largest crop of a piece, as far as MOST_PIECES allows."""

MOST_PIECES = 128
"""Pieces of one part; larger ones are taken where there would be more."""

_MOST_ISLANDS = 64
_COARSE_PIXELS = 2**22  # islands of larger boxes are looked for in a coarser mask: memory is bounded


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a selection: ``selected``, bool (y1 - y0, x1 - x0), in a ``box`` (x0, y0, x1, y1)."""

    box: Box
    selected: BoolArray

    def window(self, box: Box) -> Part:
        """What of it lies in another box of the picture, in the smallest box around that. It is not empty."""
        x0, y0, *_ = self.box
        return _tight(self.selected[box[1] - y0 : box[3] - y0, box[0] - x0 : box[2] - x0], box[0], box[1])


def split_selection(mask: Mask, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> list[Part]:
    """The parts of a selection that should be drawn separately, from top to bottom; one if none should.

    Islands (pixels that share a corner are connected) are joined as long as the crop for two of them is less
    than SPLIT_FROM times as wide as the larger of their own. Together the parts are the selection. Islands
    of a large selection that are only a few pixels apart count as one.

    Raises:
        MaskError: as ``solve_crop``.
    """
    require_usable(mask)
    box = mask.bounding_box()
    solve_crop_around(box, mask.size, context, minimum)
    x0, y0, x1, y1 = box
    whole = Part(box, mask.selected[y0:y1, x0:x1])
    cell = _cell(whole)
    labels, stats = shape.islands(_coarse(whole.selected, cell))
    if not 2 <= len(stats) <= _MOST_ISLANDS:
        return [whole]
    groups = [
        ({k}, (x * cell, y * cell, (x + width) * cell, (y + height) * cell))
        for k, (x, y, width, height, _) in enumerate(stats.tolist(), 1)
    ]
    while (pair := _pair_to_join(groups, context, minimum)) is not None:
        joined = (pair[0][0] | pair[1][0], _enclosing(pair[0][1], pair[1][1]))
        groups = [each for each in groups if each not in pair] + [joined]
    if not 1 < len(groups) <= MOST_PARTS:
        return [whole]
    parts = []
    for numbers, (left, top, right, bottom) in sorted(groups, key=lambda each: (each[1][1], each[1][0])):
        near = whole.selected[top:bottom, left:right]
        cells = labels[top // cell : bottom // cell, left // cell : right // cell]
        its = np.isin(cells, list(numbers)).repeat(cell, 0).repeat(cell, 1)[: near.shape[0], : near.shape[1]]
        parts.append(_tight(near & its, x0 + left, y0 + top))
    return parts


def follow(part: Part, size: Size, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> list[Part]:
    """A long part in pieces, each of what lies in a rectangle, in the order of a walk along it.

    A square around a wire holds little of it: drawn in one, it would cost by the square, and the network
    would see less than a pixel of it. What is compact, or fits a crop of LARGEST_WHOLE, stays whole.

    Args:
        part: of a picture of ``size`` (height, width).
        context, minimum: as for ``solve_crop``.
    """
    side = solve_crop_around(part.box, size, context, minimum).side
    if side <= LARGEST_WHOLE:
        return [part]
    cell = _cell(part)
    coarse = _coarse(part.selected, cell)
    depth = shape.distance_inside(np.pad(coarse, 1))
    thickness = (2 * float(depth.max()) - 1) * cell
    least, largest = PIECE_SIDES
    piece = min(max(PIECE * thickness, least), largest)
    if side <= LONG * thickness or side < 2 * piece:
        return [part]
    while True:
        boxes = list(_boxes(coarse, 0, 0, max(1, int(piece / context / cell))))
        if len(boxes) <= MOST_PIECES:
            break
        piece *= 1.5
    x0, y0, x1, y1 = part.box
    return [
        part.window(
            (x0 + left * cell, y0 + top * cell, min(x0 + right * cell, x1), min(y0 + bottom * cell, y1))
        )
        for left, top, right, bottom in boxes
    ]


def _boxes(selected: BoolArray, x: int, y: int, longest: int) -> Iterator[Box]:
    """Rectangles of at most ``longest`` cells a side that hold all that is selected, and no cell twice."""
    left, top, right, bottom = _extent(selected)
    selected = selected[top:bottom, left:right]
    height, width = selected.shape
    if max(height, width) <= longest:
        yield x + left, y + top, x + right, y + bottom
        return
    lies = width >= height
    begin, length = 0, max(height, width)
    taken = np.asarray(selected.any(axis=0 if lies else 1))
    while begin < length:
        end = _end(taken[begin:], longest) + begin
        strip = selected[:, begin:end] if lies else selected[begin:end]
        if strip.any():
            across, down = (begin, 0) if lies else (0, begin)
            yield from _boxes(strip, x + left + across, y + top + down, longest)
        begin = end


def _end(taken: BoolArray, longest: int) -> int:
    """Where to cut a line of cells: in a gap if there is one in the second half, else in equal shares."""
    if len(taken) <= longest:
        return len(taken)
    gaps = np.flatnonzero(~taken[longest // 2 : longest + 1])
    if len(gaps):
        return max(1, longest // 2 + int(gaps[-1]))
    return ceil(len(taken) / ceil(len(taken) / longest))


def _cell(part: Part) -> int:
    """px: the side of the cells in which a part is looked at; 1 where it is not large."""
    return ceil((part.selected.size / _COARSE_PIXELS) ** 0.5)


def _coarse(selected: BoolArray, cell: int) -> BoolArray:
    """Whether anything is selected in each cell."""
    if cell == 1:
        return selected
    rows, columns = (np.arange(0, length, cell) for length in selected.shape)
    return np.asarray(np.logical_or.reduceat(np.logical_or.reduceat(selected, rows, axis=0), columns, axis=1))


def _tight(selected: BoolArray, x: int, y: int) -> Part:
    left, top, right, bottom = _extent(selected)
    return Part((x + left, y + top, x + right, y + bottom), selected[top:bottom, left:right])


def _extent(selected: BoolArray) -> Box:
    rows, columns = np.flatnonzero(selected.any(axis=1)), np.flatnonzero(selected.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


_Group = tuple[set[int], Box]
"""The numbers of some islands, and the box around them."""


def _pair_to_join(groups: list[_Group], context: float, minimum: int) -> tuple[_Group, _Group] | None:
    """The first two groups that are better drawn together, None where there are none."""
    for one, other in combinations(groups, 2):
        boxes = one[1], other[1], _enclosing(one[1], other[1])
        sides = [max(_longer(each) * context, minimum) for each in boxes]
        if sides[2] < SPLIT_FROM * max(sides[:2]):
            return one, other
    return None


def _enclosing(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _longer(box: Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])

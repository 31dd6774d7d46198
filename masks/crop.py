"""The context crop: which square of a picture the network sees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks import shape
from masks.mask import BoolArray, Mask, MaskError, require_bool_array, require_usable

LEAST_CONTEXT = 4 / 3
"""Where more context could only be mirrored, the selection's longer side takes up to 3/4 of the crop's."""

AUTOMATIC_CONTEXT = 1.25
"""The default context: the best of those that ``scripts/bench crop`` tried with the shipped model
(docs/evaluation.md)."""

SPLIT_FROM = 1.5
"""Two parts of a selection get separate crops where a common one would be at least this many times as wide
as the larger of the two: each part is then drawn that much larger."""

MOST_PARTS = 12
"""A selection that would need more crops than this is drawn in one."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture, in its pixels; it extends beyond the picture where that is narrower or lower.

    Pixels beyond are mirrored (the edge pixel is not repeated), those of masks too: padding gives a network
    plausible surroundings, and never the colours of the selection as known pixels.

    Attributes:
        x0, y0: the square's top left corner; negative where it extends beyond the picture.
        side: its side, px.
        height, width: the picture's size.
    """

    x0: int
    y0: int
    side: int
    height: int
    width: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The part inside the picture: (x0, y0, x1, y1), x1 and y1 exclusive."""
        x1, y1 = min(self.x0 + self.side, self.width), min(self.y0 + self.side, self.height)
        return max(self.x0, 0), max(self.y0, 0), x1, y1

    def extract(self, image: NDArray[Any]) -> NDArray[Any]:
        """The crop of a picture: a new array (side, side, …) from one of (height, width, …), same dtype.

        Raises MaskError for a picture that is not of size (height, width).
        """
        if image.shape[:2] != (self.height, self.width):
            raise MaskError(
                f"the crop is for {self.height} x {self.width} pixels, the image has shape {image.shape}"
            )
        rows = _mirrored(np.arange(self.y0, self.y0 + self.side), self.height)
        columns = _mirrored(np.arange(self.x0, self.x0 + self.side), self.width)
        return image[rows[:, None], columns[None, :]]

    def extract_mask(self, selected: BoolArray) -> BoolArray:
        """The crop of a mask of either polarity: bool (side, side) from bool (height, width)."""
        return self.extract(require_bool_array(selected, "a mask"))

    def paste(self, base: NDArray[Any], patch: NDArray[Any]) -> NDArray[Any]:
        """A new picture: ``base`` with the crop's pixels taken from ``patch``, whose padding is dropped.

        Args:
            base: (height, width, …).
            patch: (side, side, …), same dtype and channels.

        Raises:
            MaskError: shapes or dtypes that do not belong together.
        """
        wanted = (self.side, self.side, *base.shape[2:])
        if base.shape[:2] != (self.height, self.width) or patch.shape != wanted or patch.dtype != base.dtype:
            raise MaskError(
                f"a patch {patch.dtype} {patch.shape} does not fit a base {base.dtype} {base.shape}: "
                f"the crop is {self.side} px square, of a picture of {self.height} x {self.width} pixels"
            )
        x0, y0, x1, y1 = self.box
        out = base.copy()
        out[y0:y1, x0:x1] = patch[y0 - self.y0 : y1 - self.y0, x0 - self.x0 : x1 - self.x0]
        return out


def solve_crop(mask: Mask, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> Crop:
    """A square that holds the whole selection and some of its surroundings. Pass ``Areas.repaint``.

    Its side is ``context`` times the longer side of the selection's box (2: the selection takes half of the
    crop's side) and at least ``minimum``. It is never longer than the picture's longer side. It is not longer
    than the shorter side either, since it would only gain mirrored pixels, unless the selection would then
    take more than 3/4 of it or it would fall below ``minimum``. The crop is centred on the selection, and
    shifted to stay inside the picture.

    Args:
        mask: what is to be drawn; not empty.
        context: crop side by selection side, at least 1.
        minimum: px, at least 1.

    Raises:
        MaskError: an empty mask, ``context`` or ``minimum`` below 1.
    """
    require_usable(mask)
    if not 1 <= context < float("inf") or minimum < 1:
        raise MaskError(f"context is {context} and minimum {minimum}: both are at least 1")
    x0, y0, x1, y1 = mask.bounding_box()
    longer = max(x1 - x0, y1 - y0)
    without_padding = max(min(mask.size), ceil(longer * LEAST_CONTEXT), minimum)
    side = min(max(ceil(longer * context), minimum), without_padding, max(mask.size))
    left = _placed((x0 + x1 - side) // 2, side, mask.width)
    top = _placed((y0 + y1 - side) // 2, side, mask.height)
    return Crop(left, top, side, mask.height, mask.width)


def split_selection(mask: Mask, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> list[Mask]:
    """The parts of a selection that should be drawn separately, from top to bottom; one if none should.

    Islands (pixels that share a corner are connected) are joined as long as the crop for two of them is less
    than SPLIT_FROM times as wide as the larger of their own. Together the parts are the selection.

    Raises:
        MaskError: as ``solve_crop``.
    """
    solve_crop(mask, context, minimum)
    x0, y0, x1, y1 = mask.bounding_box()
    box = np.s_[y0:y1, x0:x1]
    labels, stats = shape.islands(mask.selected[box])
    if not 2 <= len(stats) <= _MOST_ISLANDS:
        return [mask]
    groups = [
        ({k}, (x, y, x + width, y + height)) for k, (x, y, width, height, _) in enumerate(stats.tolist(), 1)
    ]
    while (pair := _pair_to_join(groups, context, minimum)) is not None:
        joined = (pair[0][0] | pair[1][0], _enclosing(pair[0][1], pair[1][1]))
        groups = [each for each in groups if each not in pair] + [joined]
    if not 1 < len(groups) <= MOST_PARTS:
        return [mask]
    parts = []
    for numbers, _ in sorted(groups, key=lambda each: (each[1][1], each[1][0])):
        selected = np.zeros(mask.size, bool)
        selected[box] = np.isin(labels, list(numbers))
        parts.append(Mask(selected))
    return parts


_MOST_ISLANDS = 64
_Box = tuple[int, int, int, int]
_Group = tuple[set[int], _Box]
"""The numbers of some islands, and the box around them."""


def _pair_to_join(groups: list[_Group], context: float, minimum: int) -> tuple[_Group, _Group] | None:
    """The first two groups that are better drawn together, None where there are none."""
    for one, other in combinations(groups, 2):
        boxes = one[1], other[1], _enclosing(one[1], other[1])
        sides = [max(_longer(each) * context, minimum) for each in boxes]
        if sides[2] < SPLIT_FROM * max(sides[:2]):
            return one, other
    return None


def _enclosing(one: _Box, other: _Box) -> _Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _longer(box: _Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _placed(start: int, side: int, length: int) -> int:
    """The start closest to the wanted one with the square in the picture, or the picture in the square."""
    slack = length - side
    return min(max(start, min(slack, 0)), max(slack, 0))


def _mirrored(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Indices into a line that is mirrored at both ends as often as needed, the ends not repeated."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    phase = index % period
    return np.minimum(phase, period - phase)

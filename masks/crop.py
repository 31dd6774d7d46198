"""The context-crop solver: which part of a picture a network gets to see."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import Mask, MaskError, bool_plane, require_usable

LEAST_CONTEXT = 4 / 3
"""Where more context could only be mirrored, the selection's longer side fills up to 3/4 of the crop's."""

AUTOMATIC_CONTEXT = 1.25
"""The context of an edit that does not say one: of those that ``scripts/bench crop`` tried with the model
that ships, the best (docs/evaluation.md)."""

SPLIT_FROM = 1.5
"""Two parts of a selection get crops of their own where one for both would be so many times as wide as the
larger of theirs: each part then has that much more of the model's picture."""

MOST_PARTS = 12
"""More crops than this are not made; a selection in more pieces is drawn in one."""


@dataclass(frozen=True)
class Crop:
    """A square of a picture, in its pixels; along an axis where the picture is shorter it extends beyond.

    What lies beyond is mirrored (the edge pixel is not repeated). A mask is mirrored alike: padding that
    mirrors a selected pixel is selected and padding that mirrors a kept one is kept. So padding gives a
    network a plausible surrounding and never the colours of the selection.

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
        return (
            max(self.x0, 0),
            max(self.y0, 0),
            min(self.x0 + self.side, self.width),
            min(self.y0 + self.side, self.height),
        )

    def extract(self, image: NDArray[Any]) -> NDArray[Any]:
        """The crop of a picture: a new array (side, side, …) from one of (height, width, …), same dtype.

        Raises:
            MaskError: a picture of another size than the crop was solved for.
        """
        if image.shape[:2] != (self.height, self.width):
            raise MaskError(
                f"the crop is for {self.height} x {self.width} pixels, the image has shape {image.shape}"
            )
        rows = _mirrored(np.arange(self.y0, self.y0 + self.side), self.height)
        columns = _mirrored(np.arange(self.x0, self.x0 + self.side), self.width)
        return image[rows[:, None], columns[None, :]]

    def extract_mask(self, selected: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The crop of a mask, in either polarity: bool (side, side) from bool (height, width).

        Raises:
            MaskError: not bool (H, W), or of another size than the crop was solved for.
        """
        return self.extract(bool_plane(selected, "a mask"))

    def paste(self, base: NDArray[Any], patch: NDArray[Any]) -> NDArray[Any]:
        """A new picture: ``base`` with the crop's real pixels taken from ``patch``; its padding is dropped.

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
    """One square around what is selected, with enough around it to draw from. Pass ``Areas.repaint``.

    Its side is ``context`` times the longer side of the selection's box (2: the selection fills half the
    frame's side) and at least ``minimum``. It is smaller where the picture is: never longer than the
    picture's longer side, and no longer than its shorter side either if the selection then still fills at
    most 3/4 of the crop's side and the crop is not below ``minimum``, because what is gained beyond is
    mirrored. The crop is centred on the selection, shifted to stay inside the picture, and always holds the
    whole selection.

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
    return Crop(
        x0=_placed((x0 + x1 - side) // 2, side, mask.width),
        y0=_placed((y0 + y1 - side) // 2, side, mask.height),
        side=side,
        height=mask.height,
        width=mask.width,
    )


def split_selection(mask: Mask, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> list[Mask]:
    """The parts of a selection that should be drawn apart, from the top left; one if it is better whole.

    Pieces (pixels that share a corner are one) are joined as long as the crop for two of them is less than
    SPLIT_FROM times as wide as the larger of their own. Together the parts are the selection.

    Raises:
        MaskError: as ``solve_crop``.
    """
    solve_crop(mask, context, minimum)
    x0, y0, x1, y1 = mask.bounding_box()
    box = np.s_[y0:y1, x0:x1]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        mask.selected[box].astype(np.uint8), connectivity=8
    )
    if not 2 < count <= _MOST_PIECES:
        return [mask]
    groups = [({k}, tuple(int(n) for n in stats[k, :4])) for k in range(1, count)]
    boxes = [(names, (x, y, x + width, y + height)) for names, (x, y, width, height) in groups]
    while (pair := _joined(boxes, context, minimum)) is not None:
        first, second = pair
        names, joined = boxes[first][0] | boxes[second][0], _around(boxes[first][1], boxes[second][1])
        boxes = [each for k, each in enumerate(boxes) if k not in pair] + [(names, joined)]
    if not 1 < len(boxes) <= MOST_PARTS:
        return [mask]
    parts = []
    for names, _ in sorted(boxes, key=lambda each: (each[1][1], each[1][0])):
        selected = np.zeros(mask.size, bool)
        selected[box] = np.isin(labels, list(names))
        parts.append(Mask(selected))
    return parts


_MOST_PIECES = 65
_Box = tuple[int, int, int, int]


def _joined(boxes: list[tuple[set[int], _Box]], context: float, minimum: int) -> tuple[int, int] | None:
    """The first two that are better drawn together, None where there are none."""
    for first, (_, one) in enumerate(boxes):
        for second in range(first + 1, len(boxes)):
            other = boxes[second][1]
            sides = [max(_longer(each) * context, minimum) for each in (one, other, _around(one, other))]
            if sides[2] < SPLIT_FROM * max(sides[:2]):
                return first, second
    return None


def _around(one: _Box, other: _Box) -> _Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _longer(box: _Box) -> int:
    return max(box[2] - box[0], box[3] - box[1])


def _placed(start: int, side: int, length: int) -> int:
    """The start nearest to the wanted one with which the square lies in the picture, or the picture in it."""
    slack = length - side
    return min(max(start, min(slack, 0)), max(slack, 0))


def _mirrored(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Indices into a line that is mirrored at both ends as often as needed, the ends not repeated."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    phase = index % period
    return np.minimum(phase, period - phase)

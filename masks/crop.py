"""The context crop: which square of a picture the network sees."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, Mask, MaskError, Size, require_bool_array, require_usable

LEAST_CONTEXT = 4 / 3
"""Where more context could only be mirrored, the selection's longer side takes up to 3/4 of the crop's."""

AUTOMATIC_CONTEXT = 1.25
"""The default context: the best of those that ``scripts/bench crop`` tried with the shipped model
(docs/evaluation.md)."""

Box = tuple[int, int, int, int]
"""(x0, y0, x1, y1), px, x1 and y1 exclusive."""


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
        rows = mirrored(np.arange(self.y0, self.y0 + self.side), self.height)
        columns = mirrored(np.arange(self.x0, self.x0 + self.side), self.width)
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
    return solve_crop_around(mask.bounding_box(), mask.size, context, minimum)


def solve_crop_around(box: Box, size: Size, context: float = AUTOMATIC_CONTEXT, minimum: int = 64) -> Crop:
    """``solve_crop`` for a selection in ``box`` (x0, y0, x1, y1) of a picture of ``size`` (height, width)."""
    if not 1 <= context < float("inf") or minimum < 1:
        raise MaskError(f"context is {context} and minimum {minimum}: both are at least 1")
    x0, y0, x1, y1 = box
    height, width = size
    longer = max(x1 - x0, y1 - y0)
    without_padding = max(min(size), ceil(longer * LEAST_CONTEXT), minimum)
    side = min(max(ceil(longer * context), minimum), without_padding, max(size))
    left = _placed((x0 + x1 - side) // 2, side, width)
    top = _placed((y0 + y1 - side) // 2, side, height)
    return Crop(left, top, side, height, width)


def _placed(start: int, side: int, length: int) -> int:
    """The start closest to the wanted one with the square in the picture, or the picture in the square."""
    slack = length - side
    return min(max(start, min(slack, 0)), max(slack, 0))


def mirrored(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Indices into a line that is mirrored at both ends as often as needed, the ends not repeated."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    phase = index % period
    return np.minimum(phase, period - phase)

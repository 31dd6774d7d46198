"""A mask for a picture of another size."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import Mask, Size, as_size


def scale_to(mask: Mask, size: Size) -> Mask:
    """The mask, stretched to ``size`` (height, width): a pixel is selected where half of what it covers was.

    What would vanish in a smaller picture stays: there every pixel that covers any of it is selected.

    Raises:
        MaskError: ``size`` is not one.
    """
    height, width = as_size(size)
    if mask.size == (height, width):
        return mask
    covered: NDArray[Any] = mask.selected.astype(np.float32)
    # One side after the other: OpenCV averages areas only where no side grows.
    for step in ((width, mask.height), (width, height)):
        smaller = step[0] < covered.shape[1] or step[1] < covered.shape[0]
        covered = cv2.resize(covered, step, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    half = Mask(covered >= 0.5)
    return Mask(covered > 0) if half.is_empty and not mask.is_empty else half

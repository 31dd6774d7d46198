"""Pictures of any shape padded to the model's square, and results cropped to their shape again."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.postprocess import Drawn, Postprocessed, new_picture


def letterbox(pixels: NDArray[Any], size: int) -> Tensor:
    """(1, 3, S, S) in [-1, 1] of a picture (H, W, 3), uint8 or uint16: its longer side fills the square.

    The rest is filled with its own mirrored edges, so that no border is seen that a model would draw.
    """
    height, width = pixels.shape[:2]
    side = max(height, width)
    rows, columns = fitted(height, size, side), fitted(width, size, side)
    how = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
    white = float(np.iinfo(pixels.dtype).max)
    small = cv2.resize(pixels.astype(np.float32) / white, (columns, rows), interpolation=how)
    top, left = (size - rows) // 2, (size - columns) // 2
    square = np.pad(small, ((top, size - rows - top), (left, size - columns - left), (0, 0)), "symmetric")
    return torch.from_numpy(square.clip(0, 1) * 2 - 1).permute(2, 0, 1)[None].contiguous()


def padded_square(array: NDArray[np.float32], size: int, paper: float) -> NDArray[np.float32]:
    """(h, w) or (h, w, 3) in the middle of a square of ``paper``, resized to (S, S)."""
    height, width = array.shape[:2]
    side = max(height, width)
    square = np.full((side, side, *array.shape[2:]), paper, np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = array
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (size, size), interpolation=how), np.float32).clip(0, 1)


def fitted(length: int, size: int, side: int) -> int:
    """How long a side is when ``side`` becomes ``size``: one pixel at least."""
    return max(1, round(size * length / side))


def crop_letterbox(drawn: Drawn, height: int, width: int) -> Postprocessed:
    """The middle of what was drawn, in the shape of a picture that ``letterbox`` put there."""
    size, side = len(drawn), max(height, width)
    rows, columns = fitted(height, size, side), fitted(width, size, side)
    top, left = (size - rows) // 2, (size - columns) // 2
    return new_picture(drawn, np.s_[top : top + rows], np.s_[left : left + columns])

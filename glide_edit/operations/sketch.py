"""From a person's drawing to what the drawing channel is told."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.errors import InputError
from glide_edit.images import Picture, open_picture, to_uint8
from glide_edit.operations.cascade import Job
from glide_edit.requests import Sketch
from glide_edit.results import Receipt
from masks import Mask


def ink_of(drawing: Picture) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """How much ink there is at each pixel, float32 (H, W) in [0, 1], and notes for the user.

    The paper is the drawing's commonest brightness; light lines on a dark ground are taken for ink as well.
    Transparent parts are paper.

    Raises:
        InputError: an empty sheet.
    """
    grey = cv2.cvtColor(to_uint8(drawing.pixels), cv2.COLOR_RGB2GRAY).astype(np.float32)
    if drawing.alpha is not None:
        share = drawing.alpha.astype(np.float32) / np.iinfo(drawing.alpha.dtype).max
        grey = grey * share + 255 * (1 - share)
    paper = float(np.median(grey))
    notes: tuple[str, ...] = ()
    if paper < 128:
        grey, paper = 255 - grey, 255 - paper
        notes = ("The drawing has light lines on a dark ground; they were taken as ink.",)
    depth = paper - grey
    # Far below the paper's own grain and shading there is ink; the darkest stroke is full ink.
    darkest = float(depth.max())
    if darkest < 24:
        raise InputError("The drawing is an empty sheet: draw dark lines on light paper.")
    return np.clip((depth - 0.15 * darkest) / (0.6 * darkest), 0, 1).astype(np.float32), notes


@dataclass(frozen=True, eq=False)
class SketchWork:
    """A drawing padded with paper to a square, as the model draws squares."""

    request: Sketch
    ink: NDArray[np.float32]
    notes: tuple[str, ...]
    allowed: Mask | None = None

    @classmethod
    def of(cls, request: Sketch) -> SketchWork:
        ink, notes = ink_of(request.drawing)
        return cls(request, ink, (*request.drawing.notes, *notes))

    def job(self) -> Job:
        return Job(self.request, drawing=self._channel)

    def _channel(self, size: int) -> Tensor:
        """(1, 1, S, S): ink +1, paper -1. Thin lines are kept dark: an average alone would wash them out."""
        height, width = self.ink.shape
        side = max(height, width)
        square = np.zeros((side, side), np.float32)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = self.ink
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=how)
        small = np.clip(small / max(float(np.quantile(small[small > 0.01], 0.8)), 1e-3), 0, 1)
        return torch.from_numpy(small * 2 - 1)[None, None]

    def finish(self, drawn: NDArray[np.float32]) -> tuple[Picture, Receipt | None]:
        """Cut the padding off again: a picture of the drawing's shape, its longer side the model's."""
        height, width = self.ink.shape
        size, side = len(drawn), max(height, width)
        rows, columns = max(1, round(size * height / side)), max(1, round(size * width / side))
        top, left = (size - rows) // 2, (size - columns) // 2
        pixels = np.nan_to_num(drawn).round().clip(0, 255).astype(np.uint8)
        return open_picture(pixels[top : top + rows, left : left + columns]), None

"""From a person's drawing to what the drawing channel is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor

from glide_edit.operations.cascade import Job
from glide_edit.operations.finished import Drawn, Finished
from glide_edit.operations.ink import Ink, ink_of
from glide_edit.operations.squares import cut_to_shape
from glide_edit.requests import Sketch
from masks import Mask


@dataclass(frozen=True, eq=False)
class SketchWork:
    """A drawing padded with paper to a square, as the model draws squares.

    Raises:
        InputError: the drawing is an empty sheet.
    """

    request: Sketch
    ink: Ink
    notes: tuple[str, ...]
    allowed: Mask | None = None

    @classmethod
    def of(cls, request: Sketch) -> SketchWork:
        ink, notes = ink_of(request.drawing)
        return cls(request, ink, (*request.drawing.notes, *notes))

    def job(self) -> Job:
        return Job(self.request, drawing=cache(self._channel))

    def _channel(self, size: int) -> Tensor:
        """(1, 1, S, S): ink +1, paper -1. Thin lines are kept dark: an average alone would wash them out."""
        height, width = self.ink.shape
        side = max(height, width)
        square = np.zeros((side, side), np.float32)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = self.ink
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=how)
        lines = small[small > 0.01]
        full = float(np.quantile(lines, 0.8)) if lines.size else float(small.max())
        return torch.from_numpy(np.clip(small / full, 0, 1) * 2 - 1)[None, None]

    def finish(self, drawn: Drawn) -> Finished:
        """Cut the padding off again: a picture of the drawing's shape, its longer side the model's."""
        return cut_to_shape(drawn, self.request.drawing.height, self.request.drawing.width)

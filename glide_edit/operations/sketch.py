"""From a person's drawing to what the drawing channel is told, and to what SDEdit begins from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import torch
from torch import Tensor

from glide_edit.operations.cascade import Job
from glide_edit.operations.letterbox import crop_letterbox
from glide_edit.operations.postprocess import Drawn, Postprocessed
from glide_edit.operations.scribble import Ink, clean_colours, scribble_lines
from glide_edit.operations.scribble_fill import ScribbleFill, fill_scribble
from glide_edit.requests import Sketch
from masks import Mask


@dataclass(frozen=True, eq=False)
class SketchWork:
    """A drawing padded with paper to a square, as the model draws squares.

    ``tone`` is the drawing filled with its colours, where SDEdit begins from it, and ``ink`` what the drawing
    channel is told, where that is used.

    Raises:
        InputError: the drawing is an empty sheet.
    """

    request: Sketch
    ink: Ink | None
    tone: ScribbleFill | None
    notes: tuple[str, ...]
    allowed: Mask | None = None

    @classmethod
    def of(cls, request: Sketch) -> SketchWork:
        ink, notes = scribble_lines(request.drawing)
        notes = (*request.drawing.notes, *notes)
        if request.mode == "lines":
            return cls(request, ink, None, notes)
        colours = clean_colours(request.drawing, ink)
        if colours is None:
            notes = (*notes, "Colours are read from light paper alone: this drawing's were left out.")
            colours = np.repeat(1 - ink[..., None], 3, axis=2)
        tone = fill_scribble(ink, colours)
        if request.mode == "tone":
            return cls(request, None, tone, notes)
        if request.mode == "auto" and not tone.is_coloured:
            return cls(request, ink, None, notes)
        if request.mode == "auto":
            notes = (*notes, "The drawing's colours were spread between its lines (mode both).")
        return cls(request, _without(ink, tone), tone, notes)

    def job(self) -> Job:
        drawing = None if self.ink is None else cache(self._channel)
        if self.tone is None:
            return Job(self.request, drawing=drawing)
        tone, strength = self.tone, self.request.strength
        return Job(
            self.request,
            drawing=drawing,
            start=cache(tone.start),
            strength_map=cache(lambda size: tone.levels(size, strength)),
        )

    def _channel(self, size: int) -> Tensor:
        """(1, 1, S, S): ink +1, paper -1. Thin lines are kept dark: an average alone would wash them out."""
        assert self.ink is not None
        height, width = self.ink.shape
        side = max(height, width)
        square = np.zeros((side, side), np.float32)
        top, left = (side - height) // 2, (side - width) // 2
        square[top : top + height, left : left + width] = self.ink
        how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
        small = cv2.resize(square, (size, size), interpolation=how)
        lines = small[small > 0.01]
        full = float(np.quantile(lines, 0.8)) if lines.size else float(max(small.max(), 1e-6))
        return torch.from_numpy(np.clip(small / full, 0, 1) * 2 - 1)[None, None]

    def finish(self, drawn: Drawn, seed: int | None = None) -> Postprocessed:
        """Cut the padding off again: a picture of the drawing's shape, its longer side the model's."""
        return crop_letterbox(drawn, self.request.drawing.height, self.request.drawing.width)


def _without(ink: Ink, tone: ScribbleFill) -> Ink:
    """The ink less the scribbles that only say a colour: the drawing channel knows outlines alone."""
    height, width = ink.shape
    grown = cv2.dilate(tone.scribbles.astype(np.uint8), np.ones((3, 3), np.uint8))
    scribbled = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.where(scribbled, 0, ink).astype(np.float32)

"""From a person's drawing to what the drawing channel is told, and to what SDEdit begins from."""

from __future__ import annotations

from functools import cache, lru_cache, partial

import cv2
import numpy as np
import torch
from torch import Tensor

from glide_edit.images import Picture
from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Prepared
from glide_edit.operations.generate import canvas, place
from glide_edit.operations.letterbox import crop_letterbox, padded_square
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.operations.scribble import Ink, clean_colours, scribble_lines
from glide_edit.operations.scribble_fill import ScribbleFill, fill_scribble
from glide_edit.requests import Sketch
from masks import Mask

__all__ = ["canvas", "finish", "inputs", "place", "prepare", "read_drawing"]


def prepare(request: Sketch) -> Prepared:
    """One frame, begun from the drawing's colours where it has some.

    Raises:
        InputError: the drawing is an empty sheet.
    """
    _, fill, notes = read_drawing(request.drawing, request.mode)
    # Blank paper begins from noise alone; the strength map holds what is filled.
    return Prepared(notes=(*request.drawing.notes, *notes), strength=None if fill is None else 1.0)


def inputs(request: Sketch, frame: Frame, canvas: Canvas) -> FrameInputs:
    ink, fill, _ = read_drawing(request.drawing, request.mode)
    drawing = None if ink is None else cache(partial(drawing_channel, ink))
    if fill is None:
        return FrameInputs(drawing=drawing)
    strength = request.strength
    return FrameInputs(
        drawing=drawing,
        init_image=cache(fill.start),
        strength_map=cache(lambda size: fill.levels(size, strength)),
    )


def finish(request: Sketch, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """A picture of the drawing's shape, its longer side the model's: the padding is cut off."""
    return crop_letterbox(canvas.pixels, request.drawing.height, request.drawing.width)


@lru_cache(maxsize=2)
def read_drawing(drawing: Picture, mode: str) -> tuple[Ink | None, ScribbleFill | None, tuple[str, ...]]:
    """The lines for the drawing channel and the fill that SDEdit begins from, None where unused; and notes.

    Raises:
        InputError: the drawing is an empty sheet.
    """
    ink, notes = scribble_lines(drawing)
    if mode == "lines":
        return ink, None, notes
    colours = clean_colours(drawing, ink)
    if colours is None:
        notes = (*notes, "Colours are read from light paper alone: this drawing's were left out.")
        colours = np.repeat(1 - ink[..., None], 3, axis=2)
    fill = fill_scribble(ink, colours)
    if mode == "tone":
        return None, fill, notes
    if mode == "auto" and not fill.is_coloured:
        return ink, None, notes
    if mode == "auto":
        notes = (*notes, "The drawing's colours were spread between its lines (mode both).")
    return _without(ink, fill), fill, notes


def drawing_channel(ink: Ink, size: int) -> Tensor:
    """(1, 1, S, S): ink +1, paper -1. Thin lines are kept dark: an average alone would wash them out."""
    small = padded_square(ink, size, 0.0)
    lines = small[small > 0.01]
    full = float(np.quantile(lines, 0.8)) if lines.size else float(max(small.max(), 1e-6))
    return torch.from_numpy(np.clip(small / full, 0, 1) * 2 - 1)[None, None]


def _without(ink: Ink, fill: ScribbleFill) -> Ink:
    """The ink less the scribbles that only say a colour: the drawing channel knows outlines alone."""
    height, width = ink.shape
    grown = cv2.dilate(fill.scribbles.astype(np.uint8), np.ones((3, 3), np.uint8))
    scribbled = cv2.resize(grown, (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.where(scribbled, 0, ink).astype(np.float32)

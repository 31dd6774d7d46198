"""A picture from words alone: what is drawn is the picture."""

from __future__ import annotations

import numpy as np

from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Prepared
from glide_edit.operations.postprocess import Drawn, Postprocessed, new_picture
from glide_edit.requests import Generate, Sketch, Vary
from masks import Mask


def prepare(request: Generate) -> Prepared:
    return Prepared()


def canvas(request: Generate | Sketch | Vary, allowed: Mask | None) -> Canvas:
    """Nothing of a picture is kept: the canvas is empty."""
    return Canvas(np.zeros((0, 0, 3), np.float32))


def inputs(request: Generate, frame: Frame, canvas: Canvas) -> FrameInputs:
    return FrameInputs()


def place(request: Generate | Sketch | Vary, frame: Frame, canvas: Canvas, drawn: Drawn, seed: int) -> Canvas:
    return Canvas(drawn)


def finish(request: Generate, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    return new_picture(canvas.pixels)

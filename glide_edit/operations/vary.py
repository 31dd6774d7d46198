"""Variations of a picture: noised in part, and drawn again from there."""

from __future__ import annotations

from functools import partial

from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Prepared
from glide_edit.operations.generate import canvas, place
from glide_edit.operations.letterbox import crop_letterbox, letterbox
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.requests import Vary
from masks import Mask

__all__ = ["canvas", "finish", "inputs", "place", "prepare"]


def prepare(request: Vary) -> Prepared:
    notes = request.image.notes
    if request.image.alpha is not None:
        notes = (*notes, "The picture's transparency was left out: a variation has none.")
    return Prepared(notes=notes, strength=request.strength)


def inputs(request: Vary, frame: Frame, canvas: Canvas) -> FrameInputs:
    return FrameInputs(init_image=partial(letterbox, request.image.pixels))


def finish(request: Vary, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """A picture of the source's shape, its longer side the model's."""
    return crop_letterbox(canvas.pixels, request.image.height, request.image.width)

"""Inpainting a picture of any size: a square around the selection is redrawn and put back."""

from __future__ import annotations

from dataclasses import replace

from glide_edit.operations.frame import Canvas, Frame, Prepared
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.operations.repaint import inputs, place, prepared
from glide_edit.requests import Inpaint
from glide_edit.results import Receipt
from masks import (
    AUTOMATIC_CONTEXT,
    RING_WIDTH,
    Crop,
    Mask,
    compare_outside,
    derive_areas,
    shape,
    solve_crop,
    split_selection,
)

__all__ = ["SMALLEST_CROP", "canvas", "context_of", "finish", "inputs", "place", "prepare"]

SMALLEST_CROP = 64
"""px; a smaller square shows the model too little of what surrounds a small selection."""

PATCHES_CONTEXT = 2.2
"""How much the model sees where the selection begins from patches, which have to be taken from somewhere."""


def context_of(request: Inpaint) -> float:
    """The request's context, or the one with which the model is best."""
    automatic = PATCHES_CONTEXT if request.mask_fill == "patches" else AUTOMATIC_CONTEXT
    return automatic if request.context is None else request.context


def prepare(request: Inpaint) -> Prepared:
    """One frame, or one for each part of a selection whose parts lie far apart.

    A frame in which other parts lie shows them as they are by then: unknown, or drawn already.

    Raises:
        MaskError: the protected area leaves nothing to change.
    """
    areas = derive_areas(request.mask, request.grow, request.protect)
    context = context_of(request)
    parts = split_selection(areas.allowed, context, SMALLEST_CROP)
    notes = request.image.notes
    if len(parts) == 1:
        frames = [_frame(0, solve_crop(areas.repaint, context, SMALLEST_CROP), areas.allowed)]
    else:
        notes = (*notes, f"The selection was drawn in {len(parts)} parts that lie far apart.")
        frames = [
            _frame(number, solve_crop(shape.grow(part, RING_WIDTH), context, SMALLEST_CROP), part)
            for number, part in enumerate(parts)
        ]
    return prepared(request, tuple(frames), areas.allowed, notes, is_one_draft=len(parts) == 1)


def canvas(request: Inpaint, allowed: Mask | None) -> Canvas:
    assert allowed is not None
    return Canvas(request.image.pixels, allowed.selected)


def finish(request: Inpaint, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """The picture with its receipt. Alpha stays as it is."""
    assert allowed is not None
    source = request.image
    receipt = Receipt(compare_outside(source.pixels, canvas.pixels, allowed.selected))
    return Postprocessed(replace(source, pixels=canvas.pixels), receipt, canvas.notes)


def _frame(number: int, crop: Crop, allowed: Mask) -> Frame:
    x0, y0, x1, y1 = crop.box
    return Frame(number, crop, Mask(allowed.selected[y0:y1, x0:x1]))

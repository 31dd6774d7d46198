"""Inpainting a picture of any size: a square around the selection is redrawn and put back."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from glide_edit.operations.frame import Canvas, Frame, Prepared
from glide_edit.operations.mask_fill import FILL_CONTEXT
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.operations.repaint import SMALLEST_CROP, inputs, place, prepared
from glide_edit.requests import Inpaint, Remove
from glide_edit.results import Receipt
from masks import (
    AUTOMATIC_CONTEXT,
    RING_WIDTH,
    Crop,
    Mask,
    Part,
    allowed_area,
    bleed,
    compare_outside,
    follow,
    solve_crop_around,
    split_selection,
)

__all__ = ["SMALLEST_CROP", "canvas", "context_of", "finish", "grow_of", "inputs", "place", "prepare"]


SMALLEST_REPAIR = 192
"""px: a repair is as good as what it sees around a small selection, and costs little."""


_SHOWN_BEYOND: WeakKeyDictionary[Inpaint, int] = WeakKeyDictionary()


def context_of(request: Inpaint) -> float:
    """The request's context, or the one with which the model is best."""
    automatic = FILL_CONTEXT if request.mask_fill in ("patches", "repair") else AUTOMATIC_CONTEXT
    return automatic if request.context is None else request.context


def grow_of(request: Inpaint) -> int:
    """px by which the selection is grown: what the request says, or as far as the thing shows beyond it."""
    if request.grow is not None:
        return request.grow
    if request not in _SHOWN_BEYOND:  # planning and the mask doctor ask for it
        _SHOWN_BEYOND[request] = bleed(request.image.pixels, request.mask)
    return _SHOWN_BEYOND[request]


def prepare(request: Inpaint) -> Prepared:
    """One frame, or one for each part of a selection whose parts lie far apart, and for each piece of a long
    one.

    A frame in which other parts lie shows them as they are by then: unknown, or drawn already.

    Raises:
        MaskError: the protected area leaves nothing to change.
    """
    grow = grow_of(request)
    allowed = allowed_area(request.mask, grow, request.protect)
    context, smallest = context_of(request), _smallest_crop(request)
    parts = split_selection(allowed, context, smallest)
    # Beside a strip there is enough to see: its pieces need no more context for patches.
    along = AUTOMATIC_CONTEXT if request.context is None else context
    pieces, crops = [], []
    for part in parts:
        several = follow(part, allowed.size, along, smallest)
        pieces += several
        crops += [
            _crop_of(each, allowed, context if len(several) == 1 else along, smallest) for each in several
        ]
    notes = request.image.notes
    if request.grow is None and grow:
        notes = (*notes, f"The selection was grown by {grow} px: as far as what was selected still showed.")
    if len(parts) > 1:
        notes = (*notes, f"The selection was drawn in {len(parts)} parts that lie far apart.")
    if len(pieces) > len(parts):
        notes = (*notes, f"What is long of the selection was followed: it was drawn in {len(pieces)} pieces.")
    if len(pieces) == 1:
        frames = [Frame(0, crops[0], allowed.window(crops[0].box))]
    else:
        both = zip(crops, pieces, strict=True)
        frames = [_frame(number, crop, piece) for number, (crop, piece) in enumerate(both)]
    return prepared(request, tuple(frames), allowed, notes, is_one_draft=len(pieces) == 1)


def canvas(request: Inpaint, allowed: Mask | None) -> Canvas:
    assert allowed is not None
    goes = request.mask.selected if isinstance(request, Remove) else None
    return Canvas(request.image.pixels, allowed.selected, allowed=allowed.selected, selected=goes)


def finish(request: Inpaint, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """The picture with its receipt. Alpha stays as it is."""
    assert allowed is not None
    source = request.image
    receipt = Receipt(compare_outside(source.pixels, canvas.pixels, allowed.selected))
    return Postprocessed(replace(source, pixels=canvas.pixels), receipt, canvas.notes)


def _smallest_crop(request: Inpaint) -> int:
    return SMALLEST_REPAIR if request.mask_fill == "repair" else SMALLEST_CROP


def _crop_of(part: Part, allowed: Mask, context: float, smallest: int) -> Crop:
    """Around a part and the ring that is drawn around it."""
    (x0, y0, x1, y1), (height, width) = part.box, allowed.size
    left, top = max(x0 - RING_WIDTH, 0), max(y0 - RING_WIDTH, 0)
    right, bottom = min(x1 + RING_WIDTH, width), min(y1 + RING_WIDTH, height)
    return solve_crop_around((left, top, right, bottom), allowed.size, context, smallest)


def _frame(number: int, crop: Crop, part: Part) -> Frame:
    (left, top, right, bottom), (x0, y0, x1, y1) = crop.box, part.box
    selected = np.zeros((bottom - top, right - left), bool)
    selected[y0 - top : y1 - top, x0 - left : x1 - left] = part.selected
    return Frame(number, crop, Mask.from_owned(selected))

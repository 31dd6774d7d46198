"""Frames that repaint a part of a picture: what the networks are told of them, and putting them back."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.composite import composite_into, neighbours_of
from glide_edit.operations.composite_windows import composite_in_windows
from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Known, Prepared
from glide_edit.operations.grain import grain_match_for
from glide_edit.operations.mask_fill import init_image_for
from glide_edit.operations.postprocess import Drawn, to_pixels
from glide_edit.operations.sharpness import without_grain
from glide_edit.requests import Inpaint, Outpaint
from masks import RING_WIDTH, Crop, Mask, reduce_keep, reduce_known, shape, shrink_known

FINE_SHARE = 0.5
"""Patches are as sharp as the photograph: this share of the strength is enough after the first stage."""

LARGEST_SIDE = 2048
"""px: a larger crop is looked at and drawn at this size, and enlarged: memory is bounded."""

LARGEST_BOX = 1280
"""px: what is drawn of a larger box is composited in windows."""


def prepared(
    request: Inpaint | Outpaint,
    frames: tuple[Frame, ...],
    allowed: Mask,
    notes: tuple[str, ...],
    is_one_draft: bool,
) -> Prepared:
    """What inpainting and outpainting decide alike."""
    fill, strength = request.mask_fill, request.start_strength
    return Prepared(
        frames,
        allowed,
        notes,
        strength=None if fill == "noise" else strength,
        fine_strength=FINE_SHARE * strength if fill == "patches" and strength < 1 else None,
        detail=request.detail is not False,
        is_one_draft=is_one_draft,
    )


def shown_side(crop: Crop) -> int:
    """px: the side at which a crop is looked at and drawn."""
    return min(crop.side, LARGEST_SIDE)


def kept(crop: Crop, unknown: NDArray[np.bool_], ring: int = RING_WIDTH) -> NDArray[np.bool_]:
    """The pixels of a crop that the networks are told, bool (side, side), at the ``shown_side``.

    They are not told a ring around what is unknown: the membrane compares what they draw there with the
    original, as ``masks.derive_areas`` says.
    """
    if crop.side > LARGEST_SIDE:
        return reduce_keep(crop, unknown, LARGEST_SIDE, ring)
    return ~shape.grow(Mask(crop.extract_mask(unknown)), ring).selected


def inputs(request: Inpaint | Outpaint, frame: Frame, canvas: Canvas) -> FrameInputs:
    """The crop of the canvas with every pixel known except those to draw and a ring around them."""
    assert frame.crop is not None
    image, keep = _shown(frame.crop, canvas, RING_WIDTH)
    # Patches continue right up to the edge; other fills are told no more than the networks are.
    filled_from = _shown(frame.crop, canvas, 0) if request.mask_fill == "patches" else (image, keep)

    @cache
    def known(size: int) -> Known:
        small, keep_small = np.where(keep[..., None], image, 0), keep
        if size != len(image):
            small, keep_small = shrink_known(image, keep, (size, size))
        return _as_tensor(small), torch.from_numpy(keep_small).float()[None, None]

    return FrameInputs(
        known=known,
        init_image=init_image_for(request.mask_fill, *filled_from),
        refine=None if request.detail else as_sharp_as_around,
    )


def _shown(crop: Crop, canvas: Canvas, ring: int) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The crop in [-1, 1], and what is known of it without a ring around the rest, at the ``shown_side``."""
    assert canvas.unknown is not None
    white = int(np.iinfo(canvas.pixels.dtype).max)
    if crop.side > LARGEST_SIDE:
        image, keep = reduce_known(crop, canvas.pixels, canvas.unknown, LARGEST_SIDE, ring)
    else:
        image, keep = crop.extract(canvas.pixels).astype(np.float32), kept(crop, canvas.unknown, ring)
    return np.asarray(image / white * 2 - 1, np.float32), keep


def place(request: Inpaint | Outpaint, frame: Frame, canvas: Canvas, drawn: Drawn, seed: int) -> Canvas:
    """Composite what was drawn for a frame into the canvas, where it is known from now on."""
    assert frame.crop is not None
    assert frame.allowed is not None
    assert canvas.unknown is not None
    x0, y0, x1, y1 = frame.crop.box
    inside = np.s_[y0:y1, x0:x1]
    allowed = frame.allowed.selected & canvas.unknown[inside]
    pixels, unknown = (each if canvas.owned else each.copy() for each in (canvas.pixels, canvas.unknown))
    if max(allowed.shape) > LARGEST_BOX:
        notes = composite_in_windows(request, frame, canvas, drawn, allowed, seed, pixels[inside])
    else:
        grain = grain_match_for(request, seed, frame.number, ~canvas.unknown[inside])
        beside = neighbours_of(canvas, inside, allowed)
        part, notes = composite_into(
            canvas.pixels, frame.crop, drawn, allowed, request.finish, request.feather, grain, beside
        )
        pixels[inside] = part
    unknown[inside] &= ~allowed
    return Canvas(pixels, unknown, (*canvas.notes, *notes), owned=True, allowed=canvas.allowed)


def as_sharp_as_around(drawn: Tensor, smooth: Tensor, keep_mask: Tensor) -> Tensor:
    """(1, 3, S, S) no sharper than its known surroundings; a picture with values that are not finite stays
    as it is.

    ``smooth`` is the same picture without the detail of the last pass.
    """
    if not bool(torch.isfinite(drawn).all()):
        return drawn
    pixels = without_grain(to_pixels(drawn)[0], to_pixels(smooth)[0], (keep_mask[0, 0] == 0).cpu().numpy())
    return torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None].to(drawn.device)


def _as_tensor(picture: NDArray[Any]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]

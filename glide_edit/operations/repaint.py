"""Frames that repaint a part of a picture: what the networks are told of them, and putting them back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.backdrop import cut_out
from glide_edit.operations.composite import composite_into, neighbours_of
from glide_edit.operations.composite_windows import composite_in_windows
from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Known, Prepared
from glide_edit.operations.grain import grain_match_for
from glide_edit.operations.mask_fill import FILL_CONTEXT, cached_while_small, init_image_for
from glide_edit.operations.postprocess import Drawn, to_pixels
from glide_edit.operations.repairing import repair_fill
from glide_edit.operations.sharpness import around, without_grain
from glide_edit.requests import Inpaint, Outpaint
from masks import (
    RING_WIDTH,
    Crop,
    Mask,
    reduce_keep,
    reduce_known,
    shape,
    shrink_known,
    solve_crop_around,
)

FINE_SHARE = 0.5
"""Patches are as sharp as the photograph: this share of the strength is enough after the first stage."""

SMALLEST_CROP = 64
"""px; a smaller square shows the model too little of what surrounds a small selection."""

LARGEST_SIDE = 2048
"""px: a larger crop is looked at and drawn at this size, and enlarged: memory is bounded."""

BACKDROP_FINEST = 64
"""px: most of a backdrop is covered by the thing before it, and finding its patches would take longest."""

LARGEST_BOX = 1280
"""px: what is drawn of a larger box is composited in windows."""

WHOLE_UP_TO = 1024
"""px: a larger frame is made as sharp as its surroundings in the part that shows them alone."""


def prepared(
    request: Inpaint | Outpaint,
    frames: tuple[Frame, ...],
    allowed: Mask,
    notes: tuple[str, ...],
    is_one_draft: bool,
) -> Prepared:
    """What inpainting and outpainting decide alike."""
    fill, strength = request.mask_fill, request.start_strength
    from_around = fill in ("patches", "repair")
    return Prepared(
        frames,
        allowed,
        notes,
        strength=None if fill == "noise" else strength,
        fine_strength=FINE_SHARE * strength if from_around and strength < 1 else None,
        cascade=not request.fills_alone,
        detail=request.detail is not False,
        is_one_draft=is_one_draft,
    )


def shown_side(crop: Crop) -> int:
    """px: the side at which a crop is looked at and drawn."""
    return min(crop.side, LARGEST_SIDE)


def kept(crop: Crop, unknown: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels of a crop that the networks are told, bool (side, side), at the ``shown_side``.

    They are not told a ring around what is unknown: the membrane compares what they draw there with the
    original, as ``masks.derive_areas`` says.
    """
    if crop.side > LARGEST_SIDE:
        return reduce_keep(crop, unknown, LARGEST_SIDE, RING_WIDTH)
    return ~shape.grow(Mask(crop.extract_mask(unknown)), RING_WIDTH).selected


def inputs(request: Inpaint | Outpaint, frame: Frame, canvas: Canvas) -> FrameInputs:
    """The crop of the canvas with every pixel known except those to draw and a ring around them."""
    assert frame.crop is not None
    assert canvas.unknown is not None
    image, known_to_fill = _shown(frame.crop, canvas)
    keep = kept(frame.crop, canvas.unknown)
    if _takes_a_backdrop(frame, canvas):
        shown, known_around = _shown(_around(frame, canvas), canvas)
        # Networks that draw one picture leave a core free.
        canvas.fills[frame.number] = _beside().submit(repair_fill, shown, known_around, BACKDROP_FINEST)

    def known(size: int) -> Known:
        if size == len(image):
            small, keep_small = np.where(keep[..., None], image, 0), keep
        else:
            small, keep_small = shrink_known(image, keep, (size, size))
        return _as_tensor(small), torch.from_numpy(keep_small).float()[None, None]

    # These continue right up to the edge; other fills are told no more than the networks are.
    filled_from = known_to_fill if request.mask_fill in ("patches", "repair") else keep
    return FrameInputs(
        known=cached_while_small(known),
        init_image=init_image_for(request.mask_fill, image, filled_from),
        refine=None if request.detail else as_sharp_as_around,
    )


def _shown(crop: Crop, canvas: Canvas) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The crop in [-1, 1] at its ``shown_side``, and what is known of it."""
    assert canvas.unknown is not None
    white = int(np.iinfo(canvas.pixels.dtype).max)
    if crop.side > LARGEST_SIDE:
        image, keep = reduce_known(crop, canvas.pixels, canvas.unknown, LARGEST_SIDE)
    else:
        image, keep = crop.extract(canvas.pixels).astype(np.float32), ~crop.extract_mask(canvas.unknown)
    image /= white
    image *= 2
    image -= 1
    return image, keep


def place(request: Inpaint | Outpaint, frame: Frame, canvas: Canvas, drawn: Drawn, seed: int) -> Canvas:
    """Composite what was drawn for a frame into the canvas, where it is known from now on."""
    assert frame.crop is not None
    assert frame.allowed is not None
    assert canvas.unknown is not None
    x0, y0, x1, y1 = frame.crop.box
    inside = np.s_[y0:y1, x0:x1]
    allowed = frame.allowed.selected & canvas.unknown[inside]
    pixels, unknown = (each if canvas.owned else each.copy() for each in (canvas.pixels, canvas.unknown))
    beside = neighbours_of(canvas, inside, allowed)
    if max(allowed.shape) > LARGEST_BOX:
        notes = composite_in_windows(request, frame, canvas, drawn, allowed, seed, pixels[inside])
    else:
        grain = grain_match_for(request, seed, frame.number, ~canvas.unknown[inside])
        part, notes = composite_into(
            canvas.pixels,
            frame.crop,
            drawn,
            allowed,
            request.finish,
            request.feather,
            grain,
            beside,
            None if canvas.selected is None else canvas.selected[inside],
        )
        pixels[inside] = part
    if _takes_a_backdrop(frame, canvas):
        _put_onto_a_fill(replace(canvas, pixels=pixels), frame, allowed)
    unknown[inside] &= ~allowed
    return replace(canvas, pixels=pixels, unknown=unknown, notes=(*canvas.notes, *notes), owned=True)


def _takes_a_backdrop(frame: Frame, canvas: Canvas) -> bool:
    """Whether the thing that is drawn for a frame is put onto a fill. A piece of a long selection, which
    meets others, holds a piece of a thing, and stays as it is drawn."""
    if not frame.fills_backdrop:
        return False
    allowed, inside = _to_draw(frame, canvas)
    return (
        bool(allowed.any())
        and max(allowed.shape) <= LARGEST_SIDE
        and neighbours_of(canvas, inside, allowed) is None
    )


def _to_draw(frame: Frame, canvas: Canvas) -> tuple[NDArray[np.bool_], tuple[slice, slice]]:
    """What of a frame's box is still to be drawn, and where that box is."""
    assert frame.crop is not None
    assert frame.allowed is not None
    assert canvas.unknown is not None
    x0, y0, x1, y1 = frame.crop.box
    inside = slice(y0, y1), slice(x0, x1)
    return frame.allowed.selected & canvas.unknown[inside], inside


def _box(frame: Frame, canvas: Canvas) -> tuple[int, int, int, int]:
    """Of what is to be drawn for a frame: x0, y0, x1, y1."""
    allowed, (rows, columns) = _to_draw(frame, canvas)
    x0, y0, x1, y1 = Mask(allowed).bounding_box()
    return columns.start + x0, rows.start + y0, columns.start + x1, rows.start + y1


def _around(frame: Frame, canvas: Canvas) -> Crop:
    """What a backdrop is made from."""
    return solve_crop_around(_box(frame, canvas), canvas.pixels.shape[:2], FILL_CONTEXT, SMALLEST_CROP)


@cache
def _beside() -> ThreadPoolExecutor:
    """One thread, for what can be made while networks draw."""
    return ThreadPoolExecutor(1, "fills")


def _put_onto_a_fill(canvas: Canvas, frame: Frame, allowed: NDArray[np.bool_]) -> None:
    """Leave of what was composited where ``allowed`` the thing alone, on a fill from the surroundings.

    ``allowed`` is of the size of the frame's box; the canvas does not know these pixels yet. Where no thing
    is told from its backdrop, nothing changes.
    """
    assert frame.crop is not None
    box, wide = _box(frame, canvas), _around(frame, canvas)
    rows, columns = slice(box[1], box[3]), slice(box[0], box[2])
    drawn, known = _shown(wide, canvas)
    begun = canvas.fills.get(frame.number)
    fill = repair_fill(drawn, known, BACKDROP_FINEST) if begun is None else begun.result()
    cutout = cut_out(_levels(drawn), _levels(fill), known)
    if cutout is None:
        return
    alpha, behind = (_part_of(each, wide, box) for each in (cutout.alpha, cutout.behind))
    white = int(np.iinfo(canvas.pixels.dtype).max)
    behind = behind * np.float32(white / 255)
    part = canvas.pixels[rows, columns]
    left, top, _, _ = frame.crop.box
    inside = allowed[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    mixed = behind + alpha[..., None] * (part - behind)
    part[inside] = mixed[inside].round().clip(0, white)


def _levels(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """From [-1, 1] to 0 ... 255."""
    return (picture + 1) * np.float32(127.5)


def _part_of(picture: NDArray[np.float32], crop: Crop, box: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """The part in ``box`` (x0, y0, x1, y1) of a photograph; ``picture`` shows its crop, perhaps shrunk."""
    x0, y0, x1, y1 = box
    scale = len(picture) / crop.side
    # From a pixel of the part to its place in the picture, between the middles of pixels.
    shift = [(start - origin + 0.5) * scale - 0.5 for start, origin in ((x0, crop.x0), (y0, crop.y0))]
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(picture, matrix, (x1 - x0, y1 - y0), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(part, np.float32)


def as_sharp_as_around(drawn: Tensor, smooth: Tensor, keep_mask: Tensor) -> Tensor:
    """(1, 3, S, S) no sharper than its known surroundings; a picture with values that are not finite stays
    as it is.

    ``smooth`` is the same picture without the detail of the last pass.
    """
    if not bool(torch.isfinite(drawn).all()):
        return drawn
    hidden = (keep_mask[0, 0] == 0).cpu().numpy()
    near = np.s_[:, :] if len(hidden) <= WHOLE_UP_TO else around(hidden)
    part = without_grain(to_pixels(drawn[..., *near])[0], to_pixels(smooth[..., *near])[0], hidden[near])
    sharp = torch.from_numpy(part / 127.5 - 1).permute(2, 0, 1)[None].to(drawn.device)
    if part.shape[:2] == hidden.shape:
        return sharp
    result = drawn.clone()
    result[..., *near] = sharp
    return result


def _as_tensor(picture: NDArray[Any]) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None]

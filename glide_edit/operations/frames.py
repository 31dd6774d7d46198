"""Edits in several frames: each a square that the model draws, one after the other on the updated picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job, Known
from glide_edit.operations.clip import Clip
from glide_edit.operations.composite import composite_into
from glide_edit.operations.detail import draw
from glide_edit.operations.grain import grain_match_for
from glide_edit.operations.mask_fill import start_of
from glide_edit.operations.postprocess import Drawn, to_pixels
from glide_edit.requests import Inpaint, Outpaint
from masks import RING_WIDTH, Crop, Mask, shape, shrink_known

Plane = NDArray[np.bool_]

FINE_SHARE = 0.5
"""Patches are as sharp as the photograph: of the strength so much is enough for the stages after the base."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One square of an edit, and which pixels it settles: bool, of the size of ``crop.box``."""

    crop: Crop
    allowed: Plane


@dataclass(eq=False)
class Canvas:
    """A picture being worked on: its pixels, and where they do not yet mean anything (bool, its size)."""

    pixels: NDArray[Any]
    unknown: Plane

    @property
    def white(self) -> int:
        return int(np.iinfo(self.pixels.dtype).max)


def frame_job(request: Inpaint | Outpaint, canvas: Canvas, crop: Crop, number: int = 0) -> Job:
    """What the cascade draws: the crop, of which all is known but what is not, and the ring around that."""
    image = crop.extract(canvas.pixels).astype(np.float32) / canvas.white * 2 - 1
    return job_of(request, image, ~crop.extract_mask(canvas.unknown), number)


def job_of(request: Inpaint | Outpaint, image: NDArray[Any], stays: Plane, number: int = 0) -> Job:
    """The job for a square (side, side, 3) in [-1, 1], of which ``stays``, bool (side, side), is known.

    The networks are not told the ring around the rest: the membrane compares what they draw there with the
    original, as ``masks.derive_areas`` says.
    """
    keep = ~shape.grow(Mask(~stays), RING_WIDTH).selected

    @cache
    def known(size: int) -> Known:
        small, kept = np.where(keep[..., None], image, 0), keep
        if size != len(image):
            small, kept = shrink_known(image, keep, (size, size))
        return torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(kept).float()[None, None]

    content, strength = request.mask_fill, request.start_strength
    return Job(
        request,
        known=known,
        start=start_of(content, image, stays if content == "patches" else keep),
        strength=strength,
        fine_strength=FINE_SHARE * strength if content == "patches" and strength < 1 else None,
        side=None if request.detail is False else len(image),
        grain=bool(request.detail),
        frame=number,
    )


def settle(
    canvas: Canvas, frame: Frame, drawn: Drawn, request: Inpaint | Outpaint, seed: int, number: int = 0
) -> tuple[str, ...]:
    """Put what was drawn for a frame, with ``seed``, into the canvas, where it is known from now on.

    Returns:
        What is to be said.
    """
    x0, y0, x1, y1 = frame.crop.box
    inside = np.s_[y0:y1, x0:x1]
    allowed = frame.allowed & canvas.unknown[inside]
    matching = grain_match_for(request, seed, number, ~canvas.unknown[inside])
    canvas.pixels[inside], notes = composite_into(
        canvas.pixels, frame.crop, drawn, allowed, request.finish, request.feather, matching
    )
    canvas.unknown[inside] &= ~allowed
    return notes


def run_frames(
    model: Model,
    clip: Clip | None,
    request: Inpaint | Outpaint,
    canvas: Canvas,
    frames: Sequence[Frame],
) -> Iterator[tuple[CascadeStep, tuple[str, ...]]]:
    """Draw and settle all frames for the request's one seed: each step, and what is to be said of it.

    ``is_last`` is that of the last frame's last step. Stop iterating and the work stops.
    """
    for number, frame in enumerate(frames):
        for step in draw(model, frame_job(request, canvas, frame.crop, number), clip):
            notes: tuple[str, ...] = ()
            if step.is_last:
                notes = settle(canvas, frame, to_pixels(step.x0)[0], request, request.seed, number)
            at_end = step.is_last and number + 1 == len(frames)
            yield replace(step, is_last=at_end), notes

"""Edits in several frames: each a square that the model draws, one after the other on the updated picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job, Known
from glide_edit.operations.clip import Clip
from glide_edit.operations.detail import draw
from glide_edit.operations.finished import Drawn, to_pixels
from glide_edit.requests import Inpaint, Outpaint
from masks import RING_WIDTH, Crop, Finish, Mask, put_back, shape, shrink_known

Plane = NDArray[np.bool_]
NOT_FINITE = "The model's output was not finite everywhere; the original was kept there."


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
    """What the cascade draws: the crop, of which all is known but what is not, and the ring around that.

    The membrane compares the ring with the original, as ``masks.derive_areas`` says.
    """
    image = crop.extract(canvas.pixels).astype(np.float32) / canvas.white * 2 - 1
    keep = ~shape.grow(Mask(crop.extract_mask(canvas.unknown)), RING_WIDTH).selected

    @cache
    def known(size: int) -> Known:
        small, kept = shrink_known(image, keep, (size, size))
        return torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(kept).float()[None, None]

    side = None if request.detail is False else crop.side
    return Job(request, known=known, side=side, grain=bool(request.detail), frame=number)


def settle(canvas: Canvas, frame: Frame, drawn: Drawn, finish: Finish) -> None:
    """Put what was drawn for a frame into the canvas: there it is known from now on."""
    crop, side = frame.crop, frame.crop.side
    patch = drawn
    if len(drawn) != side:
        how = cv2.INTER_AREA if side < len(drawn) else cv2.INTER_CUBIC
        patch = np.asarray(cv2.resize(drawn, (side, side), interpolation=how), np.float32)
    x0, y0, x1, y1 = crop.box
    inside = np.s_[y0:y1, x0:x1]
    allowed = frame.allowed & canvas.unknown[inside]
    canvas.pixels[inside] = put_back(
        canvas.pixels[inside],
        patch[y0 - crop.y0 : y1 - crop.y0, x0 - crop.x0 : x1 - crop.x0] * np.float32(canvas.white / 255),
        allowed,
        finish,
    )
    canvas.unknown[inside] &= ~allowed


def run_frames(
    model: Model,
    clip: Clip | None,
    request: Inpaint | Outpaint,
    canvas: Canvas,
    frames: Sequence[Frame],
) -> Iterator[tuple[CascadeStep, bool]]:
    """Draw and settle all frames for the request's one seed: each step, and whether it drew finite pixels.

    ``is_last`` is that of the last frame's last step. Stop iterating and the work stops.
    """
    for number, frame in enumerate(frames):
        finite = True
        for step in draw(model, frame_job(request, canvas, frame.crop, number), clip):
            if step.is_last:
                drawn = to_pixels(step.x0)[0]
                finite = bool(np.isfinite(drawn).all())
                settle(canvas, frame, drawn, request.finish)
            at_end = step.is_last and number + 1 == len(frames)
            yield replace(step, is_last=at_end), finite

"""Previews as a person wants to see them: in their place in the photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.images import Picture, to_uint8
from glide_edit.operations.inpaint import SMALLEST_CROP, InpaintWork
from glide_edit.operations.upscale import UpscaleWork
from glide_edit.operations.work import ManyFrames, Work, work_for
from glide_edit.requests import Request
from masks import AUTOMATIC_CONTEXT, Mask, solve_crop


@dataclass(frozen=True, eq=False)
class PreviewFrame:
    """What the previews of a request are shown in: its photograph, scaled down, or nothing.

    ``work`` is None for an operation of several frames, whose previews are shown as they are.

    Showing one costs as much as its own size, whatever the photograph's: the edges are hard, and nothing is
    corrected as it is in the end.
    """

    work: Work | None
    surroundings: NDArray[np.uint8] | None
    scale: float = 1.0

    @classmethod
    def of(cls, request: Request, longest: int) -> PreviewFrame:
        """A frame of at most ``longest`` pixels a side.

        Raises:
            InputError, MaskError: the request's picture or mask will not do.
        """
        work = work_for(request)
        if isinstance(work, ManyFrames | UpscaleWork):
            return cls(None, None)
        if not isinstance(work, InpaintWork):
            return cls(work, None)
        small, scale = scaled_down(work.request.image, longest)
        return cls(work, small, scale)

    def show(self, preview: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``Progress.preview`` (S, S, 3) in its place: uint8 (H, W, 3)."""
        if self.work is None:
            return preview
        if self.surroundings is None:
            return to_uint8(self.work.finish(preview.astype(np.float32)).picture.pixels)
        assert isinstance(self.work, InpaintWork)
        picture = self.surroundings.copy()
        height, width = picture.shape[:2]
        allowed = cv2.resize(
            self.work.allowed.selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        ).astype(bool)
        crop = self.work.crop
        side = max(1, round(crop.side * self.scale))
        left, top = round(crop.x0 * self.scale), round(crop.y0 * self.scale)
        patch = cv2.resize(preview, (side, side), interpolation=cv2.INTER_LINEAR)
        rows = slice(max(top, 0), min(top + side, height))
        columns = slice(max(left, 0), min(left + side, width))
        seen = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        inside = allowed[rows, columns]
        picture[rows, columns][inside] = seen[inside]
        return picture


def closeup(picture: Picture, allowed: Mask, longest: int) -> NDArray[np.uint8]:
    """What was edited with what is around it, as a candidate shows it: uint8, ``longest`` px at the most."""
    x0, y0, x1, y1 = solve_crop(allowed, AUTOMATIC_CONTEXT, SMALLEST_CROP).box
    pixels = picture.pixels[y0:y1, x0:x1]
    return scaled_down(replace(picture, pixels=pixels, alpha=None), longest)[0]


def enlarged_plainly(picture: Picture, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture as uint8 of this (height, width), without a model: what an enlargement is held against."""
    pixels = to_uint8(picture.pixels)
    return np.asarray(cv2.resize(pixels, (size[1], size[0]), interpolation=cv2.INTER_CUBIC), np.uint8)


def scaled_down(picture: Picture, longest: int) -> tuple[NDArray[np.uint8], float]:
    """A picture as uint8 (H, W, 3) of at most ``longest`` pixels a side, and by how much it was scaled."""
    scale = min(1.0, longest / max(picture.height, picture.width))
    pixels = to_uint8(picture.pixels)
    if scale == 1.0:
        return pixels, scale
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8), scale

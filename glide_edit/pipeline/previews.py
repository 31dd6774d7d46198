"""Previews as a person wants to see them: in their place in the photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.images import Picture, to_uint8
from glide_edit.operations.inpaint import SMALLEST_CROP
from glide_edit.pipeline.finish import finish_preview
from glide_edit.pipeline.plan import Plan
from masks import AUTOMATIC_CONTEXT, Mask, solve_crop


@dataclass(frozen=True, eq=False)
class PreviewFrame:
    """Shows the previews of a plan in its photograph, scaled down; those of several frames by themselves.

    Showing one costs as much as its own size, whatever the photograph's: the edges are hard, and nothing is
    corrected as it is in the end.
    """

    plan: Plan
    surroundings: NDArray[np.uint8] | None
    scale: float = 1.0

    @classmethod
    def of(cls, plan: Plan, longest: int) -> PreviewFrame:
        """A frame of at most ``longest`` pixels a side."""
        source = plan.request.source
        if not plan.is_one_draft or plan.allowed is None or source is None:
            return cls(plan, None)
        return cls(plan, *scaled_down(source, longest))

    def show(self, preview: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """``Progress.preview`` (S, S, 3) in its place: uint8 (H, W, 3)."""
        if not self.plan.is_one_draft:
            return preview
        crop, allowed = self.plan.frames[0].crop, self.plan.allowed
        if self.surroundings is None or crop is None or allowed is None:
            return to_uint8(finish_preview(self.plan, preview).picture.pixels)
        picture = self.surroundings.copy()
        height, width = picture.shape[:2]
        shown = cv2.resize(
            allowed.selected.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
        ).astype(bool)
        side = max(1, round(crop.side * self.scale))
        left, top = round(crop.x0 * self.scale), round(crop.y0 * self.scale)
        patch = cv2.resize(preview, (side, side), interpolation=cv2.INTER_LINEAR)
        rows = slice(max(top, 0), min(top + side, height))
        columns = slice(max(left, 0), min(left + side, width))
        seen = patch[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        inside = shown[rows, columns]
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

"""Enlarging any picture by the model's last stage, block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.images import Picture, to_tensor
from glide_edit.operations.frame import Canvas, Frame, FrameInputs, Prepared, Tile
from glide_edit.operations.postprocess import NOT_FINITE, Drawn, Postprocessed
from glide_edit.requests import Upscale
from masks import Mask

BLOCK = 768
"""px of the result that are drawn at a time; a multiple of all that tiles need, so that memory is bounded."""

OVERLAP = 96
"""px by which blocks overlap; they are blended there."""

BORDER = 16
"""px that are mirrored around the picture and cut off again: networks draw grain at their border."""

CALM = 3 / 127.5
"""Where the source varies by less, in [-1, 1] around each pixel (3 levels of 255), most detail is noise."""

_ROUNDS = 3
_NEAR = 5  # px of the source


def prepare(request: Upscale) -> Prepared:
    """A frame for each block, with OVERLAP px more above and to the left where there is more."""
    height, width = _enlarged_size(request)
    blocks = []
    for bottom in range(BLOCK, height + BLOCK, BLOCK):
        for right in range(BLOCK, width + BLOCK, BLOCK):
            y, x = max(bottom - BLOCK - OVERLAP, 0), max(right - BLOCK - OVERLAP, 0)
            blocks.append(Tile(y, x, min(bottom, height) - y, min(right, width) - x))
    frames = tuple(Frame(number, block=block) for number, block in enumerate(blocks))
    return Prepared(frames, notes=request.image.notes, cascade=False, is_one_draft=False)


def canvas(request: Upscale, allowed: Mask | None) -> Canvas:
    return Canvas(np.zeros((*_enlarged_size(request), 3), np.float32))


def inputs(request: Upscale, frame: Frame, canvas: Canvas) -> FrameInputs:
    """The block's part of the source, which the passes enlarge."""
    pixels, factor, block = request.image.pixels, request.factor, frame.block
    assert block is not None
    rows, columns = (
        np.pad(np.arange(length), BORDER, mode="symmetric")[start // factor : (start + extent) // factor]
        for length, start, extent in zip(
            pixels.shape[:2], (block.y, block.x), (block.height, block.width), strict=True
        )
    )
    small = to_tensor(pixels[rows[:, None], columns[None, :]])
    return FrameInputs(low_res=small, refine=lambda x0, enlarged, keep: refined(x0, small.to(x0.device)))


def place(request: Upscale, frame: Frame, canvas: Canvas, drawn: Drawn, seed: int) -> Canvas:
    """Put a block into the picture, blended over what lies there already above it and to its left."""
    block = frame.block
    assert block is not None
    weight = _ramp(block.height, block.y > 0)[:, None, None] * _ramp(block.width, block.x > 0)[None, :, None]
    part = canvas.pixels[block.y : block.y + block.height, block.x : block.x + block.width]
    part += (drawn - part) * weight
    return canvas


def finish(request: Upscale, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """At the source's depth, with its profile; alpha is enlarged smoothly."""
    source, border = request.image, BORDER * request.factor
    white = int(np.iinfo(source.pixels.dtype).max)
    drawn = canvas.pixels[border:-border, border:-border]
    finite = np.isfinite(drawn)
    values = np.where(finite, drawn, 0) * np.float32(white / 255)
    pixels = np.rint(values).clip(0, white).astype(source.pixels.dtype)
    picture = replace(source, pixels=pixels, alpha=_enlarged_alpha(source, pixels))
    return Postprocessed(picture, notes=() if finite.all() else (NOT_FINITE,))


def _enlarged_size(request: Upscale) -> tuple[int, int]:
    """(height, width) of the result with its border."""
    height, width = request.image.pixels.shape[:2]
    return request.factor * (height + 2 * BORDER), request.factor * (width + 2 * BORDER)


def refined(drawn: Tensor, small: Tensor) -> Tensor:
    """``drawn`` (1, 3, H, W) as ``faithful``, with its own detail as far as ``small`` (1, 3, h, w) has some.

    Networks leave noise where a picture is smooth. Of what they drew beside a plain enlargement the share
    v / (v + CALM^2) is kept, v the variance in ``small`` (Wiener's filter): of something flat, nothing.
    """
    plain = F.interpolate(small, drawn.shape[2:], mode="bicubic", align_corners=False)
    variance = (_mean_around(small**2) - _mean_around(small) ** 2).clamp(min=0).amax(1, keepdim=True)
    share = variance / (variance + CALM**2)
    share = F.interpolate(share, drawn.shape[2:], mode="bilinear", align_corners=False)
    return faithful(plain + share * (faithful(drawn, small) - plain), small)


def _mean_around(picture: Tensor) -> Tensor:
    margin = _NEAR // 2
    return F.avg_pool2d(F.pad(picture, (margin,) * 4, mode="replicate"), _NEAR, 1)


def faithful(drawn: Tensor, small: Tensor) -> Tensor:
    """``drawn`` (1, 3, H, W), changed so that its averages are ``small`` (1, 3, h, w): colours do not drift.

    By back-projection (Irani and Peleg 1991): the error is enlarged smoothly and added, a few times.
    """
    for _ in range(_ROUNDS):
        off = small - F.interpolate(drawn, small.shape[2:], mode="area")
        drawn = drawn + F.interpolate(off, drawn.shape[2:], mode="bicubic", align_corners=False)
    return drawn.clamp(-1, 1)


def _ramp(length: int, overlaps: bool) -> NDArray[np.float32]:
    weight = np.ones(length, np.float32)
    if overlaps:
        # After the first half of the overlap, so that a block's very border, which saw least, is not shown.
        weight[:OVERLAP] = np.clip(np.linspace(-1, 1, OVERLAP), 0, 1)[:length]
    return weight


def _enlarged_alpha(source: Picture, pixels: NDArray[Any]) -> NDArray[Any] | None:
    if source.alpha is None:
        return None
    return np.asarray(cv2.resize(source.alpha, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))

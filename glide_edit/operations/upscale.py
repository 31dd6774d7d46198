"""Enlarging any picture by the cascade's upsampler, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.images import Picture, to_tensor
from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job, Upsampling
from glide_edit.operations.level import Level, Place
from glide_edit.operations.postprocess import Drawn, Postprocessed, to_pixels
from glide_edit.requests import Upscale
from masks import Mask

BLOCK = 768
"""px of the result that are drawn at a time; a multiple of all that tiles need, so that memory is bounded."""

OVERLAP = 96
"""px by which blocks reach into each other: they are led over to each other there."""

FRAME = 16
"""px that are mirrored around the picture and cut off again: networks draw grain at their border."""

_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class UpscaleWork:
    """A picture on its way to ``factor`` times its size."""

    request: Upscale
    allowed: Mask | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self.request.image.notes

    def run(self, model: Model) -> Iterator[tuple[CascadeStep, list[Postprocessed]]]:
        """The steps of all blocks of all pictures; a picture comes with the last step of its last block."""
        source, factor = _framed(self.request.image.pixels), self.request.factor
        size = (source.shape[0] * factor, source.shape[1] * factor)
        blocks = [(y, x) for y in range(0, size[0], BLOCK) for x in range(0, size[1], BLOCK)]
        for seed in self.request.seeds:
            upsampling = Upsampling.of(model, Job(self.request), seed)
            assert upsampling is not None, "check lets no model pass that has no upsampler"
            out = np.zeros((*size, 3), np.float32)
            for block in blocks:
                for step in self._block(upsampling, source, block, seed):
                    at_end = step.is_last and block == blocks[-1]
                    if step.is_last:
                        _lay(
                            out,
                            to_pixels(step.x0)[0],
                            (max(block[0] - OVERLAP, 0), max(block[1] - OVERLAP, 0)),
                        )
                    yield (
                        replace(step, stage="upscale", is_last=at_end),
                        [self._finished(out)] if at_end else [],
                    )

    def _block(
        self, upsampling: Upsampling, source: NDArray[Any], block: tuple[int, int], seed: int
    ) -> Iterator[CascadeStep]:
        """One block with OVERLAP px more above and to the left, where there is more."""
        factor = self.request.factor
        y, x = (max(start - OVERLAP, 0) for start in block)
        before = source[
            y // factor : (block[0] + BLOCK) // factor, x // factor : (block[1] + BLOCK) // factor
        ]
        small = to_tensor(before).to(upsampling.device)
        size = (factor * small.shape[2], factor * small.shape[3])
        nothing = (torch.zeros(1, 3, *size), torch.zeros(1, 1, *size))
        for step in Level.of(upsampling, small, nothing, Place(seed, y=y, x=x)).run():
            yield replace(step, x0=faithful(step.x0, small)) if step.is_last else step

    def _finished(self, drawn: Drawn) -> Postprocessed:
        """At the source's depth, with its profile; alpha is enlarged smoothly."""
        source = self.request.image
        white = int(np.iinfo(source.pixels.dtype).max)
        frame = FRAME * self.request.factor
        drawn = drawn[frame:-frame, frame:-frame]
        finite = np.isfinite(drawn)
        notes: tuple[str, ...] = ()
        if not finite.all():
            notes = ("The model's output was not finite everywhere; the picture is black there.",)
        values = np.where(finite, drawn, 0) * np.float32(white / 255)
        pixels = np.rint(values).clip(0, white).astype(source.pixels.dtype)
        return Postprocessed(
            replace(source, pixels=pixels, alpha=_enlarged_alpha(source, pixels)), notes=notes
        )


def _framed(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.pad(pixels, ((FRAME, FRAME), (FRAME, FRAME), (0, 0)), mode="symmetric")


def faithful(drawn: Tensor, small: Tensor) -> Tensor:
    """``drawn`` (1, 3, H, W), moved so that its averages are ``small`` (1, 3, h, w): colours do not drift.

    By back-projection (Irani and Peleg 1991): what is off is enlarged smoothly and added, a few times.
    """
    for _ in range(_ROUNDS):
        off = small - F.interpolate(drawn, small.shape[2:], mode="area")
        drawn = drawn + F.interpolate(off, drawn.shape[2:], mode="bicubic", align_corners=False)
    return drawn.clamp(-1, 1)


def _lay(out: Drawn, block: Drawn, corner: tuple[int, int]) -> None:
    """Put a block into the picture, led over from what lies there already above it and to its left."""
    y, x = corner
    height, width = block.shape[:2]
    weight = _rise(height, y > 0)[:, None, None] * _rise(width, x > 0)[None, :, None]
    part = out[y : y + height, x : x + width]
    part += (block - part) * weight


def _rise(length: int, led_over: bool) -> NDArray[np.float32]:
    weight = np.ones(length, np.float32)
    if led_over:
        # After the first half of the overlap, so that a block's very border, which saw least, is not shown.
        weight[:OVERLAP] = np.clip(np.linspace(-1, 1, OVERLAP), 0, 1)[:length]
    return weight


def _enlarged_alpha(source: Picture, pixels: NDArray[Any]) -> NDArray[Any] | None:
    if source.alpha is None:
        return None
    return np.asarray(cv2.resize(source.alpha, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR))

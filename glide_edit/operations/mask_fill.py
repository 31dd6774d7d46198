"""What the selection is filled with before sampling: noise, or a picture that noise is added to."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.repairing import repair_fill
from masks import harmonic, patch_fill, shrink_known, telea

Pixels = NDArray[np.float32]
InitImage = Callable[[int], Tensor]

_Made = TypeVar("_Made")

FILL_CONTEXT = 2.2
"""How much is looked at where the selection is filled from its surroundings."""

LARGEST_KEPT = 1024
"""px: larger pictures of a frame are made anew for each pass, since they take tens of megabytes."""

_TELEA_SHARE = 12
"""OpenCV's inpainting looks around as far as one part in this many of the picture's side."""


def cached_while_small(make: Callable[[int], _Made]) -> Callable[[int], _Made]:
    """``functools.cache`` for sizes up to LARGEST_KEPT."""
    kept = cache(make)
    return lambda size: kept(size) if size <= LARGEST_KEPT else make(size)


def init_image_for(mask_fill: str, image: NDArray[Any], keep: NDArray[np.bool_]) -> InitImage | None:
    """The init image for a fill, for a size S as (1, 3, S, S) in [-1, 1]; None for noise.

    ``image`` is (side, side, 3) in [-1, 1], ``keep`` bool (side, side). "original" is the picture itself,
    "surroundings" the colours around the selection spread smoothly inwards, "opencv" OpenCV's inpainting
    (Telea 2004), "patches" the result of ``masks.patch_fill``, or "surroundings" where that fails, "repair"
    that of ``repair_fill``. Only "original" reads pixels that are not kept.
    """
    if mask_fill == "noise":
        return None

    @cache
    def whole() -> Pixels | None:
        """The picture at its own size, where it has to be looked at there."""
        if mask_fill == "original":
            return np.asarray(image, np.float32)
        return repair_fill(image, keep) if mask_fill == "repair" else patch_fill(image, keep)

    @cached_while_small
    def init_image(size: int) -> Tensor:
        if mask_fill in ("original", "patches", "repair") and (picture := whole()) is not None:
            picture = np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.float32)
        else:
            known, kept = shrink_known(image, keep, (size, size))
            picture = _opencv(known, kept) if mask_fill == "opencv" else _surroundings(known, kept)
        return torch.from_numpy(np.clip(picture, -1, 1)).permute(2, 0, 1)[None]

    return init_image


def _surroundings(known: Pixels, kept: NDArray[np.bool_]) -> Pixels:
    if kept.all() or not kept.any():
        return known
    kept = np.ascontiguousarray(kept)  # OpenCV asks for it
    filled = harmonic(np.ascontiguousarray(np.moveaxis(known, 2, 0)), kept, ~kept)
    return np.where(kept[..., None], known, np.moveaxis(filled, 0, 2))


def _opencv(known: Pixels, kept: NDArray[np.bool_]) -> Pixels:
    if kept.all() or not kept.any():
        return known
    filled = telea(known, kept, max(3, len(known) // _TELEA_SHARE))
    return np.where(kept[..., None], known, filled)

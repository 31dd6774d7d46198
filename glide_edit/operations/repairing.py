"""What a hidden part of a picture most likely was, by the repair network, at any size.

What is thin is told by what lies on both sides of it. In the middle of a large hole nothing is told but
colours and rough shapes: the network's fill is smooth there, and patches of the surroundings give it their
texture.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from glide_edit.models.repair import load_repair, repair_folder
from glide_edit.models.runtime import choose_runtime
from glide_edit.networks.repair import RepairNetwork
from masks import patch_fill, shape, shrink_known
from masks.patches import FINEST

Pixels = NDArray[np.float32]
BoolArray = NDArray[np.bool_]

THICKEST = 64
"""px: what is thicker is filled in a smaller picture, where it is no thicker than this."""

TEXTURED = 48
"""px: what is thicker gets patches."""

PLAIN = 0.0102
"""The detail around a hole, of pictures in [-1, 1] (1.3 levels of 255): with less, patches would show more
borders than texture. It is that between 1 px and a ``COARSE``-th of the hole, within ``NEAR`` px, of a
picture in which the hole is no thicker than ``LOOKED_AT``."""

COARSE, NEAR, LOOKED_AT = 16, 24, 128

COMPARED, ASTRAY = 4.0, 0.35
"""px over which the colours of both fills are compared, and how far apart they are, of -1 to 1, where most is
taken of the smooth one."""

CELL, AROUND = 256, 96
"""px: the cells in which a picture is filled, one after the other, and what is looked at around each."""


@cache
def _network() -> RepairNetwork:
    """Always on the CPU: a fill takes a part of a second, and is the same wherever the model runs."""
    return load_repair(repair_folder(), choose_runtime("cpu"))


def repair_fill(picture: Pixels, kept: BoolArray, finest: int = FINEST) -> Pixels:
    """The picture with its hidden part filled; the known part does not change.

    Args:
        picture: float32 (H, W, 3) in [-1, 1]; not read outside ``kept``.
        kept: bool (H, W), True = known.
        finest: px, as for ``masks.patch_fill``.

    Returns:
        float32 (H, W, 3) in [-1, 1].
    """
    if kept.all():
        return picture
    thickness = 2 * float(shape.distance_inside(~kept).max()) if kept.any() else float(max(kept.shape))
    smooth = _smooth_fill(picture, kept, thickness)
    if thickness <= TEXTURED or _detail_around(picture, kept, thickness) < PLAIN:
        return smooth
    patches = patch_fill(picture, kept, finest, smooth)
    return smooth if patches is None else _mixed(smooth, patches, kept)


def _detail_around(picture: Pixels, kept: BoolArray, thickness: float) -> float:
    """The median difference of two blurred pictures, so that neither grain nor a few edges count."""
    if thickness > LOOKED_AT:
        height, width = (max(1, round(side * LOOKED_AT / thickness)) for side in kept.shape)
        picture, kept = shrink_known(picture, kept, (height, width))
    blurred = []
    for deviation in (1.0, min(thickness, LOOKED_AT) / COARSE):
        known = cv2.GaussianBlur(kept.astype(np.float32), (0, 0), deviation)
        total = cv2.GaussianBlur(np.where(kept[..., None], picture, np.float32(0)), (0, 0), deviation)
        blurred.append(total / np.maximum(known, np.float32(1e-3))[..., None])
    near = kept & (shape.distance_inside(kept) <= NEAR)
    return float(np.median(np.abs(blurred[0] - blurred[1]).mean(2)[near])) if near.any() else 0.0


def _mixed(smooth: Pixels, patches: Pixels, kept: BoolArray) -> Pixels:
    """The patches, and the smooth fill where their colours are far from its: there they have gone astray."""
    hidden = (~kept).astype(np.float32)
    total = np.maximum(cv2.GaussianBlur(hidden, (0, 0), COMPARED), np.float32(1e-3))
    apart = cv2.GaussianBlur((smooth - patches) * hidden[..., None], (0, 0), COMPARED) / total[..., None]
    share = np.exp(-np.square(apart).mean(2, keepdims=True) / np.float32(ASTRAY**2))
    return np.asarray(smooth + share * (patches - smooth), np.float32)


def _smooth_fill(picture: Pixels, kept: BoolArray, thickness: float) -> Pixels:
    """By the network alone."""
    if thickness <= THICKEST:
        return _in_cells(picture, kept)
    height, width = (max(1, round(side * THICKEST / thickness)) for side in kept.shape)
    small = _in_cells(*shrink_known(picture, kept, (height, width)))
    large = cv2.resize(small, kept.shape[::-1], interpolation=cv2.INTER_CUBIC)
    return np.where(kept[..., None], picture, np.clip(large, -1, 1))


def _in_cells(picture: Pixels, kept: BoolArray) -> Pixels:
    """At its own size. What was filled in a cell is known to those after it."""
    filled, known = np.where(kept[..., None], picture, np.float32(0)), kept.copy()
    for core, wide in _cells(kept):
        result = _predicted(filled[wide], known[wide])
        inside = np.s_[core[0].start - wide[0].start :, core[1].start - wide[1].start :]
        height, width = known[core].shape
        filled[core] = result[inside][:height, :width]
        known[core] = True
    return filled


def _cells(kept: BoolArray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """The cells that hold hidden pixels, each shrunk to these, with what is looked at around it."""
    for top in range(0, kept.shape[0], CELL):
        for left in range(0, kept.shape[1], CELL):
            hidden = (~kept[top : top + CELL, left : left + CELL]).astype(np.uint8)
            x, y, width, height = cv2.boundingRect(hidden)
            if not width:
                continue
            core = slice(top + y, top + y + height), slice(left + x, left + x + width)
            wide = tuple(slice(max(0, side.start - AROUND), side.stop + AROUND) for side in core)
            yield core, (wide[0], wide[1])


def _predicted(picture: Pixels, kept: BoolArray) -> Pixels:
    network = _network()
    weight = network.stem.weight
    image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]
    keep = torch.from_numpy(kept).float()[None, None]
    # What a side lacks for a multiple of the stride is hidden.
    below, beside = (-side % network.config.stride for side in kept.shape)
    image, keep = (F.pad(each, (0, beside, 0, below)).to(weight.device) for each in (image, keep))
    # What it makes of the picture upside down differs a little, and the mean of both is nearer to the truth.
    both = [torch.cat([each, each.rot90(2, (2, 3))]) for each in (image, keep)]
    with torch.inference_mode():
        upright, turned = network(*both).split(1)
    filled = ((upright + turned.rot90(2, (2, 3))) / 2)[0, :, : kept.shape[0], : kept.shape[1]]
    return np.asarray(filled.clamp(-1, 1).permute(1, 2, 0).cpu().numpy(), np.float32)

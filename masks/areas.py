"""The areas of an edit, and pictures and masks at another size, such as a network's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import shape
from masks.mask import (
    BoolArray,
    FloatArray,
    Mask,
    MaskError,
    Size,
    as_size,
    require_bool_array,
    require_usable,
)
from masks.membrane import RING_WIDTH


@dataclass(frozen=True)
class Areas:
    """The areas of one edit, all of the picture's size.

    Attributes:
        selection: as the user gave it.
        allowed: the only pixels that may change.
        repaint: what the network draws: ``allowed`` and a ring around it.
    """

    selection: Mask
    allowed: Mask
    repaint: Mask


def derive_areas(selection: Mask, grow: float = 0, protect: Mask | None = None) -> Areas:
    """The areas that follow from a selection.

    ``repaint`` is ``allowed`` grown by RING_WIDTH (2 px), also into protected pixels: on that ring the
    membrane compares what the network drew with the original, so no known pixels may be pasted there. At a
    network's size the ring is always drawn, since ``shrink_keep`` drops every cell it touches. It is never
    put back.

    Args:
        selection: what the user wants changed.
        grow: px by which it is grown.
        protect: what must not change, whatever the selection.

    Raises:
        MaskError: an empty selection, a ``protect`` of another size or one that leaves nothing; a bad
            ``grow``.
    """
    allowed = allowed_area(selection, grow, protect)
    return Areas(selection, allowed, shape.grow(allowed, RING_WIDTH))


def allowed_area(selection: Mask, grow: float = 0, protect: Mask | None = None) -> Mask:
    """``derive_areas(...).allowed`` alone. Arguments and errors are the same."""
    require_usable(selection)
    allowed = shape.grow(selection, grow)
    if protect is not None:
        allowed = allowed - protect
        if allowed.is_empty:
            raise MaskError(
                "the protected area covers the whole selection: select more or protect less",
                code="protect_covers_mask",
                field="protect",
            )
    return allowed


def shrink_keep(keep: BoolArray, size: Size) -> BoolArray:
    """A keep-mask at another size: a cell is kept only if *every* source pixel under it is.

    Any overlap counts, however small, so thin strokes survive. Larger sizes follow the same rule.

    Args:
        keep: bool (H, W), True = known.
        size: (h, w), smaller or larger than (H, W).

    Returns:
        bool (h, w).

    Raises:
        MaskError: ``keep`` is not bool (H, W), or a bad size.
    """
    height, width = require_bool_array(keep, "keep").shape
    rows, columns = as_size(size)
    top, bottom = _spans(height, rows)
    left, right = _spans(width, columns)
    # Sums in place, since this is the largest array of an edit.
    lost = np.zeros((height + 1, width + 1), np.int32 if keep.size < 2**31 else np.int64)
    inner = lost[1:, 1:]
    np.cumsum(~keep, axis=0, out=inner)
    np.cumsum(inner, axis=1, out=inner)
    bands = lost[bottom] - lost[top]
    return np.asarray(bands[:, right] == bands[:, left])


def shrink_known(image: NDArray[Any], keep: BoolArray, size: Size) -> tuple[FloatArray, BoolArray]:
    """A picture's known part at another size; unknown colours do not leak into it.

    Down: the average by area over kept pixels. Up: bilinear between kept pixels, normalised by their weights.

    Args:
        image: (H, W, C), uint8, uint16 or float in any range; not read outside ``keep``, where it may be NaN.
        keep: bool (H, W), True = known.
        size: (h, w), smaller or larger than (H, W).

    Returns:
        The picture, float32 (h, w, C) in the source's range, 0 where not kept; ``shrink_keep(keep, size)``.

    Raises:
        MaskError: shapes that do not belong together, or a bad size.
    """
    keep_small = shrink_keep(keep, size)
    if image.ndim != 3 or image.shape[:2] != keep.shape or image.shape[2] == 0:
        raise MaskError(
            f"an image of shape {image.shape} and a keep-mask of shape {keep.shape}: give (H, W, C), (H, W)"
        )
    known = np.where(keep[:, :, None], image, 0).astype(np.float32)
    colours = _resize(known, as_size(size))
    weights = _resize(keep.astype(np.float32)[:, :, None], as_size(size))
    # No weight is close to 0: every pixel under a kept cell is known, and the one nearest to its centre has a
    # quarter of the weight or more.
    out = np.zeros_like(colours)
    np.divide(colours, weights, out=out, where=keep_small[:, :, None])
    return out, keep_small


def scale_to(mask: Mask, size: Size) -> Mask:
    """The mask, stretched to ``size`` (height, width): a pixel is selected where half of what it covers was.

    If nothing would be left in a smaller picture, every pixel that covers any of the selection is selected.
    Raises MaskError for a bad size.
    """
    if mask.size == as_size(size):
        return mask
    covered = _resize(mask.selected.astype(np.float32)[:, :, None], as_size(size), axes=(1, 0))[:, :, 0]
    half = Mask(covered >= 0.5)
    return Mask(covered > 0) if half.is_empty and not mask.is_empty else half


def _spans(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each of ``target`` cells, the first source pixel under it and the one after the last."""
    # In whole numbers: with floats, rounding could drop a sliver of overlap.
    edges = np.arange(target + 1, dtype=np.int64) * source
    return edges[:-1] // target, -(-edges[1:] // target)


def _resize(image: FloatArray, size: Size, axes: tuple[int, int] = (0, 1)) -> FloatArray:
    """Area averages along an axis that gets shorter, bilinear along one that gets longer."""
    # One axis at a time: OpenCV averages by area only where neither axis gets longer.
    for axis in axes:
        target = (size[0], image.shape[1]) if axis == 0 else (image.shape[0], size[1])
        how = cv2.INTER_AREA if target[axis] < image.shape[axis] else cv2.INTER_LINEAR
        resized = cv2.resize(image, target[::-1], interpolation=how)
        image = np.asarray(resized, np.float32).reshape(*target, image.shape[2])
    return image

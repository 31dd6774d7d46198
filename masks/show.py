"""Pictures of masks: over their picture, as the network will see them, and maps of changes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import shape
from masks.areas import derive_areas, shrink_known
from masks.crop import AUTOMATIC_CONTEXT, solve_crop
from masks.mask import BoolArray, Mask, MaskError, require_usable
from masks.select import rgb8
from masks.verify import changed_outside

RED = (230, 40, 40)
BLUE = (70, 120, 220)
HATCH = ((60, 60, 60), (150, 150, 150))
"""Dark and light stripes over hidden pixels."""
HATCH_WIDTH = 4
"""px of one stripe in the enlarged picture."""
SMALLEST_VIEW = 512
"""px: what the network sees is enlarged by a whole factor to at least this side."""


def preview(image: NDArray[Any], mask: Mask) -> NDArray[np.uint8]:
    """The picture with the selection tinted red, its edge white inside and black outside: uint8 (H, W, 3).

    ``image`` is (H, W) or (H, W, 1, 3 or 4), uint8 or uint16; the mask may be empty. Raises MaskError for
    anything that is not a picture, or of another size than the mask.
    """
    pixels = rgb8(image)
    if pixels.shape[:2] != mask.size:
        raise MaskError(
            f"a picture of shape {image.shape} and a mask of {mask.size}: give both the same size"
        )
    out = pixels.copy()
    red = np.array(RED, np.uint8)
    out[mask.selected] = out[mask.selected] // 2 + red // 2
    width = max(1, round(max(mask.size) / 600))
    out[shape.outline(mask, 0, width).selected] = 0
    out[shape.outline(mask, width).selected] = 255
    return out


def seen_by_network(
    image: NDArray[Any],
    mask: Mask,
    context: float = AUTOMATIC_CONTEXT,
    size: int = 64,
    *,
    grow: float = 0,
    protect: Mask | None = None,
) -> NDArray[np.uint8]:
    """What a network sees of an edit: the crop at its size, known pixels averaged, hidden ones hatched.

    Args:
        image: (H, W) or (H, W, 1, 3 or 4), uint8 or uint16.
        mask: the selection, of the picture's size.
        context: as for ``solve_crop``.
        size: of the network's pictures, px.
        grow, protect: as for ``derive_areas``.

    Returns:
        uint8 (S, S, 3), S being ``size`` times a whole number and at least SMALLEST_VIEW.

    Raises:
        MaskError: what ``diagnose`` calls an error, or a value out of range.
    """
    pixels = rgb8(image)
    require_usable(mask, (pixels.shape[0], pixels.shape[1]))
    repaint = derive_areas(mask, grow, protect).repaint
    crop = solve_crop(repaint, context)
    known, keep = shrink_known(
        crop.extract(pixels).astype(np.float32), ~crop.extract_mask(repaint.selected), (size, size)
    )
    factor = -(-SMALLEST_VIEW // size)
    out = np.rint(known).astype(np.uint8).repeat(factor, axis=0).repeat(factor, axis=1)
    hidden = ~keep.repeat(factor, axis=0).repeat(factor, axis=1)
    rows, columns = np.indices(hidden.shape)
    stripes = np.array(HATCH, np.uint8)[(rows + columns) // HATCH_WIDTH % 2]
    out[hidden] = stripes[hidden]
    return out


def change_map(before: NDArray[Any], after: NDArray[Any], allowed: BoolArray) -> NDArray[np.uint8]:
    """Where a picture changed outside ``allowed``: uint8 (H, W, 3).

    The picture before, pale and grey; blue where it may change; red where it changed outside, with a ring
    that makes single pixels visible. Arguments and errors as for ``compare_outside``, with 1, 3 or 4
    channels.
    """
    changed = Mask(changed_outside(before, after, allowed))
    grey = cv2.cvtColor(rgb8(before), cv2.COLOR_RGB2GRAY)
    out = np.repeat((128 + np.asarray(grey, np.uint8) // 2)[:, :, None], 3, axis=2)
    out[allowed] = out[allowed] // 2 + np.array(BLUE, np.uint8) // 2
    width = max(2, round(max(changed.size) / 400))
    ring = shape.outline(shape.grow(changed, 2 * width), width)
    out[ring.selected] = out[ring.selected] // 2 + np.array(RED, np.uint8) // 2
    out[changed.selected] = RED
    return out

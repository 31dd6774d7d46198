"""What a bench shows of its outcomes: the best, the median and the worst."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.report import Tile, contact_sheet

THUMBNAIL = 128
"""px; a bench keeps pictures at this size only, or hundreds of items would fill the memory."""

_SHOWN = 8


def thumbnails(*pictures: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Square pictures, uint8 (S, S, 3), shrunk to THUMBNAIL where they are larger."""
    sides = [(min(THUMBNAIL, len(each)),) * 2 for each in pictures]
    shrunk = (
        cv2.resize(each, side, None, 0, 0, cv2.INTER_AREA) for each, side in zip(pictures, sides, strict=True)
    )
    return tuple(np.asarray(each, np.uint8) for each in shrunk)


def ranked_sheet(tiles: Sequence[Tile], across: int) -> NDArray[np.uint8]:
    """A contact sheet of up to eight tiles each from the beginning, the middle and the end of ``tiles``,
    which are given the best first; no tile is shown twice. Raises InputError without tiles."""
    shown = min(_SHOWN, len(tiles) // 3)
    if not shown:
        return contact_sheet(tiles, across=across, size=THUMBNAIL)
    middle = (len(tiles) - shown) // 2
    starts = {"best": 0, "median": middle, "worst": len(tiles) - shown}
    chosen = [
        Tile(tile.pictures, f"{name}: {tile.text}")
        for name, start in starts.items()
        for tile in tiles[start : start + shown]
    ]
    return contact_sheet(chosen, across=across, size=THUMBNAIL)

"""Crops of large pictures at a smaller size, made in bands: their full size is never in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks import shape
from masks.crop import Crop, mirrored
from masks.mask import BoolArray, FloatArray

_ROWS = 16  # of the result at a time


def reduce_keep(crop: Crop, unknown: BoolArray, size: int, ring: int = 0) -> BoolArray:
    """The known part of a crop at a smaller size: a cell is kept if every pixel under it is.

    Args:
        crop: of a picture of the size of ``unknown``, and of a side of ``size`` or more.
        unknown: bool (H, W).
        size: px.
        ring: px around what is unknown that are not kept either.

    Returns:
        bool (size, size).
    """
    return np.concatenate([_kept(band.unknown(unknown, ring), band) for band in _bands(crop, size)])


def reduce_known(
    crop: Crop, picture: NDArray[Any], unknown: BoolArray, size: int, ring: int = 0
) -> tuple[FloatArray, BoolArray]:
    """``masks.shrink_known`` for a crop of a large picture: averages over kept pixels, and ``reduce_keep``.

    Args:
        picture: (H, W, C), uint8 or uint16.
        crop, unknown, size, ring: as for ``reduce_keep``.

    Returns:
        float32 (size, size, C) in the picture's range, 0 where not kept; bool (size, size).
    """
    pictures, keeps = [], []
    for band in _bands(crop, size):
        known = ~band.unknown(unknown, ring)
        keep = _kept(~known, band)
        colours = _averaged(band.of(picture) * known[..., None], band)
        weights = _averaged(known.astype(np.float32)[..., None], band)
        pictures.append(np.divide(colours, weights, out=np.zeros_like(colours), where=keep[..., None]))
        keeps.append(keep)
    return np.concatenate(pictures), np.concatenate(keeps)


@dataclass(frozen=True, eq=False)
class _Band:
    """``shares`` (n, N): what share of each of the crop's N rows from ``first`` on is in each row of the
    result."""

    crop: Crop
    size: int
    first: int
    shares: FloatArray

    def of(self, picture: NDArray[Any], halo: int = 0) -> NDArray[Any]:
        """These rows of the crop of a picture, and ``halo`` more above and below."""
        crop, count = self.crop, self.shares.shape[1]
        start = crop.y0 + self.first
        rows = mirrored(np.arange(start - halo, start + count + halo), crop.height)
        columns = mirrored(np.arange(crop.x0, crop.x0 + crop.side), crop.width)
        return picture[rows[:, None], columns[None, :]]

    def unknown(self, unknown: BoolArray, ring: int) -> BoolArray:
        wide = self.of(unknown, ring)
        if not ring:
            return wide
        grown = cv2.dilate(wide.astype(np.uint8), shape.disc(ring)) > 0
        return np.asarray(grown[ring:-ring])


def _bands(crop: Crop, size: int) -> Iterator[_Band]:
    scale = crop.side / size
    for top in range(0, size, _ROWS):
        begins = np.arange(top, min(top + _ROWS, size)) * scale
        ends = begins + scale
        first, last = int(begins[0]), min(int(np.ceil(ends[-1] - 1e-6)), crop.side)
        rows = np.arange(first, last)
        shares = np.minimum(ends[:, None], rows + 1) - np.maximum(begins[:, None], rows)
        yield _Band(crop, size, first, (shares.clip(0) / scale).astype(np.float32))


def _averaged(values: NDArray[Any], band: _Band) -> FloatArray:
    """(N, side, C) -> (n, size, C)."""
    wide = np.asarray(values, np.float32)
    narrow = cv2.resize(wide, (band.size, len(wide)), interpolation=cv2.INTER_AREA)
    return np.asarray((band.shares @ narrow.reshape(len(wide), -1)), np.float32).reshape(
        len(band.shares), band.size, -1
    )


def _kept(unknown: BoolArray, band: _Band) -> BoolArray:
    """bool (n, size): no unknown pixel under the cell."""
    edges = np.arange(band.size + 1, dtype=np.int64) * unknown.shape[1]
    left, right = edges[:-1] // band.size, -(-edges[1:] // band.size)
    lost = np.zeros((len(unknown), unknown.shape[1] + 1), np.int32)
    np.cumsum(unknown, axis=1, out=lost[:, 1:])
    cells = lost[:, right] > lost[:, left]
    return np.asarray((band.shares > 0).astype(np.float32) @ cells.astype(np.float32) == 0)

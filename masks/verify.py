"""The proof in a receipt that nothing outside the allowed area changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, MaskError, require_bool_array

_ROWS = 256  # taken at once where whole rows are outside


@dataclass(frozen=True)
class Preservation:
    """What happened to the pixels outside ``allowed``.

    Attributes:
        outside: their number.
        changed: how many of them differ in any channel.
        largest_change: the largest difference of one channel, in the picture's own units.
        before_sha256, after_sha256: hashes of these pixels with the picture's shape and dtype.
    """

    outside: int
    changed: int
    largest_change: int
    before_sha256: str
    after_sha256: str

    @property
    def holds(self) -> bool:
        """Whether nothing outside changed."""
        return self.changed == 0

    def __str__(self) -> str:
        return f"{self.changed:,} of {self.outside:,} pixels outside changed"


def compare_outside(before: NDArray[Any], after: NDArray[Any], allowed: BoolArray) -> Preservation:
    """Compare two pictures outside ``allowed``.

    Args:
        before, after: (H, W) or (H, W, C) of one shape and one unsigned integer dtype (uint8, uint16).
        allowed: bool (H, W).

    Raises:
        MaskError: shapes or dtypes that differ or are others.
    """
    _check(before, after, allowed)
    old_hash = new_hash = _new_hash(before)
    changed = largest = 0
    for old, new in _outside(before, after, allowed):
        if not len(old):
            continue
        if new_hash is old_hash and not np.array_equal(old, new):
            new_hash = old_hash.copy()
        if new_hash is not old_hash:
            # Unsigned, so the larger minus the smaller.
            change = np.where(old > new, old - new, new - old).reshape(len(old), -1)
            changed += int(np.count_nonzero(change.any(axis=1)))
            largest = max(largest, int(change.max(initial=0)))
            new_hash.update(_bytes(new))
        old_hash.update(_bytes(old))
    count = allowed.size - int(np.count_nonzero(allowed))
    return Preservation(count, changed, largest, old_hash.hexdigest(), new_hash.hexdigest())


def changed_outside(before: NDArray[Any], after: NDArray[Any], allowed: BoolArray) -> BoolArray:
    """Where pixels outside ``allowed`` differ: bool (H, W). Arguments and errors as ``compare_outside``."""
    _check(before, after, allowed)
    differs = before != after
    return (differs if differs.ndim == 2 else differs.any(axis=2)) & ~allowed


def _check(before: NDArray[Any], after: NDArray[Any], allowed: BoolArray) -> None:
    if before.shape != after.shape or before.dtype != after.dtype:
        raise MaskError(
            f"{before.dtype} {before.shape} and {after.dtype} {after.shape} cannot be compared: they differ"
        )
    if before.dtype.kind != "u" or before.ndim not in (2, 3):
        raise MaskError(
            f"pictures are (H, W) or (H, W, C) of unsigned integers, not {before.dtype} {before.shape}"
        )
    if require_bool_array(allowed, "allowed").shape != before.shape[:2]:
        raise MaskError(f"allowed has shape {allowed.shape}, the pictures {before.shape}")


def _outside(
    before: NDArray[Any], after: NDArray[Any], allowed: BoolArray
) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The pixels outside in both pictures, row by row, in pieces (N, ...).

    Most rows of a large picture are outside as a whole: these are taken many at once and not copied. Of the
    others only the part from the first to the last allowed column is copied.
    """
    touched = np.flatnonzero(allowed.any(axis=1)).tolist()
    columns = np.flatnonzero(allowed.any(axis=0))
    first, end = (int(columns[0]), int(columns[-1]) + 1) if columns.size else (0, 0)
    done = 0
    for row in [*touched, len(before)]:
        for start in range(done, row, _ROWS):
            rows = slice(start, min(row, start + _ROWS))
            flat = (-1, *before.shape[2:])
            yield before[rows].reshape(flat), after[rows].reshape(flat)
        if row < len(before):
            outside = ~allowed[row, first:end]
            yield before[row, :first], after[row, :first]
            yield before[row, first:end][outside], after[row, first:end][outside]
            yield before[row, end:], after[row, end:]
        done = row + 1


def _new_hash(picture: NDArray[Any]) -> Any:
    """A hash that begins with the picture's dtype and shape."""
    return hashlib.sha256(f"pixels {picture.dtype.name} {'x'.join(map(str, picture.shape))} ".encode())


def _bytes(pixels: NDArray[Any]) -> memoryview:
    # Always little-endian, so that hashes can be compared between machines.
    return np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<")).data

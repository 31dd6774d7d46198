"""The numbers of a receipt: proof that nothing outside the allowed area changed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from masks.mask import MaskError, bool_plane


@dataclass(frozen=True)
class Preservation:
    """What became of the pixels outside ``allowed``.

    Attributes:
        outside: how many there are.
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


def compare_outside(before: NDArray[Any], after: NDArray[Any], allowed: NDArray[np.bool_]) -> Preservation:
    """Compare two pictures outside ``allowed``.

    Args:
        before, after: (H, W) or (H, W, C) of one shape and one unsigned integer dtype (uint8, uint16).
        allowed: bool (H, W).

    Raises:
        MaskError: shapes or dtypes that differ or are others.
    """
    _check(before, after, allowed)
    outside = ~allowed
    old, new = before[outside], after[outside]
    old_sha256 = _sha256(old, before)
    if np.array_equal(old, new):
        return Preservation(len(old), 0, 0, old_sha256, old_sha256)
    # Unsigned, so the larger minus the smaller.
    change = np.where(old > new, old - new, new - old).reshape(len(old), -1)
    changed = int(np.count_nonzero(change.any(axis=1)))
    return Preservation(len(old), changed, int(change.max()), old_sha256, _sha256(new, after))


def changed_outside(
    before: NDArray[Any], after: NDArray[Any], allowed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where pixels outside ``allowed`` differ in any channel: bool (H, W).

    Takes and raises what ``compare_outside`` does.
    """
    _check(before, after, allowed)
    differs = before != after
    return (differs if differs.ndim == 2 else differs.any(axis=2)) & ~allowed


def _check(before: NDArray[Any], after: NDArray[Any], allowed: NDArray[np.bool_]) -> None:
    if before.shape != after.shape or before.dtype != after.dtype:
        raise MaskError(
            f"{before.dtype} {before.shape} and {after.dtype} {after.shape} cannot be compared: they differ"
        )
    if before.dtype.kind != "u" or before.ndim not in (2, 3):
        raise MaskError(
            f"pictures are (H, W) or (H, W, C) of unsigned integers, not {before.dtype} {before.shape}"
        )
    if bool_plane(allowed, "allowed").shape != before.shape[:2]:
        raise MaskError(f"allowed has shape {allowed.shape}, the pictures {before.shape}")


def _sha256(pixels: NDArray[Any], picture: NDArray[Any]) -> str:
    head = f"pixels {picture.dtype.name} {'x'.join(map(str, picture.shape))} ".encode()
    # Little-endian whatever the machine, so that hashes can be compared between machines.
    return hashlib.sha256(head + pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()).hexdigest()

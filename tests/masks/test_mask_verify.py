"""The receipt's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import masks, picture, quick, seeds
from numpy.typing import NDArray

from masks import Mask, MaskError, changed_outside, compare_outside


@quick
@given(masks(may_be_empty=True), seeds, st.sampled_from([np.uint8, np.uint16]), st.integers(0, 4))
def test_every_change_outside_is_counted(mask: Mask, seed: int, dtype: Any, channels: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = (
        picture(mask.size, seed, max(channels, 1), dtype),
        picture(mask.size, seed + 1, max(channels, 1), dtype),
    )
    after = np.where(rng.random(mask.size)[:, :, None] < 0.9, before, after)
    if channels == 0:
        before, after = before[:, :, 0], after[:, :, 0]
    found = compare_outside(before, after, mask.selected)
    change = np.abs(before.astype(np.int64) - after).reshape(*mask.size, -1).max(axis=2)[~mask.selected]
    assert found.outside == mask.height * mask.width - mask.count
    assert found.changed == np.count_nonzero(change)
    assert found.largest_change == change.max(initial=0)
    assert found.holds is (found.changed == 0)
    assert found.holds is (found.before_sha256 == found.after_sha256)


@quick
@given(masks(may_be_empty=True), seeds, st.sampled_from([0, 1, 3, 4]))
def test_where_it_changed_outside(mask: Mask, seed: int, channels: int) -> None:
    rng = np.random.default_rng(seed)
    before = picture(mask.size, seed, max(channels, 1))
    after = np.where(rng.random(mask.size)[:, :, None] < 0.8, before, picture(mask.size, seed + 1, 1))
    if channels == 0:
        before, after = before[:, :, 0], after[:, :, 0]
    changed = changed_outside(before, after, mask.selected)
    assert not changed[mask.selected].any()
    assert np.count_nonzero(changed) == compare_outside(before, after, mask.selected).changed
    assert np.array_equal(after[~mask.selected & ~changed], before[~mask.selected & ~changed])


@quick
@given(masks(), seeds)
def test_changes_inside_do_not_count(mask: Mask, seed: int) -> None:
    before = picture(mask.size, seed)
    after = before.copy()
    after[mask.selected] = ~after[mask.selected]
    found = compare_outside(before, after, mask.selected)
    assert (found.changed, found.largest_change) == (0, 0)
    assert found.before_sha256 == found.after_sha256


def test_a_change_is_measured_without_wrapping_round() -> None:
    before, after = np.zeros((2, 2, 3), np.uint16), np.zeros((2, 2, 3), np.uint16)
    before[0, 0, 1], after[1, 1] = 300, 65535
    found = compare_outside(before, after, np.zeros((2, 2), bool))
    assert (found.outside, found.changed, found.largest_change) == (4, 2, 65535)
    assert str(found) == "2 of 4 pixels outside changed"
    wide = np.zeros((1000, 2000), np.uint8)
    assert (
        str(compare_outside(wide, wide, np.zeros(wide.shape, bool)))
        == "0 of 2,000,000 pixels outside changed"
    )


def test_the_hash_knows_shape_and_depth_and_is_the_same_everywhere() -> None:
    nothing = np.zeros((2, 2), bool)
    planes: list[NDArray[Any]] = [
        np.zeros((2, 2, 3), np.uint8),
        np.zeros((2, 2, 6), np.uint8),
        np.zeros((2, 2, 3), np.uint16),
    ]
    hashes = [compare_outside(a, a, nothing).before_sha256 for a in planes]
    assert len(set(hashes)) == 3
    swapped = planes[2].astype(">u2") + np.uint16(7)
    native = swapped.astype(np.uint16)
    assert (
        compare_outside(swapped, swapped, nothing).before_sha256
        == compare_outside(native, native, nothing).before_sha256
    )
    assert hashes[0] == "344394cc5715852d3ea5c9057cda4004e00a234bb78575f83c4234f07c710404"


@pytest.mark.parametrize(
    ("after", "allowed", "message"),
    [
        (np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3), bool), "differ"),
        (np.zeros((2, 3, 3), np.uint16), np.zeros((2, 3), bool), "differ"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((3, 2), bool), "allowed has shape"),
        (np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3), np.uint8), "bool array"),
    ],
)
def test_what_cannot_be_compared(after: Any, allowed: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        compare_outside(np.zeros((2, 3, 3), np.uint8), after, allowed)


def test_floats_are_not_pictures() -> None:
    a = np.zeros((2, 3, 3), np.float32)
    with pytest.raises(MaskError, match="unsigned integers"):
        compare_outside(a, a, np.zeros((2, 3), bool))

"""The Mask itself: reading, polarity, run lengths, identity, and what can be wrong with one."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import masks, quick, seeds, sizes, small_sizes

from masks import Mask, MaskError, require_usable
from masks.mask import faults


def test_polarity_has_no_default() -> None:
    with pytest.raises(TypeError):
        Mask.from_array(np.ones((2, 2), bool))  # type: ignore[call-arg]
    with pytest.raises(MaskError, match='means="keep"'):
        Mask.from_array(np.ones((2, 2), bool), means="white")  # type: ignore[arg-type]


@quick
@given(small_sizes, seeds)
def test_keep_is_the_opposite_of_change(size: tuple[int, int], seed: int) -> None:
    a = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    a[0, 0] = 255
    change, keep = Mask.from_array(a, means="change"), Mask.from_array(a, means="keep")
    assert np.array_equal(change.selected, a >= 128)
    assert np.array_equal(keep.selected, a < 128)


@pytest.mark.parametrize(
    ("below", "on"),
    [
        (np.uint8(127), np.uint8(128)),
        (np.uint16(32895), np.uint16(32896)),
        (np.float32(127 / 255), np.float32(128 / 255)),
        (np.float64(127.99 / 255), np.float64(128 / 255)),
        (np.bool_(False), np.bool_(True)),
    ],
)
@pytest.mark.parametrize("channels", [0, 1, 3])
def test_on_begins_at_128_of_255(below: Any, on: Any, channels: int) -> None:
    grey = np.array([[below, on, below]])
    a = grey if channels == 0 else np.repeat(grey[:, :, None], channels, axis=2)
    assert a.dtype == on.dtype
    assert Mask.from_array(a, means="change").selected.tolist() == [[False, True, False]]


def test_colours_are_read_by_their_luma() -> None:
    # 0.587 * 255 = 149.7 is on, 0.299 * 255 = 76.2 and 0.114 * 255 = 29.1 are not.
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]], np.uint8)
    assert Mask.from_array(colours, means="change").selected.tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("grey_channels", [1, 3])
def test_a_painted_layer_is_read_by_its_alpha(grey_channels: int) -> None:
    a = np.zeros((1, 4, grey_channels + 1), np.uint8)
    a[0, :, :-1] = [[0], [255], [0], [255]]
    a[0, :, -1] = [0, 127, 128, 255]
    assert Mask.from_array(a, means="change").selected.tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("grey_channels", [1, 3])
def test_an_opaque_picture_with_alpha_is_read_by_its_brightness(grey_channels: int) -> None:
    a = np.full((1, 2, grey_channels + 1), 255, np.uint8)
    a[0, 0, :-1] = 0
    assert Mask.from_array(a, means="change").selected.tolist() == [[False, True]]


def test_a_layer_with_nothing_painted_is_off_even_if_it_is_white() -> None:
    a = np.full((2, 2, 4), 255, np.uint8)
    a[:, :, 3] = 0
    assert Mask.from_array(a, means="change").is_empty


@pytest.mark.parametrize(
    ("a", "message"),
    [
        (np.array([[0, 1]], np.uint8), r"a > 0"),
        (np.array([[0, 255]], np.uint16), r"a > 0"),
        (np.array([[[0, 0, 1]]], np.uint8), r"a > 0"),
        (np.array([[0.0, 255.0]]), "divide"),
        (np.array([[0.0, -0.1]]), "from 0 to 1"),
        (np.array([[0.0, np.nan]]), "from 0 to 1"),
        (np.array([[0, 1]]), "int64"),
        (np.zeros((2, 2, 5), np.uint8), r"\(2, 2, 5\)"),
        (np.zeros((2, 2, 0), np.uint8), r"\(2, 2, 0\)"),
        (np.zeros((0, 3), bool), r"\(0, 3\)"),
        (np.zeros(4, bool), r"\(4,\)"),
        ([[True]], "not list"),
    ],
)
def test_what_cannot_be_read_is_said(a: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        Mask.from_array(a, means="change")


def test_a_mask_is_a_read_only_copy() -> None:
    a = np.zeros((2, 3), bool)
    mask = Mask(a)
    a[0, 0] = True
    assert mask.is_empty
    with pytest.raises(ValueError, match="read-only"):
        mask.selected[0, 0] = True
    with pytest.raises(FrozenInstanceError):
        mask.selected = a  # type: ignore[misc]


@pytest.mark.parametrize(
    "a", [np.zeros((2, 2), np.uint8), np.zeros((2, 2, 1), bool), np.zeros((0, 2), bool), None]
)
def test_the_constructor_takes_bool_arrays_only(a: Any) -> None:
    with pytest.raises(MaskError, match="bool array of shape"):
        Mask(a)


@quick
@given(masks())
def test_numbers_and_box(mask: Mask) -> None:
    ys, xs = np.nonzero(mask.selected)
    assert (mask.height, mask.width) == mask.size == mask.selected.shape
    assert mask.count == len(ys)
    assert mask.share == pytest.approx(len(ys) / (mask.height * mask.width))
    assert mask.bounding_box() == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


def test_empty_and_full() -> None:
    assert Mask.empty((3, 5)).count == 0
    assert Mask.full((3, 5)).count == 15
    assert Mask.full((3, 5)).size == (3, 5)
    with pytest.raises(MaskError, match="bounding box"):
        Mask.empty((3, 5)).bounding_box()


@pytest.mark.parametrize("size", [(0, 4), (4,), (4, -1), (4.0, 4), (True, 4), "44", None])
def test_bad_sizes(size: Any) -> None:
    with pytest.raises(MaskError, match="height, width"):
        Mask.full(size)


@quick
@given(masks(may_be_empty=True))
def test_array_and_run_lengths_come_back(mask: Mask) -> None:
    assert Mask.from_array(mask.to_array(), means="change") == mask
    assert Mask.from_rle(json.loads(json.dumps(mask.to_rle()))) == mask


def test_run_lengths_go_along_rows_from_a_run_of_zeros() -> None:
    mask = Mask(np.array([[0, 0, 1], [1, 1, 0]], bool))
    assert mask.to_rle() == {"size": [2, 3], "counts": [2, 3, 1], "order": "row"}
    assert (~mask).to_rle() == {"size": [2, 3], "counts": [0, 2, 3, 1], "order": "row"}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "run-length mask is"),
        (None, "run-length mask is"),
        ({"size": [2, 2], "counts": [4]}, "run-length mask is"),
        ({"size": [2, 2], "counts": [4], "order": "column"}, "column"),
        ({"size": [2, 2], "counts": [3], "order": "row"}, "3 pixels"),
        ({"size": [2, 2], "counts": [5, -1], "order": "row"}, "from 0 up"),
        ({"size": [2, 2], "counts": [4.0], "order": "row"}, "whole numbers"),
        ({"size": [2, 2], "counts": "4", "order": "row"}, "whole numbers"),
        ({"size": [2, 0], "counts": [0], "order": "row"}, "height, width"),
        ({"size": [10**9, 10**9], "counts": [10**18], "order": "row"}, "at most"),
        ({"size": [46340, 46340], "counts": [46340**2], "order": "row"}, "at most 100,000,000"),
    ],
)
def test_broken_run_lengths(record: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        Mask.from_rle(record)


@quick
@given(masks(small_sizes, may_be_empty=True), masks(small_sizes, may_be_empty=True))
def test_equality_and_hash_follow_the_pixels(a: Mask, b: Mask) -> None:
    same = a.size == b.size and bool((a.selected == b.selected).all())
    assert (a == b) is same
    assert (a.sha256 == b.sha256) is same
    again = Mask(a.selected.copy())
    assert a == again
    assert len({a, again}) == 1
    assert a != ~a


def test_the_hash_knows_the_size_and_is_the_same_everywhere() -> None:
    assert Mask.full((1, 4)).sha256 != Mask.full((2, 2)).sha256
    assert Mask.full((2, 2)) != "mask"
    assert Mask.full((2, 2)).sha256 == "6e7e8efbdf88790394b7a82fbf102870971140815fc3c215a917c976a69172bb"


@quick
@given(masks(small_sizes, may_be_empty=True), seeds)
def test_operators(a: Mask, seed: int) -> None:
    b = Mask(np.random.default_rng(seed).random(a.size) < 0.5)
    assert np.array_equal((a | b).selected, a.selected | b.selected)
    assert np.array_equal((a & b).selected, a.selected & b.selected)
    assert np.array_equal((a - b).selected, a.selected & ~b.selected)
    assert np.array_equal((~a).selected, ~a.selected)


def test_masks_of_different_sizes_do_not_combine() -> None:
    with pytest.raises(MaskError, match="3 wide and 2 high, 2 wide and 3 high"):
        Mask.full((2, 3)) | Mask.full((3, 2))
    with pytest.raises(MaskError, match="another Mask, not bool of shape"):
        Mask.full((2, 3)) & np.ones((2, 3), bool)


@quick
@given(masks(), sizes)
def test_a_usable_mask_has_the_pictures_size(mask: Mask, size: tuple[int, int]) -> None:
    assert faults(mask) == faults(mask, mask.size) == []
    require_usable(mask, mask.size)
    assert (faults(mask, size) == []) is (size == mask.size)


def test_faults_say_what_is_wrong_and_what_to_do() -> None:
    size, empty = faults(Mask.empty((20, 30)), (200, 100))
    assert (size.code, empty.code) == ("size", "empty")
    assert {size.severity, empty.severity} == {"error"}
    assert "30 wide and 20 high" in size.text
    assert "100 wide and 200 high" in size.text
    assert "full size" in size.text
    assert 'means="keep"' in empty.text
    (turned,) = faults(Mask.full((20, 30)), (30, 20))
    assert turned.code == "turned"
    assert "turn the mask" in turned.text
    assert "EXIF" not in turned.text
    assert "EXIF orientation 6" in faults(Mask.full((20, 30)), (30, 20), 6)[0].text
    with pytest.raises(MaskError, match=r"30 wide and 20 high.*; the mask selects nothing"):
        require_usable(Mask.empty((20, 30)), (200, 100))


@given(st.data())
def test_repr_is_short(data: st.DataObject) -> None:
    mask = data.draw(masks())
    assert repr(mask) == f"<Mask {mask.width} wide, {mask.height} high, {mask.count} selected>"

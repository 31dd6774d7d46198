"""The context crop: where it lies, what it shows beyond the picture, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, masks, picture, quick, seeds

from masks import AUTOMATIC_CONTEXT, Mask, MaskError, draw, solve_crop

contexts = st.floats(1, 4)
minimums = st.integers(1, 300)


@quick
@given(masks(), contexts, minimums)
def test_the_crop_holds_the_selection_and_is_no_longer_than_the_picture(
    mask: Mask, context: float, minimum: int
) -> None:
    crop = solve_crop(mask, context, minimum)
    x0, y0, x1, y1 = mask.bounding_box()
    cx0, cy0, cx1, cy1 = crop.box
    assert cx0 <= x0 <= x1 <= cx1
    assert cy0 <= y0 <= y1 <= cy1
    assert (crop.height, crop.width) == mask.size
    assert crop.side <= max(mask.size)
    longer = max(x1 - x0, y1 - y0)
    assert crop.side <= max(np.ceil(longer * context), minimum)
    # Along an axis the square lies in the picture, or the picture in the square.
    assert cx1 - cx0 == min(crop.side, mask.width)
    assert cy1 - cy0 == min(crop.side, mask.height)


@few
@given(st.integers(20, 60), st.integers(20, 60), st.floats(1, 4))
def test_in_a_roomy_picture_the_selection_is_centred_and_fills_its_share(
    width: int, height: int, context: float
) -> None:
    mask = draw.box((300, 320, 300 + width, 320 + height), (700, 700))
    crop = solve_crop(mask, context, minimum=1)
    assert crop.side == np.ceil(max(width, height) * context)
    assert abs(2 * crop.x0 + crop.side - (600 + width)) <= 1
    assert abs(2 * crop.y0 + crop.side - (640 + height)) <= 1


def test_by_default_the_selection_fills_the_share_that_was_measured_to_be_best() -> None:
    assert solve_crop(draw.box((100, 100, 200, 140), (500, 500))).side == 100 * AUTOMATIC_CONTEXT
    assert solve_crop(draw.box((100, 100, 104, 104), (500, 500))).side == 64


def test_the_crop_is_shifted_into_the_picture() -> None:
    assert solve_crop(draw.box((0, 450, 100, 500), (500, 500)), 2).box == (0, 300, 200, 500)


@pytest.mark.parametrize(
    ("corners", "size", "side"),
    [
        ((0, 0, 600, 600), (600, 600), 600),
        ((0, 0, 20, 20), (20, 20), 20),
        ((0, 0, 1, 1), (1, 1), 1),
        # Twice the selection would be 600; what lies beyond 500 would be mirrored.
        ((500, 100, 800, 400), (500, 2000), 500),
        # All of the height: some context to the left and right is worth the mirroring.
        ((500, 0, 950, 500), (500, 2000), 667),
        ((0, 0, 700, 1), (1, 700), 700),
        ((300, 0, 301, 1), (1, 700), 64),
    ],
)
def test_where_the_picture_is_short(corners: Any, size: Any, side: int) -> None:
    assert solve_crop(draw.box(corners, size), 2).side == side


@quick
@given(masks(), contexts, minimums, seeds, st.sampled_from([np.uint8, np.uint16]))
def test_what_is_taken_out_goes_back_in_place(
    mask: Mask, context: float, minimum: int, seed: int, dtype: Any
) -> None:
    crop = solve_crop(mask, context, minimum)
    base = picture(mask.size, seed, 3, dtype)
    before = base.copy()
    patch = crop.extract(base)
    assert patch.shape == (crop.side, crop.side, 3)
    assert patch.dtype == base.dtype
    assert np.array_equal(crop.paste(np.zeros_like(base), patch)[mask.selected], base[mask.selected])
    assert np.array_equal(crop.paste(base, patch), base)
    inverted = crop.paste(base, ~patch)
    x0, y0, x1, y1 = crop.box
    written = np.zeros(mask.size, bool)
    written[y0:y1, x0:x1] = True
    assert np.array_equal(inverted[written], ~base[written])
    assert np.array_equal(inverted[~written], base[~written])
    assert np.array_equal(base, before)
    patch[:] = 0
    assert np.array_equal(base, before)


@quick
@given(masks(), contexts, minimums, seeds)
def test_padding_mirrors_the_picture(mask: Mask, context: float, minimum: int, seed: int) -> None:
    crop = solve_crop(mask, context, minimum)
    base = picture(mask.size, seed, 1)
    pads = [
        (max(-start, 0), max(start + crop.side - length, 0))
        for start, length in ((crop.y0, crop.height), (crop.x0, crop.width))
    ]
    padded = np.pad(base, [*pads, (0, 0)], mode="reflect")
    y, x = max(crop.y0, 0), max(crop.x0, 0)
    assert np.array_equal(crop.extract(base), padded[y : y + crop.side, x : x + crop.side])


@quick
@given(masks(), contexts, minimums)
def test_the_mask_is_mirrored_with_the_picture(mask: Mask, context: float, minimum: int) -> None:
    crop = solve_crop(mask, context, minimum)
    image = np.where(mask.selected, 255, 0).astype(np.uint8)
    shown = crop.extract_mask(mask.selected)
    assert shown.dtype == np.bool_
    assert shown.any()
    assert np.array_equal(shown, crop.extract(image) == 255)
    assert np.array_equal(crop.extract_mask(~mask.selected), ~shown)


def test_what_has_no_crop() -> None:
    with pytest.raises(MaskError, match="selects nothing"):
        solve_crop(Mask.empty((5, 5)))
    for context, minimum in ((0.9, 64), (float("nan"), 64), (float("inf"), 64), (2, 0)):
        with pytest.raises(MaskError, match="at least 1"):
            solve_crop(Mask.full((5, 5)), context, minimum)


def test_what_does_not_fit_a_crop() -> None:
    crop = solve_crop(Mask.full((4, 6)))
    with pytest.raises(MaskError, match="4 x 6"):
        crop.extract(np.zeros((6, 4, 3)))
    with pytest.raises(MaskError, match="bool array"):
        crop.extract_mask(np.zeros((4, 6), np.uint8))
    base = np.zeros((4, 6, 3), np.uint8)
    for patch in (np.zeros((6, 6), np.uint8), np.zeros((6, 6, 3), np.float32), np.zeros((5, 6, 3), np.uint8)):
        with pytest.raises(MaskError, match="does not fit"):
            crop.paste(base, patch)
    with pytest.raises(MaskError, match="does not fit"):
        crop.paste(base[:3], np.zeros((6, 6, 3), np.uint8))

"""Pictures of masks: what they show is what is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, masks, picture, seeds, small_sizes

from masks import (
    Mask,
    MaskError,
    change_map,
    derive_areas,
    draw,
    preview,
    seen_by_network,
    shape,
    shrink_keep,
    solve_crop,
)
from masks.show import HATCH, RED


def is_hatch(image: Any) -> Any:
    return (image == HATCH[0]).all(axis=-1) | (image == HATCH[1]).all(axis=-1)


def test_what_the_network_sees_is_hatched_where_it_must_draw() -> None:
    image = np.full((200, 300, 3), (200, 30, 90), np.uint8)
    mask = draw.ellipse((100, 60, 160, 120), (200, 300))
    image[mask.selected] = (0, 255, 0)
    seen = seen_by_network(image, mask)
    assert seen.shape == (512, 512, 3)
    repaint = derive_areas(mask).repaint
    keep = shrink_keep(~solve_crop(repaint).extract_mask(repaint.selected), (64, 64))
    cells = seen.reshape(64, 8, 64, 8, 3).transpose(0, 2, 1, 3, 4)
    assert is_hatch(cells[~keep]).all()
    assert (cells[keep] == (200, 30, 90)).all()  # and no green has leaked in


@few
@given(masks(small_sizes), seeds, st.sampled_from([np.uint8, np.uint16]), st.sampled_from([1, 3, 4]))
def test_any_mask_and_picture_can_be_shown(mask: Mask, seed: int, dtype: Any, channels: int) -> None:
    image = picture(mask.size, seed, channels, dtype)
    before = image.copy()
    assert seen_by_network(image, mask, 2.0, 16).shape == (512, 512, 3)
    shown = preview(image, mask)
    assert shown.dtype == np.uint8
    far = shape.grow(mask, 1)
    plain = np.broadcast_to(image[:, :, :3], (*mask.size, 3))
    eight = plain if dtype is np.uint8 else (plain.astype(np.uint32) + 128) // 257
    assert np.array_equal(shown[~far.selected], eight[~far.selected])
    assert np.array_equal(image, before)


def test_the_selection_is_red_with_a_white_edge_in_a_preview() -> None:
    mask = draw.box((5, 5, 15, 15), (20, 30))
    shown = preview(np.zeros((20, 30, 3), np.uint8), mask)
    assert (shown[10, 10] == np.array(RED) // 2).all()
    assert (shown[5, 5:15] == 255).all()


def test_the_map_shows_a_single_changed_pixel_in_red() -> None:
    before = np.full((300, 400, 3), 90, np.uint8)
    after = before.copy()
    after[40, 50] = 91
    after[100:200, 100:200] = 0
    allowed = draw.box((100, 100, 200, 200), (300, 400)).selected
    shown = change_map(before, after, allowed)
    assert np.argwhere((shown == RED).all(axis=2)).tolist() == [[40, 50]]
    tinted = (shown != shown[0, -1]).any(axis=2) & ~allowed
    assert 20 < tinted.sum() < 200
    assert np.abs(np.argwhere(tinted) - (40, 50)).max() <= 8
    assert not (change_map(before, before, allowed) == RED).all(axis=2).any()


def test_pictures_that_do_not_belong_to_the_mask() -> None:
    image, mask = np.zeros((5, 6, 3), np.uint8), Mask.full((6, 5))
    with pytest.raises(MaskError, match="same size"):
        preview(image, mask)
    with pytest.raises(MaskError, match="turn the mask"):
        seen_by_network(image, mask)
    with pytest.raises(MaskError, match="selects nothing"):
        seen_by_network(image, Mask.empty((5, 6)))

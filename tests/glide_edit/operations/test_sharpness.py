"""Sharpness tells an enlarged picture from a sharp one, and grain can be taken away."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage import data

from glide_edit.errors import InputError
from glide_edit.operations.sharpness import sharpness, without_grain
from masks import draw

PHOTO = data.astronaut()
SELECTED = draw.ellipse((150, 150, 350, 350), PHOTO.shape[:2]).selected


def blurred(radius: float) -> np.ndarray:
    out = PHOTO.copy()
    out[SELECTED] = cv2.GaussianBlur(PHOTO, (0, 0), radius)[SELECTED]
    return out


def test_the_blurrier_the_less() -> None:
    values = [sharpness(blurred(radius), SELECTED) for radius in (4, 2, 1, 0.5)]
    assert values == sorted(values)
    assert values[0] < 0.2 * sharpness(PHOTO, SELECTED)


def test_what_is_alike_inside_and_outside_is_1() -> None:
    grain = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    selected = draw.box((100, 100, 200, 200), (300, 300)).selected
    assert sharpness(grain, selected) == pytest.approx(1, abs=0.05)
    assert sharpness(np.full_like(grain, 90), selected) == 1


def test_a_seam_is_not_detail() -> None:
    flat = np.full((300, 300, 3), 90, np.uint8)
    selected = draw.box((100, 100, 200, 200), (300, 300)).selected
    flat[selected] = 200
    assert sharpness(flat, selected) == 1


def test_selections_that_leave_nothing_to_compare_are_refused() -> None:
    for selected in (np.ones((300, 300), bool), np.zeros((300, 300), bool)):
        with pytest.raises(InputError, match="nothing inside or around"):
            sharpness(np.zeros((300, 300, 3), np.uint8), selected)
    with pytest.raises(InputError, match="does not fit"):
        sharpness(PHOTO, SELECTED[:10])


def test_grain_that_the_surroundings_lack_goes_and_edges_stay() -> None:
    rng = np.random.default_rng(1)
    smooth = np.full((200, 200, 3), 100, np.float32)
    hidden = draw.box((50, 50, 150, 150), (200, 200)).selected
    drawn = smooth.copy()
    drawn[hidden] += rng.normal(0, 3, (int(hidden.sum()), 3)).astype(np.float32)
    drawn[50:150, 100:150] += 80
    around = smooth + cv2.GaussianBlur(rng.normal(0, 3, smooth.shape).astype(np.float32), (0, 0), 1)
    drawn[~hidden] = around[~hidden]
    cleaned = without_grain(drawn, np.where(hidden[..., None], smooth, around), hidden)
    part = np.s_[60:140, 60:90]
    assert cleaned[part].std() < 0.5 * drawn[part].std()
    assert cleaned[60:140, 110:140].mean() - cleaned[part].mean() > 65
    assert np.allclose(cleaned[~hidden], around[~hidden], atol=1e-4), "only what was drawn is cleaned"


def test_what_is_no_sharper_than_its_surroundings_stays() -> None:
    drawn = blurred(2).astype(np.float32)
    assert without_grain(drawn, drawn * 0, SELECTED) is drawn
    assert without_grain(drawn, drawn * 0, np.ones_like(SELECTED)) is drawn

"""Sharpness inside over outside: one where nothing was done, the contrast where contrast was changed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation.seam import sharpness_ratio


@pytest.fixture(scope="module")
def grain() -> np.ndarray:
    return np.random.default_rng(0).normal(128, 20, (160, 160, 3)).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def disc() -> np.ndarray:
    selected = np.zeros((160, 160), np.uint8)
    cv2.circle(selected, (80, 80), 36, 1, -1)
    return selected > 0


def test_grain_everywhere_is_as_sharp_inside(grain: np.ndarray, disc: np.ndarray) -> None:
    assert sharpness_ratio(grain, disc) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("contrast", [0.25, 0.5])
def test_it_is_the_ratio_of_contrasts(grain: np.ndarray, disc: np.ndarray, contrast: float) -> None:
    weaker = (128 + (grain.astype(float) - 128) * contrast).round().astype(np.uint8)
    faded = np.where(disc[..., None], weaker, grain)
    assert sharpness_ratio(faded, disc) == pytest.approx(contrast, abs=0.04)


def test_flat_inside_is_next_to_none(grain: np.ndarray, disc: np.ndarray) -> None:
    assert sharpness_ratio(np.where(disc[..., None], np.uint8(128), grain), disc) < 0.03


def test_an_outline_alone_does_not_make_it_sharp(grain: np.ndarray, disc: np.ndarray) -> None:
    outlined = np.where(disc[..., None], np.uint8(128), grain)
    cv2.circle(outlined, (80, 80), 20, (255, 255, 255), 1)
    assert sharpness_ratio(outlined, disc) < 0.25


@pytest.mark.parametrize("selected", [np.zeros((8, 8), bool), np.ones((8, 8), bool), np.ones((4, 8), bool)])
def test_selections_that_say_nothing_are_refused(selected: np.ndarray) -> None:
    with pytest.raises(InputError):
        sharpness_ratio(np.zeros((8, 8, 3), np.uint8), selected)

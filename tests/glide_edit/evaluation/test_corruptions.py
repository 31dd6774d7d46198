"""Corruptions change what they say, and only that."""

from __future__ import annotations

import numpy as np
import pytest

from glide_edit.evaluation import corruptions
from glide_edit.evaluation.corruptions import CORRUPTIONS
from glide_edit.evaluation.renders import LabelledRenders


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("size", [96, 128, 131])
def test_every_tested_corruption_keeps_shape_and_picture(name: str, size: int) -> None:
    ramp = np.linspace(20, 230, size).astype(np.uint8)
    picture = np.stack(
        [np.tile(ramp, (size, 1)), np.tile(ramp[:, None], (1, size)), np.full((size, size), 90)], -1
    )
    picture = picture.astype(np.uint8)
    before = picture.copy()
    after = CORRUPTIONS[name](picture, rng())
    assert (after.shape, after.dtype) == (picture.shape, np.uint8)
    assert (picture == before).all()
    assert (CORRUPTIONS[name](picture, rng()) == after).all()
    difference = np.abs(after.astype(float) - picture).mean()
    assert difference == 0 if name == "clean" else 0.02 < difference < 25


def test_noise_has_the_strength_it_says() -> None:
    grey = np.full((128, 128, 3), 128, np.uint8)
    assert corruptions.noised(grey, 10.0, 1, rng()).std() == pytest.approx(10, rel=0.03)


def test_softening_keeps_no_detail_finer_than_its_pixels(truth: LabelledRenders) -> None:
    import cv2

    soft = corruptions.softened(truth.pictures[0], 32)
    again = corruptions.softened(soft, 64)
    assert (
        np.abs(soft.astype(int) - again).mean() < 0.35 * np.abs(soft.astype(int) - truth.pictures[0]).mean()
    )
    flat = np.full((64, 64, 3), 200, np.uint8)
    assert (corruptions.softened(flat, 16) == flat).all()
    assert soft.shape == cv2.resize(truth.pictures[0], (128, 128)).shape


def test_exposure_multiplies() -> None:
    grey = np.full((16, 16, 3), 100, np.uint8)
    tinted = corruptions.exposed(grey, 1.1, 1.0, np.array([1.0, 0.5, 3.0]))
    assert tinted[0, 0].tolist() == [110, 55, 255]


def test_training_shows_some_pictures_as_they_are_and_most_not(truth: LabelledRenders) -> None:
    generator = rng()
    same = sum(
        bool((corruptions.augmented(truth.pictures[0], generator) == truth.pictures[0]).all())
        for _ in range(200)
    )
    assert 10 < same < 60

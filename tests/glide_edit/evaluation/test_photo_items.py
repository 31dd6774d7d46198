"""Questions of the photograph bench: held-out photographs, masks of their size, the truth inside alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glide_edit.errors import TrainingError
from glide_edit.evaluation.edit_items import PIXELS, SHAPES, SIZES
from glide_edit.evaluation.photo_items import WORDINGS, PhotoItem, photo_item, photo_items
from glide_edit.training.photos import read_photos
from tests.glide_edit.evaluation.photographs import write_photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photographs(tmp_path_factory.mktemp("items") / "photos")


@pytest.fixture(scope="module")
def items(folder: Path) -> list[PhotoItem]:
    return list(photo_items(folder, 27))


def test_every_mixture_comes_once_and_masks_are_of_their_size(items: list[PhotoItem]) -> None:
    mixtures = {(item.size, item.shape, item.wording) for item in items}
    assert mixtures == {(size, shape, words) for size in SIZES for shape in SHAPES for words in WORDINGS}
    for item in items:
        low, high = SIZES[item.size]
        assert low <= item.mask.selected.mean() < high


def test_the_truth_differs_in_the_mask_alone_and_shows_a_toy_there(items: list[PhotoItem]) -> None:
    for item in items:
        assert item.truth.shape == item.picture.pixels.shape == (PIXELS, PIXELS, 3)
        changed = (item.truth != item.picture.pixels).any(axis=2)
        assert not (changed & ~item.mask.selected).any()
        assert changed[item.mask.selected].mean() > 0.2
        edge = np.zeros((PIXELS, PIXELS), bool)
        edge[[0, -1]] = edge[:, [0, -1]] = True
        difference = np.abs(item.truth.astype(int) - item.picture.pixels).max(axis=2)
        assert difference[edge].mean() < difference[item.mask.selected].mean() / 4, "the toy is whole"


def test_prompts_are_what_people_type(items: list[PhotoItem]) -> None:
    for item in items:
        toy = item.toy
        assert f"{toy.colour} {toy.kind}" in item.prompt
        assert item.prompt.split()[0] in ("a", "an") or item.wording == "bare"
        assert not item.prompt.startswith(("a orange", "an red"))
        assert (item.wanted.material == toy.material) == (item.wording == "material")
    assert any(item.prompt == f"{item.toy.colour} {item.toy.kind}" for item in items)


def test_only_held_out_photographs_are_used(items: list[PhotoItem], folder: Path) -> None:
    held_out = read_photos(folder, held_out=True)
    assert [photo.text for photo in held_out] == ["spots 1", "spots 2"]
    reds = {round(float(np.median(item.picture.pixels[..., 0])) / 50) for item in items}
    assert reds == {2, 3}, "the first photograph, 70 red, is trained on"


def test_an_item_is_the_same_whatever_the_count_and_another_for_another_seed(folder: Path) -> None:
    photos = read_photos(folder, held_out=True)
    first, again, other = (photo_item(4, photos, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.truth, again.truth)
    np.testing.assert_array_equal(first.mask.selected, again.mask.selected)
    assert (first.truth != other.truth).any()


def test_toys_are_as_sharp_as_renders_of_their_size(items: list[PhotoItem]) -> None:
    """They are rendered as large as they are shown, not enlarged."""
    steps = []
    for item in items:
        grey = cv2.cvtColor(item.truth, cv2.COLOR_RGB2GRAY).astype(float)
        steps.append(np.abs(np.diff(grey, axis=1)).max())
    assert np.median(steps) > 35


def test_a_folder_that_holds_nothing_out_is_refused(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photos", ("train", "train"))
    with pytest.raises(TrainingError, match="no photographs that are held out"):
        photo_items(folder, 3)

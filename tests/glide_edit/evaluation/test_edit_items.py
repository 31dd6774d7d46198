"""The edit bench's items are what they say: sizes, shapes, prompts, and a truth that differs in one toy."""

from __future__ import annotations

import numpy as np
import pytest

from glide_edit.evaluation.edit_items import (
    PIXELS,
    SCENES,
    SHAPES,
    SIZES,
    WORDINGS,
    EditItem,
    ahead,
    edit_item,
    edit_items,
    mask_around,
    without,
    worded,
)
from glide_edit.toybox import render, sample_scene
from glide_edit.training.sources import FIRST_TRAINING_SEED


@pytest.fixture(scope="module")
def items() -> list[EditItem]:
    return [edit_item(k) for k in (*range(9), 9, 18)]


def test_nine_items_hold_every_size_and_shape_and_each_further_nine_another_wording(
    items: list[EditItem],
) -> None:
    assert {(item.size, item.shape) for item in items[:9]} == {(a, b) for a in SIZES for b in SHAPES}
    assert (
        [item.wording for item in items] == [*["simple"] * 9, "rich", "full"] == [*["simple"] * 8, *WORDINGS]
    )
    assert (items[9].size, items[9].shape) == (items[0].size, items[0].shape)


def test_masks_have_the_size_they_say(items: list[EditItem]) -> None:
    for item in items:
        low, high = SIZES[item.size]
        assert 0.9 * low < item.mask.share < 1.1 * high  # the class is decided on a smaller render
        assert item.mask.size == (PIXELS, PIXELS) == item.truth.shape[:2]


def test_the_toy_is_missing_from_the_picture_and_is_all_that_the_mask_is_about(items: list[EditItem]) -> None:
    for item in items:
        difference = np.abs(item.truth.astype(int) - item.picture.pixels).max(-1)
        seen = render(item.scene, PIXELS).visible == item.toy
        assert difference[seen].mean() > 10
        assert (seen & ~item.mask.selected).sum() == 0
        # What is left outside is a reflection, or a shadow on another toy.
        assert (difference[~item.mask.selected] > 40).mean() < 0.02


def test_scenes_are_none_of_training(items: list[EditItem]) -> None:
    assert max(SCENES) <= FIRST_TRAINING_SEED
    assert all(SCENES[0] <= item.scene.seed < SCENES[1] for item in items)


def test_prompts_name_the_toy(items: list[EditItem]) -> None:
    for item in items:
        toy = item.scene.toys[item.toy]
        assert f"{toy.colour} {toy.kind}" in item.prompt
        assert item.wanted.material == (toy.material if item.wording == "rich" else item.wanted.material)
        if item.wording == "simple":
            assert item.wanted.material is None
        if item.wording == "full":
            assert all(other.kind in item.prompt for other in item.scene.toys)


def test_an_item_is_the_same_whatever_is_asked_beside_it(items: list[EditItem]) -> None:
    again = edit_item(5)
    assert again.prompt == items[5].prompt
    assert again.picture.sha256 == items[5].picture.sha256
    assert again.mask == items[5].mask
    assert edit_item(5, seed=1).picture.sha256 != again.picture.sha256


def test_wordings_grow() -> None:
    scene = sample_scene(3)
    toy = scene.toys[0]
    assert worded(scene, 0, "simple").split()[1:] == [toy.colour, toy.kind]
    rich = worded(scene, 0, "rich")
    assert rich.split()[1:4] == [toy.material, toy.colour, toy.kind]
    assert scene.ground in rich


def test_a_scene_may_lose_its_only_toy() -> None:
    scene = next(each for each in map(sample_scene, range(100)) if len(each.toys) == 1)
    rendering = render(without(scene, 0), 64)
    assert (rendering.visible == -1).all()
    assert not rendering.shadow.any()


def test_shapes_hold_each_other() -> None:
    rendering = render(sample_scene(3), 128)
    tight, loose, box = (mask_around(rendering, 0, shape) for shape in ("tight", "loose", "box"))
    own = rendering.whole[0] | rendering.shadow[0]
    assert not (own & ~tight).any()
    assert not (tight & ~loose).any()
    assert not (tight & ~box).any()
    rows, columns = np.flatnonzero(tight.any(1)), np.flatnonzero(tight.any(0))
    assert box.sum() == len(rows) * len(columns)


def test_items_come_in_order() -> None:
    assert [item.index for item in edit_items(2)] == [0, 1]


def test_made_ahead_but_in_order_and_closed_early() -> None:
    assert list(ahead(lambda k: k * k, 20)) == [k * k for k in range(20)]
    made: list[int] = []
    some = ahead(lambda k: made.append(k) or k, 10_000)  # type: ignore[func-returns-value]
    assert [next(some), next(some)] == [0, 1]
    some.close()
    assert len(made) < 1_000

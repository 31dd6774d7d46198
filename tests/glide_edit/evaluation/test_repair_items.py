"""Questions of the repair bench: covers within their masks, as wide as is said; halves share no picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.morphology import skeletonize

from glide_edit.errors import InputError
from glide_edit.evaluation.repair_covers import COVERS, HOLE, SPOTS
from glide_edit.evaluation.repair_items import (
    BUNDLED,
    HALVES,
    Photograph,
    RepairItem,
    names_hash,
    photographs_of,
    repair_item,
)
from tests.glide_edit.evaluation.photographs import write_photographs
from tests.glide_edit.evaluation.repairs import FEW, soft_photograph


@pytest.fixture(scope="module")
def items() -> list[RepairItem]:
    return [repair_item(index, FEW) for index in range(40)]


def test_the_mask_holds_all_that_the_cover_changed_and_the_cover_hides(items: list[RepairItem]) -> None:
    for item in items:
        assert item.picture.shape == item.truth.shape
        changed = (item.picture != item.truth).any(-1)
        assert not (changed & ~item.selected).any()
        assert 0.005 < item.selected.mean() < 0.5
        difference = np.abs(item.picture[item.selected].astype(int) - item.truth[item.selected])
        assert difference.mean() > 60, "hardly to be seen"


@pytest.mark.parametrize("kind", COVERS)
def test_an_edge_is_softened_by_half_a_pixel_within_the_mask(kind: str) -> None:
    coverage = COVERS[kind]((200, 300), np.random.default_rng(0))
    assert (coverage.min(), coverage.max()) == (0, 1)
    selected = (coverage > 0).astype(np.uint8)
    edge = selected - cv2.erode(selected, np.ones((3, 3), np.uint8))
    assert 0.3 < (selected - coverage).sum() / edge.sum() < 0.6


def test_an_item_follows_from_its_seed_and_index(items: list[RepairItem]) -> None:
    for index in (0, 3, 17):
        again, other = repair_item(index, FEW), repair_item(index, FEW, seed=1)
        for name in ("truth", "selected", "picture"):
            assert np.array_equal(getattr(again, name), getattr(items[index], name))
        assert again.name == items[index].name
        assert not np.array_equal(other.selected, again.selected)


def test_ten_in_a_row_hold_every_kind_for_each_half(items: list[RepairItem]) -> None:
    for start in (0, 10, 20):
        some = items[start : start + 10]
        assert {(each.kind, each.half) for each in some} == {
            (kind, half) for kind in COVERS for half in HALVES
        }
    assert all(each.half == HALVES[each.index % 2] for each in items)


def test_halves_share_no_photograph_and_a_photograph_keeps_its_half(items: list[RepairItem]) -> None:
    names = {half: {each.name for each in items if each.half == half} for half in HALVES}
    assert not names["tuning"] & names["reporting"]
    assert names["tuning"] | names["reporting"] == {each.name for each in FEW}
    assert {name: half for half in HALVES for name in names[half]} == {each.name: each.half for each in FEW}


def test_photographs_take_turns_and_meet_other_kinds(items: list[RepairItem]) -> None:
    own = [each for each in items if each.half == "tuning"]
    several = sum(each.half == "tuning" for each in FEW)
    rounds = [own[k : k + several] for k in range(0, len(own) - several + 1, several)]
    assert all(len({each.name for each in some}) == several for some in rounds)
    kinds = [{each.kind for each in own if each.name == name} for name in {each.name for each in own}]
    assert min(map(len, kinds)) > 1


@pytest.mark.parametrize(("kind", "width"), [("scratches", 4), ("wire", 9)])
def test_strokes_are_as_wide_as_they_are_said_to_be(kind: str, width: float) -> None:
    for seed in range(5):
        coverage = COVERS[kind]((256, 341), np.random.default_rng(seed))
        drawn = coverage >= 0.5
        to_edge = cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 5)
        assert 2 * np.median(to_edge[skeletonize(drawn)]) == pytest.approx(width, abs=0.7)


def test_a_wire_goes_from_edge_to_edge() -> None:
    for seed in range(8):
        drawn = COVERS["wire"]((200, 300), np.random.default_rng(seed)) > 0
        assert (drawn[:, 0].any() and drawn[:, -1].any()) or (drawn[0].any() and drawn[-1].any())


def test_blobs_and_holes_have_their_extent() -> None:
    low, high = SPOTS
    for seed in range(8):
        rng = np.random.default_rng(seed)
        spots = COVERS["blobs"]((256, 341), rng) > 0
        assert spots.any(0).sum() >= low - 1
        assert spots.sum() < 6 * high**2
        for size, extent in (((256, 341), HOLE), ((150, 400), 90)):
            hole = COVERS["hole"](size, rng) > 0
            assert max(hole.any(0).sum(), hole.any(1).sum()) == pytest.approx(extent, abs=2)


def test_the_bundled_photographs_serve_both_halves() -> None:
    found = photographs_of(None)
    assert tuple(each.name for each in found) == BUNDLED
    halves = [each.half for each in found]
    assert halves.count("tuning") == halves.count("reporting") == 5
    for each in found:
        pixels = each.read()
        assert (pixels.ndim, pixels.shape[2], pixels.dtype) == (3, 3, np.uint8)
        assert min(pixels.shape[:2]) >= 300


def test_of_a_folder_the_held_out_photographs_are_used(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photos", ("train", "test", "validation", "test", "test"))
    found = photographs_of(folder)
    assert [each.name for each in found] == ["1.png", "2.png", "3.png", "4.png"]
    assert found[0].read().shape == (300, 256, 3)
    assert names_hash(found) == names_hash(found[::-1]) != names_hash(found[:3])


def test_photographs_for_one_half_alone_are_refused(tmp_path: Path) -> None:
    folder = write_photographs(tmp_path / "photos", ("train", "test"))
    with pytest.raises(InputError, match="of these 1 none is for"):
        photographs_of(folder)


def test_a_photograph_that_is_too_small_is_refused() -> None:
    tiny = [Photograph(each.name, lambda: soft_photograph(0, (127, 200))) for each in FEW]
    with pytest.raises(InputError, match="is 200 x 127 pixels: the bench needs 128"):
        repair_item(0, tiny)

"""The toybox cache: built in spans, gone on with after a stop, and the same as rendering on the fly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import TrainingError
from glide_edit.toybox import caption, describe_toy, render, sample_scene
from glide_edit.toybox.sampling import has_held_out
from glide_edit.training import cache as cache_module
from glide_edit.training.cache import CachedToybox, build_cache
from glide_edit.training.sources import (
    ALIKE_SHARE,
    FIRST_TRAINING_SEED,
    PHRASING_CANDIDATES,
    RenderedToybox,
    toy_item,
    training_scene,
)

COUNT, SIZE = 5, 32


class Stopped(BaseException):
    pass


def stop(done: int, count: int) -> None:
    raise Stopped


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    """A cache that was stopped after its first span and then built to the end, with what was told of it."""
    folder = tmp_path_factory.mktemp("cache") / "toys"
    told: list[tuple[int, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache_module, "_SPAN", 2)
        with pytest.raises(Stopped):
            build_cache(folder, COUNT, SIZE, progress=stop)
        with pytest.raises(TrainingError, match="no finished toybox cache"):
            CachedToybox(folder)
        with pytest.raises(TrainingError, match=r"holds 5 pictures of 32 px from seed 0, .* seed 1"):
            build_cache(folder, COUNT, SIZE, seed=1)
        build_cache(folder, COUNT, SIZE, progress=lambda done, count: told.append((done, count)))
    return folder, told


def test_it_went_on_where_it_was_stopped(built: tuple[Path, list[tuple[int, int]]]) -> None:
    assert built[1] == [(4, 5), (5, 5)]


def test_items_are_what_rendering_on_the_fly_gives(built: tuple[Path, list[tuple[int, int]]]) -> None:
    cache = build_cache(built[0], COUNT, SIZE, progress=stop)
    assert len(cache) == COUNT
    rng = np.random.default_rng(0)
    drawn = {item.scene: item for item in (cache.draw(rng) for _ in range(200))}
    for index in range(COUNT):
        scene = training_scene(index)
        item = drawn[scene]
        expected = render(scene, SIZE)
        np.testing.assert_array_equal(item.image, expected.image)
        np.testing.assert_array_equal(item.drawing, expected.drawing)
        np.testing.assert_array_equal(item.foreground, expected.visible >= 0)
        assert len(item.objects) == len(scene.toys)
        for k, mask in enumerate(item.objects):
            np.testing.assert_array_equal(mask, expected.whole[k] | expected.shadow[k])
            assert item.describe(k, 3) == describe_toy(scene, k, 3)
        phrasings = [caption(scene, k) for k in range(28, 28 + PHRASING_CANDIDATES)]
        assert item.caption(7) in phrasings
        if len(scene.toys) == 1:
            assert item.caption(7) == phrasings[0]


def test_what_stands_in_front_is_said_where_it_can_be() -> None:
    told = 0
    for seed in range(300):
        scene = sample_scene(FIRST_TRAINING_SEED + seed)
        nothing = np.zeros((4, 4), np.uint8)
        text = toy_item(scene, nothing, nothing > 0, (), nothing).caption(0)
        phrasings = [caption(scene, k) for k in range(PHRASING_CANDIDATES)]
        deep = [each for each in phrasings if "in front of" in each or "behind" in each]
        assert text == (deep[0] if deep else phrasings[0])
        told += bool(deep) and phrasings[0] not in deep
    assert told > 5


def test_several_toys_are_often_of_one_kind_and_then_nothing_else_is_changed() -> None:
    several = alike = changed = 0
    for number in range(600):
        scene, sampled = training_scene(number), sample_scene(FIRST_TRAINING_SEED + number)
        changed += scene != sampled
        if len(scene.toys) > 1:
            several += 1
            alike += len({toy.kind for toy in scene.toys}) == 1
        assert [(toy.colour, toy.x, toy.z) for toy in scene.toys] == [
            (toy.colour, toy.x, toy.z) for toy in sampled.toys
        ]
        assert not has_held_out([(toy.kind, toy.colour) for toy in scene.toys])
    assert changed > 0.4 * ALIKE_SHARE * several
    assert changed <= alike < 1.6 * ALIKE_SHARE * several


def test_rendering_on_the_fly_draws_training_scenes() -> None:
    first, again, other = (RenderedToybox(32).draw(np.random.default_rng(k)) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.caption(1) == again.caption(1)
    assert (first.image != other.image).any()
    assert len(first.objects) > 0


@pytest.mark.parametrize(("count", "size"), [(COUNT + 1, SIZE), (COUNT, SIZE * 2)])
def test_a_cache_of_another_size_is_refused(
    built: tuple[Path, list[tuple[int, int]]], count: int, size: int
) -> None:
    with pytest.raises(TrainingError, match=f"holds 5 pictures of 32 px .*not {count} of {size} px"):
        build_cache(built[0], count, size)


def test_a_finished_cache_serves_any_seed_and_need_not_say_how_much_is_rendered(
    built: tuple[Path, list[tuple[int, int]]], tmp_path: Path
) -> None:
    for path in built[0].iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "cache.json").unlink()
    (tmp_path / "cache.json").write_text(json.dumps({"size": SIZE, "count": COUNT, "seed": 0}))
    assert len(build_cache(tmp_path, COUNT, SIZE, seed=5, progress=stop)) == COUNT


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cache.json", "{"),
        ("cache.json", "[]"),
        ("scenes.jsonl", ""),
        ("scenes.jsonl", "{}\n"),
        ("bits.npy", ""),
    ],
)
def test_a_damaged_cache_is_refused(
    built: tuple[Path, list[tuple[int, int]]], tmp_path: Path, name: str, content: str
) -> None:
    for path in built[0].iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    (tmp_path / name).write_text(content)
    with pytest.raises(TrainingError, match="damaged"):
        CachedToybox(tmp_path)


def test_a_disk_too_small_is_said_before_anything_is_rendered(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"needs .* GB"):
        build_cache(tmp_path / "huge", 10**9, 1024, progress=stop)
    assert not list((tmp_path / "huge").glob("*"))


@pytest.mark.parametrize(
    "numbers", ['"rendered": -4', '"rendered": 9', '"rendered": Infinity', '"size": 0', '"seed": "x"']
)
def test_numbers_of_a_cache_are_checked(tmp_path: Path, numbers: str) -> None:
    record = f'{{"size": 32, "count": 5, "seed": 0, "rendered": 2, {numbers}}}'
    (tmp_path / "cache.json").write_text(record, encoding="utf-8")
    with pytest.raises(TrainingError, match="is damaged"):
        build_cache(tmp_path, COUNT, SIZE)

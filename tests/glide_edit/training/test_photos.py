"""Photographs: which are trained on, what is cut from them, and toys put onto them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glide_edit.errors import TrainingError
from glide_edit.toybox import sample_scene
from glide_edit.training import photos
from glide_edit.training.batches import BatchPlan
from glide_edit.training.cache import build_cache
from glide_edit.training.compositing import alone, photographed, placed, put_onto, relit, shadowed
from glide_edit.training.folder import ImageFolder
from glide_edit.training.photos import (
    TOYS_MIXTURE,
    WHOLE_MIXTURE,
    PhotoCache,
    ToysOnPhotographs,
    WholePhotographs,
    read_photos,
)
from glide_edit.training.sources import Item, Source
from glide_edit.training.views import Mixture, make_view


def write_photos(folder: Path, pictures: Sequence[NDArray[np.uint8]], splits: Sequence[str] = ()) -> Path:
    folder.mkdir()
    lines = []
    for k, picture in enumerate(pictures):
        assert cv2.imwrite(str(folder / f"{k}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        line = {"file_name": f"{k}.png", "text": f"photograph {k}"}
        lines.append(json.dumps(line | ({"split": splits[k]} if splits else {})))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def coordinates(height: int, width: int, tint: int = 0) -> NDArray[np.uint8]:
    """A picture that says of each pixel where it is: red its row, green its column; blue ``tint``."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.uint8)
    return np.stack([rows, columns, np.full_like(rows, tint)], axis=2)


def plain(size: int, colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.full((size, size, 3), colour, np.uint8)


# -- which ----------------------------------------------------------------------------------------------


def test_held_out_photographs_are_not_trained_on(tmp_path: Path) -> None:
    splits = ["train", "validation", "test", "train"]
    folder = write_photos(tmp_path / "photos", [coordinates(16, 16, k) for k in range(4)], splits)
    (folder / "1.png").unlink()  # nobody needs it
    photos = read_photos(folder)
    assert [(photo.text, photo.line) for photo in photos] == [("photograph 0", 1), ("photograph 3", 4)]
    with pytest.raises(TrainingError, match="there is no file"):
        read_photos(folder, held_out=True)
    write_photos(tmp_path / "whole", [coordinates(16, 16, k) for k in range(4)], splits)
    assert [photo.line for photo in read_photos(tmp_path / "whole", held_out=True)] == [2, 3]
    cache = PhotoCache(photos, 16, tmp_path / "cache")
    tints = {int(cache.cut(np.random.default_rng(k), 1.0)[0][0, 0, 2]) for k in range(20)}
    assert tints == {0, 3}
    assert list(cache.captions()) == ["photograph 0", "photograph 3"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 2: it is not JSON"),
        ("[]", "line 2: it is not a JSON object"),
        ('{"file_name": "0.png"}', "line 2: file_name must be the name of a file, and text a string"),
        ('{"text": "a hat"}', "line 2: file_name must be"),
        ('{"file_name": "../0.png", "text": "a hat"}', "line 2: file_name leaves the folder"),
        ('{"file_name": "/0.png", "text": "a hat"}', "line 2: file_name leaves the folder"),
        ('{"file_name": "9.png", "text": "a hat"}', "line 2: there is no file .*9.png"),
    ],
)
def test_a_line_that_is_not_like_that_is_named(tmp_path: Path, line: str, problem: str) -> None:
    folder = write_photos(tmp_path / "photos", [coordinates(16, 16)])
    with (folder / "metadata.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(TrainingError, match=problem):
        read_photos(folder)


def test_a_folder_without_anything_to_train_on_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no readable metadata\.jsonl"):
        read_photos(tmp_path)
    folder = write_photos(tmp_path / "photos", [coordinates(16, 16)], ["test"])
    with pytest.raises(TrainingError, match="names no photographs to train on"):
        read_photos(folder)
    (folder / "metadata.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(TrainingError, match="not UTF-8"):
        read_photos(folder)


# -- the cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(16, 29), (29, 16)])
def test_squares_are_windows_of_the_photograph(tmp_path: Path, height: int, width: int) -> None:
    folder = write_photos(tmp_path / "photos", [coordinates(height, width)])
    cache = PhotoCache(read_photos(folder), 16, tmp_path / "cache")
    corners = set()
    for k in range(200):
        square, text = cache.cut(np.random.default_rng(k), 0.8)
        top, left = int(square[0, 0, 0]), int(square[0, 0, 1])
        expected = coordinates(height, width)[top : top + 16, left : left + 16]
        np.testing.assert_array_equal(square, expected)
        assert text == "photograph 0"
        corners.add((top, left))
    longer = max(height, width)
    assert len(corners) == longer - 16 + 1, "every place comes"


def test_squares_are_made_smaller_and_never_larger_where_there_are_pixels(tmp_path: Path) -> None:
    # Kept at 24 pixels, so that a pixel kept stands for four of the file.
    folder = write_photos(tmp_path / "photos", [coordinates(96, 96)])
    cache = PhotoCache(read_photos(folder), 16, tmp_path / "cache")
    squares = [cache.cut(np.random.default_rng(k), 0.1)[0].astype(float) for k in range(300)]
    sides = [(square[-1, 0, 0] - square[0, 0, 0]) / 15 * 16 for square in squares]
    assert min(sides) == pytest.approx(64, abs=1.5)
    assert max(sides) == pytest.approx(96, abs=1.5)
    most = [cache.cut(np.random.default_rng(k), 0.9)[0].astype(float) for k in range(100)]
    assert min((square[-1, 0, 0] - square[0, 0, 0]) / 15 * 16 for square in most) > 0.9 * 96 - 4


def test_small_photographs_are_enlarged(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", [plain(5, (10, 200, 30))])
    square, _ = PhotoCache(read_photos(folder), 16, tmp_path / "cache").cut(np.random.default_rng(0), 0.8)
    np.testing.assert_array_equal(square, plain(16, (10, 200, 30)))


def test_photographs_are_decoded_once_and_again_where_they_changed(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", [plain(16, (50, 60, 70))])
    file, cache = folder / "0.png", tmp_path / "cache"

    def colour() -> tuple[int, ...]:
        square, _ = PhotoCache(read_photos(folder), 16, cache).cut(np.random.default_rng(0), 1.0)
        return tuple(int(value) for value in square[3, 3])

    assert colour() == (50, 60, 70)
    then = file.stat()
    file.write_bytes(bytes(then.st_size))
    os.utime(file, ns=(then.st_atime_ns, then.st_mtime_ns))
    assert colour() == (50, 60, 70), "it was not looked at again"
    cv2.imwrite(str(file), plain(16, (1, 2, 3)))
    assert colour() == (3, 2, 1)
    assert {path.suffix for path in cache.iterdir()} == {".bin", ".json"}


@pytest.mark.parametrize("suffix", [".bin", ".json"])
def test_a_cache_that_was_not_finished_is_made_anew(tmp_path: Path, suffix: str) -> None:
    folder, cache = write_photos(tmp_path / "photos", [coordinates(16, 20)]), tmp_path / "cache"
    whole, _ = PhotoCache(read_photos(folder), 16, cache).cut(np.random.default_rng(0), 1.0)
    (damaged,) = cache.glob(f"*{suffix}")
    damaged.write_bytes(damaged.read_bytes()[:-1])
    again, _ = PhotoCache(read_photos(folder), 16, cache).cut(np.random.default_rng(0), 1.0)
    np.testing.assert_array_equal(again, whole)


def test_an_unreadable_photograph_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    folder = write_photos(tmp_path / "photos", [coordinates(16, 16), coordinates(16, 16)])
    (folder / "1.png").write_bytes(b"not a picture")
    with pytest.raises(TrainingError, match=r"metadata\.jsonl, line 2: .*1\.png"):
        PhotoCache(read_photos(folder), 16, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


# -- whole photographs ----------------------------------------------------------------------------------


@pytest.fixture
def grey(tmp_path: Path) -> PhotoCache:
    folder = write_photos(tmp_path / "photos", [plain(48, (200, 180, 160))])
    return PhotoCache(read_photos(folder), 32, tmp_path / "cache")


def test_a_whole_photograph_has_its_caption_or_a_hole_without_words(grey: PhotoCache, squares: Any) -> None:
    source = WholePhotographs(grey, squares(32))
    rng = np.random.default_rng(0)
    views = [make_view(source.draw(rng), WHOLE_MIXTURE, rng) for _ in range(2000)]
    assert {view.caption for view in views} == {"", "photograph 0"}
    for view in views:
        assert view.image.mean(axis=(0, 1)) == pytest.approx([200, 180, 160], rel=0.4)
        assert not view.drawing.any()
        assert not view.foreground.any()
    holes = [view for view in views if view.keep.any()]
    assert np.mean([not view.caption for view in holes]) == pytest.approx(0.35, abs=0.06)
    assert np.mean([not view.keep.any() and not view.caption for view in views]) < 0.1


def test_what_is_hidden_of_a_whole_photograph_has_the_outlines_of_toys_too(
    grey: PhotoCache, squares: Any
) -> None:
    rng = np.random.default_rng(0)
    item = WholePhotographs(grey, squares(32)).draw(rng)
    (outline,) = item.objects
    views = [make_view(item, replace(WHOLE_MIXTURE, known=1.0), rng) for _ in range(300)]
    hidden = np.mean([not (view.keep & outline).any() for view in views])
    assert 0.35 < hidden < 0.75, "two in five, and some by chance"


# -- toys on photographs --------------------------------------------------------------------------------


def toy_on_grey(shade: int) -> Item:
    """A red square of 12 pixels on ground of brightness 100, and right of it a shadow of ``shade``."""
    image = plain(32, (100, 100, 100))
    seen, whole = np.zeros((32, 32), bool), np.zeros((32, 32), bool)
    seen[10:22, 4:16] = True
    whole[10:22, 4:28] = True
    image[whole] = shade
    image[seen] = (220, 20, 20)
    return Item(image, lambda seed: "", (whole,), lambda index, seed: "a red square", seen)


@pytest.mark.parametrize(("shade", "light"), [(60, 0.6), (99, 0.8), (5, 0.4)])
def test_toys_keep_their_colours_and_darken_the_photograph_as_their_ground(shade: int, light: float) -> None:
    backdrop = plain(32, (200, 100, 50))
    made = put_onto(toy_on_grey(shade), backdrop)
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(made[12:20, 6:14], plain(32, (220, 20, 20))[12:20, 6:14])
    dark = np.round(np.array([200, 100, 50]) * light)
    assert np.abs(made[12:20, 17:26] - dark).max() <= 1, "right up to the toy"
    np.testing.assert_array_equal(made[:8], backdrop[:8])
    np.testing.assert_array_equal(made[:, :2], backdrop[:, :2])
    share = (made[15, 15, 0] - dark[0]) / (220 - dark[0])
    assert 0.6 < share < 0.95, "a soft edge has some of the backdrop"


def test_toys_without_shadows_leave_all_else_as_it_was() -> None:
    toys, backdrop = toy_on_grey(60), coordinates(32, 32)
    assert toys.foreground is not None
    made = put_onto(replace(toys, objects=(toys.foreground,)), backdrop)
    away = ~cv2.dilate(toys.foreground.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    np.testing.assert_array_equal(made[away], backdrop[away])


@dataclass(frozen=True)
class OneToy:
    """The toy of ``toy_on_grey(60)`` at every draw."""

    def draw(self, rng: np.random.Generator) -> Item:
        return toy_on_grey(60)

    def captions(self) -> list[str]:
        return []


def test_masks_cover_the_toy_and_its_shadow_to_their_soft_edges(
    grey: PhotoCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "photographed", lambda image, rng: image)  # whose noise is everywhere
    for seed in range(60):
        item = ToysOnPhotographs(grey, OneToy()).draw(np.random.default_rng(seed))
        difference = np.abs(item.image.astype(int) - [200, 180, 160]).max(axis=2)
        (mask,) = item.objects
        assert item.foreground is not None
        assert difference[~mask].max() <= 6
        assert difference[mask].mean() > 25
        assert (mask & item.foreground).sum() == item.foreground.sum()
        assert mask.sum() < 8 * item.foreground.sum()
        assert item.caption(0) == "a red square in front of photograph 0"
        assert item.describe(0, 0) == "a red square"
        assert item.drawing is None


def test_the_same_seed_makes_the_same_view_and_others_differ(grey: PhotoCache) -> None:
    for source in (ToysOnPhotographs(grey, OneToy()), WholePhotographs(grey, OneToy())):
        images = [source.draw(np.random.default_rng(seed)).image for seed in (1, 1, 2, 3, 4)]
        np.testing.assert_array_equal(images[0], images[1])
        assert len({image.tobytes() for image in images}) >= 3


def test_toys_are_whole_and_come_in_all_sizes_and_places(squares: Any) -> None:
    areas, middles = [], []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        item = placed(squares(32).draw(rng), rng)
        (mask,) = item.objects
        assert item.foreground is not None
        np.testing.assert_array_equal(item.foreground, mask)
        rows, columns = np.nonzero(mask)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert abs(height - width) <= 1
        assert mask.sum() >= height * width - 4, "nothing but its corners is cut off"
        colours = item.image[mask].reshape(-1, 3).astype(int)
        off = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
        assert np.mean(off < 25) > 0.5, "the picture moves with its mask"
        areas.append(mask.mean())
        middles.append((rows.mean() / 32, columns.mean() / 32))
    assert min(areas) < 0.045
    assert max(areas) > 0.22
    assert np.ptp(middles, axis=0).min() > 0.6


def test_one_of_several_toys_that_stand_apart_may_come_alone() -> None:
    toy = toy_on_grey(60)
    assert toy.foreground is not None
    lower = np.zeros((32, 32), bool)
    lower[26:31, 4:10] = True
    two = replace(
        toy,
        objects=(*toy.objects, lower),
        foreground=toy.foreground | lower,
        describe=lambda index, seed: ("a red square", "a gray bar")[index],
    )
    seen = set()
    for seed in range(60):
        item = alone(two, np.random.default_rng(seed))
        assert item.foreground is not None
        np.testing.assert_array_equal(item.foreground, two.foreground & np.any(item.objects, axis=0))
        seen.add(tuple(item.describe(k, 0) for k in range(len(item.objects))))
    assert seen == {("a red square", "a gray bar"), ("a red square",), ("a gray bar",)}
    touching = replace(two, objects=(toy.objects[0], toy.objects[0] | lower))
    assert all(len(alone(touching, np.random.default_rng(seed)).objects) == 2 for seed in range(30))


def test_shadows_fall_to_every_side_and_are_light_or_dark() -> None:
    sides, lights = [], []
    for seed in range(200):
        item, shadow = shadowed(toy_on_grey(60), np.random.default_rng(seed))
        (mask,) = item.objects
        assert item.foreground is not None
        ground = mask & ~item.foreground
        assert ground.any()
        sides.append(np.nonzero(ground)[1].mean() - 9.5)  # from the toy's middle
        lights.append(shadow.light)
    assert min(sides) < -3
    assert max(sides) > 3
    assert min(lights) < 0.45
    assert max(lights) > 0.75


def test_toys_take_on_the_light_and_the_blur_of_the_backdrop() -> None:
    toys = toy_on_grey(60)
    warm, blue = plain(32, (220, 150, 90)), plain(32, (60, 90, 160))
    red_by_blue = []
    for backdrop in (warm, blue):
        images = [relit(toys, backdrop, np.random.default_rng(seed)).astype(float) for seed in range(40)]
        grounds = np.mean([image[2, :, :].mean(axis=0) for image in images], axis=0)
        red_by_blue.append(grounds[0] / grounds[2])
    assert red_by_blue[0] > 1.03
    assert red_by_blue[1] < 0.97
    sharp = plain(32, (120, 120, 120))
    sharp[::4] = 0
    edges = [
        float(np.abs(np.diff(relit(toys, backdrop, np.random.default_rng(3))[16, :, 0].astype(float))).max())
        for backdrop in (sharp, plain(32, (80, 80, 80)))
    ]
    assert edges[1] < 0.9 * edges[0]


def test_cameras_differ_in_exposure_colour_noise_and_blocks() -> None:
    picture = plain(64, (120, 120, 120))
    taken = [photographed(picture, np.random.default_rng(seed)) for seed in range(200)]
    assert all(image.shape == picture.shape and image.dtype == np.uint8 for image in taken)
    means = np.array([image.mean(axis=(0, 1)) for image in taken])
    noise = np.array([image.std(axis=(0, 1)).mean() for image in taken])
    assert 0.15 < np.mean([np.array_equal(image, picture) for image in taken]) < 0.5
    assert means.mean(axis=1).min() < 105
    assert means.mean(axis=1).max() > 132
    assert np.ptp(means, axis=1).max() > 12, "white balance"
    assert noise.min() == 0
    assert 2 < noise.max() < 9
    assert np.array_equal(picture, plain(64, (120, 120, 120))), "the picture itself is left alone"


def test_a_hidden_toy_is_always_asked_for_and_mostly_alone(grey: PhotoCache, squares: Any) -> None:
    source, rng = ToysOnPhotographs(grey, squares(32)), np.random.default_rng(0)
    views = [make_view(source.draw(rng), TOYS_MIXTURE, rng) for _ in range(1500)]
    holes = [view.caption for view in views if view.keep.any()]
    assert set(holes) == {"a square", "a square in front of photograph 0"}
    assert 0.4 < np.mean([caption == "a square" for caption in holes]) < 0.55
    # Where nothing is known, a toy on a photograph is not called by the toy's name alone.
    assert {view.caption for view in views if not view.keep.any()} == {
        "",
        "a square in front of photograph 0",
    }


def test_toys_by_night_stay_off_photographs_unless_there_are_no_others(grey: PhotoCache) -> None:
    scene = sample_scene(1_000_000)

    @dataclass(frozen=True)
    class Lights:
        names: tuple[str, ...]

        def draw(self, rng: np.random.Generator) -> Item:
            light: Any = self.names[int(rng.integers(len(self.names)))]
            named = replace(toy_on_grey(60), describe=lambda index, seed: light)
            return replace(named, scene=replace(scene, light=light))

        def captions(self) -> list[str]:
            return []

    def drawn(*names: str) -> set[str]:
        source = ToysOnPhotographs(grey, Lights(names))
        return {source.draw(np.random.default_rng(k)).describe(0, 0) for k in range(40)}

    assert drawn("day", "sunset", "night", "day") == {"day"}
    assert drawn("night") == {"night"}


def test_several_toys_are_all_named(grey: PhotoCache) -> None:
    @dataclass(frozen=True)
    class TwoToys:
        def draw(self, rng: np.random.Generator) -> Item:
            toys = toy_on_grey(60)
            names = ("a red square", "a blue square")
            return replace(toys, objects=toys.objects * 2, describe=lambda index, seed: names[index])

        def captions(self) -> list[str]:
            return []

    item = ToysOnPhotographs(grey, TwoToys()).draw(np.random.default_rng(0))
    assert item.caption(0) == "a red square and a blue square in front of photograph 0"


def test_processes_make_the_batches_that_one_thread_makes(grey: PhotoCache, tmp_path: Path) -> None:
    """What a GPU trains on: sources reach the processes by their files, errors come back in their words."""
    toys = build_cache(tmp_path / "toys", 3, 32)
    photographs = WholePhotographs(grey, toys)
    sources: list[tuple[Source, float, Mixture]] = [
        (toys, 1.0, Mixture()),
        (photographs, 1.0, WHOLE_MIXTURE),
    ]
    plan = BatchPlan(sources, 4, seed=0, workers=2)
    with closing(plan.stream(5)) as batches:
        for step in (5, 6, 7):
            made, expected = next(batches), plan.make(step)
            assert (made.step, made.captions) == (step, expected.captions)
            torch.testing.assert_close(made.image, expected.image, rtol=0, atol=0)
            torch.testing.assert_close(made.keep_mask, expected.keep_mask, rtol=0, atol=0)
    gone = ImageFolder(write_photos(tmp_path / "gone", [plain(32, (9, 9, 9))]), 32)
    (tmp_path / "gone" / "0.png").unlink()
    with (
        closing(replace(plan, sources=[(gone, 1.0, Mixture())], workers=1).stream(0)) as batches,
        pytest.raises(TrainingError, match=r"^[^\n]*0\.png[^\n]*$"),
    ):
        next(batches)

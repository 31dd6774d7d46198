"""Selecting by what a picture shows: known shapes are found again, at any depth and size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, picture, seeds
from numpy.typing import NDArray
from skimage import data

from masks import Mask, MaskError, Size, draw, select, shape

tiny_sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union."""
    return (a & b).count / (a | b).count


def scene(size: Size = (90, 120)) -> tuple[NDArray[np.uint8], Mask]:
    """A noisy green ground with a red disc, and where the disc is."""
    height, width = size
    disc = draw.ellipse((width // 4, height // 4, 3 * width // 4, 3 * height // 4), size)
    noise = np.random.default_rng(0).integers(-12, 13, (*size, 3))
    colours = np.where(disc.selected[:, :, None], (190, 60, 50), (60, 130, 70))
    return np.clip(colours + noise, 0, 255).astype(np.uint8), disc


def around(mask: Mask, margin: int) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = mask.bounding_box()
    return x0 - margin, y0 - margin, x1 + margin, y1 + margin


# -- GrabCut -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(90, 120), (500, 700)])
def test_a_box_is_enough_for_a_thing_that_stands_out(size: Size) -> None:
    """The larger picture is cut at a smaller size first, and its edge again: just as sharp."""
    image, disc = scene(size)
    assert (size[0] * size[1] > select.GRABCUT_PIXELS) is (size == (500, 700))
    found = select.grab_cut(image, around(disc, 12))
    wrong = Mask(found.selected ^ disc.selected)
    assert overlap(found, disc) > 0.97
    assert (wrong - shape.outline(disc, 2, 2)).count < 0.01 * disc.count


def test_scribbles_are_certain_and_enough() -> None:
    image, disc = scene()
    inside, outside = draw.strokes([(50, 45), (70, 45)], 3, (90, 120)), draw.strokes([(5, 5)], 3, (90, 120))
    never = draw.strokes([(60, 30)], 4, (90, 120))
    found = select.grab_cut(image, None, inside, outside | never)
    assert (inside - found).is_empty
    assert (found & never).is_empty
    assert overlap(found | never, disc) > 0.9


def test_nothing_beyond_the_box_is_selected_and_the_same_comes_twice() -> None:
    image = data.coffee()[::2, ::2]
    box = (75, 40, 225, 185)
    found = select.grab_cut(image, box, rounds=2)
    assert (found - draw.box(box, found.size)).is_empty
    assert 0.1 < found.count / draw.box(box, found.size).count < 0.9
    cv2.setRNGSeed(99)
    assert select.grab_cut(image, box, rounds=2) == found


@pytest.mark.parametrize(
    "change", [lambda a: a.astype(np.uint16) * 257, lambda a: np.dstack([a, a[:, :, 0]])]
)
def test_depth_and_alpha_make_no_difference(change: Callable[[Any], Any]) -> None:
    image, disc = scene()
    assert select.grab_cut(change(image), around(disc, 9)) == select.grab_cut(image, around(disc, 9))
    assert select.magic_wand(change(image), (60, 45), 40) == select.magic_wand(image, (60, 45), 40)
    wanted = select.colours_at(image, (60, 45))
    assert select.colours_at(change(image), (60, 45))[0] == pytest.approx(wanted[0])
    by_colour = select.colour_range(image, wanted, 25)
    assert select.colour_range(change(image), wanted, 25) == by_colour
    corners = [(20, 15), (100, 15), (100, 80), (20, 80)]
    assert select.scissors(change(image), corners) == select.scissors(image, corners)


@few
@given(tiny_sizes, seeds)
def test_tiny_pictures(size: Size, seed: int) -> None:
    image = picture(size, seed, int(np.random.default_rng(seed).choice([1, 3])))
    scribble = draw.box((0, 0, 1, 1), size)
    if size == (1, 1):
        with pytest.raises(MaskError, match="nothing is outside"):
            select.grab_cut(image, None, scribble)
    else:
        found = select.grab_cut(image, None, scribble, rounds=1)
        assert found.size == size
        assert found.selected[0, 0]
    assert select.magic_wand(image, (0, 0), 0).selected[0, 0]
    assert select.colour_range(image, select.colours_at(image, (0, 0)), 1).selected[0, 0]
    assert select.snap(image, [(0, 0), (size[1] - 1, size[0] - 1)])[-1] == (size[1] - 1, size[0] - 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "a box around the thing"),
        ({"box": (200, 0, 210, 9)}, "beyond the picture"),
        ({"box": (5, 5, 5, 9)}, "exclusive"),
        ({"box": (0, 0, 120, 90)}, "nothing is outside"),
        ({"box": (2, 2, 9, 9), "outside": Mask.full((90, 120))}, "nothing is left"),
        ({"inside": Mask.full((3, 3))}, "different sizes"),
        ({"box": (2, 2, 9, 9), "rounds": 0}, "0 rounds"),
    ],
)
def test_what_grabcut_cannot_begin_with(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        select.grab_cut(scene()[0], **settings)


# -- magic wand and colour range -----------------------------------------------------------------------


def flooded(alike: NDArray[np.bool_], x: int, y: int) -> NDArray[np.bool_]:
    """What hangs together with a pixel by sides, found by walking."""
    out, todo = np.zeros_like(alike), [(y, x)]
    while todo:
        y, x = todo.pop()
        if 0 <= y < alike.shape[0] and 0 <= x < alike.shape[1] and alike[y, x] and not out[y, x]:
            out[y, x] = True
            todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return out


@few
@given(tiny_sizes, seeds, st.sampled_from([0, 1, 20, 90, 255]), st.sampled_from([np.uint8, np.uint16]))
def test_the_wand_takes_what_differs_by_no_more(size: Size, seed: int, tolerance: int, dtype: Any) -> None:
    rng = np.random.default_rng(seed)
    image = picture(size, seed, 3, dtype)
    x, y = int(rng.integers(size[1])), int(rng.integers(size[0]))
    reach = tolerance * (1 if dtype is np.uint8 else 257)
    alike = (np.abs(image.astype(np.int64) - image[y, x].astype(np.int64)) <= reach).all(axis=2)
    assert np.array_equal(select.magic_wand(image, (x, y), tolerance, contiguous=False).selected, alike)
    assert np.array_equal(select.magic_wand(image, (x, y), tolerance).selected, flooded(alike, x, y))


def test_the_wand_at_several_points_takes_what_each_would() -> None:
    image, disc = scene()
    both = select.magic_wand(image, [(60, 45), (3, 3)], 40)
    assert both == select.magic_wand(image, (60, 45), 40) | select.magic_wand(image, (3, 3), 40)
    assert overlap(shape.fill_holes(select.magic_wand(image, (60, 45), 40)), disc) > 0.97


def test_distances_in_lab_are_the_textbook_s() -> None:
    """sRGB red is L 53.24, a 80.09, b 67.20, and white L 100: 2.55 apart from grey 248 (L 97.58)."""
    greys = np.repeat(np.array([[255, 248, 0]], np.uint8)[:, :, None], 3, axis=2)
    white = (255.0, 255.0, 255.0)
    assert select.colour_range(greys, white, 2.3).selected.tolist() == [[True, False, False]]
    assert select.colour_range(greys, white, 2.6).selected.tolist() == [[True, True, False]]
    from_white = float(np.sqrt((100 - 53.24) ** 2 + 80.09**2 + 67.20**2))
    red = np.array([[[255, 0, 0]]], np.uint8)
    assert select.colour_range(red, white, from_white - 0.3).is_empty
    assert not select.colour_range(red, white, from_white + 0.3).is_empty


def test_a_colour_is_found_in_parts_that_do_not_hang_together() -> None:
    image = np.full((20, 40, 3), 200, np.uint8)
    image[3:8, 3:8] = image[10:15, 30:35] = (20, 40, 160)
    found = select.colour_range(image, select.colours_at(image, (4, 4)), 5)
    assert found == draw.box((3, 3, 8, 8), (20, 40)) | draw.box((30, 10, 35, 15), (20, 40))
    assert select.colour_range(image, [(20, 40, 160), (200, 200, 200)], 1) == Mask.full((20, 40))


@pytest.mark.parametrize(
    ("colours", "tolerance", "message"),
    [
        ((0, 0), 5, "red, green, blue"),
        ((0, 0, 256), 5, "red, green, blue"),
        ([], 5, "red, green, blue"),
        ("red", 5, "red, green, blue"),
        ((0, 0, float("nan")), 5, "red, green, blue"),
        ((0, 0, 0), -1, "tolerance of -1"),
        ((0, 0, 0), float("nan"), "tolerance of nan"),
    ],
)
def test_colours_that_are_none(colours: Any, tolerance: float, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        select.colour_range(scene()[0], colours, tolerance)


# -- scissors ------------------------------------------------------------------------------------------


def test_the_outline_snaps_to_the_edge() -> None:
    """Five points near a disc's edge: the snapped outline is far closer to it than their polygon."""
    image, disc = scene((300, 400))
    image = cv2.GaussianBlur(image, (5, 5), 0)
    angles = np.linspace(0, 2 * np.pi, 5, endpoint=False)
    corners = np.stack([200 + 99 * np.cos(angles), 150 + 74 * np.sin(angles)], axis=1)
    assert overlap(draw.polygon(corners, disc.size), disc) < 0.8
    assert overlap(select.scissors(image, corners), disc) > 0.97


@few
@given(st.tuples(st.integers(2, 60), st.integers(2, 60)), seeds)
def test_the_way_is_unbroken_and_goes_through_every_point(size: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = [(int(rng.integers(size[1])), int(rng.integers(size[0]))) for _ in range(3)]
    way = select.snap(picture(size, seed), corners, closed=True)
    assert way[0] == way[-1] == corners[0]
    assert set(corners) <= set(way)
    assert np.abs(np.diff(way, axis=0)).max() <= 1
    assert all(0 <= x < size[1] and 0 <= y < size[0] for x, y in way)


def test_a_long_way_is_followed_on_a_smaller_picture() -> None:
    image = np.zeros((60, 3000, 3), np.uint8)
    image[30:] = 255
    way = np.array(select.snap(image, [(10, 26), (2980, 33)]))
    assert way[0].tolist() == [10, 26]
    assert way[-1].tolist() == [2980, 33]
    middle = way[(way[:, 0] > 200) & (way[:, 0] < 2800)]
    assert len(middle) > 300
    assert (np.abs(middle[:, 1] - 29.5) < 8).all()


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(1, 1), (2, 2)], "2 points: at least 3"),
        (
            [(1, 1), (2, 2), (120, 5)],
            "the point 120,5 lies beyond the picture, which is 120 wide and 90 high",
        ),
        ([(1, 1), (2, 2), (-1, 5)], "the point -1,5 lies beyond"),
    ],
)
def test_points_that_scissors_cannot_use(points: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        select.scissors(scene()[0], points)


@pytest.mark.parametrize(
    "image",
    [np.zeros((3, 3), np.float32), np.zeros((3, 3, 2), np.uint8), np.zeros((0, 3), np.uint8), "photo"],
)
def test_what_is_no_picture(image: Any) -> None:
    with pytest.raises(MaskError, match="a picture is uint8 or uint16"):
        select.magic_wand(image, (0, 0))

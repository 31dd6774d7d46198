"""Lines and outlines against their definitions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, quick, seeds, sizes, small_sizes
from numpy.typing import NDArray

from masks import Mask, MaskError, Size, draw


def distance_to_line(points: NDArray[Any], size: Size) -> NDArray[Any]:
    """From each pixel centre to the nearest point of a polyline, px."""
    ys, xs = np.mgrid[: size[0], : size[1]].astype(float)
    nearest: NDArray[Any] = np.hypot(xs - points[0][0], ys - points[0][1])
    for a, b in pairwise(points):
        d = b - a
        t = np.clip(((xs - a[0]) * d[0] + (ys - a[1]) * d[1]) / max(d @ d, 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.hypot(xs - a[0] - t * d[0], ys - a[1] - t * d[1]))
    return nearest


@quick
@given(small_sizes, seeds, st.integers(1, 4), st.floats(0, 30))
def test_strokes_cover_what_lies_within_the_radius(size: Size, seed: int, n: int, radius: float) -> None:
    points = np.random.default_rng(seed).uniform(-60, 100, (n, 2))
    selected = draw.strokes(points, radius, size).selected
    distance = distance_to_line(points, size)
    assert selected[distance < radius - 2].all()
    assert not selected[distance > radius + 2].any()


@quick
@given(seeds, st.floats(0, 20), st.floats(0, 31_000))
def test_strokes_that_come_from_far_away(seed: int, radius: float, far: float) -> None:
    rng = np.random.default_rng(seed)
    along = rng.normal(size=2)
    along *= far / np.hypot(*along)
    through = rng.uniform(0, 30, 2)
    points = np.stack([through - along, through + along])
    selected = draw.strokes(points, radius, (30, 30)).selected
    distance = distance_to_line(points, (30, 30))
    assert selected[distance < radius - 2].all()
    assert not selected[distance > radius + 2].any()


def test_a_point_is_a_dot() -> None:
    assert draw.strokes([(3, 2)], 0, (5, 7)).bounding_box() == (3, 2, 4, 3)
    assert draw.strokes([(10, 10)], 4, (21, 21)).bounding_box() == (6, 6, 15, 15)


def test_a_thin_stroke_is_unbroken() -> None:
    selected = draw.strokes([(0, 3), (39, 17)], 0, (20, 40)).selected
    assert selected.any(axis=0).all()


@few
@given(sizes, seeds)
def test_several_strokes_are_drawn_together(size: Size, seed: int) -> None:
    a, b = np.random.default_rng(seed).uniform(0, max(size), (2, 3, 2))
    assert draw.strokes([a, b], 3, size) == draw.strokes(a, 3, size) | draw.strokes(b, 3, size)
    assert draw.strokes([a.tolist(), b.tolist()], 3, size) == draw.strokes([a, b], 3, size)


@quick
@given(sizes, seeds)
def test_a_box_is_its_own_bounding_box(size: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x0, y0 = int(rng.integers(size[1])), int(rng.integers(size[0]))
    corners = (x0, y0, int(rng.integers(x0, size[1])) + 1, int(rng.integers(y0, size[0])) + 1)
    mask = draw.box(corners, size)
    assert mask.bounding_box() == corners
    assert mask.count == (corners[2] - x0) * (corners[3] - y0)


def test_a_box_is_cut_at_the_picture() -> None:
    assert draw.box((-5, -5, 2, 3), (10, 10)).bounding_box() == (0, 0, 2, 3)
    assert draw.box((8, 8, 99, 99), (10, 10)).bounding_box() == (8, 8, 10, 10)
    assert draw.box((-9, 2, -1, 5), (10, 10)).is_empty
    assert draw.box((12, 2, 14, 5), (10, 10)).is_empty


@few
@given(st.integers(2, 80), st.integers(2, 80))
def test_an_ellipse_fills_its_box(height: int, width: int) -> None:
    mask = draw.ellipse((3, 5, 3 + width, 5 + height), (100, 100))
    inside = mask.selected[5 : 5 + height, 3 : 3 + width]
    assert mask.count == inside.sum()
    assert np.array_equal(inside, inside[::-1])
    assert np.array_equal(inside, inside[:, ::-1])
    assert inside[height // 2, width // 2]
    # An outline pixel more or less, as (2 (a + b)) / (pi a b) of the area.
    assert inside.sum() == pytest.approx(np.pi / 4 * height * width, abs=height + width)


def test_an_ellipse_in_a_small_box_is_the_box() -> None:
    assert draw.ellipse((4, 4, 5, 5), (9, 9)) == draw.box((4, 4, 5, 5), (9, 9))


@pytest.mark.parametrize("outline", [draw.polygon, draw.lasso])
def test_an_outline_holds_its_inside_and_its_corners(outline: Callable[..., Mask]) -> None:
    mask = outline([(2, 3), (12, 3), (12, 8), (2, 8)], (20, 30))
    assert mask == draw.box((2, 3, 13, 9), (20, 30))
    assert outline([(-50, -50), (80, -50), (80, 80), (-50, 80)], (20, 30)) == Mask.full((20, 30))
    assert outline([(50, 50), (80, 50), (80, 80)], (20, 30)).is_empty


@quick
@given(small_sizes, seeds)
def test_a_triangle_is_right_to_its_outline(size: Size, seed: int) -> None:
    corners = np.random.default_rng(seed).uniform(-20, 60, (3, 2))
    ys, xs = np.mgrid[: size[0], : size[1]]
    edges = zip(corners, np.roll(corners, -1, axis=0), strict=True)
    sides = np.array([(b[0] - a[0]) * (ys - a[1]) - (b[1] - a[1]) * (xs - a[0]) for a, b in edges])
    inside = (sides > 0).all(axis=0) | (sides < 0).all(axis=0)
    outline = distance_to_line(np.concatenate([corners, corners[:1]]), size)
    for selected in (draw.polygon(corners, size).selected, draw.lasso(corners, size).selected):
        assert selected[inside].all()
        assert (outline[selected & ~inside] < 2).all()


def test_what_is_circled_twice_stays_in_a_lasso_and_not_in_a_polygon() -> None:
    angles = np.linspace(0, 4 * np.pi, 80, endpoint=False)
    radius = np.where(angles < 2 * np.pi, 40, 30)
    spiral = np.stack([50 + radius * np.cos(angles), 50 + radius * np.sin(angles)], axis=1)
    assert draw.lasso(spiral, (100, 100)).selected[50, 50]
    assert not draw.polygon(spiral, (100, 100)).selected[50, 50]


def test_both_loops_of_an_eight_are_in_a_lasso_and_the_bays_are_not() -> None:
    mask = draw.lasso([(10, 10), (50, 50), (50, 10), (10, 50)], (60, 60))
    assert mask.selected[[30, 30], [15, 45]].all()
    assert not mask.selected[[12, 48], [30, 30]].any()


def test_a_lasso_around_the_corner_of_the_picture() -> None:
    selected = draw.lasso([(-30, 20), (-30, -30), (20, -30), (20, 20)], (40, 40)).selected
    assert selected[:21, :21].all()
    assert selected.sum() == 21 * 21


@pytest.mark.parametrize("outline", [draw.polygon, draw.lasso])
@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(0, 0), (5, 5)], "2 points: at least 3"),
        ([], "0 points"),
        ([(0, 0, 0)] * 3, "pairs"),
        ([0, 1, 2], "pairs"),
        (5, "pairs"),
        ("abc", "pairs"),
        ([(0, 0), (1, 1), (float("nan"), 0)], "not finite"),
        ([(0, 0), (1, 1), (float("inf"), 0)], "not finite"),
        ([(0, 0), (1, 1), (1e9, 0)], "px away"),
    ],
)
def test_bad_outlines(outline: Callable[..., Mask], points: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        outline(points, (10, 10))


@pytest.mark.parametrize(
    ("points", "radius", "message"),
    [
        ([], 2, "at least one"),
        ([[]], 2, "at least 1"),
        ([[(1, 1)], []], 2, "at least 1"),
        ([5], 2, r"\[\(x, y\)"),
        (None, 2, r"\[\(x, y\)"),
        ([(1, 1)], -1, "-1 px"),
        ([(1, 1)], float("nan"), "nan px"),
        ([(1, 1)], 1e6, "largest"),
        ([(1, 1e7)], 1, "px away"),
    ],
)
def test_bad_strokes(points: Any, radius: float, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        draw.strokes(points, radius, (10, 10))


@pytest.mark.parametrize("shape", [draw.box, draw.ellipse])
@pytest.mark.parametrize(
    ("corners", "message"),
    [
        ((0, 0, 0, 5), "exclusive"),
        ((5, 0, 2, 5), "exclusive"),
        ((0, 0, 2.5, 5), "whole pixels"),
        ((0, 0, 5), "whole pixels"),
        ((0, 0, float("inf"), 5), "whole pixels"),
        (None, "whole pixels"),
    ],
)
def test_bad_boxes(shape: Callable[..., Mask], corners: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        shape(corners, (10, 10))

"""Growing, softening and mending against brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, masks, quick, sizes
from numpy.typing import NDArray

from masks import Mask, MaskError, shape

tiny_sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))
radii = st.one_of(st.integers(0, 9), st.floats(0, 9))


def squared_distances(mask: Mask) -> NDArray[Any]:
    """From each pixel to the nearest selected one, px^2; a large number where none is."""
    ys, xs = np.nonzero(mask.selected)
    rows, columns = np.indices(mask.size)
    every = (rows[..., None] - ys) ** 2 + (columns[..., None] - xs) ** 2
    return np.asarray(every.min(axis=-1, initial=10**6))


def islands(selected: NDArray[np.bool_], corners: bool) -> list[set[tuple[int, int]]]:
    """Connected parts, found by walking."""
    left = set(zip(*map(np.ndarray.tolist, np.nonzero(selected)), strict=True))
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if corners or abs(dy) + abs(dx) == 1]
    found = []
    while left:
        part, todo = set(), [left.pop()]
        while todo:
            y, x = todo.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy, dx in steps} & left
            left -= near
            todo += near
        found.append(part)
    return found


@quick
@given(masks(tiny_sizes, may_be_empty=True), radii)
def test_grow_is_round(mask: Mask, radius: float) -> None:
    assert np.array_equal(
        shape.grow(mask, radius).selected, squared_distances(mask) <= (radius + shape.ROUNDING) ** 2
    )


def test_grow_is_exact_at_whole_distances() -> None:
    # 3-4-5: (3, 4) is 5 px away, and (3, 5) is not.
    one = np.zeros((21, 21), bool)
    one[10, 10] = True
    grown = shape.grow(Mask(one), 5).selected
    assert grown[13, 14]
    assert not grown[13, 15]
    assert grown.sum() == sum(x * x + y * y <= 25 for x in range(-5, 6) for y in range(-5, 6))


def test_grow_is_exact_far_away() -> None:
    one = np.zeros((1, 700), bool)
    one[0, 0] = True
    assert [shape.grow(Mask(one), radius).count for radius in (512, 512.5, 513)] == [513, 513, 514]


@quick
@given(masks(may_be_empty=True), radii)
def test_shrink_is_growth_of_the_rest(mask: Mask, radius: float) -> None:
    smaller = shape.shrink(mask, radius)
    assert smaller == ~shape.grow(~mask, radius)
    assert (smaller - mask).is_empty
    assert (mask - shape.grow(mask, radius)).is_empty


def test_shrink_does_not_leave_the_pictures_border() -> None:
    selected = np.zeros((10, 10), bool)
    selected[:, :6] = True
    assert shape.shrink(Mask(selected), 2).bounding_box() == (0, 0, 4, 10)
    assert shape.shrink(Mask.full((4, 4)), 9) == Mask.full((4, 4))
    assert shape.grow(Mask.empty((4, 4)), 9) == Mask.empty((4, 4))


@quick
@given(masks(may_be_empty=True), radii)
def test_feather_stays_inside(mask: Mask, radius: float) -> None:
    weights = shape.feather(mask, radius)
    assert weights.dtype == np.float32
    assert weights.shape == mask.size
    assert (weights[~mask.selected] == 0).all()
    assert (weights[mask.selected] > 0).all()
    assert weights.max() <= 1
    assert (weights[shape.shrink(mask, radius + 1).selected] == 1).all()


def test_feather_rises_inwards_smoothly() -> None:
    selected = np.zeros((1, 40), bool)
    selected[0, 10:] = True
    weights = shape.feather(Mask(selected), 9)[0]
    s = np.arange(1, 11) / 10
    assert weights[10:20] == pytest.approx(s * s * (3 - 2 * s), abs=1e-6)
    assert (weights[20:] == 1).all()
    assert (shape.feather(Mask(selected), 0)[0] == selected[0]).all()
    assert (shape.feather(Mask.full((3, 3)), 9) == 1).all()


@few
@given(masks(tiny_sizes, may_be_empty=True))
def test_fill_holes_fills_what_the_border_cannot_reach(mask: Mask) -> None:
    expected = mask.selected.copy()
    for hole in islands(~mask.selected, corners=False):
        if all(0 < y < mask.height - 1 and 0 < x < mask.width - 1 for y, x in hole):
            expected[tuple(zip(*hole, strict=True))] = True
    assert np.array_equal(shape.fill_holes(mask).selected, expected)


def test_only_small_holes_are_filled_where_that_is_asked() -> None:
    selected = np.ones((9, 9), bool)
    selected[1, 1] = False
    selected[4:6, 4:6] = False
    selected[8, 8] = False  # at the border: no hole
    filled = shape.fill_holes(Mask(selected), 3)
    assert filled.count == selected.sum() + 1
    assert filled.selected[1, 1]
    assert shape.fill_holes(Mask(selected), 0) == Mask(selected)
    assert shape.fill_holes(Mask(selected), 4).count == 80
    with pytest.raises(MaskError, match="-1 px"):
        shape.fill_holes(Mask(selected), -1)


@few
@given(masks(tiny_sizes, may_be_empty=True), radii, radii)
def test_an_outline_is_what_lies_near_the_edge(mask: Mask, inside: float, outside: float) -> None:
    edge = shape.outline(mask, inside, outside)
    to_selected, to_rest = squared_distances(mask), squared_distances(~mask)
    expected = np.where(
        mask.selected,
        to_rest <= (inside + shape.ROUNDING) ** 2,
        to_selected <= (outside + shape.ROUNDING) ** 2,
    )
    assert np.array_equal(edge.selected, expected)


@few
@given(masks(tiny_sizes, may_be_empty=True), st.integers(1, 8))
def test_a_mask_is_turned_as_pictures_are(mask: Mask, orientation: int) -> None:
    from PIL import Image, ImageOps

    stored = Image.fromarray(mask.to_array())
    stored.getexif()[0x0112] = orientation
    upright = np.asarray(ImageOps.exif_transpose(stored)) > 0
    assert np.array_equal(shape.turn_upright(mask, orientation).selected, upright)


def test_an_unknown_orientation() -> None:
    with pytest.raises(MaskError, match="from 1 to 8"):
        shape.turn_upright(Mask.full((2, 3)), 9)


def test_a_mask_is_resized_by_its_nearest_pixels() -> None:
    corner = Mask(np.array([[1, 0], [0, 0]], bool))
    large = shape.resize(corner, (6, 8))
    assert large.bounding_box() == (0, 0, 4, 3)
    assert large.count == 12
    assert shape.resize(large, (2, 2)) == corner


def test_a_diagonal_ring_encloses() -> None:
    diamond = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], bool)
    assert shape.fill_holes(Mask(diamond)).count == 5


@few
@given(masks(tiny_sizes, may_be_empty=True), st.integers(0, 12))
def test_drop_specks_drops_small_islands(mask: Mask, least: int) -> None:
    expected = np.zeros(mask.size, bool)
    for island in islands(mask.selected, corners=True):
        if len(island) >= least:
            expected[tuple(zip(*island, strict=True))] = True
    assert np.array_equal(shape.drop_specks(mask, least).selected, expected)


@few
@given(masks(sizes), st.integers(0, 2**32 - 1))
def test_combinations(a: Mask, seed: int) -> None:
    rng = np.random.default_rng(seed)
    b, c = Mask(rng.random(a.size) < 0.5), Mask(rng.random(a.size) < 0.5)
    assert shape.union(a, b, c) == a | b | c
    assert shape.intersection(a, b, c) == a & b & c
    assert shape.difference(a, b, c) == a - b - c
    assert shape.union(a) == shape.intersection(a) == shape.difference(a) == a
    assert shape.invert(a) == ~a


@pytest.mark.parametrize("change", [shape.grow, shape.shrink, shape.feather])
@pytest.mark.parametrize("radius", [-1, float("nan"), float("inf")])
def test_bad_radii(change: Callable[..., Any], radius: float) -> None:
    with pytest.raises(MaskError, match="px: give a finite number"):
        change(Mask.full((3, 3)), radius)


def test_pixels_that_share_a_corner_are_one_island() -> None:
    diagonal = Mask(np.eye(5, dtype=bool))
    assert shape.drop_specks(diagonal, 5) == diagonal
    assert shape.drop_specks(diagonal, 6).is_empty


def test_a_negative_area() -> None:
    with pytest.raises(MaskError, match="-1 px"):
        shape.drop_specks(Mask.full((3, 3)), -1)


def test_distances_are_the_same_bytes_wherever_memory_lies() -> None:
    """OpenCV 5.0's depend on the alignment of the result (findings/opencv-distance-not-repeatable.sh)."""
    inside = np.ones((200, 300), bool)
    for y, x in [(20, 30), (150, 90), (77, 201), (121, 260)]:
        inside[y : y + 3, x : x + 3] = False
    held, seen = [], set()
    for k in range(100):
        held.append(np.empty(8 * k + 1, np.uint8))  # moves what is allocated next
        seen.add(shape.distance_inside(inside).tobytes())
    assert len(seen) == 1

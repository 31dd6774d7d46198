"""The areas of an edit, and their way down to a network's size, against brute force in exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import few, masks, picture, quick, seeds, sizes, small_sizes
from numpy.typing import NDArray

from masks import Mask, MaskError, Size, derive_areas, shape, shrink_keep, shrink_known
from masks.membrane import RING_WIDTH

tiny_sizes = st.tuples(st.integers(1, 13), st.integers(1, 13))


def overlaps(source: int, target: int) -> NDArray[Any]:
    """The share of each cell's length that lies over each source pixel, exactly: (target, source)."""
    step = Fraction(source, target)

    def shared(cell: int, pixel: int) -> Fraction:
        start, stop = max(Fraction(pixel), cell * step), min(Fraction(pixel + 1), (cell + 1) * step)
        return max(Fraction(0), stop - start)

    rows = [[shared(i, j) / step for j in range(source)] for i in range(target)]
    return np.array(rows, object)


@quick
@given(masks(), st.floats(0, 20), seeds)
def test_areas_hold_each_other(selection: Mask, grow: float, seed: int) -> None:
    protect = Mask(np.random.default_rng(seed).random(selection.size) < 0.3)
    try:
        areas = derive_areas(selection, grow, protect)
    except MaskError:
        assert (shape.grow(selection, grow) - protect).is_empty
        return
    assert areas.selection == selection
    assert areas.allowed == shape.grow(selection, grow) - protect
    assert areas.repaint == shape.grow(areas.allowed, RING_WIDTH)


@few
@given(masks())
def test_nothing_is_allowed_beyond_the_selection_unless_asked(selection: Mask) -> None:
    areas = derive_areas(selection)
    assert areas.allowed == areas.selection == selection


def test_selections_without_an_area() -> None:
    selection = Mask.full((4, 5))
    with pytest.raises(MaskError, match="selects nothing"):
        derive_areas(Mask.empty((4, 5)), 3)
    with pytest.raises(MaskError, match="protect less"):
        derive_areas(selection, 0, Mask.full((4, 5)))
    with pytest.raises(MaskError, match="different sizes"):
        derive_areas(selection, 0, Mask.empty((5, 4)))
    with pytest.raises(MaskError, match="finite"):
        derive_areas(selection, -1)


@quick
@given(masks(tiny_sizes, may_be_empty=True), tiny_sizes)
def test_a_cell_is_kept_only_if_every_pixel_under_it_is(mask: Mask, size: Size) -> None:
    keep = ~mask.selected
    rows, columns = overlaps(mask.height, size[0]) > 0, overlaps(mask.width, size[1]) > 0
    expected = [[keep[np.ix_(row, column)].all() for column in columns] for row in rows]
    assert shrink_keep(keep, size).tolist() == expected


@quick
@given(sizes, sizes, seeds)
def test_a_single_pixel_survives_any_change_of_size(source: Size, target: Size, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, x = int(rng.integers(source[0])), int(rng.integers(source[1]))
    keep = np.ones(source, bool)
    keep[y, x] = False
    spans = [
        (floor(Fraction(at * n, length)), ceil(Fraction((at + 1) * n, length)))
        for at, n, length in ((y, target[0], source[0]), (x, target[1], source[1]))
    ]
    expected = np.ones(target, bool)
    expected[spans[0][0] : spans[0][1], spans[1][0] : spans[1][1]] = False
    assert np.array_equal(shrink_keep(keep, target), expected)


@few
@given(masks(), sizes)
def test_the_ring_is_drawn_at_the_networks_size(selection: Mask, size: Size) -> None:
    areas = derive_areas(selection)
    drawn = ~shrink_keep(~areas.repaint.selected, size)
    ring = (areas.repaint - areas.allowed).selected
    ys, xs = np.nonzero(ring)
    assert drawn[ys * size[0] // ring.shape[0], xs * size[1] // ring.shape[1]].all()


@quick
@given(masks(tiny_sizes, may_be_empty=True), tiny_sizes, seeds)
def test_known_colours_shrink_by_area(mask: Mask, size: Size, seed: int) -> None:
    size = (min(size[0], mask.height), min(size[1], mask.width))
    image, keep = picture(mask.size, seed), ~mask.selected
    small, keep_small = shrink_known(image, keep, size)
    down = overlaps(mask.height, size[0]).astype(float)
    across = overlaps(mask.width, size[1]).astype(float)
    averages = np.einsum("iy,yxc,jx->ijc", down, image.astype(float), across)
    assert np.array_equal(keep_small, shrink_keep(keep, size))
    # OpenCV leaves out overlaps below 1/1000 px.
    assert small[keep_small] == pytest.approx(averages[keep_small], abs=0.6)
    assert (small[~keep_small] == 0).all()


@few
@given(masks(sizes), sizes, seeds, st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_no_selected_colour_leaks(mask: Mask, size: Size, seed: int, dtype: Any) -> None:
    image = picture(mask.size, seed, 3, np.uint8).astype(dtype)
    one, two = image.copy(), image.copy()
    one[mask.selected] = 0
    two[mask.selected] = np.nan if dtype == np.float32 else np.iinfo(dtype).max
    (small, kept), (other, kept_too) = (shrink_known(a, ~mask.selected, size) for a in (one, two))
    assert small.dtype == np.float32
    assert small.shape == (*size, 3)
    assert np.array_equal(small, other)
    assert np.array_equal(kept, kept_too)
    assert (small[~kept] == 0).all()


@quick
@given(masks(may_be_empty=True), sizes, st.integers(0, 255))
def test_an_even_colour_stays_even_up_to_the_selection(mask: Mask, size: Size, grey: int) -> None:
    image = np.full((*mask.size, 1), grey, np.uint8)
    small, keep_small = shrink_known(image, ~mask.selected, size)
    assert small[keep_small] == pytest.approx(grey, abs=0.01)


@few
@given(masks(small_sizes, may_be_empty=True), sizes, seeds)
def test_known_colours_stay_between_the_known_ones(mask: Mask, size: Size, seed: int) -> None:
    image, keep = picture(mask.size, seed, 1), ~mask.selected
    small, keep_small = shrink_known(image, keep, size)
    if keep_small.any():
        assert small[keep_small].min() >= image[keep].min() - 0.01
        assert small[keep_small].max() <= image[keep].max() + 0.01


@few
@given(st.integers(2, 60), st.integers(0, 300), st.booleans())
def test_a_ramp_goes_up_as_a_ramp(source: int, more: int, upright: bool) -> None:
    ramp = np.arange(source, dtype=np.float32)[:, None, None]
    target = source + more
    cells = (np.arange(target) + 0.5) * source / target - 0.5
    image = ramp if upright else ramp.transpose(1, 0, 2)
    size = (target, 1) if upright else (1, target)
    large, _ = shrink_known(image, np.ones(image.shape[:2], bool), size)
    # Even for half a pixel at either end, where there is nothing to go between.
    assert large.ravel() == pytest.approx(np.clip(cells, 0, source - 1), abs=0.001)


def test_same_size_is_the_same_picture() -> None:
    image, keep = picture((7, 9), 0, 4, np.uint16), np.ones((7, 9), bool)
    small, keep_small = shrink_known(image, keep, (7, 9))
    assert np.array_equal(small, image)
    assert keep_small.all()


@pytest.mark.parametrize(
    ("image", "keep", "size", "message"),
    [
        (np.zeros((4, 5), np.uint8), np.ones((4, 5), bool), (2, 2), "give"),
        (np.zeros((5, 4, 3), np.uint8), np.ones((4, 5), bool), (2, 2), "give"),
        (np.zeros((4, 5, 0), np.uint8), np.ones((4, 5), bool), (2, 2), "give"),
        (np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), np.uint8), (2, 2), "keep is a bool array"),
        (np.zeros((4, 5, 3), np.uint8), np.ones((4, 5), bool), (0, 2), "height, width"),
    ],
)
def test_what_does_not_shrink(image: Any, keep: Any, size: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        shrink_known(image, keep, size)

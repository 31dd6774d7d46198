"""Putting back: nothing outside changes, no seam shows, and the network's own colours stand inside."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mask_strategies import few, masks, picture, quick, seeds, sizes, small_sizes
from numpy.typing import NDArray

from masks import Finish, Mask, MaskError, compare_outside, draw, put_back, shape
from masks.membrane import LEAST_FADE, RING_WIDTH, correction, harmonic

finishes = st.sampled_from(get_args(Finish))
hostile = st.sampled_from(["noise", "black", "beyond", "nan", "inf", "some nan", "huge", "uint8", "float64"])


def hostile_repaint(kind: str, original: NDArray[Any], seed: int) -> NDArray[Any]:
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 2.0 * np.iinfo(original.dtype).max, original.shape).astype(np.float32)
    if kind == "some nan":
        noise[rng.random(original.shape) < 0.3] = rng.choice([np.nan, np.inf, -np.inf])
    fill = {"black": 0, "beyond": 1e6, "nan": np.nan, "inf": np.inf, "huge": -3e38}
    if kind in fill:
        return np.full(original.shape, fill[kind], np.float32)
    if kind == "uint8":
        return picture(original.shape[:2], seed + 1, original.shape[2])
    return noise.astype(np.float64) * 1e300 if kind == "float64" else noise


@pytest.mark.filterwarnings("error")
@given(
    masks(may_be_empty=True),
    finishes,
    hostile,
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(1, 4),
    seeds,
)
@settings(max_examples=100, deadline=None)
def test_nothing_outside_changes(
    mask: Mask, finish: Finish, kind: str, dtype: Any, channels: int, seed: int
) -> None:
    original = picture(mask.size, seed, channels, dtype)
    repaint = hostile_repaint(kind, original, seed)
    before, asked = original.copy(), repaint.copy()
    result = put_back(original, repaint, mask.selected, finish)
    assert result.dtype == original.dtype
    assert result.shape == original.shape
    assert np.array_equal(result[~mask.selected], original[~mask.selected])
    assert compare_outside(original, result, mask.selected).holds
    assert np.array_equal(original, before)
    assert np.array_equal(repaint, asked, equal_nan=True)


@quick
@given(masks(small_sizes), seeds, st.sampled_from([np.uint8, np.uint16]))
def test_a_hard_edge_is_the_repaint_rounded_and_clipped(mask: Mask, seed: int, dtype: Any) -> None:
    original = picture(mask.size, seed, 3, dtype)
    top = np.iinfo(dtype).max
    repaint = np.random.default_rng(seed).uniform(-0.3 * top, 1.3 * top, original.shape).astype(np.float32)
    result = put_back(original, repaint, mask.selected, "hard")
    expected = np.clip(np.rint(repaint), 0, top)[mask.selected]
    assert np.array_equal(result[mask.selected], expected)


@quick
@given(masks(small_sizes), finishes, seeds)
def test_a_repaint_of_the_original_changes_nothing(mask: Mask, finish: Finish, seed: int) -> None:
    original = picture(mask.size, seed, 3, np.uint16)
    assert np.array_equal(put_back(original, original, mask.selected, finish), original)
    assert np.array_equal(put_back(original, original.astype(np.float32), mask.selected, finish), original)


@quick
@given(masks(small_sizes), finishes, seeds)
def test_pixels_that_are_not_finite_stay_the_originals(mask: Mask, finish: Finish, seed: int) -> None:
    rng = np.random.default_rng(seed)
    original = picture(mask.size, seed)
    repaint = rng.uniform(0, 255, original.shape).astype(np.float32)
    broken = rng.random(mask.size) < 0.3
    repaint[broken, rng.integers(3)] = rng.choice([np.nan, np.inf, -np.inf])
    result = put_back(original, repaint, mask.selected, finish)
    assert np.array_equal(result[broken], original[broken])


@quick
@given(masks(sizes), seeds)
def test_no_seam_shows_where_a_repaint_is_a_shade_off(mask: Mask, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[: mask.height, : mask.width] / 700
    smooth = 120 + 40 * np.sin(3 * xs + 2 * ys)[:, :, None] + np.array([-20.0, 0, 20])
    original = np.rint(smooth).astype(np.uint8)
    offset = rng.uniform(-30, 30, 3)
    result = put_back(original, (smooth + offset).astype(np.float32), mask.selected)
    if mask.share < 1:
        edge = (mask - shape.shrink(mask, 1)).selected
        # Rounding twice is 1, the rest is the film's error and the fade's 1 % in the first pixels.
        assert np.abs(result[edge] - smooth[edge]).max(initial=0) <= 2


def test_far_inside_the_networks_own_colours_stand() -> None:
    mask = draw.ellipse((20, 20, 420, 420), (440, 440))
    original = np.full((440, 440, 1), 100, np.uint8)
    result = put_back(original, np.full((440, 440, 1), 130, np.float32), mask.selected)[:, :, 0]
    profile = result[220, 20:221].astype(float)
    assert profile[0] == pytest.approx(100, abs=1)
    assert profile[-1] == pytest.approx(130, abs=1)
    # The law: L is half of the depth of 200 px, so 30 * (1 - exp(-1)) of the shade is back at 100 px.
    assert profile[100] == pytest.approx(100 + 30 * (1 - np.exp(-1)), abs=1)
    assert (np.diff(profile) >= 0).all()
    assert np.diff(profile).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_correction_beyond_white_or_black_is_clipped(dtype: Any) -> None:
    top = int(np.iinfo(dtype).max)
    allowed = draw.box((10, 10, 30, 30), (40, 40)).selected
    for shade in (0, top):
        original = np.full((40, 40, 1), shade, dtype)
        repaint = np.full(original.shape, top - shade, np.float32)
        repaint[allowed] = shade
        assert (put_back(original, repaint, allowed)[allowed] == shade).all()


def test_thin_strokes_take_the_whole_correction() -> None:
    mask = draw.strokes([(20, 20), (180, 150)], 3, (180, 200))
    original = np.full((180, 200, 1), 100, np.uint8)
    result = put_back(original, np.full(original.shape, 130, np.float32), mask.selected)
    assert np.abs(result[mask.selected].astype(int) - 100).max() <= 2


@few
@given(masks(small_sizes), finishes, seeds)
def test_no_old_pixel_shines_through(mask: Mask, finish: Finish, seed: int) -> None:
    if finish == "feather":
        finish = "membrane"
    repaint = picture(mask.size, seed + 1)
    one, two = picture(mask.size, seed), picture(mask.size, seed)
    two[mask.selected] = ~two[mask.selected]
    results = [put_back(original, repaint, mask.selected, finish) for original in (one, two)]
    assert np.array_equal(results[0], results[1])


@few
@given(masks(), seeds)
def test_only_the_ring_is_read_outside(mask: Mask, seed: int) -> None:
    original, repaint = picture(mask.size, seed), picture(mask.size, seed + 1).astype(np.float32)
    beyond = ~shape.grow(mask, RING_WIDTH).selected
    other, other_repaint = original.copy(), repaint.copy()
    other[beyond], other_repaint[beyond] = 0, np.nan
    result = put_back(original, repaint, mask.selected)
    assert np.array_equal(put_back(other, other_repaint, mask.selected)[mask.selected], result[mask.selected])


def test_a_broken_pixel_of_the_ring_is_passed_over() -> None:
    mask = draw.box((20, 20, 40, 40), (60, 60))
    original = np.full((60, 60, 1), 100, np.uint8)
    repaint = np.full(original.shape, 130, np.float32)
    repaint[19, 25:30] = np.nan
    repaint[:, 41] = np.inf
    result = put_back(original, repaint, mask.selected)
    assert np.abs(result[20, 20:40].astype(int) - 100).max() <= 2
    assert np.abs(result[20:40, 39].astype(int) - 100).max() <= 2


def test_without_a_ring_the_repaint_stands() -> None:
    original, repaint = picture((30, 20), 0), picture((30, 20), 1)
    assert np.array_equal(put_back(original, repaint, np.ones((30, 20), bool)), repaint)
    # And where none of the ring can be used.
    allowed = draw.box((5, 5, 9, 9), (30, 20)).selected
    blind = np.where(allowed[:, :, None], repaint, np.nan).astype(np.float32)
    assert np.array_equal(put_back(original, blind, allowed)[allowed], repaint[allowed])


def test_sixteen_bits_are_put_back_at_sixteen_bits() -> None:
    original = np.full((40, 40, 3), 1000, np.uint16)
    allowed = draw.box((10, 10, 30, 30), (40, 40)).selected
    ramp = np.broadcast_to(np.linspace(20000, 20399, 40, dtype=np.float32)[None, :, None], original.shape)
    assert len(np.unique(put_back(original, ramp, allowed, "hard")[allowed])) == 20
    eight = np.full((40, 40, 3), 255, np.uint8)
    assert (put_back(original, eight, allowed, "hard")[allowed] == 65535).all()


@few
@given(masks(small_sizes), seeds, st.floats(0, 12))
def test_feathering_fades_from_the_original_to_the_repaint(mask: Mask, seed: int, radius: float) -> None:
    original, repaint = picture(mask.size, seed), picture(mask.size, seed + 1)
    weights = shape.feather(mask, radius)[:, :, None]
    expected = original + weights * (repaint.astype(float) - original)
    result = put_back(original, repaint, mask.selected, "feather", radius)
    assert result == pytest.approx(expected, abs=0.51)


def laplace(values: NDArray[Any], inside: NDArray[np.bool_]) -> NDArray[Any]:
    """One plane of the film by solving the linear system itself: (H, W)."""
    cells = list(zip(*map(np.ndarray.tolist, np.nonzero(inside)), strict=True))
    number = {cell: i for i, cell in enumerate(cells)}
    matrix, right = np.zeros((len(cells), len(cells))), np.zeros(len(cells))
    for (y, x), i in number.items():
        for cell in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            if not (0 <= cell[0] < inside.shape[0] and 0 <= cell[1] < inside.shape[1]):
                continue
            matrix[i, i] += 1
            if cell in number:
                matrix[i, number[cell]] -= 1
            else:
                right[i] += values[cell]
    out = values.astype(float).copy()
    out[inside] = np.linalg.solve(matrix, right)
    return out


def off_by(values: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """The film's largest error as a share of the range of the values around it."""
    film = harmonic(values[None].astype(np.float32), ~inside, inside)[0]
    around = max(float(np.ptp(values[~inside])), 0.01)
    return float(np.abs(film - laplace(values, inside))[inside].max()) / around


short = st.integers(1, 4)
long = st.integers(1, 150)
areas_to_solve = st.one_of(
    st.tuples(st.integers(1, 24), st.integers(1, 24)), st.tuples(short, long), st.tuples(long, short)
)


@quick
@given(masks(areas_to_solve), seeds)
def test_the_film_solves_laplaces_equation(mask: Mask, seed: int) -> None:
    if mask.share < 1:
        rng = np.random.default_rng(seed)
        ys, xs = np.indices(mask.size) / 12
        wave = np.sin(rng.uniform(-2, 2) * xs + rng.uniform(-2, 2) * ys + rng.uniform(0, 6))
        assert off_by(wave, mask.selected) < 0.02


@pytest.mark.parametrize("height", [1, 3, 8])
@pytest.mark.parametrize("edge", [110, 111, 112])
def test_the_film_reaches_the_end_of_a_long_strip(height: int, edge: int) -> None:
    # Without the best length of step the cycles diverge here: the edge lies just left of a coarse cell's.
    inside = np.zeros((height, 240), bool)
    inside[:, edge:] = True
    values = np.random.default_rng(edge).uniform(-1, 1, inside.shape)
    assert off_by(values, inside) < 0.03


@few
@given(masks(small_sizes), seeds)
def test_the_film_stays_between_the_values_around_it(mask: Mask, seed: int) -> None:
    if mask.share == 1:
        return
    values = np.random.default_rng(seed).uniform(-1, 1, (1, *mask.size)).astype(np.float32)
    film = harmonic(values, ~mask.selected, mask.selected)[0][mask.selected]
    around = values[0][~mask.selected]
    assert around.min() - 0.03 <= film.min() <= film.max() <= around.max() + 0.03


@few
@given(masks(), seeds)
def test_the_correction_is_the_film_times_the_fade(mask: Mask, seed: int) -> None:
    inside = mask.selected
    even = np.full((1, *mask.size), np.random.default_rng(seed).uniform(5, 50), np.float32)
    found = correction(even, ~inside, inside)[0]
    assert (found[~inside] == 0).all()
    if mask.share < 1:
        depth = shape.distance_inside(inside)
        fade = np.exp(-(((depth - 1) / max(LEAST_FADE, depth.max() / 2)) ** 2))
        assert found[inside] == pytest.approx((even[0] * fade)[inside], rel=0.02, abs=0.02)


@pytest.mark.parametrize(
    ("original", "repaint", "allowed", "options", "message"),
    [
        (np.float32, (4, 5, 3), np.ones((4, 5), bool), {}, "uint8 or uint16"),
        (np.uint8, (5, 4, 3), np.ones((4, 5), bool), {}, "differ in size"),
        (np.uint8, (4, 5, 3), np.ones((5, 4), bool), {}, "differ in size"),
        (np.uint8, (4, 5, 3), np.ones((4, 5), np.uint8), {}, "bool array"),
        (np.uint8, (4, 5, 3), np.ones((4, 5), bool), {"finish": "glue"}, "hard, membrane, feather"),
        (np.uint8, (4, 5, 3), np.ones((4, 5), bool), {"feather_radius": -1}, "-1 px"),
    ],
)
def test_what_cannot_be_put_back(
    original: Any, repaint: Any, allowed: Any, options: Any, message: str
) -> None:
    with pytest.raises(MaskError, match=message):
        put_back(np.zeros((4, 5, 3), original), np.zeros(repaint, np.float32), allowed, **options)


def test_integers_of_another_kind_are_not_guessed_at() -> None:
    allowed = np.ones((4, 5), bool)
    for dtype in (np.int64, np.uint16, bool):
        with pytest.raises(MaskError, match="the repaint is float"):
            put_back(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 5, 3), dtype), allowed)
    with pytest.raises(MaskError, match="1 to 4 channels"):
        put_back(np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.uint8), allowed)

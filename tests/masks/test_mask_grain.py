"""Grain: noise that the surroundings lack goes, what they have comes, and nothing outside changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from masks import add_grain, draw, extend_edges, remove_excess_noise

Pixels = NDArray[np.float32]

SIZE = (160, 160)
HIDDEN = draw.box((40, 40, 120, 120), SIZE).selected
DEEP = draw.box((48, 48, 112, 112), SIZE).selected
FAR = ~draw.box((30, 30, 130, 130), SIZE).selected


def white_noise(seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).standard_normal((*SIZE, 3)).astype(np.float32)


def flat(level: float = 120) -> Pixels:
    return np.full((*SIZE, 3), level, np.float32)


def put(inside: Pixels, outside: Pixels) -> Pixels:
    return np.where(HIDDEN[..., None], inside, outside)


def test_noise_that_smooth_surroundings_lack_is_taken_out() -> None:
    noisy = put(flat() + 4 * white_noise(), flat())
    result = remove_excess_noise(noisy, flat(), ~HIDDEN, HIDDEN)
    assert result[DEEP].std() < 0.25 * noisy[DEEP].std()
    assert result[DEEP].mean() == pytest.approx(120, abs=0.5)


def test_edges_stay_where_noise_goes() -> None:
    step = flat()
    step[:, 80:] += 60
    noisy = put(step + 3 * white_noise(), flat())
    result = remove_excess_noise(noisy, flat(), ~HIDDEN, HIDDEN)
    rise = result[60:100, 81].mean() - result[60:100, 78].mean()
    assert rise > 0.9 * 60
    assert result[60:100, 55:70].std() < 0.35 * 3


def test_noise_is_taken_out_no_further_than_the_surroundings_have_it() -> None:
    around = flat() + 2 * white_noise(1)
    result = remove_excess_noise(put(flat() + 6 * white_noise(), around), around, ~HIDDEN, HIDDEN)
    assert 1 < result[DEEP].std() < 4


def test_a_repaint_no_noisier_than_its_surroundings_stays() -> None:
    around = flat() + 4 * white_noise(1)
    repaint = put(flat() + white_noise(), around)
    assert remove_excess_noise(repaint, around, ~HIDDEN, HIDDEN) is repaint


@pytest.mark.parametrize("level", [1.0, 2.0, 4.0])
def test_the_grain_around_comes_in_at_its_level(level: float) -> None:
    picture = put(flat(), flat() + level * white_noise(1))
    result = add_grain(picture, ~HIDDEN, HIDDEN, white_noise(2))
    assert result[DEEP].std() == pytest.approx(level, rel=0.2)
    assert result[DEEP].mean() == pytest.approx(120, abs=0.2)


def test_coarse_grain_comes_in_coarse_and_grey_grain_grey() -> None:
    soft = cv2.GaussianBlur(white_noise(1), (0, 0), 1.0)
    soft = np.repeat(3 * soft[..., :1] / soft.std(), 3, axis=2)
    result = add_grain(put(flat(), flat() + soft), ~HIDDEN, HIDDEN, white_noise(2))
    own, made = (_neighbours(each, where) for each, where in ((soft, FAR), (result - flat(), DEEP)))
    assert made == pytest.approx(own, abs=0.15), "as alike as neighbours outside are"
    assert np.ptp(result[DEEP], axis=-1).mean() < 0.2 * result[DEEP].std()


def _neighbours(picture: Pixels, where: NDArray[np.bool_]) -> float:
    """How alike a pixel and the next one are: 0 for white noise."""
    both = where[:, 1:] & where[:, :-1]
    return float(np.corrcoef(picture[:, 1:, 0][both], picture[:, :-1, 0][both])[0, 1])


def test_texture_is_not_taken_for_grain() -> None:
    picture = flat() + 2 * white_noise(1)
    picture[:, 100:] += 25 * white_noise(3)[:, 100:]
    result = add_grain(put(flat(), picture), ~HIDDEN, HIDDEN, white_noise(2))
    assert result[DEEP].std() < 3


def test_a_picture_without_grain_and_one_without_surroundings_stay() -> None:
    everything, picture = np.ones(SIZE, bool), flat() + 4 * white_noise(1)
    assert add_grain(flat(), ~HIDDEN, HIDDEN, white_noise()) is not picture
    smooth = flat()
    assert add_grain(smooth, ~HIDDEN, HIDDEN, white_noise()) is smooth
    assert add_grain(picture, ~everything, everything, white_noise()) is picture
    assert remove_excess_noise(picture, flat(), ~everything, everything) is picture


def test_white_around_says_nothing_of_grain_and_white_inside_takes_none() -> None:
    white = flat(255)
    assert add_grain(white, ~HIDDEN, HIDDEN, white_noise()) is white
    result = add_grain(put(white, flat() + 3 * white_noise(1)), ~HIDDEN, HIDDEN, white_noise(2))
    assert np.abs(result - 255)[DEEP].max() < 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_no_pixel_outside_changes(seed: int) -> None:
    picture = put(flat(), flat() + 3 * white_noise(seed))
    for result in (
        add_grain(picture, ~HIDDEN, HIDDEN, white_noise(9)),
        extend_edges(picture, ~HIDDEN, HIDDEN),
    ):
        assert np.array_equal(result[~HIDDEN], picture[~HIDDEN])


def test_what_is_unknown_is_not_measured() -> None:
    known = ~HIDDEN & (np.arange(SIZE[1]) < 80)
    picture = put(flat(), flat() + 2 * white_noise(1))
    other = picture.copy()
    other[:, 80:][~HIDDEN[:, 80:]] = 0
    one, two = (add_grain(each, known, HIDDEN, white_noise(2))[60:100, 60:70] for each in (picture, other))
    assert np.allclose(one, two, atol=0.2)
    assert two.std() > 1


def test_lines_and_slopes_go_on_over_the_edge() -> None:
    around = flat()
    around[60:62] -= 60
    across = extend_edges(put(flat(), around), ~HIDDEN, HIDDEN)[60, :, 0]
    assert across[40] < 100, "it goes on"
    assert np.all(np.diff(across[39:50]) >= 0), "and fades"
    assert across[60] == 120
    slope = flat() + np.linspace(-30, 30, SIZE[1], dtype=np.float32)[:, None]
    assert np.abs(extend_edges(slope, ~HIDDEN, HIDDEN) - slope).max() < 0.01


def test_what_differs_from_its_surroundings_keeps_its_edge() -> None:
    thing = put(flat(220), flat(30))
    assert np.abs(extend_edges(thing, ~HIDDEN, HIDDEN) - thing)[44:116, 44:116].max() < 1


def test_nothing_goes_on_from_what_is_unknown() -> None:
    known = ~HIDDEN & (np.arange(SIZE[1]) < 80)
    picture = put(flat(), flat() + 5 * white_noise(1))
    other = np.where((known | HIDDEN)[..., None], picture, 0)
    one, two = (extend_edges(each, known, HIDDEN)[HIDDEN] for each in (picture, other))
    assert np.allclose(one, two, atol=0.5)
    assert np.array_equal(extend_edges(picture, ~HIDDEN & ~known & False, HIDDEN), picture)

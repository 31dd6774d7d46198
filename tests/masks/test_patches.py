"""What is hidden is put together from what is known: textures go on, and nothing hidden is looked at."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from masks import patch_fill
from masks.patches import FINEST


def textured(side: int, period: int) -> NDArray[np.float32]:
    """Slanted stripes in two colours."""
    y, x = np.indices((side, side))
    stripes = ((x + y) // (period // 2)) % 2
    return np.where(stripes[..., None] == 1, (0.8, 0.2, -0.5), (-0.6, 0.1, 0.7)).astype(np.float32)


def hole(side: int, low: float, high: float) -> NDArray[np.bool_]:
    kept = np.ones((side, side), bool)
    kept[int(low * side) : int(high * side), int(low * side) : int(high * side)] = False
    return kept


@pytest.mark.parametrize("side", [64, 96])
def test_a_texture_goes_on(side: int) -> None:
    picture, kept = textured(side, 16), hole(side, 0.35, 0.6)
    filled = patch_fill(picture, kept)
    assert filled is not None
    wrong = np.abs(filled - picture)[~kept].mean()
    shuffled = np.abs(picture[kept][np.arange((~kept).sum())] - picture[~kept]).mean()
    assert wrong < 0.2 * shuffled


def test_above_and_below_stay_apart() -> None:
    picture = np.empty((80, 80, 3), np.float32)
    picture[:40], picture[40:] = (-0.5, 0.0, 0.9), (0.1, 0.6, -0.8)
    kept = hole(80, 0.3, 0.7)
    filled = patch_fill(picture, kept)
    assert filled is not None
    clear = np.abs(np.arange(80) - 39.5) > 3
    np.testing.assert_allclose(filled[clear], picture[clear], atol=1e-5)


def test_what_is_known_stays_and_what_is_hidden_is_not_read() -> None:
    picture, kept = textured(70, 14), hole(70, 0.2, 0.5)
    filled = patch_fill(picture, kept)
    assert filled is not None
    np.testing.assert_array_equal(filled[kept], picture[kept])
    other = patch_fill(np.where(kept[..., None], picture, np.float32(np.nan)), kept)
    assert other is not None
    np.testing.assert_array_equal(filled, other)


def test_larger_pictures_get_the_photographs_own_texture() -> None:
    """Noise stays noise, and what goes on in a straight line is copied pixel by pixel."""
    rng = np.random.default_rng(0)
    side = 3 * FINEST + 5
    picture = rng.uniform(-1, 1, (side, side - 30, 3)).astype(np.float32)
    kept = hole(side, 0.4, 0.55)[:, :-30]
    filled = patch_fill(picture, kept)
    assert filled is not None
    assert filled[~kept].std() > 0.8 * picture[kept].std()
    stripes = np.repeat(rng.uniform(-1, 1, (1, side - 30, 3)), side, axis=0).astype(np.float32)
    filled = patch_fill(stripes, kept)
    assert filled is not None
    assert (np.abs(filled - stripes)[~kept].max(axis=1) < 1e-5).mean() > 0.5


def test_an_even_picture_is_filled_evenly() -> None:
    picture = np.full((64, 64, 3), 0.25, np.float32)
    picture[:4] = -0.9
    filled = patch_fill(picture, hole(64, 0.3, 0.8))
    assert filled is not None
    np.testing.assert_allclose(filled[4:], 0.25, atol=1e-5)


def test_with_too_little_known_there_is_no_filling() -> None:
    kept = np.zeros((64, 64), bool)
    kept[:3] = True
    assert patch_fill(textured(64, 16), kept) is None


def test_a_picture_without_a_hole_is_given_back() -> None:
    picture = textured(32, 8)
    filled = patch_fill(picture, np.ones((32, 32), bool))
    assert filled is not None
    np.testing.assert_array_equal(filled, picture)

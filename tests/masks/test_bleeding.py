"""How far a thing shows beyond its selection, on photographs with things of known softness."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from masks import MOST_BLEED, Mask, MaskError, bleed, shape


def with_disc(softness: float, name: str = "chelsea") -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """A photograph with a red disc, and how much of each pixel is the disc's."""
    photograph = getattr(data, name)()[:300, :400]
    alpha = np.zeros(photograph.shape[:2], np.float32)
    cv2.circle(alpha, (210, 150), 45, 1.0, -1)
    if softness:
        alpha = cv2.GaussianBlur(alpha, (0, 0), softness)
    red = np.array([230, 20, 30], np.float32)
    mixed = photograph + alpha[..., None] * (red - photograph)
    return mixed.round().astype(np.uint8), np.asarray(alpha, np.float32)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_what_is_selected_whole_shows_nowhere_else(name: str) -> None:
    picture, alpha = with_disc(0, name)
    assert bleed(picture, Mask(alpha > 0)) == 0
    soft, alpha = with_disc(1.0, name)
    assert bleed(soft, shape.grow(Mask(alpha > 0.5), 5)) == 0


@pytest.mark.parametrize(("softness", "least", "most"), [(0.7, 1, 3), (1.5, 2, 5), (3.0, 4, 8)])
@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
def test_a_soft_edge_is_followed(name: str, softness: float, least: int, most: int) -> None:
    picture, alpha = with_disc(softness, name)
    found = bleed(picture, Mask(alpha > 0.5))
    assert least <= found <= most
    assert alpha[~shape.grow(Mask(alpha > 0.5), found).selected].max() < 0.2


def test_what_a_brush_has_missed_is_followed_so_far() -> None:
    picture, alpha = with_disc(0.5)
    missed = shape.shrink(Mask(alpha > 0.5), 4)
    assert 5 <= bleed(picture, missed) <= MOST_BLEED


def test_sixteen_bits_are_measured_alike() -> None:
    picture, alpha = with_disc(1.5)
    selected = Mask(alpha > 0.5)
    assert bleed(picture.astype(np.uint16) * 257, selected) == bleed(picture, selected)


def test_where_nothing_can_be_told_nothing_is_grown() -> None:
    flat = np.full((60, 60, 3), 120, np.uint8)
    some = np.zeros((60, 60), bool)
    some[20:30, 20:30] = True
    assert bleed(flat, Mask(some)) == 0
    assert bleed(flat, Mask(np.ones((60, 60), bool))) == 0
    assert bleed(flat, Mask(np.zeros((60, 60), bool))) == 0
    assert bleed(flat[:1, :1], Mask(np.ones((1, 1), bool))) == 0


def test_large_selections_are_measured_in_windows() -> None:
    picture, alpha = with_disc(1.5)
    wide = np.tile(picture, (5, 5, 1))
    everywhere = Mask(np.tile(alpha > 0.5, (5, 5)))
    assert abs(bleed(wide, everywhere) - bleed(picture, Mask(alpha > 0.5))) <= 1


def test_another_size_is_refused() -> None:
    with pytest.raises(MaskError):
        bleed(np.zeros((4, 5, 3), np.uint8), Mask(np.ones((5, 4), bool)))

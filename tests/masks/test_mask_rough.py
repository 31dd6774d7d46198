"""Rough painting is made exact by the picture under it."""

from __future__ import annotations

import numpy as np
import pytest

from masks import Mask, MaskError, draw, rough

SIZE = (80, 120)
DISC = draw.ellipse((40, 20, 80, 60), SIZE)


def picture() -> np.ndarray:
    """A red disc on green, with a little grain."""
    pixels = np.random.default_rng(0).integers(0, 12, (*SIZE, 3), dtype=np.uint8)
    pixels[..., 1] += 120
    pixels[DISC.selected] += np.array([200, 0, 0], np.uint8)
    pixels[DISC.selected, 1] -= 110
    return pixels


def share(a: Mask, b: Mask) -> float:
    return float((a & b).count / (a | b).count)


def test_a_blob_over_a_thing_becomes_the_thing() -> None:
    painted = draw.ellipse((36, 16, 84, 64), SIZE)
    assert share(painted, DISC) < 0.75
    assert share(rough.tighten(picture(), painted), DISC) > 0.97


def test_a_scribble_on_a_thing_becomes_the_thing() -> None:
    painted = draw.box((43, 37, 77, 43), SIZE) | draw.box((57, 23, 63, 57), SIZE)
    assert share(rough.tighten(picture(), painted), DISC) > 0.9


def test_colours_spread_as_far_as_they_hang_together() -> None:
    pixels = picture()
    pixels[5:10, 5:10] = pixels[40, 60]
    selected = rough.spread(pixels, draw.box((58, 38, 62, 42), SIZE))
    assert share(selected, DISC) > 0.99


@pytest.mark.parametrize("made", [rough.tighten, rough.spread])
def test_nothing_painted(made: object) -> None:
    with pytest.raises(MaskError, match="nothing is painted"):
        made(picture(), Mask.empty(SIZE))  # type: ignore[operator]


def test_another_size() -> None:
    with pytest.raises(MaskError):
        rough.tighten(picture()[:60], DISC)

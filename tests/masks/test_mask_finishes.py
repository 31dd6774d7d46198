"""Seamless cloning and the choice of the best finish."""

from __future__ import annotations

import numpy as np
import pytest

from masks import best_finish, draw, mismatch, put_back

SIZE = (60, 80)
MASK = draw.ellipse((20, 15, 60, 45), SIZE)


def ramp() -> np.ndarray:
    """A picture that gets brighter to the right."""
    row = np.linspace(40, 200, SIZE[1])
    return np.repeat(np.repeat(row[None, :, None], SIZE[0], 0), 3, 2).astype(np.uint8)


@pytest.mark.parametrize("white", [255, 65535])
def test_cloning_takes_a_difference_of_colour_away_to_the_middle(white: int) -> None:
    original = ramp().astype(np.uint8 if white == 255 else np.uint16) * np.array(
        white // 255, f"u{1 + (white > 255)}"
    )
    repaint = original.astype(np.float32) + 30 * white / 255
    clone, membrane = (
        np.abs(put_back(original, repaint, MASK.selected, finish).astype(int) - original)[MASK.selected]
        * 255
        / white
        for finish in ("clone", "membrane")
    )
    assert clone.max() <= 3
    assert membrane.max() > 5, "the membrane fades, and leaves the middle as it was drawn"


def test_narrow_strokes_are_finished_by_the_membrane() -> None:
    stroke = draw.box((10, 20, 70, 23), SIZE).selected
    repaint = ramp().astype(np.float32) + 30
    made = [put_back(ramp(), repaint, stroke, finish) for finish in ("clone", "membrane")]
    assert np.array_equal(made[0], made[1])


def test_the_edge_of_a_ramp_is_off_by_the_step_that_was_made() -> None:
    picture = ramp()
    assert mismatch(picture, MASK.selected) < 1
    picture[MASK.selected] += 20
    assert mismatch(picture, MASK.selected) == pytest.approx(20 * 2, rel=0.6)
    assert mismatch(picture, np.ones(SIZE, bool)) == 0


def test_the_best_finish_leaves_the_least_of_an_edge_and_no_edge_is_left_alone() -> None:
    repaint = ramp().astype(np.float32) + 30
    made = {name: put_back(ramp(), repaint, MASK.selected, name) for name in ("hard", "membrane", "clone")}
    assert best_finish(ramp(), made, MASK.selected) in ("membrane", "clone")
    flat = np.full((*SIZE, 3), 90, np.uint8)
    same = {name: put_back(flat, flat, MASK.selected, name) for name in ("hard", "membrane", "clone")}
    assert best_finish(flat, same, MASK.selected) == "hard"

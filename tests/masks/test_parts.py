"""In which parts and pieces a selection is drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from masks import Mask, Part, draw, follow, split_selection
from masks.crop import solve_crop_around
from masks.parts import MOST_PIECES


def whole(mask: Mask) -> Part:
    x0, y0, x1, y1 = mask.bounding_box()
    return Part((x0, y0, x1, y1), mask.selected[y0:y1, x0:x1])


def painted(parts: list[Part], size: tuple[int, int]) -> np.ndarray:
    """How many parts hold each pixel."""
    count = np.zeros(size, int)
    for part in parts:
        x0, y0, x1, y1 = part.box
        count[y0:y1, x0:x1] += part.selected
    return count


@given(
    seed=st.integers(0, 999), thickness=st.integers(1, 30), size=st.sampled_from([(700, 2000), (2600, 2400)])
)
@settings(max_examples=30, deadline=None)
def test_pieces_together_are_the_selection_and_no_pixel_is_in_two(
    seed: int, thickness: int, size: tuple[int, int]
) -> None:
    import cv2

    random = np.random.default_rng(seed)
    drawn = np.zeros(size, np.uint8)
    points = random.integers(0, size[::-1], (6, 2)).astype(np.int32)
    cv2.polylines(drawn, [points], False, 1, thickness)
    mask = Mask(drawn > 0)
    pieces = follow(whole(mask), size)
    assert (painted(pieces, size) == mask.selected).all()
    assert len(pieces) <= MOST_PIECES
    parts = split_selection(mask)
    assert (painted(parts, size) == mask.selected).all()


@pytest.mark.parametrize(("length", "thickness"), [(2000, 9), (4000, 9), (12000, 40)])
def test_a_long_strip_costs_by_its_length_not_by_its_square(length: int, thickness: int) -> None:
    mask = draw.box((0, 480, length, 480 + thickness), (1000, length))
    pieces = follow(whole(mask), mask.size)
    seen = sum(solve_crop_around(piece.box, mask.size).side ** 2 for piece in pieces)
    assert seen < 1.5 * length * max(256, 12 * thickness)
    assert len({piece.box[2] - piece.box[0] for piece in pieces}) <= 2, "in equal shares"


def test_pieces_follow_each_other_along_the_selection() -> None:
    mask = draw.box((100, 10, 3000, 20), (400, 3200))
    pieces = follow(whole(mask), mask.size)
    assert [piece.box[0] for piece in pieces[1:]] == [piece.box[2] for piece in pieces[:-1]]


def test_cuts_lie_in_gaps_where_there_are_some() -> None:
    selected = np.zeros((400, 4000), bool)
    for x in range(0, 4000, 160):
        selected[200:220, x : x + 60] = True
    mask = Mask(selected)
    for piece in follow(whole(mask), mask.size):
        assert piece.box[0] % 160 == 0
        assert piece.box[2] % 160 == 60


@pytest.mark.parametrize(
    "mask",
    [
        draw.ellipse((400, 400, 1600, 1600), (3000, 4000)),  # compact
        draw.box((0, 300, 800, 304), (600, 800)),  # fits one crop
        draw.box((0, 0, 2000, 3000), (3000, 4000)),  # half of the picture
    ],
)
def test_what_is_compact_or_small_stays_whole(mask: Mask) -> None:
    assert len(follow(whole(mask), mask.size)) == 1


def test_a_ring_is_followed_around_and_not_across() -> None:
    ring = draw.ellipse((200, 200, 2800, 2800), (3000, 3000)) - draw.ellipse(
        (220, 220, 2780, 2780), (3000, 3000)
    )
    pieces = follow(whole(ring), ring.size)
    assert (painted(pieces, ring.size) == ring.selected).all()
    longest = max(max(piece.box[2] - piece.box[0], piece.box[3] - piece.box[1]) for piece in pieces)
    assert longest <= 512
    assert 20 < len(pieces) < 80

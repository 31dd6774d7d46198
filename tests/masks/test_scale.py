"""A mask for a picture of another size covers the same part of it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from masks import Mask, MaskError, scale_to

sides = st.integers(1, 60)


def box(height: int, width: int, rows: slice, columns: slice) -> Mask:
    selected = np.zeros((height, width), bool)
    selected[rows, columns] = True
    return Mask(selected)


def test_a_box_stays_a_box_of_its_share() -> None:
    mask = box(40, 60, slice(10, 30), slice(20, 50))
    assert scale_to(mask, (80, 120)).bounding_box() == (40, 20, 100, 60)
    assert scale_to(mask, (20, 30)) == box(20, 30, slice(5, 15), slice(10, 25))
    assert scale_to(mask, (80, 30)).bounding_box() == (10, 20, 25, 60)


def test_the_same_size_is_the_same_mask() -> None:
    mask = box(7, 9, slice(2, 3), slice(4, 5))
    assert scale_to(mask, (7, 9)) is mask


def test_a_thin_line_does_not_vanish() -> None:
    line = box(400, 400, slice(200, 201), slice(None))
    small = scale_to(line, (40, 40))
    assert small == box(40, 40, slice(20, 21), slice(None))


@given(sides, sides, sides, sides, st.data())
def test_empty_stays_empty_full_stays_full_and_nothing_vanishes(
    high: int, wide: int, new_high: int, new_wide: int, data: st.DataObject
) -> None:
    size = (new_high, new_wide)
    assert scale_to(Mask.empty((high, wide)), size) == Mask.empty(size)
    assert scale_to(Mask.full((high, wide)), size) == Mask.full(size)
    row, column = data.draw(st.integers(0, high - 1)), data.draw(st.integers(0, wide - 1))
    pixel = box(high, wide, slice(row, row + 1), slice(column, column + 1))
    assert not scale_to(pixel, size).is_empty


@pytest.mark.parametrize("size", [(0, 5), (5,), "5x5", (2.5, 3)])
def test_a_size_that_is_none(size: object) -> None:
    with pytest.raises(MaskError, match="a size is"):
        scale_to(Mask.full((3, 3)), size)  # type: ignore[arg-type]

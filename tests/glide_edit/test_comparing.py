"""`verify`: anybody's edit against the picture before it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from glide_edit.comparing import verify
from glide_edit.errors import InputError
from glide_edit.images import open_picture, save_picture
from masks import Mask, MaskError, draw

PHOTO = data.chelsea()[:120, :160]
SIZE = (120, 160)
MASK = draw.ellipse((40, 30, 100, 90), SIZE)


def edited(*outside: tuple[int, int]) -> Any:
    """The selection painted green, and single pixels (x, y) outside made a little lighter."""
    after = PHOTO.copy()
    after[MASK.selected] = (0, 255, 0)
    for x, y in outside:
        after[y, x, 2] += 3
    return after


def test_an_edit_that_stays_inside() -> None:
    found = verify(PHOTO, edited(), MASK)
    assert found.kept
    assert found.box is None
    assert found.notes == ()
    assert found.preservation.outside == 120 * 160 - MASK.count
    assert str(found) == f"0 of {120 * 160 - MASK.count:,} pixels outside changed"
    assert found.to_json()["before_sha256"] == found.to_json()["after_sha256"]


def test_what_changed_outside_is_counted_and_found() -> None:
    found = verify(PHOTO, edited((5, 7), (150, 20)), MASK)
    assert not found.kept
    assert found.preservation.changed == 2
    assert found.preservation.largest_change == 3
    assert found.box == (5, 7, 151, 21)
    assert str(found).endswith("2 of 16,372 pixels outside changed, by up to 3 of 255, in the box 5,7,151,21")
    record = found.to_json()
    assert (record["kept"], record["box"], record["bit_depth"]) == (False, [5, 7, 151, 21], 8)
    assert found.map()[7, 5].tolist() == [230, 40, 40]


def test_growing_and_protecting() -> None:
    beyond = edited((39, 60))
    assert not verify(PHOTO, beyond, MASK).kept
    assert verify(PHOTO, beyond, MASK, grow=2).kept
    assert not verify(PHOTO, beyond, MASK, grow=2, protect=draw.box((0, 0, 40, 120), SIZE)).kept


def test_files_and_masks_in_files(tmp_path: Path) -> None:
    before, after = save_picture(PHOTO, tmp_path / "a.png"), save_picture(edited(), tmp_path / "b.tif")
    mask = save_picture(MASK.to_array(), tmp_path / "mask.png")
    assert verify(before, after, mask).kept
    jpeg = save_picture(edited(), tmp_path / "b.jpg")
    found = verify(before, jpeg, mask)
    assert not found.kept
    assert any("JPEG" in note for note in found.notes)


def test_16_bits_are_compared_at_16_bits_and_mixed_ones_at_8() -> None:
    deep = PHOTO.astype(np.uint16) * 257
    finer = deep.copy()
    finer[0, 0, 0] += 1
    found = verify(deep, finer, MASK)
    assert (found.preservation.changed, found.bit_depth, found.notes) == (1, 16, ())
    mixed = verify(finer, PHOTO, MASK)
    assert (mixed.kept, mixed.bit_depth) == (True, 8)
    assert "had 16 bits a channel and has 8 now" in mixed.notes[0]


def test_alpha_counts() -> None:
    clear = np.dstack([PHOTO, np.full(SIZE, 255, np.uint8)])
    found = verify(PHOTO, clear, MASK)
    assert found.kept
    assert "only the picture after it has an alpha channel" in found.notes[0]
    clear[3, 3, 3] = 250
    assert verify(PHOTO, clear, MASK).preservation.changed == 1


def test_profiles_and_orientations_are_told() -> None:
    picture = open_picture(PHOTO)
    found = verify(picture, replace(picture, icc_profile=b"another"), MASK)
    assert "colour profiles" in found.notes[0]
    found = verify(replace(picture, orientation=6), picture, MASK)
    assert "EXIF 6 and 1" in found.notes[0]


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (np.zeros((160, 120, 3), np.uint8), "was turned by the edit .* 160 x 120 and is 120 x 160 now"),
        (np.zeros((60, 80, 3), np.uint8), "another size after the edit"),
    ],
)
def test_pictures_that_cannot_be_compared(after: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        verify(PHOTO, after, MASK)


def test_masks_that_cannot_be_used() -> None:
    with pytest.raises(MaskError, match="selects nothing"):
        verify(PHOTO, PHOTO, Mask.empty(SIZE))
    with pytest.raises(MaskError, match="full size"):
        verify(PHOTO, PHOTO, Mask.full((9, 9)))

"""`glide-edit verify`: what it says and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glide_edit.images import open_picture, save_picture

SELECTED = (slice(15, 30), slice(20, 40))
OUTSIDE = 45 * 60 - 15 * 20


@pytest.fixture
def edit(here: Path):
    """Writes after.png: photo.png, its selection painted black, and pixels (x, y) outside changed by 2."""

    def write(*outside: tuple[int, int], name: str = "after.png") -> None:
        pixels = open_picture("photo.png").pixels.copy()
        pixels[SELECTED] = 0
        for x, y in outside:
            pixels[y, x, 0] ^= 2
        save_picture(pixels, name, force=True)

    return write


def test_an_edit_that_kept_to_its_mask(cli, edit) -> None:
    edit()
    result = cli("verify", "photo.png", "after.png", "--mask", "mask.png")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == f"after.png: 0 of {OUTSIDE:,} pixels outside changed"
    before, after = second.removeprefix("sha256 of the pixels outside: ").split(", ")
    assert before.removesuffix(" before") == after.removesuffix(" after")
    assert result.stderr == ""


def test_one_that_did_not(cli, edit) -> None:
    edit((3, 4), (50, 41))
    result = cli("verify", "photo.png", "after.png", "--mask", "mask.png", "--map", "map.png")
    assert result.exit_code == 3
    said = f"after.png: 2 of {OUTSIDE:,} pixels outside changed, by up to 2 of 255, in the box 3,4,51,42"
    assert result.stdout.splitlines()[0] == said
    red = (open_picture("map.png").pixels == (230, 40, 40)).all(axis=2)
    assert np.argwhere(red).tolist() == [[4, 3], [41, 50]]


def test_json(cli, edit) -> None:
    edit((3, 4))
    result = cli("verify", "photo.png", "after.png", "--mask", "mask.png", "--json", "--map", "map.png")
    assert result.exit_code == 3
    record = json.loads(result.stdout)
    assert (record["before"], record["after"], record["map"]) == ("photo.png", "after.png", "map.png")
    assert (record["kept"], record["changed"], record["outside"], record["box"]) == (
        False,
        1,
        OUTSIDE,
        [3, 4, 4, 5],
    )
    edit()
    record = json.loads(cli("verify", "photo.png", "after.png", "--mask", "mask.png", "--json").stdout)
    assert (record["kept"], record["box"], record["map"]) == (True, None, None)


def test_growth_protection_and_polarity(cli, edit) -> None:
    edit((18, 20))
    base = ("verify", "photo.png", "after.png", "--mask")
    assert cli(*base, "mask.png").exit_code == 3
    assert cli(*base, "mask.png", "--grow", 3).exit_code == 0
    assert cli(*base, "mask.png", "--grow", 1).exit_code == 3
    left = np.zeros((45, 60), np.uint8)
    left[:, :20] = 255
    save_picture(left, "left.png")
    assert cli(*base, "mask.png", "--grow", 3, "--protect", "left.png").exit_code == 3
    assert cli("mask", "invert", "mask.png", "-o", "keep.json").exit_code == 0
    assert cli(*base, "keep.json", "--mask-means", "keep", "--grow", 3).exit_code == 0


def test_a_jpeg_is_told(cli, edit) -> None:
    edit(name="after.jpg")
    result = cli("verify", "photo.png", "after.jpg", "--mask", "mask.png")
    assert result.exit_code == 3
    assert "note: the edit is a JPEG" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("photo.png", "missing.png", "--mask", "mask.png"), "missing.png does not exist"),
        (("photo.png", "drawing.png", "--mask", "mask.png"), "it was 60 x 45 and is 40 x 30 now"),
        (("photo.png", "photo.png", "--mask", "drawing.png"), "the mask is 40 wide"),
        (("photo.png", "photo.png", "--mask", "empty.png"), "empty.png: the mask selects nothing"),
        (("photo.png", "photo.png", "--mask", "mask.png", "--map", "mask.png"), "mask.png exists already"),
        (("photo.png", "photo.png", "--mask", "mask.png", "--map", "m.bmp"), "m.bmp ends in .bmp"),
        (("photo.png", "photo.png", "--mask", "mask.png", "--grow", "-1"), "-1"),
    ],
)
def test_refusals(cli, here: Path, arguments: tuple[str, ...], words: str) -> None:
    save_picture(np.zeros((45, 60), np.uint8), "empty.png")
    files = sorted(here.iterdir())
    result = cli("verify", *arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr
    assert sorted(here.iterdir()) == files

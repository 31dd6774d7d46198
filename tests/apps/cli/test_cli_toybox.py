"""`glide-edit toybox render`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture


def test_render(cli, here: Path) -> None:
    result = cli("toybox", "render", 2, "toys", "--size", 32, "--seed", 11)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("toys: 2 pictures of 32 x 32 pixels")
    lines = [json.loads(line) for line in (here / "toys" / "metadata.jsonl").read_text().splitlines()]
    assert [line["seed"] for line in lines] == [11, 12]
    picture = open_picture(here / "toys" / lines[0]["file_name"])
    assert (picture.width, picture.height) == (32, 32)


def test_split(cli, here: Path) -> None:
    """What is held out of training is in pictures of the one split and in none of the other."""
    from glide_edit.toybox import held_out_colour

    for split in ("train", "held_out"):
        assert cli("toybox", "render", 6, split, "--size", 16, "--split", split).exit_code == 0
        lines = [json.loads(line) for line in (here / split / "metadata.jsonl").read_text().splitlines()]
        toys = [[(toy["kind"], toy["colour"]) for toy in line["toys"]] for line in lines]
        assert any(any(held_out_colour(*toy) for toy in scene) for scene in toys) == (split == "held_out")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((0, "new"), "not 0"), ((1, "full"), "is not empty"), ((1, "photo.png"), "is a file")],
)
def test_refusals(cli, here: Path, arguments: tuple[object, ...], words: str) -> None:
    (here / "full").mkdir()
    (here / "full" / "precious").write_text("")
    result = cli("toybox", "render", *arguments, "--size", 16)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (here / "new").exists()
    assert len(list((here / "full").iterdir())) == 1

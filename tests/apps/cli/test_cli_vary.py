"""`glide-edit vary`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture, read_text


def test_vary_writes_beside_the_picture(cli, tiny: Path) -> None:
    result = cli("vary", "photo.jpg", "a red ball", "--strength", 0.5, "--n", 2, "--model", tiny / "both")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"photo-vary-{k}.png: 64 x 48 pixels, seed {k - 1}" for k in (1, 2)]
    recipe = json.loads(read_text("photo-vary-2.png")["glide-edit"])["request"]
    assert (recipe["operation"], recipe["strength"], recipe["seed"]) == ("vary", 0.5, 1)
    assert recipe["image"]["sha256"] == open_picture("photo.jpg").sha256


def test_vary_needs_no_words(cli, tiny: Path) -> None:
    assert cli("vary", "photo.png", "--out", "a.png", "--model", tiny / "base").exit_code == 0
    assert open_picture("a.png").width == 16


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nothing.png"], "nothing.png"),
        (["photo.png", "--strength", "0"], "strength must be above 0"),
        (["photo.png", "--strength", "2"], "strength must be a number between 0 and 1"),
        (["photo.png", "--out", "no/where.png"], "no"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli, here: Path, arguments: list[str], says: str) -> None:
    before = sorted(here.iterdir())
    result = cli("vary", *arguments, "--model", "surprise")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert sorted(here.iterdir()) == before

"""`--strengths`, and the modes of a sketch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.errors import InputError
from glide_edit.images import open_picture, read_text
from glide_edit.operations.strengths import over_strengths, read_strengths
from glide_edit.requests import Generate


def test_ranges_are_read() -> None:
    assert read_strengths("0.4:0.9") == (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    assert read_strengths("0.5:1:3") == (0.5, 0.75, 1.0)
    assert read_strengths("0.5:0.5:1") == (0.5,)


@pytest.mark.parametrize(
    "text", ["", "0.5", "0:1", "0.9:0.4", "0.4:1.1", "a:b", "0.1:0.5:0", "0.1:0.5:33", "1:1:1:1", "nan:1"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="LOW:HIGH"):
        read_strengths(text)


def test_only_what_has_a_strength_is_tried() -> None:
    with pytest.raises(InputError, match="generate has no strength"):
        over_strengths(Generate(prompt="a"), [0.5])


def test_strengths_are_drawn_in_order_and_shown(cli, tiny: Path) -> None:
    result = cli("vary", "photo.png", "x", "--strengths", "0.4:0.8:3", "--n", 2, "--model", tiny / "base")
    assert result.exit_code == 0, result.output
    said = [json.loads(read_text(f"photo-vary-{k}.png")["glide-edit"])["request"] for k in range(1, 7)]
    assert [(each["strength"], each["seed"]) for each in said] == [
        (strength, seed) for strength in (0.4, 0.6, 0.8) for seed in (0, 1)
    ]
    assert "photo-strengths.png: 3 strengths" in result.stdout
    assert open_picture("photo-strengths.png").height > 3 * 192


def test_sketches_have_strengths_too(cli, tiny: Path) -> None:
    arguments = (
        "sketch",
        "drawing.png",
        "--prompt",
        "x",
        "--model",
        tiny / "base",
        "--strengths",
        "0.5:0.9:2",
    )
    result = cli(*arguments, "--mode", "tone", "--out", "a.png", "--sheet", "s.png", "--json")
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["files"] for line in result.stdout.splitlines()] == [["a-1.png"], ["a-2.png"]]
    assert Path("s.png").exists()
    assert not Path("drawing-strengths.png").exists()


def test_a_sketch_is_followed_as_asked(cli, tiny: Path) -> None:
    for mode in ("lines", "tone", "both"):
        arguments = ("sketch", "drawing.png", "--prompt", "x", "--model", tiny / "base", "--mode", mode)
        result = cli(*arguments, "--strength", "0.7", "--out", f"{mode}.png")
        assert result.exit_code == 0, result.output
        recipe = json.loads(read_text(f"{mode}.png")["glide-edit"])["request"]
        assert (recipe["mode"], recipe["strength"]) == (mode, 0.7)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--strengths", "0.9:0.4"], "LOW:HIGH"),
        (["--strengths", "0.4:0.9", "--mode", "lines"], "has no strength: take tone or both"),
        (["--strengths", "0.4:0.9", "--sheet", "drawing.png"], "drawing.png exists already"),
        (["--strengths", "0.4:0.9:1", "--sheet", "a.png", "--out", "a.png"], "the same file: a.png"),
        (["--strength", "0"], "strength must be above 0"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli, here: Path, arguments: list[str], says: str) -> None:
    before = sorted(here.iterdir())
    result = cli("sketch", "drawing.png", "--prompt", "x", *arguments, "--model", "surprise")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert sorted(here.iterdir()) == before

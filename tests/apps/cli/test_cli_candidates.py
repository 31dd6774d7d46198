"""`--candidates` and `--sheet`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture, read_text


def test_candidates_are_ranked_and_shown(cli, tiny: Path) -> None:
    result = cli(
        "inpaint", "photo.png", "--mask", "mask.png", "--prompt", "x", "--n", 2, "--candidates", 5,
        "--sheet", "sheet.png", "--model", tiny / "both", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["files"] == ["photo-edit-1.png", "photo-edit-2.png"]
    assert record["sheet"] == "sheet.png"
    assert [score["seed"] for score in record["ranking"][:2]] == record["seeds"]
    assert len(record["ranking"]) == 5
    assert open_picture("sheet.png").width > 3 * 128
    recipe = json.loads(read_text("photo-edit-2.png")["glide-edit"])["request"]
    assert recipe["seed"] == record["seeds"][1]


def test_the_best_are_named_so(cli, tiny: Path) -> None:
    result = cli("generate", "x", "--candidates", 3, "--sheet", "s.png", "--model", tiny / "base")
    assert result.exit_code == 0, result.output
    assert "s.png: 3 candidates, the best first" in result.stdout
    assert "note: The model tiny-base has no CLIP of its own" in result.stderr
    assert open_picture("generate-best-1.png").width == 16


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--sheet", "s.png"], "--sheet shows --candidates: say how many"),
        (["--candidates", "0"], "candidates must be a whole number between 1 and 64"),
        (["--candidates", "2", "--n", "3"], "candidates must be a whole number between 3 and 64"),
        (["--candidates", "2", "--sheet", "photo.png"], "photo.png exists already"),
        (["--candidates", "2", "--sheet", "no/s.png"], "no"),
        (["--candidates", "2", "--sheet", "s.gif"], "gif"),
        (["--candidates", "2", "--sheet", "./a.png", "--out", "a.png"], "would be the same file: a.png"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(cli, here: Path, arguments: list[str], says: str) -> None:
    before = sorted(here.iterdir())
    result = cli("generate", "x", *arguments, "--model", "surprise")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert sorted(here.iterdir()) == before

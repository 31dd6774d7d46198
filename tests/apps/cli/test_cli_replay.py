"""`glide-edit replay` and `info`: a saved edit again, and on another picture."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import Result

from glide_edit.images import open_picture, save_picture

INPAINT = ("inpaint", "photo.png", "--mask", "mask.png", "--prompt", "a red ball")


@pytest.fixture
def saved(cli, tiny: Path):
    """Calls ``replay`` for edit.png, which was made with the tiny base model and seed 3."""
    made = cli(*INPAINT, "--seed", 3, "--out", "edit.png", "--model", tiny / "base")
    assert made.exit_code == 0, made.output

    def run(*arguments: object, model: object = tiny / "base") -> Result:
        return cli("replay", "edit.png", "--model", model, *arguments)

    return run


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_the_same_again_is_said_to_be_the_same(saved, here: Path) -> None:
    result = saved("--image", "photo.png")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "edit-replay.png: 0 of 2,400 pixels outside the selection changed",
        "All 2,700 pixels are the same as in edit.png.",
    ]
    assert "note" not in result.stderr
    assert (here / "edit-replay.png").read_bytes() == (here / "edit.png").read_bytes()


def test_json_says_it_too(saved) -> None:
    record = json.loads(saved("--image", "photo.png", "--json").stdout)
    assert record["compared"]["same"] is True
    assert record["compared"]["differing"] == 0
    assert record["files"] == ["edit-replay.png"]


def test_changes_reach_the_request(saved) -> None:
    result = saved("--image", "photo.png", "--seeds", "5,9", "--prompt", "a cube", "--json", "-o", "new.png")
    record = json.loads(result.stdout)
    assert record["files"] == ["new-1.png", "new-2.png"]
    assert record["recipe"]["request"]["seeds"] == [5, 9]
    assert record["recipe"]["request"]["prompt"] == "a cube"
    assert "compared" not in record
    assert json.loads(saved("--image", "photo.png", "--seed", 8, "--json").stdout)["seeds"] == [8]


def test_on_another_picture_the_mask_is_scaled_and_that_is_said(saved) -> None:
    save_picture(np.zeros((90, 120, 3), np.uint8), "other.png")
    result = saved("--on", "other.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == "other-edit.png: 0 of 9,600 pixels outside the selection changed\n"
    assert "note: The mask was scaled from 60 x 45 to 120 x 90 pixels.\n" in result.stderr
    assert open_picture("other-edit.png").width == 120


def test_another_model_is_told_before_the_work(saved, tiny: Path) -> None:
    result = saved("--image", "photo.png", model=tiny / "both")
    assert "note: The recipe was made with tiny-base " in result.stderr
    assert "pixels differ from edit.png, by up to" in result.stdout


def test_another_mask(saved) -> None:
    white = np.zeros((45, 60), np.uint8)
    white[:10, :10] = 255
    save_picture(white, "corner.png")
    result = saved("--image", "photo.png", "--mask", "corner.png")
    assert result.stdout == "edit-replay.png: 0 of 2,600 pixels outside the selection changed\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ("started from a picture", "--image", "--on")),
        (("--image", "photo.jpg"), ("its pixels differ", "--on")),
        (("--image", "photo.png", "--image", "photo.png"), ("one picture too many",)),
        (("--image", "photo.png", "--on", "photo.jpg"), ("one picture too many",)),
        (("--image", "missing.png"), ("missing.png does not exist",)),
        (("--on", "."), ("is a folder",)),
        (("--image", "photo.png", "--seed", -1), ("seed must be",)),
        (("--image", "photo.png", "--seed", 1, "--seeds", "1"), ("either --seed or --seeds",)),
        (("--image", "photo.png", "--seeds", "9-1"), ("seeds are written as",)),
        (("--image", "photo.png", "--out", "gone/a.png"), ("the folder gone does not exist",)),
        (("--image", "photo.png", "--out", "photo.png"), ("photo.png exists already", "--force")),
        (("--image", "photo.png", "--mask", "missing.png"), ("missing.png does not exist",)),
    ],
)
def test_what_will_not_do(saved, here: Path, arguments: tuple, words: tuple[str, ...]) -> None:
    files = sorted(here.iterdir())
    refused(saved(*arguments), *words)
    assert sorted(here.iterdir()) == files


def test_files_without_a_recipe(cli) -> None:
    for command in ("info", "replay"):
        refused(cli(command, "photo.png"), "photo.png carries no recipe")
        refused(cli(command, "missing.png"), "missing.png does not exist")
        refused(cli(command, "."), "is a folder")


def test_a_model_that_is_not_known_by_name(saved, cli) -> None:
    refused(cli("replay", "edit.png", "--image", "photo.png"), "tiny-base", "--model")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif"])
def test_info_reads_every_format(cli, tiny: Path, suffix: str) -> None:
    out = f"edit{suffix}"
    assert cli(*INPAINT, "--seed", 3, "--out", out, "--model", tiny / "base").exit_code == 0
    shown = cli("info", out)
    assert "prompt: a red ball\n" in shown.stdout
    assert "mask: 300 pixels of 60 x 45\n" in shown.stdout
    assert json.loads(cli("info", out, "--json").stdout)["request"]["seed"] == 3


def test_a_prompt_cannot_move_the_cursor(cli, tiny: Path) -> None:
    prompt = "a\x1b[2J ball\u202e \U0001f469\u200d\U0001f680"
    assert cli("generate", prompt, "--model", tiny / "base").exit_code == 0
    shown = cli("info", "generate-0.png").stdout
    assert "prompt: a\\x1b[2J ball\\u202e \U0001f469\u200d\U0001f680\n" in shown


@pytest.mark.parametrize(
    "request_",
    [
        {"operation": "inpaint", "mask": {"counts": ["a", "b"], "size": [1, 2]}},
        {"operation": ["x"], "seed": {}, "prompt": None},
        {"mask": {"left_out": "no room", "size": [None, "x"]}},
        {},
    ],
)
def test_info_of_a_strange_recipe_shows_what_is_there(cli, request_: dict) -> None:
    recipe = {"glide-edit": 1, "model": "m\n1", "request": request_}
    save_picture(np.zeros((2, 2, 3), np.uint8), "odd.png", text={"glide-edit": json.dumps(recipe)})
    shown = cli("info", "odd.png")
    assert shown.exit_code == 0
    assert len(shown.stdout.splitlines()) == 1 + len(request_)
    refused(cli("replay", "odd.png", "--on", "photo.png", "--model", "toybox"))

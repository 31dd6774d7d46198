"""`remove`, `outpaint` and `upscale` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture
from tests.apps.cli.conftest import HEIGHT, WIDTH, Cli


def test_remove_writes_a_file_of_its_own_and_says_what_stayed(cli: Cli, here: Path, tiny: Path) -> None:
    done = cli("remove", "photo.jpg", "--mask", "mask.png", "--grow", 0, "--model", tiny / "both")
    assert done.exit_code == 0, done.output
    assert "photo-removed.png: 0 of 2,400 pixels outside the selection changed" in done.stdout
    assert open_picture(here / "photo-removed.png").pixels.shape == (HEIGHT, WIDTH, 3)


def test_outpaint_adds_to_the_sides(cli: Cli, here: Path, tiny: Path) -> None:
    done = cli("outpaint", "photo.png", "--left", 10, "--bottom", 5, "--model", tiny / "both")
    assert done.exit_code == 0, done.output
    assert "photo-larger.png: 0 of 2,700 pixels outside the new part changed" in done.stdout
    made = open_picture(here / "photo-larger.png").pixels
    assert made.shape == (HEIGHT + 5, WIDTH + 10, 3)
    assert (made[:HEIGHT, 10:] == open_picture(here / "photo.png").pixels).all()


@pytest.mark.parametrize("command", [("remove", "--mask", "mask.png"), ("outpaint", "--left", 5)])
def test_the_dial_reaches_the_recipe(cli: Cli, tiny: Path, command: tuple[object, ...]) -> None:
    name, *options = command
    dial = ("--context-guidance", 2, "--context-interval", 0.25, 1)
    done = cli(name, "photo.png", *options, *dial, "--json", "--model", tiny / "both")
    assert done.exit_code == 0, done.output
    request = json.loads(done.stdout)["recipe"]["request"]
    assert (request["context_guidance"], request["context_interval"]) == (2, [0.25, 1])


def test_upscale_names_the_factor(cli: Cli, here: Path, tiny: Path) -> None:
    done = cli("upscale", "photo.png", "--factor", 2, "--model", tiny / "both")
    assert done.exit_code == 0, done.output
    assert open_picture(here / "photo-2x.png").pixels.shape == (2 * HEIGHT, 2 * WIDTH, 3)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("upscale", "photo.png", "--factor", 3), "factor must be 2 or 4, not 3."),
        (("outpaint", "photo.png"), "Nothing would be added"),
        (
            ("outpaint", "photo.png", "--left", 5, "--context-guidance", -1),
            "context_guidance must be a number",
        ),
        (("outpaint", "photo.png", "--left", 5, "--context-interval", 1, 0), "0 <= low <= high <= 1"),
        (("outpaint", "photo.png", "--aspect", "wide"), "aspect must be two whole numbers such as 16:9"),
        (("remove", "photo.png", "--mask", "mask.png", "--strength", 0), "strength must be above 0"),
        (("upscale", "photo.png", "--model", "BASE"), "has no upsampler"),
    ],
)
def test_bad_input_is_one_sentence(
    cli: Cli, here: Path, tiny: Path, arguments: tuple[object, ...], sentence: str
) -> None:
    before = sorted(here.iterdir())
    given = [tiny / "base" if each == "BASE" else each for each in arguments]
    model = () if "--model" in given else ("--model", tiny / "both")
    done = cli(*given, *model)
    assert done.exit_code != 0
    assert sentence in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.output
    assert sorted(here.iterdir()) == before

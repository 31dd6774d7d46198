"""Whatever is given to whatever command, there is one sentence and exit code 2, and no half-written file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from glide_edit.images import open_picture, save_picture
from tests.apps.cli.conftest import Cli

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def inpaint(cli, tiny: Path):
    def run(photo: str, *arguments: object, mask: str = "mask.png") -> Result:
        return cli("inpaint", photo, "--mask", mask, "-p", "x", "--model", tiny / "base", *arguments)

    return run


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def animation(path: Path, frames: list[np.ndarray]) -> None:
    first, *others = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=others)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".tif", ".webp"])
def test_of_several_frames_the_first_is_edited_and_that_is_said(inpaint, here: Path, suffix: str) -> None:
    frames = [np.full((45, 60, 3), value, np.uint8) for value in (30, 200, 90)]
    animation(here / f"film{suffix}", frames)
    result = inpaint(f"film{suffix}", "--out", "new.png")
    assert result.exit_code == 0, result.output
    assert "note: only the first of its frames is used\n" in result.stderr
    assert open_picture("new.png").pixels[0, 0, 0] in range(28, 33)


def test_a_mask_of_several_frames_is_said_too(inpaint, here: Path) -> None:
    white = open_picture("mask.png").pixels[..., 0]
    animation(here / "film.gif", [white, 255 - white])
    result = inpaint("photo.png", mask="film.gif")
    assert "note: only the first frame of film.gif is used\n" in result.stderr
    assert "0 of 2,400 pixels" in result.stdout
    assert "frame" not in inpaint("photo.png", "--force").stderr


def test_remove_says_it_of_both_its_masks(cli: Cli, here: Path, tiny: Path) -> None:
    white = open_picture("mask.png").pixels[..., 0]
    animation(here / "film.gif", [white, 255 - white])
    animation(here / "spare.gif", [255 - white, white])
    done = cli(
        "remove", "photo.png", "--mask", "film.gif", "--protect", "spare.gif", "--model", tiny / "both"
    )
    assert done.exit_code == 0, done.output
    for name in ("film.gif", "spare.gif"):
        assert f"note: only the first frame of {name} is used\n" in done.stderr


@pytest.mark.parametrize("command", ["inpaint", "info", "replay", "sketch"])
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("empty.png", "empty.png is empty"),
        ("half.png", "damaged"),
        ("half.jpg", "damaged"),
        ("folder.png", "is a folder"),
        ("dangling.png", "dangling.png does not exist"),
        ("a\x1b[2J\nb.png", "a\\x1b[2J b.png does not exist"),
    ],
)
def test_files_that_are_no_pictures(cli, here: Path, command: str, name: str, says: str) -> None:
    (here / "empty.png").touch()
    (here / "folder.png").mkdir()
    (here / "dangling.png").symlink_to("gone.png")
    for whole in ("photo.png", "photo.jpg"):
        (here / f"half{Path(whole).suffix}").write_bytes((here / whole).read_bytes()[:700])
    more = {"inpaint": ("--mask", "mask.png", "-p", "x"), "sketch": ("-p", "x")}.get(command, ())
    result = cli(command, name, *more)
    refused(result, "no recipe" if name == "half.jpg" and command in ("info", "replay") else says)


def test_links_are_followed(inpaint, here: Path) -> None:
    (here / "link.png").symlink_to("photo.png")
    assert inpaint("link.png").stdout.startswith("link-edit.png: 0 of 2,400")
    (here / "into.png").symlink_to("gone/new.png")
    refused(inpaint("photo.png", "--out", "into.png", "--force"), "a link into a folder that does not exist")


@pytest.mark.parametrize(
    ("out", "says"),
    [
        ("", "is a folder"),
        ("-", "has no ending"),
        ("photo.png/a.png", "photo.png is a file, not a folder"),
        ("x" * 300 + ".png", "File name too long"),
    ],
)
def test_places_where_nothing_can_be_written(inpaint, here: Path, out: str, says: str) -> None:
    before = sorted(here.iterdir())
    refused(inpaint("photo.png", "--out", out), says)
    assert sorted(here.iterdir()) == before


def test_a_name_cannot_move_the_cursor(cli, tiny: Path) -> None:
    result = cli("generate", "x", "--out", "a\n\x1b[2J.png", "--model", tiny / "base")
    assert result.stdout == "a\\n\\x1b[2J.png: 16 x 16 pixels, seed 0\n"


def test_bytes_that_are_no_text(here: Path, tiny: Path) -> None:
    """In a process of its own: the name of its file is bytes, and its terminal is not Unicode."""
    command = [sys.executable, "-m", "apps.cli.main", "generate"]
    arguments = [b"--model", os.fsencode(tiny / "base")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(
        [*command, "\u00e9", b"--out", b"\xff\xe2\x98\x83.png", *arguments],
        cwd=here,
        env=environment,
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"\\udcff\\u2603.png: 16 x 16 pixels, seed 0\n"
    assert b"\xff\xe2\x98\x83.png" in os.listdir(os.fsencode(here))


def test_a_prompt_of_bytes_that_are_no_text(cli, tiny: Path) -> None:
    refused(cli("generate", "a \udcff ball", "--model", tiny / "base"), "bytes that are not UTF-8")


def test_a_full_disk_leaves_nothing_behind(inpaint, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(here.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    refused(inpaint("photo.png"), "photo-edit.png cannot be written: No space left on device")
    assert sorted(here.iterdir()) == before


def test_a_picture_that_cannot_be_saved_is_kept(inpaint, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("glide_edit.images.saving._encode_jpeg", full)
    result = inpaint("photo.png", "--n", 2, "--out", "a.jpg")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "error: " + " ".join(
        f"a-{k}.jpg cannot be written: No space left on device. "
        f"The finished picture was kept as a-{k}-rescued.png."
        for k in (1, 2)
    )
    for k in (1, 2):
        assert open_picture(f"a-{k}-rescued.png").pixels.shape == (45, 60, 3)
        assert not Path(f"a-{k}.jpg").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("upscale", "long.png", "--factor", 2, "-o", "a.webp"),
        ("outpaint", "long.png", "--right", 8192, "-o", "a.webp"),
    ],
)
def test_results_too_long_for_the_format_are_told_before_the_work(cli, here: Path, arguments: tuple) -> None:
    save_picture(np.zeros((8, 8192, 3), np.uint8), "long.png")
    refused(cli(*arguments, "--model", "surprise"), ".webp holds at most 16383", "is 16384 x ")


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        ("", "seeds are written as"),
        ("-5", "seeds are written as"),
        ("1,,2", "seeds are written as"),
        ("9-1", "seeds are written as"),
        ("0-99999999999", "more than the 64"),
        ("1,5,1", "seeds name 1 twice"),
        ("9" * 19, "seeds must be whole numbers"),
    ],
)
def test_seeds_that_are_none(cli, seeds: str, says: str) -> None:
    refused(cli("generate", "x", "--seeds", seeds), says)


def test_seeds_and_a_seed_contradict_each_other(cli) -> None:
    refused(cli("generate", "x", "--seeds", "1,2", "--seed", 3), "either --seeds, or --seed and --n")
    refused(cli("generate", "x", "--seeds", "1,2", "--n", 3), "either --seeds, or --seed and --n")


def test_seeds_name_the_files(cli, tiny: Path) -> None:
    result = cli("generate", "x", "--seeds", "9,2-3", "--model", tiny / "base")
    assert result.stdout.splitlines() == [f"generate-{s}.png: 16 x 16 pixels, seed {s}" for s in (9, 2, 3)]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("eval", "edits", "--count", 1, "--seed", -1), "A seed is 0 or more"),
        (("eval", "sketches", "--count", 1, "--seed", -1), "A seed is 0 or more"),
        (("eval", "file", "words.txt", "-o", "out", "--seed", -1), "A seed is 0 or more"),
        (
            ("eval", "sketches", "--json", "words.txt/a.json"),
            "nothing can be written in the folder words.txt",
        ),
        (("models", "assemble", "--base", "B", "--upsampler", "U", "-o", "words.txt"), "File exists."),
    ],
)
def test_other_commands(cli, here: Path, tiny: Path, arguments: tuple, says: str) -> None:
    (here / "words.txt").write_text("a ball")
    folders = {"B": tiny / "base", "U": tiny / "upsampler"}
    model = ("--model", tiny / "base") if arguments[0] == "eval" else ()
    refused(cli(*(folders.get(each, each) for each in arguments), *model), says)


def test_a_mask_in_a_transparent_layer_or_in_none(inpaint, here: Path) -> None:
    clear = np.zeros((45, 60, 4), np.uint8)
    clear[..., :3] = 255
    save_picture(clear, "clear.png")
    refused(inpaint("photo.png", mask="clear.png"), "clear.png: the mask selects nothing")
    opaque = np.dstack([open_picture("mask.png").pixels, np.full((45, 60), 255, np.uint8)])
    save_picture(opaque, "opaque.png")
    assert "0 of 2,400 pixels" in inpaint("photo.png", mask="opaque.png").stdout

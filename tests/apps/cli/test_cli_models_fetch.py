"""`glide-edit models fetch`."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from apps.cli import models
from glide_edit.models import glide
from glide_edit.models.fetch import HOME_VARIABLE, FetchStatus
from tests.glide_edit import tiny_glide


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_glide.write(tmp_path_factory.mktemp("released") / "files")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where GLIDE will be."""
    tiny_glide.shrink(monkeypatch, tmp_path / "home")
    return tmp_path / "home/models/glide"


def test_all_parts_are_fetched_from_a_folder(cli, folder: Path, released: Path) -> None:
    result = cli("models", "fetch", "glide", "--from", released)
    assert result.exit_code == 0, result.output
    *lines, last = result.stdout.splitlines()
    assert [line.split() for line in lines] == [[part, "fetched"] for part in glide.PARTS]
    assert last == f"the model is in {folder}"
    said = " ".join(cli("models", "info", folder).stdout.split())
    assert said.startswith("name glide (glide, identity ")
    for stage in tiny_glide.STAGES.values():
        assert f" {stage} " in said


def test_several_parts_can_be_named_and_are_fetched_once(cli, folder: Path, released: Path) -> None:
    asked = ("models", "fetch", "glide", "--part", "clip", "--part", "base", "--part", "clip")
    result = cli(*asked, "--from", released)
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()[:-1]] == [
        ["clip", "fetched"],
        ["base", "fetched"],
    ]
    assert not (folder / "upsampler.safetensors").exists()
    again = cli(*asked)  # nothing is needed, so nothing is asked of the internet
    assert again.exit_code == 0
    assert again.stdout.count("here already") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("toybox",), "'toybox' cannot be fetched"),
        (("glide", "--part", "surprise"), "its parts are base, upsample, inpaint, clip"),
        (
            ("glide", "--part", "base", "--from", "nowhere"),
            "nowhere has no vocab.bpe and no encoder.json and no base.pt: download",
        ),
    ],
)
def test_fetch_refuses(cli, folder: Path, arguments: tuple[str, ...], words: str) -> None:
    result = cli("models", "fetch", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_damaged_checkpoint_is_one_line(cli, folder: Path, here: Path, released: Path) -> None:
    for path in released.iterdir():
        (here / path.name).symlink_to(path)
    (here / "base.pt").unlink()
    (here / "base.pt").write_bytes(b"<html>Please log in</html>")
    result = cli("models", "fetch", "glide", "--part", "base", "--from", here)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {here / 'base.pt'} is damaged or not a checkpoint")
    assert result.stderr.count("\n") == 1


def test_help_says_where_it_is_kept(cli) -> None:
    said = " ".join(cli("models", "fetch", "--help").stdout.split())
    for word in ("--part", "--from", "--keep", HOME_VARIABLE, "HTTPS_PROXY"):
        assert word in said


def test_what_is_fetched_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: the file, how much of it, how fast, and what is being done where nothing is counted."""
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    clock = [0.0]
    display = Progress(
        "{task.description} {task.fields[said]}",
        console=terminal,
        auto_refresh=False,
        get_time=lambda: clock[0],
    )

    @contextmanager
    def live() -> Iterator[Progress]:
        yield display

    def shown() -> str:
        with terminal.capture() as capture:
            terminal.print(display)
        return capture.get().strip()

    monkeypatch.setattr(models, "live", live)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with models._download_bar() as report:
        report(FetchStatus("waiting for another process to finish", "base.pt"))
        assert shown() == "base.pt waiting for another process to finish"
        for done in range(0, 600_000_001, 100_000_000):
            report(FetchStatus("fetching", "base.pt", done, 1_540_000_000))
            clock[0] += 4.0
        assert shown() == "base.pt 600 of 1,540 MB, 25.0 MB/s, 0:38 left"
        report(FetchStatus("checking", "base.pt"))
        assert shown() == "base.pt checking"
        report(FetchStatus("converting", "base.safetensors"))
        assert shown() == "base.safetensors converting"

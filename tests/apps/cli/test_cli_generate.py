"""`glide-edit generate` and `sketch`, and what is left when they are stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from glide_edit.images import open_picture, read_text

ROOT = Path(__file__).resolve().parents[3]


def test_generate_names_its_files_by_seed(cli, tiny: Path) -> None:
    result = cli("generate", "a red ball", "--n", 2, "--seed", 7, "--model", tiny / "both")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [f"generate-{s}.png: 64 x 64 pixels, seed {s}" for s in (7, 8)]
    recipe = json.loads(read_text("generate-8.png")["glide-edit"])
    assert recipe["request"] == {"operation": "generate", "prompt": "a red ball", "n": 1, "seed": 8}
    assert open_picture("generate-8.png").sha256 != open_picture("generate-7.png").sha256


def test_the_prompt_may_be_an_option(cli, tiny: Path) -> None:
    for out, words in (("a.png", ["a red ball"]), ("b.png", ["--prompt", "a red ball"])):
        assert cli("generate", *words, "--out", out, "--model", tiny / "base").exit_code == 0
    assert open_picture("a.png").sha256 == open_picture("b.png").sha256


@pytest.mark.parametrize("arguments", [(), ("words", "--prompt", "words")])
def test_the_prompt_is_given_once(cli, arguments: tuple[str, ...]) -> None:
    result = cli("generate", *arguments)
    assert result.exit_code == 2
    assert "Give the prompt once" in result.stderr


def test_an_empty_prompt_is_refused(cli) -> None:
    result = cli("generate", " ")
    assert result.exit_code == 2
    assert result.stderr == "error: The prompt is empty: say what to draw.\n"


def test_generate_leaves_existing_files_alone(cli, here: Path) -> None:
    (here / "generate-1.png").write_text("precious")
    result = cli("generate", "words", "--n", 2, "--model", "surprise")
    assert result.exit_code == 2
    assert "generate-1.png exists already" in result.stderr
    assert (here / "generate-1.png").read_text() == "precious"
    assert not (here / "generate-0.png").exists()


def test_sketch_writes_beside_the_drawing(cli, tiny: Path, here: Path) -> None:
    (here / "art").mkdir()
    (here / "drawing.png").rename(here / "art" / "drawing.png")
    result = cli("sketch", "art/drawing.png", "--prompt", "a house", "--model", tiny / "both", "--json")
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    assert record["files"] == [str(Path("art/drawing-picture.png"))]
    assert record["receipts"] == [None]
    assert record["recipe"]["request"]["operation"] == "sketch"
    picture = open_picture("art/drawing-picture.png")
    assert (picture.width, picture.height) == (64, 48)  # the drawing's shape


def test_sketch_of_an_empty_sheet(cli, tiny: Path) -> None:
    import numpy as np

    from glide_edit.images import save_picture

    save_picture(np.full((20, 20), 255, np.uint8), "sheet.png")
    result = cli("sketch", "sheet.png", "--prompt", "a house", "--model", tiny / "both")
    assert result.exit_code == 2
    assert "empty sheet" in result.stderr
    assert not Path("sheet-picture.png").exists()


def test_stopped_run_keeps_finished_pictures(cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four of five pictures are drawn side by side; Ctrl-C comes when they are done."""
    from glide_edit.editor import Editor

    whole = Editor.stream

    def interrupted(self: Editor, request):  # type: ignore[no-untyped-def]
        for event in whole(self, request):
            yield event
            if event.finished:
                raise KeyboardInterrupt

    monkeypatch.setattr(Editor, "stream", interrupted)
    inpaint = (
        "inpaint",
        "photo.png",
        "--mask",
        "mask.png",
        "--prompt",
        "x",
        "--n",
        5,
        "--model",
        tiny / "base",
    )
    result = cli(*inpaint)
    assert result.exit_code == 130
    assert "stopped: 4 of 5 pictures were finished" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stdout.splitlines()) == 4
    assert "photo-edit-4.png: 0 of 2,400 pixels outside the selection changed" in result.stdout
    assert not Path("photo-edit-5.png").exists()
    stopped = {k: open_picture(f"photo-edit-{k}.png").sha256 for k in (1, 4)}
    recipe = read_text("photo-edit-4.png")

    monkeypatch.setattr(Editor, "stream", whole)
    assert cli(*inpaint, "--force").exit_code == 0
    assert {k: open_picture(f"photo-edit-{k}.png").sha256 for k in (1, 4)} == stopped
    assert read_text("photo-edit-4.png") == recipe


def test_stopped_before_anything_was_finished(cli, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.editor import Editor

    whole = Editor.stream

    def interrupted(self: Editor, request):  # type: ignore[no-untyped-def]
        yield next(iter(whole(self, request)))
        raise KeyboardInterrupt

    monkeypatch.setattr(Editor, "stream", interrupted)
    result = cli("generate", "words", "--model", tiny / "base", "--json")
    assert result.exit_code == 130
    assert result.stdout == ""
    assert result.stderr == "stopped: 0 of 1 pictures were finished\n"
    assert not Path("generate-0.png").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_progress_on_a_terminal_and_a_real_ctrl_c(here: Path, tiny: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"}
    arguments = ["generate", "words", "--n", "64", "--steps", "80", "--model", str(tiny / "base"), "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "apps.cli.main", *arguments],
        cwd=here,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            had_some, shown = _some_are_done(shown), shown + chunk
            if _some_are_done(shown) and not had_some:
                process.send_signal(signal.SIGINT)
        os.close(ours)
        assert process.stdout is not None
        record = json.loads(process.stdout.read())
    assert process.returncode == 130
    assert re.search(rb"base .*step \d+ of 80, ", shown)
    assert b"stopped: " in shown
    assert record["complete"] is False
    assert 4 <= len(record["files"]) < 64
    assert sorted(path.name for path in here.glob("generate-*")) == sorted(record["files"])


def _some_are_done(shown: bytes) -> bool:
    return re.search(rb"[1-9]\d* of 64 pictures done", shown) is not None


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # how Linux says that the other end was closed
        return b""

"""`glide-edit batch`: what it writes, what it says, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from glide_edit.images import open_picture

GOOD = '{"operation": "generate", "prompt": "a ball", "seed": 4}'
EDIT = '{"operation": "inpaint", "image": "photo.png", "mask": "mask.png", "prompt": "a ball", "n": 2}'


@pytest.fixture
def batch(cli, here: Path, tiny: Path):
    """Writes lines into edits.jsonl and calls ``batch`` with them, the folder out and a tiny model."""

    def run(*lines: str, arguments: tuple = (), edits: str = "edits.jsonl") -> Result:
        (here / edits).write_text("\n".join(lines))
        return cli("batch", edits, "--out", "out", "--model", tiny / "base", *arguments)

    return run


def test_pictures_are_written_and_skipped_the_next_time(batch, here: Path) -> None:
    result = batch(GOOD, EDIT)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["line 1: 0001.png", "line 2: 0002-1.png, 0002-2.png"]
    assert result.stderr == "2 done, 0 done before, 0 failed\n"
    assert open_picture("out/0002-2.png").width == 60
    result = batch(GOOD, EDIT)
    assert result.stdout.splitlines()[0] == "line 1: 0001.png (done before)"
    assert result.stderr == "0 done, 2 done before, 0 failed\n"


def test_it_leaves_the_processor_to_others_unless_told_not_to(batch, lowered: list[int]) -> None:
    assert batch(GOOD, arguments=("--no-nice",)).exit_code == 0
    assert lowered == []
    assert batch(GOOD).exit_code == 0
    assert lowered == [19]


def test_bad_lines_are_told_at_the_end_and_the_exit_code_says_so(batch) -> None:
    result = batch("{", GOOD, '{"operation": "x\\u001b[2J"}')
    assert result.exit_code == 2
    assert result.stdout == "line 2: 0002.png\n"
    first, second, last = result.stderr.splitlines()
    assert first.startswith("line 1: error: Not JSON")
    assert second.startswith("line 3: error: Not a request")
    assert last == "1 done, 0 done before, 2 failed"


def test_json_is_one_object(batch) -> None:
    result = batch("{", GOOD, arguments=("--json",))
    assert result.exit_code == 2
    assert result.stderr == ""
    record = json.loads(result.stdout)
    assert (record["done"], record["skipped"], record["failed"], record["complete"]) == (1, 0, 1, True)
    assert [line["line"] for line in record["lines"]] == [1, 2]
    assert "Not JSON" in record["lines"][0]["error"]
    assert record["lines"][1]["files"] == ["0002.png"]


def test_csv(batch) -> None:
    result = batch("operation,prompt,out", "generate,a ball,a.webp", edits="edits.CSV")
    assert result.exit_code == 0, result.output
    assert result.stdout == "line 2: a.webp\n"


def test_lines_from_stdin(cli, here: Path, tiny: Path) -> None:
    from typer.testing import CliRunner

    from apps.cli.main import app

    arguments = ["batch", "-", "--out", "out", "--model", str(tiny / "base")]
    result = CliRunner().invoke(app, arguments, input=f"{GOOD}\n{EDIT}\n")
    assert result.exit_code == 0, result.output
    assert (here / "out" / "0002-2.png").exists()


def test_paths_are_relative_to_the_file(cli, here: Path, tiny: Path) -> None:
    album = here / "album"
    album.mkdir()
    for name in ("photo.png", "mask.png"):
        (here / name).rename(album / name)
    (album / "edits.jsonl").write_text(EDIT)
    result = cli("batch", "album/edits.jsonl", "-o", "out", "--model", tiny / "base")
    assert result.exit_code == 0, result.output


def test_ctrl_c_keeps_what_is_done(batch, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.editor import Editor

    whole, begun = Editor.stream, []

    def interrupted(self: Editor, request):  # type: ignore[no-untyped-def]
        begun.append(request)
        for event in whole(self, request):
            yield event
            if len(begun) == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr(Editor, "stream", interrupted)
    result = batch(GOOD, EDIT, "{")
    assert result.exit_code == 130
    assert result.stdout == "line 1: 0001.png\n"
    assert result.stderr == "1 done, 0 done before, 0 failed; stopped before 2 more\n"
    assert sorted(path.name for path in (here / "out").iterdir()) == ["0001.png", "results.jsonl"]
    monkeypatch.setattr(Editor, "stream", whole)
    assert batch(GOOD, EDIT).stderr == "1 done, 1 done before, 0 failed\n"


@pytest.mark.parametrize(
    ("edits", "out", "says"),
    [
        ("missing.jsonl", "out", "missing.jsonl does not exist"),
        (".", "out", "is a folder"),
        ("photo.png", "out", "photo.png is not UTF-8 text"),
        ("empty.jsonl", "out", "empty.jsonl holds no edits"),
        ("one.jsonl", "photo.png", "the folder photo.png cannot be made"),
        ("one.jsonl", "photo.png/out", "cannot be made"),
        ("one.jsonl", "/proc/out", "the folder /proc/out cannot be made"),
    ],
)
def test_files_and_folders_that_will_not_do(
    cli, here: Path, tiny: Path, edits: str, out: str, says: str
) -> None:
    (here / "empty.jsonl").touch()
    (here / "one.jsonl").write_text(GOOD)
    result = cli("batch", edits, "--out", out, "--model", tiny / "base")
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1

"""Many edits in one load: each line for itself, nothing twice, nothing half-written."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glide_edit.batch import MANIFEST, BatchLine, LineOutcome, parse_lines, read_lines, request_of, run_batch
from glide_edit.editor import Editor
from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import open_picture, put_in_place, save_picture
from glide_edit.recipes import read_recipe
from glide_edit.requests import Inpaint
from glide_edit.results import EditResult
from masks import Mask, MaskError
from tests.glide_edit.operations.stand_ins import noise, tiny_editor

SIZE = (24, 30)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor(upsampler=False)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with photo.png and mask.png in it."""
    save_picture(noise(*SIZE), tmp_path / "photo.png")
    white = np.zeros(SIZE, np.uint8)
    white[5:12, 6:20] = 255
    save_picture(white, tmp_path / "mask.png")
    return tmp_path


INPAINT = {"operation": "inpaint", "image": "photo.png", "mask": "mask.png", "prompt": "a ball"}
GENERATE = {"operation": "generate", "prompt": "a ball"}


def written(*records: object) -> tuple[BatchLine, ...]:
    """Lines as they come out of a file; text stands for itself."""
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    return parse_lines("\n".join(lines).encode(), "edits.jsonl")


def run(editor: Editor, files: Path, lines: Sequence[BatchLine], **settings: Any) -> list[LineOutcome]:
    events = run_batch(editor, lines, files / "out", folder=files, **settings)
    return [event for event in events if isinstance(event, LineOutcome)]


def states(outcomes: Sequence[LineOutcome]) -> list[tuple[int, str]]:
    return [(outcome.number, outcome.state) for outcome in outcomes]


def names(files: Path) -> list[str]:
    return sorted(path.name for path in (files / "out").iterdir())


def manifest(files: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (files / "out" / MANIFEST).read_text().splitlines()]


# Reading ---------------------------------------------------------------------------------------------------


def test_blank_lines_and_a_byte_order_mark_are_nothing() -> None:
    data = b'\xef\xbb\xbf{"operation": "generate"}\r\n\r\n  \n{"prompt": "a\\u2028b"}'
    assert [(line.number, line.problem) for line in parse_lines(data, "x")] == [(1, None), (4, None)]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "Not JSON: "),
        ("[1]", "Not a JSON object but list"),
        ('"words"', "Not a JSON object but str"),
        ("[" * 100_000, "Not JSON that can be read"),
        ("9" * 10_000, "Not JSON that can be read"),
    ],
)
def test_a_line_that_is_no_object_is_a_problem_of_its_own(line: str, says: str) -> None:
    broken, whole = parse_lines(f"{line}\n{json.dumps(GENERATE)}".encode(), "x")
    assert broken.problem is not None
    assert broken.problem.startswith(says)
    assert whole.fields == GENERATE


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "holds no edits"), (b"\n \n", "holds no edits"), (b"\xff\xfe{}", "is not UTF-8 text")],
)
def test_files_without_edits(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "edits.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_lines(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    for path, says in ((tmp_path, "is a folder"), (tmp_path / "no", "does not exist"), ("a\0b", "cannot be")):
        with pytest.raises(InputError, match=says):
            read_lines(path)


def test_csv_says_the_same_as_json(files: Path) -> None:
    (files / "edits.csv").write_text(
        "operation,image,mask,prompt,seeds,steps,finish,out\n"
        'inpaint,photo.png,mask.png,"7, or a ""ball""\nin two lines",1-2,3,hard,\n'
        "\n"
        "generate,,,12,,,,a.png\n"
    )
    first, second = read_lines(files / "edits.csv")
    assert (first.number, second.number) == (2, 5)
    request = request_of(first, files)
    assert isinstance(request, Inpaint)
    assert (request.prompt, request.seeds, request.steps) == ('7, or a "ball"\nin two lines', (1, 2), 3)
    assert request.finish == "hard"
    assert request_of(second, files).prompt == "12"
    assert second.fields["out"] == "a.png"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("prompt,seed\nx,1\n", "names its columns, operation among them"),
        ("operation,prompt,prompt\n", "each once"),
        ('operation,prompt\ngenerate,"open\n', "is not CSV"),
        ("operation,prompt\n", "holds no edits"),
    ],
)
def test_tables_that_are_none(content: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse_lines(content.encode(), "edits.csv", is_csv=True)


def test_a_row_with_too_many_cells_is_a_problem_of_its_own() -> None:
    lines = parse_lines(b"operation,prompt\ngenerate,a,b\nsurprise,a\n", "x", is_csv=True)
    assert "3 cells where the header names 2" in str(lines[0].problem)
    assert "one of generate, inpaint" in str(lines[1].problem)


# Requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"operation": "surprise"}, "Not a request"),
        ({"hue": 1}, "inpaint has no 'hue'"),
        ({"image": None}, "image must be a Picture"),
        ({"image": 7}, "image must be the path of a picture, not 7"),
        ({"image": "missing.png"}, "does not exist"),
        ({"image": ""}, "must be the path"),
        ({"image": "."}, "is a folder"),
        ({"mask": "photo.jpg"}, "does not exist"),
        ({"mask": {"size": [3, 3]}}, "a run-length mask is"),
        ({"mask_means": "white"}, "mask_means must be change or keep"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seeds": "9-1"}, "seeds are written as"),
        ({"seeds": [1, 1]}, "seeds name 1 twice"),
        ({"steps": "many"}, "steps must be a whole number"),
        ({"prompt": "\ud800"}, "not UTF-8"),
    ],
)
def test_fields_that_will_not_do(files: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises((GlideEditError, MaskError)) as caught:
        request_of(BatchLine(1, {**INPAINT, **changes}), files)
    assert says in str(caught.value)


def test_what_is_lacking_is_named(files: Path) -> None:
    with pytest.raises(InputError, match="inpaint needs image, mask"):
        request_of(BatchLine(1, {"operation": "inpaint"}), files)


def test_masks_may_be_run_lengths_or_the_other_way_round(files: Path) -> None:
    white = Mask.from_array(open_picture(files / "mask.png").pixels, means="change")
    plain = request_of(BatchLine(1, {**INPAINT, "mask": white.to_rle()}), files)
    turned = request_of(BatchLine(1, {**INPAINT, "mask_means": "keep"}), files)
    assert isinstance(plain, Inpaint)
    assert isinstance(turned, Inpaint)
    assert plain.mask == white
    assert turned.mask == ~white


# Running ---------------------------------------------------------------------------------------------------


def test_one_bad_line_does_not_lose_the_rest(editor: Editor, files: Path) -> None:
    lines = written(
        INPAINT, "{", {**INPAINT, "mask": "gone.png"}, {**GENERATE, "seeds": [3, 8], "out": "b.webp"}
    )
    outcomes = run(editor, files, lines)
    assert states(outcomes) == [(1, "done"), (2, "failed"), (3, "failed"), (4, "done")]
    assert "Not JSON" in str(outcomes[1].error)
    assert "gone.png does not exist" in str(outcomes[2].error)
    assert names(files) == ["0001.png", "b-1.webp", "b-2.webp", MANIFEST]
    assert read_recipe(files / "out" / "b-2.webp").request["seed"] == 8
    assert [entry["state"] for entry in manifest(files)] == ["done", "failed", "failed", "done"]
    assert manifest(files)[0]["receipts"][0]["changed"] == 0
    assert manifest(files)[3]["files"] == ["b-1.webp", "b-2.webp"]
    alone = editor.inpaint(files / "photo.png", files / "mask.png", "a ball")
    assert open_picture(files / "out" / "0001.png").sha256 == alone.pictures[0].sha256


def test_what_is_done_is_skipped_and_what_changed_is_done_again(editor: Editor, files: Path) -> None:
    lines = written(INPAINT, {**GENERATE, "seed": 1}, {**GENERATE, "seed": 2}, "{")
    run(editor, files, lines)
    before = {name: (files / "out" / name).read_bytes() for name in names(files)}
    assert [outcome.state for outcome in run(editor, files, lines)] == ["skipped"] * 3 + ["failed"]
    assert {name: (files / "out" / name).read_bytes() for name in names(files)} == before

    (files / "out" / "0003.png").unlink()
    changed = written(INPAINT, {**GENERATE, "seed": 7}, {**GENERATE, "seed": 2}, GENERATE)
    outcomes = run(editor, files, changed)
    assert [outcome.state for outcome in outcomes] == ["skipped", "done", "done", "done"]
    assert read_recipe(files / "out" / "0002.png").request["seed"] == 7
    assert (files / "out" / "0003.png").read_bytes() == before["0003.png"]


def test_a_picture_that_changed_under_its_name_is_edited_again(editor: Editor, files: Path) -> None:
    lines = written(INPAINT, GENERATE)
    run(editor, files, lines)
    save_picture(noise(*SIZE, seed=9), files / "photo.png", force=True)
    assert [outcome.state for outcome in run(editor, files, lines)] == ["done", "skipped"]
    other = tiny_editor(upsampler=True)
    assert [outcome.state for outcome in run(other, files, lines)] == ["done", "done"]


def test_files_of_others_are_left_alone(editor: Editor, files: Path) -> None:
    (files / "out").mkdir()
    (files / "out" / "0001.png").write_text("precious")
    outcome = run(editor, files, written(GENERATE))[0]
    assert "exists already" in str(outcome.error)
    assert (files / "out" / "0001.png").read_text() == "precious"
    # A failure does not make the file the batch's own.
    assert run(editor, files, written(GENERATE))[0].state == "failed"
    assert run(editor, files, written(GENERATE), force=True)[0].state == "done"


def test_what_was_saved_under_an_earlier_result_s_name_is_left_alone(editor: Editor, files: Path) -> None:
    run(editor, files, written(GENERATE, INPAINT))
    for name in ("0001.png", "0002.png"):
        (files / "out" / name).write_bytes(b"precious")
    outcomes = run(editor, files, written({**GENERATE, "seed": 5}, INPAINT, GENERATE))
    assert [outcome.state for outcome in outcomes] == ["failed", "failed", "done"]
    assert "exists already" in str(outcomes[0].error)
    assert (files / "out" / "0001.png").read_bytes() == b"precious"
    assert (files / "out" / "0002.png").read_bytes() == b"precious"
    assert run(editor, files, written(GENERATE), force=True)[0].state == "done"


def test_a_file_under_the_name_of_a_failed_line_is_left_alone(editor: Editor, files: Path) -> None:
    bad = {**INPAINT, "mask": "gone.png", "out": "a.png"}
    assert run(editor, files, written(bad))[0].state == "failed"
    (files / "out" / "a.png").write_bytes(b"precious")
    assert run(editor, files, written({**INPAINT, "out": "a.png"}))[0].state == "failed"
    assert (files / "out" / "a.png").read_bytes() == b"precious"


def test_a_file_that_is_saved_while_the_line_runs_is_left_alone(editor: Editor, files: Path) -> None:
    events = run_batch(editor, written({**GENERATE, "out": "a.png"}), files / "out", folder=files)
    next(events)
    (files / "out" / "a.png").write_bytes(b"precious")
    outcome = next(event for event in events if isinstance(event, LineOutcome))
    assert outcome.state == "failed"
    assert "the new picture is a-2.png" in str(outcome.error)
    assert (files / "out" / "a.png").read_bytes() == b"precious"
    assert open_picture(files / "out" / "a-2.png").width > 0
    assert names(files) == ["a-2.png", "a.png", MANIFEST]


def test_a_list_of_an_older_version_owns_what_it_has_hashes_of(editor: Editor, files: Path) -> None:
    run(editor, files, written(GENERATE, {**GENERATE, "seed": 4}))
    entries = [{k: v for k, v in entry.items() if k != "owned"} for entry in manifest(files)]
    entries[1] = {"line": 2, "state": "failed", "error": "", "files": ["0002.png"]}
    path = files / "out" / MANIFEST
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    outcomes = run(editor, files, written({**GENERATE, "seed": 8}, {**GENERATE, "seed": 9}))
    assert [outcome.state for outcome in outcomes] == ["done", "failed"]


def test_two_lines_cannot_write_one_file(editor: Editor, files: Path) -> None:
    outcomes = run(
        editor, files, written({**GENERATE, "out": "a.png"}, {**GENERATE, "seed": 1, "out": "A.png"})
    )
    assert states(outcomes) == [(1, "done"), (2, "failed")]
    assert "written by line 1 already" in str(outcomes[1].error)


@pytest.mark.parametrize(
    "out",
    ["", "..", "../a.png", "/a.png", "sub/a.png", MANIFEST, 7, "a.bmp", "a", "a\0.png", "x" * 300 + ".png"],
)
def test_names_that_pictures_cannot_have(editor: Editor, files: Path, out: object) -> None:
    outcome = run(editor, files, written({**GENERATE, "out": out}))[0]
    assert outcome.state == "failed"
    assert names(files) == [MANIFEST]


def test_stopping_keeps_what_is_done_and_the_next_run_goes_on(editor: Editor, files: Path) -> None:
    lines = written(INPAINT, {**GENERATE, "n": 2}, GENERATE)
    events = run_batch(editor, lines, files / "out", folder=files)
    while not isinstance(next(events), LineOutcome):
        pass
    next(events)  # the second line has begun
    events.close()
    assert names(files) == ["0001.png", MANIFEST]
    assert [entry["state"] for entry in manifest(files)] == ["done"]
    assert [outcome.state for outcome in run(editor, files, lines)] == ["skipped", "done", "done"]


def test_pictures_of_a_run_that_died_are_known_as_its_own(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two pictures one is written when it is over; the next run may write it anew."""
    real, calls = os.link, list[Any]()

    def dying(source: Any, target: Any) -> None:
        calls.append(target)
        if str(target).endswith("0001-2.png"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "link", dying)
    with pytest.raises(KeyboardInterrupt):
        run(editor, files, written({**GENERATE, "n": 2}))
    assert names(files) == ["0001-1.png", MANIFEST]
    monkeypatch.setattr(os, "link", real)
    assert states(run(editor, files, written({**GENERATE, "n": 2}))) == [(1, "done")]


def test_a_full_disk_ends_it_in_a_sentence_and_leaves_no_half_file(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(editor, files, written(GENERATE))
    before = {name: (files / "out" / name).read_bytes() for name in names(files)}

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"results\.jsonl cannot be written: No space left on device"):
        run(editor, files, written(GENERATE, INPAINT))
    assert {name: (files / "out" / name).read_bytes() for name in names(files)} == before


def test_pictures_that_cannot_be_saved_are_kept(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("glide_edit.images.saving._encode_jpeg", full)
    outcomes = run(editor, files, written({**GENERATE, "out": "a.jpg"}, GENERATE))
    assert states(outcomes) == [(1, "failed"), (2, "done")]
    assert outcomes[0].error is not None
    assert outcomes[0].error.endswith(f"was kept as {files / 'out' / 'a-rescued.png'}.")
    assert manifest(files)[0]["error"] == outcomes[0].error
    assert read_recipe(files / "out" / "a-rescued.png").request["prompt"] == "a ball"


def test_a_disk_that_is_full_after_the_work(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list cannot be written either, and the next line is not begun."""
    outcomes: list[LineOutcome] = []

    def work_on() -> None:
        for event in run_batch(editor, written(GENERATE, GENERATE), files / "out", folder=files):
            if isinstance(event, LineOutcome):
                outcomes.append(event)
            else:
                monkeypatch.setattr("glide_edit.batch.write_atomically", _full)
                monkeypatch.setattr(EditResult, "_save", _full)

    with pytest.raises(InputError, match=r"results\.jsonl cannot be written"):
        work_on()
    assert states(outcomes) == [(1, "failed")]
    assert "was kept as" in (outcomes[0].error or "")
    assert "results.jsonl cannot be written" in (outcomes[0].error or "")


def test_one_of_two_pictures_that_cannot_get_its_name(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one is saved all the same."""

    def failing(_: Path, target: Path, __: object) -> None:
        if target.name == "a-1.png":
            raise InputError(f"{target} cannot be written: bad luck.")
        real(_, target, lambda _: False)

    real = put_in_place
    monkeypatch.setattr("glide_edit.batch.put_in_place", failing)
    (outcome,) = run(editor, files, written({**GENERATE, "n": 2, "out": "a.png"}))
    assert outcome.state == "failed"
    assert "a-2.png" not in str(outcome.error)
    assert read_recipe(files / "out" / "a-1-rescued.png").request["seed"] == 0
    assert read_recipe(files / "out" / "a-2.png").request["seed"] == 1
    assert names(files) == ["a-1-rescued.png", "a-2.png", MANIFEST]


def test_pictures_that_cannot_be_listed_are_kept_under_other_names(
    editor: Editor, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under its own name a later run would take the picture for somebody else's."""

    def work_on() -> None:
        for event in run_batch(editor, written({**GENERATE, "out": "a.png"}), files / "out", folder=files):
            if isinstance(event, LineOutcome):
                outcomes.append(event)
            else:
                monkeypatch.setattr("glide_edit.batch.write_atomically", _full)

    outcomes: list[LineOutcome] = []
    work_on()
    assert "results.jsonl cannot be written" in (outcomes[0].error or "")
    assert names(files) == ["a-rescued.png", MANIFEST]
    monkeypatch.undo()
    assert states(run(editor, files, written({**GENERATE, "out": "a.png"}))) == [(1, "done")]


def _full(*_: object, **__: object) -> None:
    raise InputError("results.jsonl cannot be written: full.")


def test_results_too_long_for_the_format_fail_before_the_work(editor: Editor, files: Path) -> None:
    save_picture(np.zeros((8, 8192, 3), np.uint8), files / "long.png")
    line = {"operation": "outpaint", "image": "long.png", "right": 8192, "out": "a.webp"}
    (event,) = run_batch(editor, written(line), files / "out", folder=files)
    assert isinstance(event, LineOutcome)
    assert "at most 16383 pixels" in (event.error or "")


def test_folders_that_cannot_be_written_to(editor: Editor, files: Path) -> None:
    (files / "out").write_text("a file")
    with pytest.raises(InputError, match=r"the folder .*out cannot be made"):
        run(editor, files, written(GENERATE))


@pytest.mark.parametrize(
    "content",
    [
        "words",
        '{"a": 1}',
        "[1]",
        '{"line": "x", "state": "done"}',
        '{"line": 1e999, "state": "done"}',
        '{"line": true, "state": "done"}',
        '{"line": 1, "state": "gone"}',
        '{"line": 1, "state": "done", "files": 7}',
        '{"line": 1, "state": "done", "owned": [1]}',
        '{"line": 1, "state": "done", "owned": {"a.png": "x"}}',
        "[" * 100_000,
        "\xff",
    ],
)
def test_a_list_of_something_else_is_left_alone(editor: Editor, files: Path, content: str) -> None:
    (files / "out").mkdir()
    (files / "out" / MANIFEST).write_text(content, encoding="latin-1")
    with pytest.raises(InputError, match="is not of a batch"):
        run(editor, files, written(GENERATE))
    assert (files / "out" / MANIFEST).read_text(encoding="latin-1") == content


def test_what_the_model_cannot_do_fails_its_line_alone(files: Path) -> None:
    blind = tiny_editor(upsampler=False, known=False)
    outcomes = run(blind, files, written(INPAINT, GENERATE))
    assert states(outcomes) == [(1, "failed"), (2, "done")]
    assert "network that was trained to inpaint" in str(outcomes[0].error)

"""Reports: what their JSON holds, when fingerprints agree, and what a contact sheet shows."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glide_edit.errors import InputError, OutputExists
from glide_edit.evaluation.report import Report, Table, Tile, against_real, contact_sheet, fingerprint

REPORT = Report(
    bench="colours",
    model="tiny 0123",
    protocol={"count": 3, "kinds": ["one"]},
    measures={"one": 0.5, "two": math.nan},
    tables=(Table("by kind", ("kind", "right"), (("one", 0.5), ("two", math.nan), ("three", 1200))),),
)


def test_the_file_holds_the_report_as_json(tmp_path: Path) -> None:
    REPORT.write(tmp_path / "report.json")
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["measures"] == {"one": 0.5, "two": None}  # JSON has no NaN
    assert written["tables"][0]["rows"][1] == ["two", None]
    assert written["fingerprint"] == fingerprint(REPORT.protocol)
    assert (written["bench"], written["model"], written["complete"]) == ("colours", "tiny 0123", True)
    with pytest.raises(OutputExists):
        REPORT.write(tmp_path / "report.json")
    replace(REPORT, complete=False).write(tmp_path / "report.json", force=True)
    assert json.loads((tmp_path / "report.json").read_text())["complete"] is False


def test_a_table_as_markdown() -> None:
    assert REPORT.tables[0].to_markdown().splitlines() == [
        "| kind | right |",
        "| --- | --- |",
        "| one | 0.500 |",
        "| two | – |",
        "| three | 1,200 |",
    ]


def test_a_fingerprint_follows_from_the_values_alone() -> None:
    assert fingerprint({"a": 1, "b": [2, 3]}) == fingerprint({"b": [2, 3], "a": 1})
    others = ({"a": 1, "b": [3, 2]}, {"a": 2, "b": [2, 3]}, {"a": 1, "c": [2, 3]}, {"a": 1})
    assert len({fingerprint(other) for other in ({"a": 1, "b": [2, 3]}, *others)}) == 5


def test_scores_are_divided_by_what_real_renders_get() -> None:
    measures = against_real({"one": 0.4, "two": 0.1}, {"one": 0.8, "two": 0.0, "three": 1.0})
    assert measures["one"] == 0.5
    assert (measures["one_raw"], measures["one_real"]) == (0.4, 0.8)
    assert math.isnan(measures["two"])
    assert "three" not in measures


def test_a_contact_sheet_shows_every_picture_at_its_place() -> None:
    red, green = (np.full((8, 8, 3), colour, np.uint8) for colour in ((200, 0, 0), (0, 200, 0)))
    sheet = contact_sheet([Tile((red, green)), Tile((green, red)), Tile((red, red))], across=2, size=16)
    rows, columns = (np.flatnonzero((sheet != 255).any(axis=(1 - axis, 2))) for axis in (0, 1))
    assert len(rows) == 2 * 16
    assert len(columns) == 4 * 16
    seen = sheet[rows[8], columns[[8, 24, 40, 56]]].tolist()
    assert seen == [[200, 0, 0], [0, 200, 0], [0, 200, 0], [200, 0, 0]]
    assert sheet[rows[24], columns[24]].tolist() == [200, 0, 0]
    assert sheet[rows[24], columns[40]].tolist() == [255, 255, 255]  # no fourth tile


def test_words_stand_under_their_picture_in_as_many_lines_as_they_need() -> None:
    white = np.full((32, 32, 3), 255, np.uint8)
    short, long = (contact_sheet([Tile((white,), "red ball " * n)], across=1, size=64) for n in (1, 12))
    assert (short != 255).any()
    assert long.shape[0] > short.shape[0]
    assert long.shape[1] == short.shape[1]
    assert (long[-25:] != 255).any(), "the last line is cut off"


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=5),
    st.integers(1, 4),
)
def test_any_pictures_make_a_sheet(shapes: list[tuple[int, int]], across: int) -> None:
    tiles = [Tile((np.zeros((*shape, 3), np.uint8),), "words") for shape in shapes]
    sheet = contact_sheet(tiles, across=across, size=20)
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] >= 20 * -(-len(tiles) // across)


def test_a_sheet_of_nothing_is_refused() -> None:
    for tiles in ([], [Tile(())]):
        with pytest.raises(InputError, match="one tile or more"):
            contact_sheet(tiles)

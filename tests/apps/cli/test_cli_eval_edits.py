"""`glide-edit eval edits` and `eval sketches`: reports, sheets, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture


@pytest.mark.parametrize(
    ("bench", "count", "names"),
    [
        ("edits", 1, {"edit_small", "edit_medium_raw", "edit_large_real", "changed_outside", "seam"}),
        ("sketches", 2, {"sketch_kind", "sketch_iou_raw", "sketch_iou_real"}),
    ],
)
def test_a_bench_reports_as_json_in_tables_and_on_a_sheet(
    cli, tiny: Path, here: Path, bench: str, count: int, names: set[str]
) -> None:
    options = ("--model", tiny / "both", "--json", "report.json", "--sheet", "sheets")
    result = cli("eval", bench, "--count", count, *options)
    assert result.exit_code == 0, result.output
    report = json.loads((here / "report.json").read_text())
    assert (report["bench"], report["complete"], report["model"][:4]) == (bench, True, "tiny")
    assert names <= set(report["measures"])
    assert report["tables"][0]["title"] in result.stdout
    assert open_picture(here / "sheets" / f"{bench}.png").width > 2 * 128


@pytest.mark.parametrize("bench", ["edits", "sketches"])
def test_a_report_that_is_there_is_left_alone(cli, tiny: Path, here: Path, bench: str) -> None:
    (here / "report.json").write_text("mine")
    result = cli("eval", bench, "--model", tiny / "both", "--count", 1, "--json", "report.json")
    assert result.exit_code == 2
    assert "report.json exists already" in result.stderr
    assert (here / "report.json").read_text() == "mine"


@pytest.mark.parametrize("bench", ["edits", "sketches"])
def test_none_is_no_count(cli, tiny: Path, bench: str) -> None:
    result = cli("eval", bench, "--model", tiny / "both", "--count", 0)
    assert result.exit_code == 2
    assert "or more, not 0" in result.stderr

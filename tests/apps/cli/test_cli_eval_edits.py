"""`glide-edit eval edits` and `eval sketches`: reports, sheets, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture
from tests.glide_edit.evaluation.photographs import write_photographs


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


def test_the_photograph_bench_reports_and_says_how_far_its_judge_is_to_be_trusted(
    cli, tiny: Path, here: Path
) -> None:
    write_photographs(here / "photos")
    options = ("--photos", "photos", "--model", tiny / "both", "--json", "report.json", "--sheet", "sheets")
    result = cli("eval", "photographs", "--count", 1, *options)
    assert result.exit_code == 0, result.output
    report = json.loads((here / "report.json").read_text())
    names = {"photo_kind_small_real", "photo_color", "photo_seam", "photo_sharpness", "verifier_kind"}
    assert names <= set(report["measures"])
    assert report["measures"]["changed_outside"] == 0
    assert report["tables"][0]["title"] in result.stdout
    assert ("warning" in report["details"]) == (report["measures"]["verifier_kind"] < 0.9)
    assert ("of the true composites" in result.stderr) == ("warning" in report["details"])
    assert open_picture(here / "sheets" / "photographs.png").width > 2 * 128


def test_photographs_of_which_none_are_held_out_are_refused(cli, tiny: Path, here: Path) -> None:
    write_photographs(here / "photos", ("train",))
    result = cli("eval", "photographs", "--photos", "photos", "--model", tiny / "both", "--count", 1)
    assert result.exit_code == 2
    assert "names no photographs that are held out" in result.stderr


def test_repairs_are_measured_on_bundled_photographs_beside_another_program(
    cli, tiny: Path, here: Path
) -> None:
    options = ("--model", tiny / "base", "--grow", 2, "--mask-fill", "opencv", "--others", "telea")
    result = cli("eval", "repairs", "--count", 1, *options, "--json", "report.json", "--sheet", "sheets")
    assert result.exit_code == 0, result.output
    report = json.loads((here / "report.json").read_text())
    assert (report["bench"], report["complete"], len(report["details"]["items"])) == ("repairs", True, 5)
    assert {"repair_psnr_wire_reporting", "repair_lead_hole_tuning"} <= set(report["measures"])
    assert report["measures"]["changed_beyond"] == 0 < report["measures"]["changed_outside"]
    assert report["details"]["settings"] == {"grow": 2, "mask_fill": "opencv"}
    assert report["tables"][0]["title"] in result.stdout
    names = ["blobs", "hole", "lettering", "scratches", "wire"]
    assert sorted(file.stem for file in (here / "sheets").iterdir()) == names
    assert open_picture(here / "sheets" / "hole.png").width > 4 * 256


def test_repairs_say_which_program_is_not_there(
    cli, tiny: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    (here / "photos").mkdir()
    options = ("--photos", "photos", "--model", tiny / "both", "--count", 1)
    result = cli("eval", "repairs", *options, "--others", "gmic-pde")
    assert result.exit_code == 2
    assert "gmic-pde cannot be measured: the program gmic is not installed" in result.stderr
    result = cli("eval", "repairs", *options)
    assert "note: gmic-patch is left out: the program gmic is not installed" in result.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--others", "telea", "--no-others"), "contradict each other"),
        (("--others", "magic"), "No program 'magic'"),
        (("--no-others", "--photos", "nowhere"), "nowhere"),
        (("--no-others", "--mask-fill", "magic"), "Unknown mask fill 'magic'"),
    ],
)
def test_repairs_with_bad_options_are_refused(cli, tiny: Path, options: tuple, says: str) -> None:
    result = cli("eval", "repairs", "--model", tiny / "both", "--count", 1, *options)
    assert result.exit_code == 2
    assert says in result.stderr

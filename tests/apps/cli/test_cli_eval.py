"""`glide-edit eval prompts` and `eval file`: reports, sheets, and what is left when they are stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture

SMALL = ("eval", "prompts", "--kinds", "one,two", "--count", 2)


def test_prompts_reports_as_json_and_in_tables(cli, tiny: Path, here: Path) -> None:
    result = cli(*SMALL, "--model", tiny / "both", "--json", "report.json", "--sheet", "sheets")
    assert result.exit_code == 0, result.output
    report = json.loads((here / "report.json").read_text())
    assert (report["bench"], report["complete"], report["model"][:4]) == ("prompts", True, "tiny")
    assert report["protocol"]["pixels"] == 16
    assert {"one_kind", "one_color_raw", "two_all_real", "kernel_distance"} <= set(report["measures"])
    assert "| two: two objects: all kinds and colours | 2 |" in result.stdout
    assert sorted(path.name for path in (here / "sheets").iterdir()) == ["one.png", "two.png"]
    assert open_picture(here / "sheets" / "one.png").width > 2 * 128


def test_a_sweep_draws_its_curve(cli, tiny: Path, here: Path) -> None:
    options = ("--model", tiny / "both", "--guidance", "1, 3", "--size", "full", "--sheet", "out")
    result = cli("eval", "prompts", "--kinds", "one", "--count", 2, *options)
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (here / "out").iterdir())
    assert names == ["curve.png", "one-guidance-1.png", "one-guidance-3.png"]
    assert "accuracy against distance" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--kinds", "surprise"), "surprise"),
        (("--kinds", "one,one"), "each named once"),
        (("--guidance", "strong"), "--guidance takes numbers with commas"),
        (("--clip-guidance", "1;2"), "--clip-guidance takes numbers with commas"),
        (("--clip-guidance", "2"), "no CLIP of its own"),
        (("--kinds", "two_best_of_8"), "no CLIP of its own"),
        (("--count", 0), "not 0"),
        (("--guidance", "1,-2"), "guidance must be"),
    ],
)
def test_what_cannot_be_asked_is_refused(cli, tiny: Path, arguments: tuple[object, ...], why: str) -> None:
    result = cli("eval", "prompts", "--model", tiny / "base", *arguments)
    assert result.exit_code == 2
    assert why in result.stderr


def test_a_model_that_only_enlarges_is_refused(cli, tiny: Path) -> None:
    result = cli(*SMALL, "--model", tiny / "upsampler")
    assert result.exit_code == 2
    assert "has no base network" in result.stderr


def test_what_is_there_is_left_alone_before_any_work(cli, here: Path) -> None:
    (here / "report.json").write_text("precious")
    (here / "full").mkdir()
    (here / "full" / "one.png").write_text("precious")
    for option in (("--json", "report.json"), ("--sheet", "full")):
        result = cli(*SMALL, "--model", "surprise", *option)
        assert result.exit_code == 2
        assert "--force" in result.stderr, result.stderr
    for option in (("--json", "missing/report.json"), ("--json", "full"), ("--sheet", "report.json")):
        assert cli(*SMALL, "--model", "surprise", *option, "--force").exit_code == 2
    assert (here / "report.json").read_text() == (here / "full" / "one.png").read_text() == "precious"


def test_a_stopped_bench_reports_what_was_finished(
    cli, tiny: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glide_edit.evaluation import prompt_bench

    whole = prompt_bench.draw

    def stopping(model, prompts, *rest):  # type: ignore[no-untyped-def]
        if " and " in prompts[0]:
            raise KeyboardInterrupt
        return whole(model, prompts, *rest)

    monkeypatch.setattr(prompt_bench, "draw", stopping)
    result = cli(*SMALL, "--model", tiny / "base", "--json", "report.json")
    assert result.exit_code == 130
    assert "what was finished" in result.stderr
    report = json.loads((here / "report.json").read_text())
    assert report["complete"] is False
    assert "one_kind" in report["measures"]
    assert "two_all" not in report["measures"]


def test_a_file_of_prompts_is_drawn_into_a_folder(cli, tiny: Path, here: Path) -> None:
    (here / "mine.csv").write_text("Prompts,Category\na red ball,Colors\na cube,Shapes\n")
    result = cli("eval", "file", "mine.csv", "--out", "drawn", "--model", tiny / "both", "--seed", 3)
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (here / "drawn").iterdir())
    assert names == ["0001.png", "0002.png", "scores.csv", "sheet.png"]
    assert (here / "drawn" / "scores.csv").read_text().splitlines()[2] == "0002.png,4,a cube,Shapes,"
    again = cli("eval", "file", "mine.csv", "--out", "drawn", "--model", tiny / "both")
    assert again.exit_code == 2
    assert "not empty" in again.stderr


def test_fid_without_its_packages_is_refused_before_any_drawing(
    cli, tiny: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    result = cli(*SMALL, "--model", tiny / "base", "--fid", "--json", "report.json")
    assert result.exit_code == 2
    assert "glide-edit[fid]" in result.stderr
    assert not (here / "report.json").exists()

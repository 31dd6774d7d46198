"""`glide-edit eval edits` and `sketches`: plain functions, which `apps.cli.evaluate` makes commands of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import options
from apps.cli.progress import counting
from apps.cli.reports import ReportFile, SheetFolder, check_places, end_if_stopped, print_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from glide_edit.evaluation.report import Report

EachSize = Annotated[int, typer.Option("--count", metavar="N", help="Edits for each size of mask.")]
Drawings = Annotated[int, typer.Option("--count", metavar="N", help="Drawings.")]
Seed = Annotated[int, typer.Option("--seed", "-s", metavar="S", help="Another seed asks other questions.")]


def edits(
    model: options.ModelName = "toybox",
    count: EachSize = 256,
    seed: Seed = 0,
    report_file: ReportFile = None,
    sheet: SheetFolder = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    force: options.Force = False,
) -> None:
    """Put toys back into scenes they were taken out of; judge what is there, and whether the seam shows.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.editor import Editor
    from glide_edit.evaluation import edit_bench

    check_places(report_file, sheet, force=force)
    editor = Editor.load(model, device, precision)
    with counting("editing and judging") as tell:
        report, outcomes = edit_bench.bench_edits(
            edit_bench.painter(editor), editor.model.label, count=count, seed=seed, tell=tell
        )
    if sheet is not None:
        _write_sheet(sheet / "edits.png", edit_bench.sheet(outcomes))
    _hand_out(report, report_file, force)


def sketches(
    model: options.ModelName = "toybox",
    count: Drawings = 256,
    seed: Seed = 0,
    report_file: ReportFile = None,
    sheet: SheetFolder = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    force: options.Force = False,
) -> None:
    """Turn line drawings of scenes into pictures; judge whether each object stands where it was drawn.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.editor import Editor
    from glide_edit.evaluation import sketch_bench

    check_places(report_file, sheet, force=force)
    editor = Editor.load(model, device, precision)
    with counting("drawing and judging") as tell:
        report, outcomes = sketch_bench.bench_sketches(
            sketch_bench.sketcher(editor),
            editor.model.label,
            count=count,
            seed=seed,
            tell=tell,
        )
    if sheet is not None:
        _write_sheet(sheet / "sketches.png", sketch_bench.sheet(outcomes))
    _hand_out(report, report_file, force)


def _write_sheet(target: Path, pixels: NDArray[Any]) -> None:
    from glide_edit.images import save_picture

    save_picture(pixels, target, force=True)  # into a folder that was made or found empty for it


def _hand_out(report: Report, report_file: Path | None, force: bool) -> None:
    """Tables and measures on stdout, the report into its file.

    Raises:
        typer.Exit: the bench was stopped, with code 130.
    """
    if report_file is not None:
        report.write(report_file, force=force)
    print_tables(report)
    typer.echo("\n" + "\n".join(f"{name}: {value:.4g}" for name, value in report.measures.items()))
    end_if_stopped(report)

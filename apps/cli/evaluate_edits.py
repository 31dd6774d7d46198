"""`glide-edit eval edits`, `sketches`, `photographs`: functions made commands by `apps.cli.evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.options import takes_groups
from apps.cli.progress import counting
from apps.cli.reports import Measuring, Reporting, end_if_stopped, print_tables

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from glide_edit.evaluation.report import Report

EachSize = Annotated[int, typer.Option("--count", metavar="N", help="Edits for each size of mask.")]
Drawings = Annotated[int, typer.Option("--count", metavar="N", help="Drawings.")]
HeldOut = Annotated[
    Path,
    typer.Option(
        "--photos",
        metavar="FOLDER",
        help='Photographs with metadata.jsonl; those of "split": "test" or "validation" are used.',
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", "-s", metavar="S", help="Another seed asks other questions.")]


@takes_groups
def edits(measuring: Measuring, reporting: Reporting, count: EachSize = 256, seed: Seed = 0) -> None:
    """Put toys back into scenes they were taken out of; judge what is there, and whether the seam shows.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.evaluation import edit_bench

    reporting.check(force=measuring.force)
    model = measuring.load()
    with counting("editing and judging") as tell:
        report, outcomes = edit_bench.bench_edits(
            edit_bench.painter(model), model.label, count=count, seed=seed, tell=tell
        )
    if reporting.sheet is not None:
        _write_sheet(reporting.sheet / "edits.png", edit_bench.sheet(outcomes))
    _hand_out(report, reporting.report_file, measuring.force)


@takes_groups
def sketches(measuring: Measuring, reporting: Reporting, count: Drawings = 256, seed: Seed = 0) -> None:
    """Turn line drawings of scenes into pictures; judge whether each object stands where it was drawn.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.evaluation import sketch_bench

    reporting.check(force=measuring.force)
    model = measuring.load()
    with counting("drawing and judging") as tell:
        report, outcomes = sketch_bench.bench_sketches(
            sketch_bench.sketcher(model), model.label, count=count, seed=seed, tell=tell
        )
    if reporting.sheet is not None:
        _write_sheet(reporting.sheet / "sketches.png", sketch_bench.sheet(outcomes))
    _hand_out(report, reporting.report_file, measuring.force)


@takes_groups
def photographs(
    photos: HeldOut, measuring: Measuring, reporting: Reporting, count: EachSize = 256, seed: Seed = 0
) -> None:
    """Put toys into photographs that training never saw; judge what is there, how sharp, and the seam.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.evaluation import photo_bench

    reporting.check(force=measuring.force)
    model = measuring.load()
    with counting("editing and judging") as tell:
        report, outcomes = photo_bench.bench_photographs(
            photo_bench.painter(model), model.label, photos, count=count, seed=seed, tell=tell
        )
    if reporting.sheet is not None:
        _write_sheet(reporting.sheet / "photographs.png", photo_bench.sheet(outcomes))
    _hand_out(report, reporting.report_file, measuring.force)
    if "warning" in report.details:
        typer.echo(f"note: {report.details['warning']}", err=True)


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

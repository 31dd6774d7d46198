"""`glide-edit eval edits`, `sketches`, `photographs`, `repairs`: made commands by `apps.cli.evaluate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.options import takes_groups
from apps.cli.progress import counting
from apps.cli.reports import Measuring, Reporting, end_if_stopped, print_tables
from glide_edit.errors import InputError

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
PerhapsPhotos = Annotated[
    Path | None,
    typer.Option(
        "--photos",
        metavar="FOLDER",
        help="Photographs with metadata.jsonl, of which the held-out ones are used [default: those that "
        "scikit-image brings along].",
    ),
]
EachKind = Annotated[int, typer.Option("--count", metavar="N", help="Items of each kind of cover.")]
Others = Annotated[
    str | None,
    typer.Option(
        "--others",
        metavar="NAME,...",
        help="Programs to compare with, of telea, navier-stokes, biharmonic, gmic-matchpatch, gmic-patch and "
        "gmic-pde [default: all that are installed].",
    ),
]
NoOthers = Annotated[bool, typer.Option("--no-others", help="Compare with no other program.")]
Grow = Annotated[
    int | None,
    typer.Option("--grow", metavar="PX", help="Grow the selection, in place of what `remove` does itself."),
]
Fill = Annotated[
    str | None,
    typer.Option(
        "--mask-fill", metavar="NAME", help="What the selection begins from, in place of `remove`'s own."
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


@takes_groups
def repairs(
    measuring: Measuring,
    reporting: Reporting,
    photos: PerhapsPhotos = None,
    count: EachKind = 32,
    seed: Seed = 0,
    others: Others = None,
    no_others: NoOthers = False,
    grow: Grow = None,
    mask_fill: Fill = None,
) -> None:
    """Cover parts of photographs, have `remove` and other programs fill them, and compare with the truth.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    from glide_edit.editor import Editor
    from glide_edit.evaluation import repair_bench
    from glide_edit.evaluation.repair_items import photographs_of
    from glide_edit.evaluation.repair_programs import choose
    from glide_edit.evaluation.repair_tables import sheets

    if no_others and others is not None:
        raise InputError("--others and --no-others contradict each other: give one.")
    chosen, left_out = choose(() if no_others else _names(others))
    for name, why in left_out.items():
        typer.echo(f"note: {name} is left out: {why}", err=True)
    settings = {
        name: value for name, value in (("grow", grow), ("mask_fill", mask_fill)) if value is not None
    }
    photographs = photographs_of(photos)
    reporting.check(force=measuring.force)
    model = measuring.load()
    with counting("filling and comparing") as tell:
        report, outcomes = repair_bench.bench_repairs(
            repair_bench.remover(Editor(model), **settings),
            model.label,
            photographs,
            others=chosen,
            count=count,
            seed=seed,
            tell=tell,
        )
    report = replace(report, details={**report.details, "settings": settings, "left_out": left_out})
    if reporting.sheet is not None:
        for kind, pixels in sheets(outcomes).items():
            _write_sheet(reporting.sheet / f"{kind}.png", pixels)
    _hand_out(report, reporting.report_file, measuring.force)


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


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

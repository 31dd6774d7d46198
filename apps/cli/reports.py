"""What benches share: which model is measured, where reports and contact sheets go, what would stop that."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli import options
from apps.cli.errors import STOPPED
from glide_edit.errors import InputError, OutputExists

if TYPE_CHECKING:
    from glide_edit.evaluation.report import Report, Tile
    from glide_edit.models import Model

ReportFile = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Where to write the report as JSON.")
]
SheetFolder = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="DIR", help="A new or empty folder for contact sheets and curves."),
]


def check_report_file(path: Path, *, force: bool) -> None:
    """Say before the work what would stop the writing after it.

    Raises:
        OutputExists: it is there already, and ``force`` is False.
        InputError: it is a folder, or its own folder is missing or cannot be written to.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: name a file for the report.")
    if os.path.lexists(path) and not force:
        raise OutputExists(f"{path} exists already: choose another name, or ask to overwrite it.")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"nothing can be written in the folder {path.parent}: name another one.")


def make_empty_folder(folder: Path, *, force: bool) -> None:
    """Make a folder to write into.

    Raises:
        OutputExists: it holds something already, and ``force`` is False.
        InputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_filled = any(folder.iterdir())
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror or error}.") from error
    if is_filled and not force:
        raise OutputExists(f"{folder} is not empty: choose another folder, or ask to overwrite it.")


@dataclass(frozen=True)
class Measuring:
    """Which model is measured, and where."""

    model: options.ModelName = "toybox"
    device: options.Device = "auto"
    precision: options.Precision = "auto"
    threads: options.Threads = None
    preset: options.PresetName = None
    force: options.Force = False

    def load(self) -> Model:
        """The model, where and how its networks are to run, with the preset as its usual one.

        Raises:
            GlideEditError: there is none, it cannot be loaded here, or it has no such preset.
        """
        from glide_edit.models import apply, choose_runtime, load_model, resolve

        runtime = choose_runtime(self.device, self.precision, self.threads)
        apply(runtime)
        model = load_model(resolve(self.model), runtime)
        return model if self.preset is None else model.with_usual_preset(self.preset)


@dataclass(frozen=True)
class Reporting:
    """Where a bench writes what it found."""

    report_file: ReportFile = None
    sheet: SheetFolder = None

    def check(self, *, force: bool) -> None:
        """Say before the work what would stop the writing after it.

        Raises:
            OutputExists: something is there already, and ``force`` is False.
            InputError: it cannot be written.
        """
        if self.report_file is not None:
            check_report_file(self.report_file, force=force)
        if self.sheet is not None:
            make_empty_folder(self.sheet, force=force)


def write_sheets(folder: Path, sheets: Mapping[str, Sequence[Tile]]) -> None:
    """A contact sheet NAME.png for each name, in a folder that ``make_empty_folder`` made."""
    from glide_edit.evaluation.report import contact_sheet
    from glide_edit.images import save_picture

    for name, tiles in sheets.items():
        save_picture(contact_sheet(tiles), folder / f"{name}.png", force=True)


def print_tables(report: Report) -> None:
    """The report's tables, on stdout."""
    for table in report.tables:
        typer.echo(f"\n{table.title}\n\n{table.to_markdown()}")


def end_if_stopped(report: Report) -> None:
    """Say so, and raise typer.Exit with code 130, where the bench did not come to its end."""
    if not report.complete:
        typer.echo("stopped: the report is of what was finished", err=True)
        raise typer.Exit(STOPPED)

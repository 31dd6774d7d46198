"""`--strengths`: the same sketch or variation at several strengths, and a sheet of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli.options import Running
from apps.cli.outputs import check_targets, numbered
from glide_edit.errors import InputError

if TYPE_CHECKING:
    from glide_edit.requests import Request

Strengths = Annotated[
    str | None,
    typer.Option(
        "--strengths",
        metavar="LOW:HIGH[:N]",
        help="Try N strengths (6) in a row, as 0.4:0.9; their sheet is FILE-strengths.png, or --sheet.",
        show_default=False,
    ),
]


def carry_out_strengths(request: Request, strengths: str, out: Path, sheet: Path, running: Running) -> None:
    """Run the request at each strength, write all pictures and their sheet.

    Raises:
        InputError: strengths that cannot be read or are not used, or files that cannot be written.
        typer.Exit: stopped, with code 130.
    """
    from apps.cli.work import Work, carry_out_all
    from glide_edit.images import save_picture
    from glide_edit.operations.strengths import over_strengths, read_strengths, strengths_sheet

    requests = over_strengths(request, read_strengths(strengths))
    targets = numbered(out, len(requests) * request.n)
    sheet = running.sheet or sheet
    if sheet.absolute() in {target.absolute() for target in targets}:
        raise InputError(f"--sheet and the pictures would be the same file: {sheet.name}.")
    check_targets([*targets, sheet], force=running.force)
    one = replace(running, sheet=None)
    parts = [targets[k : k + request.n] for k in range(0, len(targets), request.n)]
    results = carry_out_all([(each, Work(part, one)) for each, part in zip(requests, parts, strict=True)])
    save_picture(strengths_sheet(results), sheet, force=running.force)
    typer.echo(f"{sheet}: {len(requests)} strengths", err=running.as_json)

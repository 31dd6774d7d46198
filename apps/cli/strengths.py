"""What `sketch` and `vary` end with: a picture for each seed, or with `--strengths` several and a sheet."""

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


def carry_out_after(
    source: Path, what: str, request: Request, strengths: str | None, out: Path | None, running: Running
) -> None:
    """Run a request that draws a new picture after a file; it goes to ``out``, or beside it as NAME-what.png.

    With ``strengths`` there is one for each of them, and their sheet beside it as NAME-strengths.png.

    Raises:
        GlideEditError, typer.Exit: what ``carry_out_strengths`` and ``work.carry_out`` raise.
    """
    from apps.cli.work import Work, carry_out

    target = out or source.with_name(f"{source.stem}-{what}.png")
    if strengths is not None:
        sheet = source.with_name(f"{source.stem}-strengths.png")
        return carry_out_strengths(request, strengths, target, sheet, running)
    targets = numbered(target, request.n)
    check_targets(targets, force=running.force)
    carry_out(request, Work(targets, running))


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

"""`glide-edit verify`: did an edit, by whatever program, leave everything outside its selection alone?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from apps.cli import options
from apps.cli.errors import FOUND
from apps.cli.mask_values import usable_mask_file


def verify(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The picture before the edit.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The edited one.")],
    mask: Annotated[
        Path,
        typer.Option("--mask", metavar="MASK", help="What was to change: white, or .json."),
    ],
    mask_means: options.MaskMeans = "change",
    grow: Annotated[
        float, typer.Option("--grow", metavar="PX", help="The selection was extended by this many pixels.")
    ] = 0,
    protect: Annotated[
        Path | None, typer.Option("--protect", metavar="MASK", help="What was not to change for certain.")
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option("--map", metavar="FILE", help="Write a picture of where it changed outside."),
    ] = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Compare a picture with an edit of it, outside the mask. Ends with code 3 where something changed."""
    from glide_edit.comparing import verify as compare
    from glide_edit.images import check_output, save_picture

    if map_ is not None:
        check_output(map_, force=force)
    found = compare(
        before,
        after,
        usable_mask_file(mask, mask_means),
        grow=grow,
        protect=None if protect is None else usable_mask_file(protect),
    )
    if map_ is not None:
        save_picture(found.map(), map_, force=force)
    if as_json:
        record = {"before": str(before), "after": str(after), **found.to_json()}
        typer.echo(json.dumps({**record, "map": None if map_ is None else str(map_)}))
    else:
        for note in found.notes:
            typer.echo(f"note: {note}", err=True)
        typer.echo(f"{after}: {found}")
        p = found.preservation
        typer.echo(f"sha256 of the pixels outside: {p.before_sha256} before, {p.after_sha256} after")
    if not found.kept:
        raise typer.Exit(FOUND)

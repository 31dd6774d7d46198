"""`glide-edit mask doctor` and `mask preview`: what is wrong with a mask, and what it looks like."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli import options
from apps.cli.errors import FOUND
from apps.cli.mask import MaskFile, Photo, app, describe, selected
from apps.cli.mask_values import beside, ground_of, open_mask_file
from glide_edit.errors import InputError

if TYPE_CHECKING:
    from masks import Finding, Mask

Show = Annotated[
    Path | None,
    typer.Option("--show", metavar="FILE", help="Write a picture of what the model will see of PHOTO."),
]


On = Annotated[str | None, typer.Argument(metavar="[PHOTO|WxH]", help="The picture it is for, or its size.")]
Context = Annotated[
    float | None,
    typer.Option("--context", metavar="X", help="As `inpaint` takes it [default: where the model is best]."),
]
Grow = Annotated[float, typer.Option("--grow", metavar="PX", help="As `inpaint` takes it.")]
ModelSize = Annotated[
    int, typer.Option("--model-size", metavar="PX", help="The side of what the model's base draws.")
]
Mend = Annotated[
    bool, typer.Option("--mend", help="Write the mask with everything repaired that needs no decision.")
]


@app.command()
@options.takes_groups
def doctor(
    mask: MaskFile,
    on: On = None,
    mask_means: options.MaskMeans = "change",
    context: Context = None,
    grow: Grow = 0,
    model_size: ModelSize = 64,
    show: Show = None,
    mend: Mend = False,
    *,
    writing: options.Writing,
) -> None:
    """Say what is wrong with a mask, before minutes are spent on it.

    Ends with code 3 if the mask cannot be used, with --mend if it cannot be used after the repair.
    """
    from glide_edit.images import check_output, save_picture
    from glide_edit.selections import check_mask_output, examine, mended, save_mask
    from masks import AUTOMATIC_CONTEXT, seen_by_network

    context = AUTOMATIC_CONTEXT if context is None else context
    ground = None if on is None else ground_of(on)
    if show is not None:
        if ground is None or ground.picture is None:
            said = "--show needs the picture as well: glide-edit mask doctor MASK PHOTO --show FILE."
            raise InputError(said)
        check_output(show, force=writing.force)
    if writing.out is not None and not mend:
        raise InputError("-o is for the mended mask: give --mend with it.")
    target = check_mask_output(writing.out or beside(mask, "mended"), force=writing.force) if mend else None
    given = open_mask_file(mask, mask_means)
    settings = {"context": context, "network_size": model_size, "grow": grow}
    size, picture = (None, None) if ground is None else (ground.size, ground.picture)
    found = examine(given, picture, size, **settings)
    done: tuple[Finding, ...] = ()
    if mend:
        given, done = mended(given, picture, size, **settings)
    left = examine(given, picture, size, **settings) if done else found
    usable = not any(each.severity == "error" for each in left)
    if usable and target is not None:
        save_mask(given, target, force=writing.force)
    if usable and show is not None and picture is not None:
        seen = seen_by_network(picture.pixels, given, context, model_size, grow=grow)
        save_picture(seen, show, force=writing.force)
    _tell(mask, given, found, done, target if usable else None, writing)
    if not usable:
        for path in (target, show):
            if path is not None:
                typer.echo(f"note: {path} was not written, since the mask cannot be used", err=True)
        raise typer.Exit(FOUND)


def _tell(
    file: Path,
    mask: Mask,
    found: Sequence[Finding],
    done: Sequence[Finding],
    target: Path | None,
    writing: options.Writing,
) -> None:
    if writing.as_json:
        record = {
            "findings": [each.to_json() for each in found],
            "mended": [each.code for each in done],
            "file": None if target is None else str(target),
            **describe(mask),
        }
        typer.echo(json.dumps(record))
        return
    if not found:
        typer.echo(f"{file}: nothing is wrong, {selected(mask)}")
    mended = {each.code for each in done}
    for each in found:
        typer.echo(f"{each.severity}: {each.text}")
        if each.remedy is not None and each.code not in mended:
            typer.echo(f"  --mend would {each.remedy}")
    for each in done:
        typer.echo(f"mended: {each.remedy}")
    if target is not None:
        typer.echo(f"{target}: {selected(mask)}")


@app.command()
@options.takes_groups
def preview(
    mask: MaskFile, photo: Photo, mask_means: options.MaskMeans = "change", *, writing: options.Writing
) -> None:
    """Write the picture with the selection tinted red."""
    from glide_edit.images import check_output, open_picture, save_picture
    from masks import preview as tinted

    target = check_output(writing.out or photo.with_name(f"{photo.stem}-preview.png"), force=writing.force)
    picture = open_picture(photo)
    given = open_mask_file(mask, mask_means)
    save_picture(tinted(picture.pixels, given), target, force=writing.force)
    if writing.as_json:
        typer.echo(json.dumps({"file": str(target), **describe(given)}))
    else:
        typer.echo(f"{target}: {selected(given)}")

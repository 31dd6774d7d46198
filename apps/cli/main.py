"""The entry point of `glide-edit`: the tree of commands, and nothing that takes long to import.

Whatever needs numpy, PIL or torch is imported inside the commands, so that help and usage errors answer
at once.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

import glide_edit
from apps.cli import (
    batch,
    edits,
    evaluate,
    info,
    mask,
    mask_doctor,
    models,
    replay,
    studio,
    toybox,
    train,
    verify,
)
from apps.cli.errors import CarefulGroup
from glide_edit.openmp import spin_briefly

app = typer.Typer(
    name="glide-edit",
    cls=CarefulGroup,
    help="Edit pictures with words: inpaint, generate, sketch; train and look after the models that do it.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich alone would take as long to import as all the rest
    pretty_exceptions_enable=False,
)
edits.add_to(app)
app.command()(info.info)
app.command()(replay.replay)
app.command()(batch.batch)
app.command()(studio.app)
app.command()(verify.verify)
mask.app.command()(mask_doctor.doctor)
mask.app.command()(mask_doctor.preview)
app.add_typer(mask.app)
app.command()(train.train)
app.add_typer(toybox.app)
app.add_typer(models.app)
app.add_typer(evaluate.app)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"glide-edit {glide_edit.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _top(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="GLIDE_EDIT_DEBUG", help="Show where an unexpected error came from."),
    ] = False,
) -> None:
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


def main() -> None:
    """Run `glide-edit` with the arguments of the process and exit."""
    spin_briefly()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what a terminal cannot show must not lose the rest
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="glide-edit")


if __name__ == "__main__":
    main()

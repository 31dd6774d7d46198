"""The entry point of `glide-edit`: the tree of commands, and nothing that takes long to import.

A command's module is imported when the command is named, so that the help on all of them needs none. Whatever
needs numpy, PIL or torch is imported inside the commands, so that help and usage errors answer at once.
"""

from __future__ import annotations

import gc
import io
import sys
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

import glide_edit
from apps.cli.errors import CarefulGroup
from glide_edit.openmp import spin_briefly


class Home(NamedTuple):
    """Where a command or a group of them is defined (``module:name``); its help's first sentence."""

    where: str
    help: str


COMMANDS = {
    "inpaint": Home("apps.cli.edits:app", "Repaint the selected part of a picture."),
    "generate": Home("apps.cli.edits:app", "Draw pictures from words alone."),
    "sketch": Home("apps.cli.edits:app", "Turn a line drawing into a picture."),
    "remove": Home(
        "apps.cli.edits:app", "Take what is selected out of a picture: it is filled with what surrounds it."
    ),
    "outpaint": Home("apps.cli.edits:app", "Draw what lies beyond a picture's sides."),
    "upscale": Home("apps.cli.edits:app", "Make a picture 2 or 4 times as wide and high."),
    "vary": Home("apps.cli.edits:app", "Draw another picture like a given one."),
    "info": Home(
        "apps.cli.info:info", "Print the recipe inside a picture: the request and the model that made it."
    ),
    "replay": Home(
        "apps.cli.replay:replay", "Repeat the edit that made a picture, or apply it to another picture."
    ),
    "batch": Home(
        "apps.cli.batch:batch", "Carry out a file of edits, each line on its own, with one load of the model."
    ),
    "app": Home("apps.cli.studio:app", "Open the studio in the browser: paint, name it, see it happen."),
    "verify": Home("apps.cli.verify:verify", "Compare a picture with an edit of it, outside the mask."),
    "train": Home("apps.cli.train:train", "Train one stage of a model, or its CLIP, or go on training it."),
    "plan": Home(
        "apps.cli.edits:PLAN",
        "Say what an edit would do and cost, without doing it: the operation and its arguments.",
    ),
    "mask": Home(
        "apps.cli.mask_doctor:app", "Make, change, check and look at masks: white = what may change."
    ),
    "toybox": Home("apps.cli.toybox:app", "The procedural world that the toybox model is trained on."),
    "models": Home("apps.cli.models:app", "Models and model folders."),
    "eval": Home("apps.cli.evaluate:app", "Measure how good a model is."),
}


class _GroupOfHomes(CarefulGroup):
    """Holds stand-ins for its commands, which say what each is for. The one to run is imported."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments name, and the rest of them."""
        name, stand_in, rest = super().resolve_command(ctx, args)
        return name, stand_in if name is None else command_at_home(name), rest


def command_at_home(name: str) -> Any:
    """The command itself, imported."""
    module, _, attribute = COMMANDS[name].where.partition(":")
    home = getattr(import_module(module), attribute)
    tree = typer.Typer(add_completion=False, rich_markup_mode=None)
    tree.callback()(lambda: None)  # or a tree of one command would be that command
    if isinstance(home, typer.Typer):
        tree.add_typer(home)
    else:
        tree.command(name)(home)
    group: Any = typer.main.get_command(tree)
    return group.commands[name]


app = typer.Typer(
    name="glide-edit",
    cls=_GroupOfHomes,
    help="Edit pictures with words: inpaint, generate, sketch; train and look after the models that do it.",
    add_completion=False,
    rich_markup_mode=None,  # plain help: rich alone would take as long to import as all the rest
    pretty_exceptions_enable=False,
)
for _name, _home in COMMANDS.items():
    app.command(_name, help=_home.help)(lambda: None)


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
    try:
        app(prog_name="glide-edit")
    finally:
        gc.freeze()  # at exit Python looks for garbage in all that torch made, which takes half a second


if __name__ == "__main__":
    main()

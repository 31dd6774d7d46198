"""What a person sees of an error: one line on stderr and an exit code, never a traceback unless asked for.

0 is success, 1 an unexpected error, 2 bad input or bad usage, 3 a check that found something (`verify`,
`mask doctor`), 130 stopped with Ctrl-C.
"""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from glide_edit.errors import GlideEditError, OutputExists

FOUND = 3
STOPPED = 130

_JOINER = "\u200d"
"""Joins emoji into one, and is harmless."""


class CarefulGroup(TyperGroup):
    """The outermost group of commands: turns what escapes from a command into a line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            typer.echo("stopped", err=True)
            raise typer.Exit(STOPPED) from None
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise  # typer's own business
        except Exception as error:
            expected = _sentence(error)
            if expected is not None:
                typer.echo(f"error: {_one_line(expected)}", err=True)
                raise typer.Exit(2) from None
            if ctx.params.get("debug"):
                raise
            kind = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            typer.echo(
                f"unexpected error ({_one_line(kind)}): please report it; "
                "run with GLIDE_EDIT_DEBUG=1 to see where it came from",
                err=True,
            )
            raise typer.Exit(1) from None


def _sentence(error: Exception) -> str | None:
    """What to say of an error that a person can do something about; None for all others."""
    from masks.mask import MaskError  # whoever raised one has paid for this import already

    if isinstance(error, OutputExists):
        return f"{str(error).rstrip('.')} with --force."  # it ends in "ask to overwrite it"
    if isinstance(error, GlideEditError | MaskError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror or error}"
    return None


def printable(text: str) -> str:
    """A text that cannot end the line or move the cursor: file names and prompts may hold anything."""
    return "".join(
        character
        if character.isprintable() or character == _JOINER
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _one_line(text: str) -> str:
    return printable(" ".join(text.split()))

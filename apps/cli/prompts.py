"""Several prompts in one call: from arguments, or from a file with one a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from glide_edit.errors import InputError

PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--prompt-file",
        metavar="FILE",
        help="A text file with one prompt a line; empty lines are left out.",
        show_default=False,
    ),
]


def given_prompts(words: Sequence[str] | None, prompt: str | None, file: Path | None) -> list[str]:
    """The prompts of a call, given in one of three ways.

    Raises:
        InputError: given in no way or in several, or the file cannot be read or has no prompts.
    """
    if (not words) + (prompt is None) + (file is None) != 2:
        raise InputError(
            "Give the prompt once: glide-edit generate PROMPT, or --prompt TEXT, or --prompt-file FILE."
        )
    if file is not None:
        return _read(file)
    return list(words) if words else [prompt or ""]


def _read(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: save it as such, with one prompt a line.") from error
    prompts = [line.strip() for line in text.split("\n") if line.strip()]
    if not prompts:
        raise InputError(f"{path} has no prompts: write one a line.")
    return prompts

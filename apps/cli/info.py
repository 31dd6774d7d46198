"""`glide-edit info`: how a saved picture was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from apps.cli import options
from glide_edit.errors import InputError


def info(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A PNG that glide-edit wrote.", show_default=False)
    ],
    as_json: options.Json = False,
) -> None:
    """Print the recipe inside a picture: the request and the model that made it."""
    from glide_edit.images import read_text

    text = read_text(file)
    from glide_edit.results import RECIPE_KEY

    try:
        recipe = json.loads(text[RECIPE_KEY])
        request = dict(recipe["request"])
        model = recipe["model"]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{file} carries no recipe: only PNG files that glide-edit wrote do.") from None
    if as_json:
        typer.echo(json.dumps(recipe))
        return
    typer.echo(f"model: {model}")
    for name, value in request.items():
        typer.echo(f"{name}: {_shown(value)}")


def _shown(value: object) -> str:
    """A field on one line; of pictures and masks what identifies them."""
    match value:
        case {"sha256": str(digest), "size": [height, width]}:
            return f"{width} x {height} pixels, sha256 {digest[:16]}…"
        case {"counts": list(counts), "size": [height, width]}:
            return f"{sum(counts[1::2]):,} pixels of {width} x {height}"
    return str(value)

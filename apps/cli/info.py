"""`glide-edit info`: how a saved picture was made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from apps.cli import options
from apps.cli.errors import printable


def info(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A PNG, JPEG, WebP or TIFF that glide-edit wrote."),
    ],
    as_json: options.Json = False,
) -> None:
    """Print the recipe inside a picture: the request and the model that made it."""
    from glide_edit.recipes import read_recipe

    recipe = read_recipe(file)
    if as_json:
        typer.echo(json.dumps(recipe.to_json()))
        return
    typer.echo(f"model: {printable(recipe.model)}")
    for name, value in recipe.request.items():
        typer.echo(f"{printable(name)}: {printable(_shown(value))}")


def _shown(value: object) -> str:
    """A field on one line; of pictures and masks what identifies them."""
    match value:
        case {"sha256": str(digest), "size": [height, width]}:
            return f"{width} x {height} pixels, sha256 {digest[:16]}…"
        case {"counts": list(counts), "size": [int(height), int(width)]} if _all_whole(counts):
            return f"{sum(counts[1::2]):,} pixels of {width} x {height}"
        case {"left_out": str(why), "size": [height, width]}:
            return f"of {width} x {height} pixels, left out: {why}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _all_whole(counts: list[object]) -> bool:
    return all(isinstance(count, int) for count in counts)

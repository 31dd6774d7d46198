"""`glide-edit toybox`: pictures of the procedural world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from apps.cli.progress import counting

app = typer.Typer(
    name="toybox", help="The procedural world that the toybox model is trained on.", no_args_is_help=True
)


@app.callback()
def _group() -> None:
    """Keeps `render` a command of its own while it is the only one."""


@app.command()
def render(
    n: Annotated[int, typer.Argument(metavar="N", help="How many pictures.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, or an empty one.")],
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="Seed of the first scene.")] = 0,
    size: Annotated[
        int, typer.Option("--size", metavar="PX", help="Width and height of the pictures.")
    ] = 256,
    split: Annotated[
        Literal["train", "held_out", "all"],
        typer.Option("--split", help="Which combinations of toys and colours may appear."),
    ] = "train",
) -> None:
    """Render pictures with captions, exact masks and line drawings into a folder."""
    from glide_edit.toybox import write_folder

    with counting("rendering") as tell:
        write_folder(out, n, seed=seed, size=size, split=split, progress=tell)
    typer.echo(f"{out}: {n:,} pictures of {size} x {size} pixels, described in {out / 'metadata.jsonl'}")

"""`glide-edit vary`: another picture like a given one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from apps.cli import options
from apps.cli.strengths import Strengths, carry_out_after


@options.takes_groups
def vary(
    picture: Annotated[
        Path, typer.Argument(metavar="FILE", help="The picture to start from.", show_default=False)
    ],
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What it shows, or should show.", show_default=False)
    ] = "",
    strength: Annotated[
        float,
        typer.Option(
            "--strength", metavar="X", help="How far to go from the picture: 0.7 is near, 0.95 far."
        ),
    ] = 0.85,
    strengths: Strengths = None,
    out: options.Out = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Draw another picture like a given one. Writes FILE's name with -vary beside it, as PNG.

    The result has the picture's shape; its longer side is the model's own.
    """
    from glide_edit.images import open_picture

    image = open_picture(picture)
    from glide_edit.requests import Vary

    request = Vary(image=image, prompt=prompt, strength=strength, **sampling.fields())
    carry_out_after(picture, "vary", request, strengths, out, running)

"""`glide-edit remove`, `outpaint` and `upscale`: from arguments to a request."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli import edits, options
from apps.cli.outputs import carry_out_beside

Pixels = Annotated[int, typer.Option(metavar="PX", help="Pixels to add on this side.")]
Aspect = Annotated[
    str | None,
    typer.Option(
        "--aspect",
        metavar="W:H",
        help="Add evenly on two sides until the picture has this shape, as 16:9.",
        show_default=False,
    ),
]
Words = Annotated[
    str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to draw there, in words; may be left out.")
]
Factor = Annotated[int, typer.Option("--factor", metavar="2|4", help="How many times as wide and high.")]


@options.takes_groups
def remove(
    photo: edits.Photo,
    mask: edits.MaskFile,
    out: options.Out = None,
    mask_means: options.MaskMeans = "change",
    grow: edits.Grow = 8,
    protect: edits.Protect = None,
    context: edits.Context = None,
    context_guidance: edits.ContextGuidance = None,
    context_interval: edits.ContextInterval = None,
    finish: edits.Finish = "feather",
    feather: edits.Feather = None,
    detail: edits.Detail = None,
    match_grain: edits.MatchGrain = None,
    content: edits.Content = "patches",
    strength: edits.Strength = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Take what is selected out of a picture: it is filled with what surrounds it.

    --grow takes in more around the selection, such as a shadow. Writes PHOTO's name with -removed beside it.
    """
    from glide_edit.images import open_picture

    image = open_picture(photo)
    from glide_edit.requests import Remove

    request = Remove(
        image=image,
        mask=edits.read_mask(mask, mask_means),
        **sampling.fields(),
        grow=grow,
        protect=None if protect is None else edits.read_mask(protect),
        context=context,
        context_guidance=context_guidance,
        context_interval=context_interval,
        finish=finish,
        feather=feather,
        detail=detail,
        match_grain=match_grain,
        content=content,
        strength=strength,
    )
    carry_out_beside(photo, "removed", request, out, running, edits.notes_on(mask, protect))


@options.takes_groups
def outpaint(
    photo: edits.Photo,
    prompt: Words = "",
    out: options.Out = None,
    left: Pixels = 0,
    right: Pixels = 0,
    top: Pixels = 0,
    bottom: Pixels = 0,
    aspect: Aspect = None,
    context_guidance: edits.ContextGuidance = None,
    context_interval: edits.ContextInterval = None,
    detail: edits.Detail = None,
    match_grain: edits.MatchGrain = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Draw what lies beyond a picture's sides. The picture itself stays as it is.

    Writes PHOTO's name with -larger beside it, as PNG where PHOTO is lossy.
    """
    from glide_edit.images import open_picture

    image = open_picture(photo)
    from glide_edit.requests import Outpaint

    request = Outpaint(
        image=image,
        prompt=prompt,
        **sampling.fields(),
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        aspect=aspect,
        context_guidance=context_guidance,
        context_interval=context_interval,
        detail=detail,
        match_grain=match_grain,
    )
    carry_out_beside(photo, "larger", request, out, running)


@options.takes_groups
def upscale(
    photo: edits.Photo,
    factor: Factor = 4,
    prompt: Words = "",
    out: options.Out = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Make a picture 2 or 4 times as wide and high. Writes PHOTO's name with -2x or -4x beside it."""
    from glide_edit.images import open_picture

    image = open_picture(photo)
    from glide_edit.requests import Upscale

    request = Upscale(image=image, factor=factor, prompt=prompt, **sampling.fields())
    carry_out_beside(photo, f"{factor}x", request, out, running)

"""`glide-edit mask`: making, changing and looking at masks, the command line's face of `masks`."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from apps.cli import options
from apps.cli.mask_values import (
    beside,
    box_in,
    colour_in,
    ground_of,
    open_mask_file,
    points_in,
    strokes_in,
)
from glide_edit.errors import InputError

if TYPE_CHECKING:
    from glide_edit.images import Picture
    from masks import Mask

app = typer.Typer(
    name="mask",
    help="Make, change, check and look at masks: white = what may change.",
    no_args_is_help=True,
)
_POINTS = {"ignore_unknown_options": True}  # so that -5,3 is a point

On = Annotated[str, typer.Argument(metavar="PHOTO|WxH", help="A picture, or a size as 640x480.")]
Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="The picture.")]
Corners = Annotated[str, typer.Argument(metavar="X0,Y0,X1,Y1", help="X1 and Y1 lie just beyond it.")]
PointWords = Annotated[list[str], typer.Argument(metavar="X,Y ...", help="Pixels from the top left corner.")]
MaskFile = Annotated[Path, typer.Argument(metavar="MASK", help="A picture, or run lengths as .json.")]
MaskFiles = Annotated[list[Path], typer.Argument(metavar="MASK ...", help="Masks of one size.")]
Pixels = Annotated[float, typer.Argument(metavar="PX", help="How far, in pixels.")]
Radius = Annotated[float, typer.Option("--radius", metavar="PX", help="Of the brush.")]
Scribbles = list[str] | None


def _add(name: str, help: str, work: Callable[..., None], **chosen: str) -> None:
    """Add a command that differs from others in words alone: those in ``chosen`` are no options."""
    command = options.takes_groups(partial(work, **chosen))
    app.command(name, help=help, context_settings=_POINTS)(command)


def _of(module: str, name: str) -> Callable[..., Mask]:
    """A function of ``masks.draw`` or ``masks.shape``, which are not imported for the help."""
    return getattr(import_module(f"masks.{module}"), name)


# -- drawing -------------------------------------------------------------------------------------------


@app.command(context_settings=_POINTS)
@options.takes_groups
def stroke(on: On, points: PointWords, radius: Radius = 12, *, writing: options.Writing) -> None:
    """Paint strokes with a round brush: X,Y X,Y ..., with / between two strokes."""
    from masks import draw

    ground, strokes = ground_of(on), strokes_in(points)
    _write(lambda: draw.strokes(strokes, radius, ground.size), ground.default, writing)


def _box(on: On, corners: Corners, *, writing: options.Writing, draw: str) -> None:
    ground, box_ = ground_of(on), box_in(corners)
    _write(lambda: _of("draw", draw)(box_, ground.size), ground.default, writing)


def _points(on: On, points: PointWords, *, writing: options.Writing, draw: str) -> None:
    ground, corners = ground_of(on), points_in(points)
    _write(lambda: _of("draw", draw)(corners, ground.size), ground.default, writing)


_add("box", "Select a box.", _box, draw="box")
_add("ellipse", "Select the ellipse that fills a box.", _box, draw="ellipse")
_add(
    "polygon", "Select a polygon; where it crosses itself, the overlap is left out.", _points, draw="polygon"
)
_add("lasso", "Select everything that an outline goes round, however often.", _points, draw="lasso")


# -- selecting by what the picture shows ---------------------------------------------------------------


@app.command(context_settings=_POINTS)
@options.takes_groups
def scissors(photo: Photo, points: PointWords, *, writing: options.Writing) -> None:
    """Select inside an outline that snaps to the picture's edges between the points."""
    from masks import select

    picture, corners = _picture(photo), points_in(points)
    _write(lambda: select.scissors(picture.pixels, corners), _default(photo), writing)


@app.command()
@options.takes_groups
def grabcut(
    photo: Photo,
    box: Annotated[
        str | None,
        typer.Option("--box", metavar="X0,Y0,X1,Y1", help="A box around the thing."),
    ] = None,
    inside: Annotated[
        Scribbles,
        typer.Option("--inside", metavar='"X,Y ..."', help="A scribble on the thing; may be repeated."),
    ] = None,
    outside: Annotated[
        Scribbles,
        typer.Option("--outside", metavar='"X,Y ..."', help="A scribble on what is not; may be repeated."),
    ] = None,
    inside_mask: Annotated[
        Path | None, typer.Option("--inside-mask", metavar="MASK", help="The same, painted.")
    ] = None,
    outside_mask: Annotated[
        Path | None, typer.Option("--outside-mask", metavar="MASK", help="The same, painted.")
    ] = None,
    radius: Radius = 4,
    *,
    writing: options.Writing,
) -> None:
    """Select a thing that stands out from what is around it, by a box and / or scribbles (GrabCut)."""
    from masks import select

    picture, box_ = _picture(photo), None if box is None else box_in(box)
    sure = _scribbles(inside, inside_mask, radius, picture)
    never = _scribbles(outside, outside_mask, radius, picture)
    _write(lambda: select.grab_cut(picture.pixels, box_, sure, never), _default(photo), writing)


@app.command(context_settings=_POINTS)
@options.takes_groups
def wand(
    photo: Photo,
    points: PointWords,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="N", help="How far a channel may differ, 0 to 255.")
    ] = 32,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Also what does not hang together with the point.")
    ] = False,
    *,
    writing: options.Writing,
) -> None:
    """Select what has the colour of a point, where it hangs together with it (magic wand)."""
    from masks import select

    picture, seeds = _picture(photo), points_in(points)
    _write(
        lambda: select.magic_wand(picture.pixels, seeds, tolerance, contiguous=not everywhere),
        _default(photo),
        writing,
    )


@app.command()
@options.takes_groups
def colour(
    photo: Photo,
    colours: Annotated[
        list[str] | None,
        typer.Option("--colour", metavar="#RRGGBB|R,G,B", help="A colour; may be repeated."),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="X,Y", help="The colour at a point; may be repeated."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", metavar="N", help="The largest distance in CIE Lab.")
    ] = 20,
    *,
    writing: options.Writing,
) -> None:
    """Select what looks like a colour, anywhere in the picture."""
    from masks import select

    picture = _picture(photo)
    wanted = [colour_in(text) for text in colours or []]
    if at:
        wanted += select.colours_at(picture.pixels, points_in(at))
    if not wanted:
        raise InputError("no colour was given: name one with --colour, or a point that has it with --at.")
    _write(lambda: select.colour_range(picture.pixels, wanted, tolerance), _default(photo), writing)


# -- changing ------------------------------------------------------------------------------------------


def _by_px(
    mask: MaskFile,
    px: Pixels,
    mask_means: options.MaskMeans = "change",
    *,
    writing: options.Writing,
    change: str,
    after: str,
) -> None:
    given = open_mask_file(mask, mask_means)
    _write(lambda: _of("shape", change)(given, px), beside(mask, after), writing)


_add("grow", "Select also what lies within PX pixels.", _by_px, change="grow", after="grown")
_add("shrink", "Unselect what lies within PX pixels of the edge.", _by_px, change="shrink", after="shrunk")


@app.command(context_settings=_POINTS)
@options.takes_groups
def feather(
    mask: MaskFile, px: Pixels, mask_means: options.MaskMeans = "change", *, writing: options.Writing
) -> None:
    """Write a grey picture that rises from black at the edge to white PX pixels inside."""
    import numpy as np

    from glide_edit.images import check_output
    from glide_edit.selections import save_weights
    from masks import shape

    target = check_output(writing.out or mask.with_name(f"{mask.stem}-feathered.png"), force=writing.force)
    weights = np.rint(shape.feather(open_mask_file(mask, mask_means), px) * 255).astype(np.uint8)
    save_weights(weights, target, force=writing.force)
    height, width = weights.shape
    if writing.as_json:
        typer.echo(json.dumps({"file": str(target), "size": [height, width]}))
    else:
        typer.echo(f"{target}: {width} x {height} pixels, grey")


@app.command("fill-holes")
@options.takes_groups
def fill_holes(
    mask: MaskFile,
    max_area: Annotated[
        float | None,
        typer.Option("--max-area", metavar="PX", help="Leave larger holes open."),
    ] = None,
    mask_means: options.MaskMeans = "change",
    *,
    writing: options.Writing,
) -> None:
    """Select also what the selection encloses."""
    from masks import shape

    given, most = open_mask_file(mask, mask_means), float("inf") if max_area is None else max_area
    _write(lambda: shape.fill_holes(given, most), beside(mask, "filled"), writing)


@app.command("drop-specks", context_settings=_POINTS)
@options.takes_groups
def drop_specks(
    mask: MaskFile,
    area: Annotated[int, typer.Argument(metavar="PX", help="The smallest area that stays.")],
    mask_means: options.MaskMeans = "change",
    *,
    writing: options.Writing,
) -> None:
    """Unselect islands of fewer than PX pixels."""
    from masks import shape

    given = open_mask_file(mask, mask_means)
    _write(lambda: shape.drop_specks(given, area), beside(mask, "clean"), writing)


@app.command()
@options.takes_groups
def outline(
    mask: MaskFile,
    inside: Annotated[float, typer.Option("--inside", metavar="PX", help="So far into the selection.")] = 1,
    outside: Annotated[float, typer.Option("--outside", metavar="PX", help="So far beyond it.")] = 0,
    mask_means: options.MaskMeans = "change",
    *,
    writing: options.Writing,
) -> None:
    """Select only the edge of the selection."""
    from masks import shape

    given = open_mask_file(mask, mask_means)
    _write(lambda: shape.outline(given, inside, outside), beside(mask, "outline"), writing)


@app.command()
@options.takes_groups
def invert(mask: MaskFile, *, writing: options.Writing) -> None:
    """Select what was not selected."""
    given = open_mask_file(mask)
    _write(lambda: ~given, beside(mask, "inverted"), writing)


def _combine(
    files: MaskFiles,
    mask_means: options.MaskMeans = "change",
    *,
    writing: options.Writing,
    how: str,
) -> None:
    given = [open_mask_file(file, mask_means) for file in files]
    _write(lambda: _of("shape", how)(*given), beside(files[0], how), writing)


_add("union", "Select what any of the masks selects.", _combine, how="union")
_add("intersect", "Select what all of the masks select.", _combine, how="intersection")
_add(
    "subtract", "Select what the first mask selects and none of the others does.", _combine, how="difference"
)


# -- in and out ----------------------------------------------------------------------------------------


@app.command()
@options.takes_groups
def convert(
    mask: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A picture, with or without alpha, or run lengths as .json."),
    ],
    channel: Annotated[
        Literal["auto", "alpha", "luma"],
        typer.Option("--channel", help="What of a picture to read: its alpha, its brightness."),
    ] = "auto",
    mask_means: options.MaskMeans = "change",
    into: Annotated[
        Path | None,
        typer.Option("--into", metavar="PHOTO", help="Write this picture, the mask as its alpha."),
    ] = None,
    out_means: Annotated[
        Literal["change", "keep"],
        typer.Option("--out-means", help="What white, opaque or selected stands for in the new file."),
    ] = "change",
    *,
    writing: options.Writing,
) -> None:
    """Turn a mask into another kind of file: a picture, run lengths (.json), the alpha of a picture."""
    from glide_edit.selections import check_mask_output, save_mask

    if writing.out is None:
        raise InputError("say where the new file goes and what it is by its ending: -o mask.png, mask.json.")
    check_mask_output(writing.out, into=into is not None, force=writing.force)
    picture = None if into is None else _picture(into)
    given = open_mask_file(mask, mask_means, channel)
    save_mask(given, writing.out, means=out_means, into=picture, force=writing.force)
    _tell(given, writing.out, writing)


# -- what the commands share ---------------------------------------------------------------------------


def _write(make: Callable[[], Mask], default: Path, writing: options.Writing) -> None:
    """Make a mask, write it and say so; what would stop the writing is said before."""
    from glide_edit.selections import check_mask_output, save_mask

    target = check_mask_output(writing.out or default, force=writing.force)
    mask = make()
    save_mask(mask, target, force=writing.force)
    _tell(mask, target, writing)


def _tell(mask: Mask, target: Path, writing: options.Writing) -> None:
    if writing.as_json:
        typer.echo(json.dumps({"file": str(target), **describe(mask)}))
        return
    typer.echo(f"{target}: {selected(mask)}")
    if mask.is_empty:
        typer.echo("note: nothing is selected", err=True)


def describe(mask: Mask) -> dict[str, object]:
    """A mask in numbers, for JSON."""
    return {
        "size": [mask.height, mask.width],
        "selected": mask.count,
        "share": round(mask.share, 6),
        "box": None if mask.is_empty else list(mask.bounding_box()),
        "sha256": mask.sha256,
    }


def selected(mask: Mask) -> str:
    """A mask in numbers, for people."""
    share = f"{mask.share * 100:.2g}" if mask.share < 0.995 else f"{mask.share * 100:.4g}"
    return f"{mask.count:,} of {mask.height * mask.width:,} pixels selected ({share} %)"


def _picture(path: Path) -> Picture:
    from glide_edit.images import open_picture

    return open_picture(path)


def _default(photo: Path) -> Path:
    return photo.with_name(f"{photo.stem}-mask.png")


def _scribbles(words: Scribbles, painted: Path | None, radius: float, picture: Picture) -> Mask | None:
    """What scribbles and a painted mask say together; None where there are neither."""
    from masks import draw, shape

    size = picture.height, picture.width
    parts = [draw.strokes(strokes_in([word]), radius, size) for word in words or []]
    if painted is not None:
        parts.append(open_mask_file(painted))
    return shape.union(*parts) if parts else None

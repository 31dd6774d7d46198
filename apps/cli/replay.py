"""`glide-edit replay`: a saved edit again, as it was, with changes, or on another picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli import options
from apps.cli.importing import many_imports
from apps.cli.outputs import check_targets, numbered, suffix_for
from glide_edit.errors import InputError, ModelNotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glide_edit.images import Picture
    from glide_edit.recipes import Recipe

File = Annotated[Path, typer.Argument(metavar="FILE", help="A picture that glide-edit saved.")]
Sources = Annotated[
    list[Path] | None,
    typer.Option(
        "--image",
        metavar="SOURCE",
        help="The picture that the edit started from; again for each where there were several.",
    ),
]
Other = Annotated[
    Path | None,
    typer.Option("--on", metavar="OTHER", help="Another picture in its place; masks are scaled to its size."),
]
MaskFile = Annotated[
    Path | None,
    typer.Option(
        "--mask", metavar="MASK", help="Another mask, or the one that a JPEG had no room for: white = change."
    ),
]
Prompt = Annotated[str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="Other words.")]
Seed = Annotated[int | None, typer.Option("--seed", "-s", metavar="S", help="Another seed.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|FOLDER",
        help="A known model, or a model folder [default: the recipe's].",
    ),
]


def replay(
    file: File,
    image: Sources = None,
    on: Other = None,
    mask: MaskFile = None,
    prompt: Prompt = None,
    seed: Seed = None,
    seeds: options.Seeds = None,
    out: options.Out = None,
    model: Model = None,
    clip: options.Clip = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    force: options.Force = False,
    as_json: options.Json = False,
) -> None:
    """Repeat the edit that made a picture, or apply it to another picture.

    Writes FILE's name with -replay beside it, or with --on OTHER's name with -edit. Says whether the pixels
    are the same where nothing was changed.
    """
    from glide_edit.images import open_picture
    from glide_edit.recipes import compare_with_file, read_recipe, rebuild

    recipe, saved = read_recipe(file), open_picture(file)
    running = options.Running(
        _model_of(recipe, model, file), clip, device, precision, threads, force=force, as_json=as_json
    )
    pictures = _open_all(recipe, file, on, image or ())
    changes = _changes(mask, prompt, seed, seeds)
    request, notes = rebuild(recipe, pictures, other=on is not None, **changes)
    notes = (*notes, *_of_the_model(recipe, running))
    like = request.source
    targets = numbered(out or _default_name(file, saved, on, like), request.n)
    size = request.result_size
    check_targets(targets, like=None if size is None else like, size=size, force=force)
    with many_imports():
        from apps.cli.work import Work, carry_out

    unchanged = on is None and not changes
    carry_out(
        request,
        Work(
            targets,
            running,
            notes,
            compare=(lambda made: compare_with_file(made, saved, recipe, file.name)) if unchanged else None,
        ),
    )


def _open_all(recipe: Recipe, file: Path, on: Path | None, images: Sequence[Path]) -> list[Picture]:
    """The pictures to begin with: ``on`` first. Raises InputError where one is lacking or one too many."""
    from glide_edit.images import open_picture

    given = [*([on] if on is not None else []), *images]
    needed = len(recipe.starts_from)
    if not given and needed:
        raise InputError(
            f"The edit in {file} started from a picture, which its recipe does not hold: "
            "name it with --image, or another one with --on."
        )
    if len(given) > needed:
        raise InputError(
            f"{given[-1]} is one picture too many: the edit in {file} starts from {needed or 'none'}."
        )
    pictures = [open_picture(path) for path in given]
    recorded = [recipe.request[name] for name in recipe.starts_from]
    known = {record.get("sha256") for record in recorded if isinstance(record, dict)}
    for path, picture in zip(given, pictures, strict=True):
        if on is None and picture.sha256 not in known:
            raise InputError(
                f"{path} is not the picture that the edit in {file} started from, its pixels differ: "
                "apply the edit to it with --on."
            )
    return pictures


def _changes(mask: Path | None, prompt: str | None, seed: int | None, seeds: str | None) -> dict[str, Any]:
    if seed is not None and seeds is not None:
        raise InputError("Give either --seed or --seeds.")
    changes: dict[str, Any] = {"prompt": prompt, "seed": seed}
    if seeds is not None:
        from glide_edit.requests import parse_seeds

        changes["seeds"] = parse_seeds(seeds)
    if mask is not None:
        from glide_edit.selections import open_mask

        changes["mask"] = open_mask(mask)
    return {name: value for name, value in changes.items() if value is not None}


def _model_of(recipe: Recipe, asked: str | None, file: Path) -> str:
    """The model to replay with: the one asked for, else the known one of the recipe's name."""
    if asked is not None:
        return asked
    from glide_edit.models.registry import KNOWN

    name = recipe.model.split(",")[0].rpartition(" ")[0]
    if name not in KNOWN:
        raise ModelNotFound(
            f"The model of {file} is {recipe.model}, which is not one of those known by name: "
            "name it, or its folder, with --model."
        )
    return name


def _of_the_model(recipe: Recipe, running: options.Running) -> tuple[str, ...]:
    """What to say before the work where the model is not the recipe's."""
    from glide_edit.models import read_spec, resolve
    from glide_edit.recipes import another_model

    made_with, _, guide = recipe.model.partition(", guided by ")
    spec = read_spec(resolve(running.model))
    label = f"{spec.name} {spec.identity}"
    said = [] if label == made_with else [another_model(recipe, label)]
    if guide and running.clip is None:
        said.append(f"The recipe was guided by {guide}: name it with --clip to repeat that.")
    return tuple(said)


def _default_name(file: Path, saved: Picture, on: Path | None, like: Picture | None) -> Path:
    if on is not None and like is not None:
        return on.with_name(f"{on.stem}-edit{suffix_for(on, like)[0]}")
    return file.with_name(f"{file.stem}-replay{suffix_for(file, saved)[0]}")

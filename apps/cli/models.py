"""`glide-edit models`: what there is, what is in it, and joining two trained stages into one model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli import options

if TYPE_CHECKING:
    from glide_edit.models import ModelInfo, ModelSpec

app = typer.Typer(name="models", help="Models and model folders.", no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the known models, and say which are on this machine."""
    from glide_edit.models import list_models

    for info in list_models():
        state = "here" if info.available else "not here"
        typer.echo(f"{info.name:<10} {state:<9} {info.about}")
        if info.available:
            parameters = _millions(sum(info.parameters.values()))
            typer.echo(f"{'':<20} {parameters} parameters, {_megabytes(info.size)}, {info.licence}")


@app.command()
def info(
    model: Annotated[
        str,
        typer.Argument(metavar="NAME|FOLDER", help="A known model, or a model folder.", show_default=False),
    ],
    device: options.Device = "auto",
    precision: options.Precision = "auto",
) -> None:
    """Say what a model consists of, where it comes from, and how it would run here."""
    from glide_edit.models import choose_runtime, describe, read_spec, resolve

    runtime = choose_runtime(device, precision)
    folder = resolve(model)
    _print_model(describe(folder), read_spec(folder))
    dtype = str(runtime.dtype).removeprefix("torch.")
    typer.echo(f"runs here    {runtime.device}, {dtype} ({runtime.reason})")


@app.command()
def assemble(
    base: Annotated[
        Path,
        typer.Option("--base", metavar="DIR", help="A model folder with a base stage.", show_default=False),
    ],
    upsampler: Annotated[
        Path, typer.Option("--upsampler", metavar="DIR", help="One with an upsampler.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="The new model folder.", show_default=False)
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the model is called [default: as its folder].")
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            "--licence", metavar="NAME", help="Under which licence it may be used [default: as the base's]."
        ),
    ] = "",
    force: options.Force = False,
) -> None:
    """Join the base stage of one model folder and the upsampler of another into one model."""
    from glide_edit.models import assemble as join
    from glide_edit.models import describe, read_spec

    join(
        out,
        base,
        upsampler,
        name or out.resolve().name,
        licence or read_spec(base).licence,
        overwrite=force,
    )
    made = describe(out)
    typer.echo(
        f"{out}: {made.about}, {_millions(sum(made.parameters.values()))} parameters, {_megabytes(made.size)}"
    )


def _print_model(info: ModelInfo, spec: ModelSpec) -> None:
    typer.echo(f"name         {info.name} ({spec.family}, identity {spec.identity})")
    typer.echo(f"folder       {info.where}")
    typer.echo(f"pictures     {info.about}")
    typer.echo(f"licence      {info.licence or 'none stated'}")
    typer.echo(f"size         {_megabytes(info.size)}")
    typer.echo(f"parameters   {sum(info.parameters.values()):,}")
    for part, count in info.parameters.items():
        typer.echo(f"  {part:<10} {count:,}")
    typer.echo("presets")
    for stage in spec.stages:
        preset = stage.preset
        typer.echo(
            f"  {stage.name:<10} {preset.steps} steps of {preset.sampler}, guidance {preset.guidance:g}"
        )
    typer.echo("provenance" if spec.provenance else "provenance   none stated")
    _print_tree(spec.provenance)


def _print_tree(tree: Mapping[str, object], indent: int = 2) -> None:
    """Nested JSON as lines that can be read and searched."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            typer.echo(f"{'':<{indent}}{key}")
            _print_tree(value, indent + 2)
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            typer.echo(f"{'':<{indent}}{key}: {shown}")


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"

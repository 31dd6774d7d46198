"""`glide-edit models`: list, describe, fetch released ones, join two trained stages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli import options
from apps.cli.progress import live

if TYPE_CHECKING:
    from rich.progress import Task

    from glide_edit.models import ModelInfo, ModelSpec
    from glide_edit.models.fetch import FetchStatus, Report

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
        typer.Argument(metavar="NAME|FOLDER", help="A known model, or a model folder."),
    ],
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    threads: options.Threads = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure this CPU again: it was busy the first time, say.")
    ] = False,
) -> None:
    """Say what a model consists of, where it comes from, and how it would run here."""
    from glide_edit.models import choose_runtime, describe, probe, read_spec, resolve

    if measure:
        probe.forget()
    runtime = choose_runtime(device, precision, threads)
    folder = resolve(model)
    _print_model(describe(folder), read_spec(folder))
    dtype = str(runtime.dtype).removeprefix("torch.")
    typer.echo(f"runs here    {runtime.device}, {dtype} ({runtime.reason})")
    for figure in runtime.figures:
        typer.echo(f"{'':<12} measured     {figure}")


@app.command()
def assemble(
    base: Annotated[
        Path,
        typer.Option("--base", metavar="DIR", help="A model folder with a base stage."),
    ],
    upsampler: Annotated[Path, typer.Option("--upsampler", metavar="DIR", help="One with an upsampler.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The new model folder.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="What the model is called [default: as its folder].")
    ] = "",
    licence: Annotated[
        str,
        typer.Option(
            "--licence", metavar="NAME", help="Under which licence it may be used [default: as the base's]."
        ),
    ] = "",
    largest_file: Annotated[
        float | None,
        typer.Option(
            "--largest-file",
            metavar="MB",
            min=0.1,
            help="Split weights into files of at most this many megabytes [default: one file a stage].",
        ),
    ] = None,
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
        largest_file=None if largest_file is None else round(largest_file * 1e6),
    )
    made = describe(out)
    typer.echo(
        f"{out}: {made.about}, {_millions(sum(made.parameters.values()))} parameters, {_megabytes(made.size)}"
    )


@app.command()
def fetch(
    model: Annotated[str, typer.Argument(metavar="NAME", help="glide.")],
    part: Annotated[
        list[str] | None,
        typer.Option(
            "--part",
            metavar="NAME",
            help="base, upsample, inpaint or clip; may be given several times [default: all].",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="DIR", help="A folder with the published files, in place of the internet."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep what was downloaded beside what is made of it.")
    ] = False,
) -> None:
    """Fetch OpenAI's released GLIDE, 7 GB in all, and convert it once.

    What is here already is not fetched again, and a download that broke off is resumed. It is kept
    in the folder that GLIDE_EDIT_HOME names, by default in the user's data folder. Proxies are those of
    HTTPS_PROXY.
    """
    from glide_edit.errors import InputError
    from glide_edit.models import glide

    if model != "glide":
        raise InputError(f"{model!r} cannot be fetched: the model that can is glide.")
    parts = list(dict.fromkeys(part or glide.PARTS))
    glide.check_parts(parts)
    folder = glide.glide_folder()
    for name in parts:
        with _download_bar() as report:
            fetched = glide.fetch_part(name, source=source, keep=keep, report=report)
        typer.echo(f"{name:<10} {'fetched' if fetched else 'here already'}")
    typer.echo(f"the model is in {folder}")


@contextmanager
def _download_bar() -> Iterator[Report]:
    """A bar for the progress of fetching; each thing done to a file has a speed of its own."""
    with live() as display:
        task = display.add_task("", total=None, said="")
        shown, drawn = ("", ""), 0.0

        def report(status: FetchStatus) -> None:
            nonlocal task, shown, drawn
            new, now = shown != (status.name, status.what), time.monotonic()
            if new:
                shown = (status.name, status.what)
                display.remove_task(task)
                task = display.add_task(
                    status.name, total=status.total or None, completed=status.done, said=status.what
                )
            if status.total and (new or now - drawn > 0.1):  # bytes are reported far more often
                drawn = now
                display.update(task, completed=status.done)
                display.update(task, said=_fetched(status, display.tasks[0]))

        yield report


def _fetched(status: FetchStatus, task: Task) -> str:
    said = f"{status.done / 1e6:,.0f} of {status.total / 1e6:,.0f} MB"
    if task.speed is None or task.time_remaining is None:
        return said
    minutes, seconds = divmod(round(task.time_remaining), 60)
    return f"{said}, {task.speed / 1e6:.1f} MB/s, {minutes}:{seconds:02} left"


def _print_model(info: ModelInfo, spec: ModelSpec) -> None:
    typer.echo(f"name         {info.name} ({spec.family}, identity {spec.identity})")
    typer.echo(f"folder       {info.where}")
    typer.echo(f"pictures     {info.about}")
    typer.echo(f"licence      {info.licence or 'none stated'}")
    typer.echo(f"size         {_megabytes(info.size)}")
    typer.echo(f"parameters   {sum(info.parameters.values()):,}")
    for part, count in info.parameters.items():
        typer.echo(f"  {part:<22} {count:,}")
    for name in spec.preset_names:
        kinds = (("pictures", False), ("edits", True))
        uses = " and ".join(kind for kind, repaints in kinds if name == spec.preset_of(repaints=repaints))
        typer.echo(f"preset       {name}" + (f" (usual for {uses})" if uses else ""))
        run = {stage.name for inpainting in (False, True) for stage in spec.cascade(inpainting, name)}
        for stage in (each for each in spec.stages if each.name in run):
            preset = stage.presets[name]
            typer.echo(
                f"  {stage.name:<22} {preset.steps} steps of {preset.sampler}, guidance {preset.guidance:g}"
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

"""`glide-edit train`: train one stage of a model, or a CLIP, with a line that says how far it is."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import MISSING
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.errors import STOPPED
from apps.cli.priority import Nice, take_what_is_left
from apps.cli.progress import live
from glide_edit.training.command_line import OPTIONS, STAGE_HELP, Option, settings_of
from glide_edit.training.settings import Stage

if TYPE_CHECKING:
    from glide_edit.training.run import TrainOutcome

BETWEEN_LINES = 60.0
"""Seconds between two lines of progress where stderr is not a terminal."""


def train(**values: Any) -> None:
    """Train one stage of a model, or its CLIP, or go on training it. Ctrl-C saves and stops."""
    if values.pop("nice"):
        take_what_is_left()
    settings = settings_of(values)
    from glide_edit.training.run import run

    with _telling() as (on_log, on_cache):
        outcome = run(settings, on_log, on_cache)
    _report(settings.out, outcome)
    if not outcome.finished:
        typer.echo("stopped: the same command resumes it from here", err=True)
        raise typer.Exit(STOPPED)


def _parameter(option: Option) -> inspect.Parameter:
    """The option as typer reads it from a command's signature."""
    given = option.default is not MISSING
    about = typer.Option(
        *option.flags,
        metavar=option.metavar,
        help=option.help,
        show_default=given and option.default is not None,
    )
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=option.default if given else inspect.Parameter.empty,
        annotation=Annotated[option.type | None if given and option.default is None else option.type, about],
    )


_STAGE = inspect.Parameter(
    "stage",
    inspect.Parameter.KEYWORD_ONLY,
    annotation=Annotated[Stage, typer.Argument(help=STAGE_HELP, show_default=False)],
)
_NICE = inspect.Parameter("nice", inspect.Parameter.KEYWORD_ONLY, default=True, annotation=Nice)
train.__signature__ = inspect.Signature([_STAGE, *map(_parameter, OPTIONS), _NICE])  # type: ignore[attr-defined]


@contextmanager
def _telling() -> Iterator[tuple[Callable[[dict[str, Any]], None], Callable[[int, int], None]]]:
    """What to call with the records of a run, and with (done, count) while its cache is rendered.

    On a terminal a line is kept up to date; elsewhere a line is printed now and then.
    """
    with live() as display:
        task = display.add_task("starting", total=None, said="")
        printed = -BETWEEN_LINES

        def tell(what: str, done: float, total: float, said: str) -> None:
            nonlocal printed
            display.update(task, description=what, completed=done, total=total, said=said)
            if display.disable and time.monotonic() - printed >= BETWEEN_LINES:
                printed = time.monotonic()
                typer.echo(f"{what}: {said}", err=True)

        yield (
            lambda record: tell("training", record["done"], 1.0, _line(record)),
            lambda done, count: tell("rendering", done, count, f"{done:,} of {count:,} pictures"),
        )


def _line(record: dict[str, Any]) -> str:
    """A run's record in a line: step, views a second, loss, percent, time left."""
    done = min(1.0, record["done"])
    left = record["seconds"] * (1 - done) / done
    minutes, seconds = divmod(round(left), 60)
    return (
        f"step {record['step']:,}, {record['views_per_second']:.1f} views/s, loss {record['loss']:.4f}, "
        f"{100 * done:.0f} %, {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
    )


def _report(out: Path, outcome: TrainOutcome) -> None:
    progress = outcome.progress
    typer.echo(
        f"{progress.step:,} steps, {progress.views:,} views, {progress.seconds / 60:.1f} minutes of training"
    )
    typer.echo(f"model    {outcome.model}")
    for what, path in (("loss", out / "loss.png"), ("samples", out / "samples")):
        if path.exists():  # no plot without matplotlib, no samples where it was stopped early
            typer.echo(f"{what:<8} {path}")

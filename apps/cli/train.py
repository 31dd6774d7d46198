"""`glide-edit train`: train one stage of a model, or a CLIP, with a line that says how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from apps.cli import options
from apps.cli.errors import STOPPED
from apps.cli.progress import live

if TYPE_CHECKING:
    from glide_edit.training.run import TrainOutcome

_Begin = Callable[[Callable[[dict[str, Any]], None], Callable[[int, int], None]], "TrainOutcome"]
"""A run that waits for its two callbacks."""

BETWEEN_LINES = 60.0
"""Seconds between two lines of progress where stderr is no terminal."""


Stage = Annotated[
    Literal["base", "upsampler", "clip", "plain-clip"],
    typer.Argument(
        help="The network that draws, the one that enlarges, a CLIP that reads noisy pictures, or a small "
        "one that reads clean ones."
    ),
]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="The run's folder; a run that was stopped goes on.")
]
Data = Annotated[
    str,
    typer.Option(
        "--data", metavar="toybox|FOLDER", help="What to learn from; a FOLDER needs metadata.jsonl."
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", metavar="DIR", help="Render the toybox once into this folder [default: on the fly]."
    ),
]
CacheSize = Annotated[
    int, typer.Option("--cache-size", metavar="N", help="How many pictures the cache holds.")
]
Photos = Annotated[
    Path | None,
    typer.Option("--photos", metavar="FOLDER", help="Mix in photographs; the FOLDER needs metadata.jsonl."),
]
PhotoShare = Annotated[
    float, typer.Option("--photo-share", metavar="X", help="The share of views that photographs get.")
]
TextEncoder = Annotated[
    str | None,
    typer.Option(
        "--text-encoder",
        metavar="NAME|FOLDER",
        help="Read captions with this frozen language model (T5, BERT, ...) [default: train a small one].",
    ),
]
Minutes = Annotated[
    float | None, typer.Option("--minutes", metavar="M", help="How long to train. Either this or --steps.")
]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="How many steps to train.")]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", metavar="N", help="Pictures a step [default: 32, for a CLIP 64]."),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate", metavar="X", help="The highest of the run [default: 0.0006, for a CLIP 0.001]."
    ),
]
Seed = Annotated[int, typer.Option("--seed", "-s", metavar="S", help="Of weights, order and noise.")]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        metavar="MODEL",
        help="A model's name or folder whose weights to begin with; "
        "its U-Net's alone where --text-encoder is another than the model's.",
    ),
]
CheckpointSeconds = Annotated[
    float, typer.Option("--checkpoint-seconds", metavar="S", help="Time between two checkpoints.")
]
SampleSeconds = Annotated[
    float, typer.Option("--sample-seconds", metavar="S", help="Time between two sheets of samples.")
]


def train(
    stage: Stage,
    out: Out,
    data: Data = "toybox",
    cache: Cache = None,
    cache_size: CacheSize = 24576,
    photos: Photos = None,
    photo_share: PhotoShare = 0.25,
    text_encoder: TextEncoder = None,
    minutes: Minutes = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    seed: Seed = 0,
    start: Start = None,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    checkpoint_seconds: CheckpointSeconds = 300.0,
    sample_seconds: SampleSeconds = 600.0,
) -> None:
    """Train one stage of a model, or its CLIP, or go on training it. Ctrl-C saves and stops."""
    given = {name: value for name, value in locals().items() if value is not None and name != "stage"}
    begin = _clip(stage, given) if stage in ("clip", "plain-clip") else _network({"stage": stage, **given})
    with _reporting() as (on_log, on_cache):
        outcome = begin(on_log, on_cache)
    _report(out, outcome)
    if not outcome.finished:
        typer.echo("stopped: the same command goes on from here", err=True)
        raise typer.Exit(STOPPED)


def _network(given: dict[str, Any]) -> _Begin:
    from glide_edit.training.run import TrainSettings, run

    return partial(run, TrainSettings(**given))


def _clip(stage: str, given: dict[str, Any]) -> _Begin:
    from glide_edit.errors import TrainingError
    from glide_edit.training.clip import ClipSettings, run_clip
    from glide_edit.training.run import TOYBOX

    if given["data"] != TOYBOX or "photos" in given:
        raise TrainingError("A CLIP is trained on the toybox alone: leave --data and --photos out.")
    if "text_encoder" in given:
        raise TrainingError("A CLIP learns to read by itself: leave --text-encoder out.")
    known = {field.name for field in fields(ClipSettings)}
    settings = {name: value for name, value in given.items() if name in known}
    return partial(run_clip, ClipSettings(plain=stage == "plain-clip", **settings))


@contextmanager
def _reporting() -> Iterator[tuple[Callable[[dict[str, Any]], None], Callable[[int, int], None]]]:
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

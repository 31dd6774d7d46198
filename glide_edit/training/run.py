"""One training run from its settings, of a U-Net or of a CLIP.

A run's folder holds ``checkpoint.safetensors`` (to continue from), ``tokenizer.json``, ``log.jsonl``,
``loss.png``, a U-Net's ``samples/*.png``, and the averaged weights: ``model/``, a model folder, or ``clip/``,
a CLIP's folder (see ``models.clip_folder``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from glide_edit.errors import TrainingError
from glide_edit.models.folder import load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import apply, choose_runtime
from glide_edit.training import checkpoint
from glide_edit.training.checkpoint import Progress
from glide_edit.training.clip import prepare_clip
from glide_edit.training.distil_run import prepare_distillation
from glide_edit.training.log import LOG_NAME, loss_plot
from glide_edit.training.loop import train
from glide_edit.training.repair import prepare_repair
from glide_edit.training.settings import TrainSettings
from glide_edit.training.unet import prepare_unet


@dataclass(frozen=True)
class TrainOutcome:
    """Where the model folder is and how far the run came; not ``finished`` where it was asked to stop."""

    model: Path
    progress: Progress
    finished: bool


def run(
    settings: TrainSettings,
    on_log: Callable[[dict[str, Any]], None] = lambda record: None,
    on_cache: Callable[[int, int], None] | None = None,
) -> TrainOutcome:
    """Train a network, or continue training it.

    ``on_log`` gets the numbers of the log and ``done``, the share of the run that is done; ``on_cache`` gets
    (done, count) while a cache is rendered.

    Raises:
        TrainingError: unusable data, a network that cannot start from the weights given, a checkpoint of
            another run in ``out``, a folder that cannot be written, or a loss that is not a number.
        ModelError: ``start`` is not a model folder, the language model cannot be used, the network cannot be
            of this stage, or the model folder cannot be written.
        InputError: an unknown device or precision, or transformers is not installed.
    """
    with _training_errors(settings.out):
        return _run(settings, on_log, on_cache)


def _run(
    settings: TrainSettings,
    on_log: Callable[[dict[str, Any]], None],
    on_cache: Callable[[int, int], None] | None,
) -> TrainOutcome:
    runtime = choose_runtime(settings.device, settings.precision)
    # A run's threads each have their part of the work: their number must not change.
    apply(replace(runtime, follows_load=False))
    recipe, out = settings.recipe(), settings.out
    resuming = checkpoint.exists(out, recipe)
    start = None
    if settings.start is not None and not resuming and not settings.is_repair:
        start = load_model(resolve(settings.start), choose_runtime("cpu", "float32"))
    prepare = prepare_clip if settings.is_clip else prepare_unet
    if settings.is_distillation:
        prepare = prepare_distillation
    if settings.is_repair:
        prepare = prepare_repair
    prepared = prepare(settings, runtime, start, resuming, on_cache)

    def look(progress: Progress) -> None:
        prepared.draw_samples(progress)
        loss_plot(out / LOG_NAME, out / "loss.png")

    weights, progress = train(
        prepared.module, prepared.plan, settings, out, recipe, runtime.device, on_log, look, prepared.start
    )
    finished = settings.done(progress) >= 1
    model = prepared.export(weights.ema(), progress)
    if finished:
        with weights.averaged():
            prepared.draw_samples(progress)
    loss_plot(out / LOG_NAME, out / "loss.png")
    return TrainOutcome(model, progress, finished)


@contextmanager
def _training_errors(out: Path) -> Iterator[None]:
    """Inside, errors of the disk and of the device's memory become a TrainingError."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{error.filename or out} cannot be used ({error.strerror or error}): "
            "put that right and repeat the command, which resumes from the last checkpoint."
        ) from error
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            "The device has too little memory: begin again in another --out folder with a smaller batch."
        ) from error

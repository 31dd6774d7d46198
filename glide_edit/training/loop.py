"""The training loop of all networks."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from glide_edit.training import checkpoint
from glide_edit.training.batches import to_device
from glide_edit.training.checkpoint import Progress
from glide_edit.training.log import LOG_NAME, RunLog
from glide_edit.training.settings import LoopOptions
from glide_edit.training.shares import gradients_of, workers_of
from glide_edit.training.training_module import ModuleWithLoss
from glide_edit.training.weights import MasterWeights

B = TypeVar("B")
B_co = TypeVar("B_co", covariant=True)


class Plan(Protocol[B_co]):
    """Where batches come from; the same ones for the same steps."""

    @property
    def batch_size(self) -> int: ...

    def stream(self, first_step: int) -> Generator[B_co, None, None]: ...


def train(
    module: ModuleWithLoss[B],
    plan: Plan[B],
    options: LoopOptions,
    out: Path,
    recipe: dict[str, Any],
    device: torch.device,
    on_log: Callable[[dict[str, Any]], None] = lambda record: None,
    on_sample: Callable[[Progress], None] = lambda progress: None,
    start: dict[str, Tensor] | None = None,
) -> tuple[MasterWeights, Progress]:
    """Train until the time or the steps are used up, or until SIGINT or SIGTERM, which save and stop.

    Continues from the checkpoint in ``out``, or begins with the weights ``start`` if given. The module is on
    ``device`` already. ``on_log`` gets the records of the log, with ``done``, the share of the run that is
    done; ``on_sample`` is called at times, while the module holds the averaged weights.

    Raises:
        TrainingError: the checkpoint is unreadable or of another run, or cannot be written; the data cannot
            be read; or the loss is not a number any more.
    """
    out.mkdir(parents=True, exist_ok=True)
    with closing(workers_of(device, plan.batch_size)) as workers, _interruptible() as interrupted:
        weights = MasterWeights(module, options.learning_rate, options.ema_decay, workers)
        progress = _begin(weights, out, recipe, start)
        log = RunLog(out / LOG_NAME, progress.step)
        last_save = last_sample = time.monotonic()
        with closing(plan.stream(progress.step)) as batches:
            while options.done(progress) < 1 and not interrupted():
                began = time.monotonic()
                generator = torch.Generator().manual_seed(options.seed * 1_000_003 + progress.step)
                terms = module.terms(to_device(next(batches), device), generator, workers.count)
                loss, gradients = gradients_of(terms, weights.parameters, workers)
                rate = options.rate(progress)
                log.add(loss, weights.step(rate, gradients=gradients))
                now = time.monotonic()
                # Saving and sampling do not count: --minutes buys training.
                seconds = progress.seconds + now - began
                progress = Progress(progress.step + 1, progress.views + plan.batch_size, seconds)
                if progress.step % options.log_every == 0 and (record := log.write(progress, rate)):
                    on_log(record | {"done": options.done(progress)})
                if now - last_save > options.checkpoint_seconds:
                    checkpoint.save(out, weights.state(), progress, recipe)
                    last_save = time.monotonic()
                if now - last_sample > options.sample_seconds:
                    with weights.averaged():
                        on_sample(progress)
                    last_sample = time.monotonic()
            checkpoint.save(out, weights.state(), progress, recipe)
    return weights, progress


def _begin(
    weights: MasterWeights, out: Path, recipe: dict[str, Any], start: dict[str, Tensor] | None
) -> Progress:
    if (found := checkpoint.load(out, recipe)) is not None:
        tensors, progress = found
        weights.restore(tensors, progress.step)
        return progress
    if start is not None:
        weights.start_from(start)
    return Progress()


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn a first SIGINT or SIGTERM into a wish to stop after the current step; a second acts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread receives signals
        return

    def ask(number: int, frame: FrameType | None) -> None:
        asked.set()
        signal.signal(number, old[number])

    old: dict[int, Any] = {
        number: signal.getsignal(number) or signal.SIG_DFL for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        for number in old:
            signal.signal(number, ask)
        yield asked.is_set
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)

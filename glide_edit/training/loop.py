"""The training loop of every learner: the networks of a cascade, and CLIPs."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import Tensor

from glide_edit.errors import TrainingError
from glide_edit.training import checkpoint
from glide_edit.training.checkpoint import Progress
from glide_edit.training.log import LOG_NAME, RunLog
from glide_edit.training.training_module import Learner
from glide_edit.training.weights import MasterWeights


class Numbered(Protocol):
    """A batch that knows its step."""

    @property
    def step(self) -> int: ...

    def to(self, device: torch.device) -> Self: ...


B = TypeVar("B", bound=Numbered)
B_co = TypeVar("B_co", bound=Numbered, covariant=True)


class Plan(Protocol[B_co]):
    """Where batches come from; the same ones for the same steps."""

    @property
    def batch_size(self) -> int: ...

    def stream(self, first_step: int) -> Generator[B_co, None, None]: ...


@dataclass(frozen=True)
class LoopOptions:
    """How long and how fast. Exactly one of ``minutes`` (of training, over all restarts) and ``steps``.

    Raises:
        TrainingError: both or neither of them, or a number that makes no sense.
    """

    minutes: float | None = None
    steps: int | None = None
    learning_rate: float = 6e-4
    warmup_steps: int = 200
    decay_share: float = 0.35
    ema_decay: float = 0.999
    checkpoint_seconds: float = 300.0
    sample_seconds: float = 600.0
    log_every: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise TrainingError("Say how long to train: either --minutes or --steps.")
        if not 0 < (self.minutes or self.steps or 0) < math.inf:
            raise TrainingError("--minutes or --steps must be more than 0.")
        if not 0 < self.learning_rate < math.inf:
            raise TrainingError(f"The learning rate must be more than 0, not {self.learning_rate}.")
        if not (self.checkpoint_seconds >= 0 and self.sample_seconds >= 0):
            raise TrainingError("The times between checkpoints and between samples are 0 seconds or more.")
        if self.log_every < 1:
            raise TrainingError(f"The log needs a line every 1 or more steps, not {self.log_every}.")
        if not 0 <= self.seed < 2**32:
            raise TrainingError(f"The seed must be between 0 and {2**32 - 1}, not {self.seed}.")

    def done(self, progress: Progress) -> float:
        """The share of the run that is behind, 0 ... 1 and beyond."""
        if self.steps is not None:
            return progress.step / self.steps
        assert self.minutes is not None
        return progress.seconds / (60 * self.minutes)

    def rate(self, progress: Progress) -> float:
        """Warm-up, a plateau, then down to 2 % along half a cosine over the last ``decay_share``."""
        warm = min(1.0, (progress.step + 1) / self.warmup_steps)
        late = min(1.0, max(0.0, (self.done(progress) - (1 - self.decay_share)) / self.decay_share))
        return self.learning_rate * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * late)))


@dataclass(frozen=True)
class Hooks:
    """What the caller wants to hear of: a record of numbers now and then, and a chance to draw samples."""

    on_log: Callable[[dict[str, Any]], None] = lambda record: None
    on_sample: Callable[[Progress], None] = lambda progress: None


def train(
    trainee: Learner[B],
    plan: Plan[B],
    options: LoopOptions,
    out: Path,
    recipe: dict[str, Any],
    device: torch.device,
    hooks: Hooks | None = None,
    start: dict[str, Tensor] | None = None,
) -> tuple[MasterWeights, Progress]:
    """Train until the time or the steps are used up, or until SIGINT or SIGTERM, which save and stop.

    Goes on from the checkpoint in ``out`` where there is one; ``start`` are weights to begin with where there
    is none. The trainee is on ``device`` already.

    Raises:
        TrainingError: the checkpoint is unreadable or of another run, or cannot be written; the data cannot
            be read; or the loss is not a number any more.
    """
    hooks = hooks or Hooks()
    out.mkdir(parents=True, exist_ok=True)
    weights = MasterWeights(trainee, options.learning_rate, options.ema_decay)
    progress = _begin(weights, out, recipe, start)
    log = RunLog(out / LOG_NAME, progress.step)
    last_save = last_sample = time.monotonic()
    with _interruptible() as interrupted, closing(plan.stream(progress.step)) as batches:
        while options.done(progress) < 1 and not interrupted():
            began = time.monotonic()
            batch = next(batches)
            generator = torch.Generator().manual_seed(options.seed * 1_000_003 + batch.step)
            loss = trainee.loss(batch.to(device), generator)
            loss.backward()
            rate = options.rate(progress)
            norm = weights.step(rate)
            log.add(float(loss.detach()), norm)
            now = time.monotonic()
            # Saving and sampling do not count: --minutes buys training.
            progress = Progress(
                progress.step + 1, progress.views + plan.batch_size, progress.seconds + now - began
            )
            if progress.step % options.log_every == 0 and (record := log.write(progress, rate)):
                hooks.on_log(record | {"done": options.done(progress)})
            if now - last_save > options.checkpoint_seconds:
                checkpoint.save(out, weights.state(), progress, recipe)
                last_save = time.monotonic()
            if now - last_sample > options.sample_seconds:
                with weights.averaged():
                    hooks.on_sample(progress)
                last_sample = time.monotonic()
        checkpoint.save(out, weights.state(), progress, recipe)
    return weights, progress


def _begin(
    weights: MasterWeights, out: Path, recipe: dict[str, Any], start: dict[str, Tensor] | None
) -> Progress:
    found = checkpoint.load(out, recipe)
    if found is not None:
        tensors, progress = found
        weights.restore(tensors, progress.step)
        return progress
    if start is not None:
        weights.start_from(start)
    return Progress()


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn a first SIGINT or SIGTERM into a wish to stop after the step at hand; a second acts at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set  # only the main thread hears signals
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

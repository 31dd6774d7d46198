"""The training loop of both stages: base (text, known image, drawing) and upsampler (low-resolution image)."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import TrainingError
from glide_edit.networks.efficient_unet import EfficientUNet
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer
from glide_edit.training import checkpoint
from glide_edit.training.batches import Batch, BatchPlan, hide_opencv_threads, shrink
from glide_edit.training.checkpoint import Progress
from glide_edit.training.losses import min_snr_weight, stratified_times, weighted_error
from glide_edit.training.weights import MasterWeights


@dataclass(frozen=True)
class LoopOptions:
    """How long and how fast. Exactly one of ``minutes`` (of training, over all restarts) and ``steps``."""

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
        if (self.minutes or self.steps or 0) <= 0:
            raise TrainingError("--minutes or --steps must be more than 0.")

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


class Trainee(nn.Module):
    """What is trained together: a U-Net and, for a base network, its text transformer."""

    def __init__(
        self, network: EfficientUNet, transformer: TextTransformer | None, tokenizer: BytePairTokenizer | None
    ) -> None:
        super().__init__()
        self.network = network
        self.transformer = transformer
        self.tokenizer = tokenizer

    @property
    def schedule(self) -> Schedule:
        return self.network.schedule

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The weighted loss of a batch; times, noise and augmentation come from the (CPU) generator."""
        image, device = batch.image, batch.image.device
        count = image.shape[0]
        t = stratified_times(count, self.schedule.num_timesteps, generator).to(device)
        eps = torch.randn(image.shape, generator=generator).to(device)
        x_t = self.schedule.add_noise(image, eps, t)
        output = self.network(x_t, t, self._conditioning(batch, generator)).float()
        config = self.network.config
        target = self.schedule.v_target(image, eps, t) if config.prediction == "v" else eps
        errors = weighted_error(output, target, batch.weight)
        return (errors * min_snr_weight(self.schedule, t, config.prediction)).mean()

    def _conditioning(self, batch: Batch, generator: torch.Generator) -> Conditioning:
        config, device = self.network.config, batch.image.device
        text = low_res = noise_level = None
        if self.transformer is not None and self.tokenizer is not None:
            tokens = self.tokenizer.encode(batch.captions)
            text = self.transformer(tokens.ids.to(device), tokens.token_mask.to(device))
        if config.low_res:
            low_res, noise_level = self._low_resolution(batch.image, generator)
        return Conditioning(
            text=text,
            known=batch.image * batch.keep_mask if config.known else None,
            keep_mask=batch.keep_mask if config.known else None,
            drawing=batch.drawing if config.drawing else None,
            low_res=low_res,
            low_res_noise=noise_level,
        )

    def _low_resolution(self, image: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The picture at a quarter of the size, with noise mixed in (Imagen's conditioning augmentation)."""
        small = shrink(image, image.shape[-1] // 4)
        level = (torch.rand(image.shape[0], generator=generator) * 0.5).to(image.device)
        level = level * (torch.rand(image.shape[0], generator=generator) < 0.9).to(image.device)
        noise = torch.randn(small.shape, generator=generator).to(image.device)
        mix = level[:, None, None, None]
        return (1 - mix**2).sqrt() * small + mix * noise, level


@dataclass(frozen=True)
class Hooks:
    """What the caller wants to hear of: a line of numbers now and then, and a chance to draw samples."""

    on_log: Callable[[dict[str, Any]], None] = lambda record: None
    on_sample: Callable[[Progress], None] = lambda progress: None


def train(
    trainee: Trainee,
    plan: BatchPlan,
    options: LoopOptions,
    out: Path,
    recipe: dict[str, Any],
    device: torch.device,
    hooks: Hooks | None = None,
    start: dict[str, Tensor] | None = None,
) -> tuple[MasterWeights, Progress]:
    """Train until the time or the steps are used up, or until SIGINT or SIGTERM, which save and stop.

    Goes on from ``out``'s checkpoint where there is one. ``start`` are weights to begin a new run with.

    Raises:
        TrainingError: the checkpoint is unreadable or of another network, or was made with other data.
    """
    hooks = hooks or Hooks()
    hide_opencv_threads()
    out.mkdir(parents=True, exist_ok=True)
    weights = MasterWeights(trainee, options.learning_rate, options.ema_decay)
    progress = _resume(out, weights, recipe)
    if progress.step == 0 and start is not None:
        weights.start_from(start)
    last_save = last_sample = time.monotonic()
    losses: list[float] = []
    with _interruptible() as interrupted, open(out / "log.jsonl", "a", buffering=1) as log:
        stream = plan.stream(progress.step)
        began = time.monotonic()
        for batch in stream:
            if options.done(progress) >= 1 or interrupted():
                break
            generator = torch.Generator().manual_seed(options.seed * 1_000_003 + batch.step)
            loss = trainee.loss(batch.to(device), generator)
            loss.backward()
            rate = options.rate(progress)
            norm = weights.step(rate)
            losses.append(float(loss.detach()))
            seconds = progress.seconds + time.monotonic() - began
            # Saving and sampling do not count: --minutes buys training.
            progress = Progress(progress.step + 1, progress.views + plan.batch_size, seconds)
            if progress.step % options.log_every == 0:
                record = _record(progress, losses, norm, rate)
                log.write(json.dumps(record) + "\n")
                hooks.on_log(record | {"done": options.done(progress)})
                losses.clear()
            now = time.monotonic()
            if now - last_save > options.checkpoint_seconds:
                checkpoint.save(out, weights.state(), progress, recipe)
                last_save = now
            if now - last_sample > options.sample_seconds:
                with weights.averaged():
                    hooks.on_sample(progress)
                last_sample = time.monotonic()
            began = time.monotonic()
        stream.close()  # type: ignore[attr-defined]
    checkpoint.save(out, weights.state(), progress, recipe)
    return weights, progress


def _record(progress: Progress, losses: list[float], norm: float, rate: float) -> dict[str, Any]:
    return {
        **asdict(progress),
        "loss": sum(losses) / len(losses),
        "grad_norm": norm,
        "learning_rate": rate,
        "views_per_second": progress.views / max(progress.seconds, 1e-9),
    }


def _resume(out: Path, weights: MasterWeights, recipe: dict[str, Any]) -> Progress:
    found = checkpoint.load(out)
    if found is None:
        return Progress()
    tensors, progress, old_recipe = found
    if old_recipe != recipe:
        changed = sorted(k for k in {*old_recipe, *recipe} if old_recipe.get(k) != recipe.get(k))
        raise TrainingError(
            f"{out} holds a run with other settings ({', '.join(changed)}): "
            "repeat its command to go on with it, or name another --out folder."
        )
    weights.restore(tensors, progress.step)
    return progress


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turn the first SIGINT or SIGTERM into a wish to stop after the step at hand."""
    asked = False

    def ask(signum: int, frame: object) -> None:
        nonlocal asked
        asked = True

    try:
        old = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not the main thread: the caller has other means to stop us
        yield lambda: False
        return
    try:
        yield lambda: asked
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)

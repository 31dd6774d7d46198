"""Trains the verifier: ``python -m glide_edit.evaluation.verifier_training --out DIR --minutes N``.

``DIR`` gets ``renders/`` (rendered once), ``checkpoint.safetensors`` (repeating the command resumes from it),
``log.jsonl``, and at the end ``verifier.safetensors`` with ``verifier.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from glide_edit.errors import GlideEditError
from glide_edit.evaluation.corruptions import augmented
from glide_edit.evaluation.renders import FIRST_VERIFIER_SEED, LabelledRenders, render_folder
from glide_edit.evaluation.verifier import default_config, read_network, to_input, write_verifier
from glide_edit.evaluation.verifier_network import STRIDE, VerifierNetwork
from glide_edit.evaluation.verifier_targets import Targets, loss, targets
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.training import checkpoint
from glide_edit.training.batches import made_ahead
from glide_edit.training.checkpoint import Progress
from glide_edit.training.log import LOG_NAME, RunLog
from glide_edit.training.settings import LoopOptions
from glide_edit.training.weights import MasterWeights

BATCH = 32
_LOG_EVERY = 20
_SETTLING = 100  # batches for the batch norms' statistics with the averaged weights


def make_batch(renders: LabelledRenders, step: int, seed: int) -> tuple[Tensor, Targets]:
    """The batch of a step: pictures (B, 3, S, S) in [-1, 1], flipped, cropped and augmented."""
    rng = np.random.default_rng([seed, step])
    config = default_config()
    chosen = rng.choice(len(renders), BATCH, replace=False)
    batch = LabelledRenders(**{name: values[chosen] for name, values in vars(renders).items()})
    pictures = []
    for n in range(BATCH):
        picture = batch.pictures[n]
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            batch.box[n] = batch.box[n][:, [2, 1, 0, 3]] * (-1, 1, -1, 1) + (1, 0, 1, 0)
        if rng.random() < 0.4:
            picture = _cropped(picture, batch, n, rng)
        pictures.append(augmented(np.ascontiguousarray(picture), rng))
    truth = targets(batch, config.kinds, config.image_size // STRIDE)
    return to_input(np.stack(pictures)), truth


def _cropped(picture: np.ndarray, batch: LabelledRenders, n: int, rng: np.random.Generator) -> np.ndarray:
    """A square with at least one object's middle in it, enlarged; ``batch``'s boxes follow."""
    size = picture.shape[0]
    side = int(rng.integers(int(0.4 * size), size))
    objects = np.flatnonzero(batch.kind[n] >= 0)
    box = batch.box[n, rng.choice(objects)]
    middle = (box[:2] + box[2:]) / 2 * size
    corner = np.clip(middle - rng.uniform(0.15, 0.85, 2) * side, 0, size - side).astype(int)
    scale = size / side
    old = batch.box[n].copy()
    new = np.clip((old - np.tile(corner / size, 2)) * scale, 0, 1)
    areas = [(each[:, 2] - each[:, 0]) * (each[:, 3] - each[:, 1]) for each in (old * scale, new)]
    inside = areas[1] / np.maximum(areas[0], 1e-9)
    batch.box[n] = new
    batch.area[n] *= scale**2 * inside
    batch.share[n] *= inside  # what the crop cuts off counts as covered
    window = picture[corner[1] : corner[1] + side, corner[0] : corner[0] + side]
    return cv2.resize(window, (size, size), interpolation=cv2.INTER_CUBIC)


def train_verifier(out: Path, options: LoopOptions, scenes: int, start: Path | None = None) -> Path:
    """Train, or go on, and write the verifier with the averaged weights into ``out``, which is returned.

    A new run begins from the verifier in the folder ``start``, or from nothing.

    Raises:
        TrainingError: renders or checkpoint cannot be used or written, or the loss is not a number any more.
        ModelFormatError: ``start`` cannot be read.
    """
    size = default_config().image_size
    renders = render_folder(out / "renders", scenes, size, FIRST_VERIFIER_SEED, _rendered)
    runtime = choose_runtime()
    apply(runtime)
    torch.manual_seed(options.seed)
    network = VerifierNetwork(default_config()) if start is None else read_network(start)
    network = network.to(runtime.device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    weights = MasterWeights(network, options.learning_rate, options.ema_decay)
    recipe = {"scenes": len(renders), "seed": options.seed, "network": vars(network.config)}
    recipe = json.loads(json.dumps(recipe))  # as the checkpoint holds it
    progress = Progress()
    if (found := checkpoint.load(out, recipe)) is not None:
        weights.restore(found[0], found[1].step)
        progress = found[1]
    log = RunLog(out / LOG_NAME, progress.step)
    last_save = time.monotonic()
    with closing(made_ahead(partial(make_batch, renders, seed=options.seed), progress.step)) as batches:
        try:
            while options.done(progress) < 1:
                began = time.monotonic()
                value = _loss(network, next(batches), runtime)
                value.backward()
                rate = options.rate(progress)
                log.add(float(value.detach()), weights.step(rate, clip_norm=5.0))
                seconds = progress.seconds + time.monotonic() - began
                progress = Progress(progress.step + 1, progress.views + BATCH, seconds)
                if progress.step % _LOG_EVERY == 0 and (record := log.write(progress, rate)):
                    print(json.dumps(record), flush=True)
                if time.monotonic() - last_save > options.checkpoint_seconds:
                    checkpoint.save(out, weights.state(), progress, recipe)
                    last_save = time.monotonic()
        finally:
            checkpoint.save(out, weights.state(), progress, recipe)
        with weights.averaged():
            _settle(network, batches, runtime)
            said = {"scenes": len(renders), "views": progress.views, "minutes": round(progress.seconds / 60)}
            write_verifier(out, network, said | {"data": "renders of glide_edit.toybox, nothing else"})
    return out


def _loss(network: VerifierNetwork, batch: tuple[Tensor, Targets], runtime: Runtime) -> Tensor:
    pictures = batch[0].to(runtime.device).contiguous(memory_format=torch.channels_last)
    with torch.autocast(runtime.device.type, torch.bfloat16, enabled=runtime.dtype == torch.bfloat16):
        answers = network(pictures)
    return loss(answers, batch[1].to(runtime.device))


@torch.no_grad()
def _settle(
    network: VerifierNetwork, batches: Generator[tuple[Tensor, Targets], None, None], runtime: Runtime
) -> None:
    """Recompute the batch norms' statistics for the weights that the network holds now."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # a plain mean over the batches to come
    for batch in islice(batches, _SETTLING):
        _loss(network, batch, runtime)


def _rendered(done: int, total: int) -> None:
    print(f"rendered {done} of {total}", flush=True)


def main() -> int:
    """0 finished, 2 an error, 130 stopped."""
    parser = argparse.ArgumentParser("python -m glide_edit.evaluation.verifier_training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of training, over all restarts")
    parser.add_argument("--scenes", type=int, default=12_000)
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="a verifier to begin from")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        options = LoopOptions(minutes=given.minutes, seed=given.seed)
        options = replace(options, learning_rate=2e-3, warmup_steps=100, decay_share=0.6, ema_decay=0.998)
        print(train_verifier(given.out, options, given.scenes, given.start))
    except GlideEditError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

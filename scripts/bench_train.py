"""How many views a second training shows, beside another commit, and where the time of a step goes.

    scripts/bench train [--against COMMIT] [--stages base upsampler] [--blocks N] [--steps N]
                        [--cache FOLDER] [--photos FOLDER]

Both trees train the same network on the same data, with as many threads as PyTorch finds (OMP_NUM_THREADS).
They take turns, a block of steps each, by stopping and continuing a run; the first third of a block is not
counted. The last column is the range of the ratio over the blocks. Then come the operations that a step of
this tree spends its time on, on one thread. COMMIT may be a folder with its tree.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from benching import parser, print_header, print_row
from same_pictures import ROOT, tree_of

STAGES = {"base": 64, "upsampler": 256}
"""The size of the pictures that each learns from."""


def data_options(stage: str, given: argparse.Namespace) -> list[str]:
    """Options of ``train``: a small cache of the toybox, and perhaps photographs for the base."""
    cache = Path(given.cache) / f"toys-{STAGES[stage]}"
    options = ["--cache", str(cache), "--cache-size", str(given.cache_size), "--seed", "0"]
    if given.photos and stage == "base":
        options += ["--photos", str(Path(given.photos).resolve()), "--photo-share", "0.4"]
    return options


def train(tree: Path, stage: str, out: Path, steps: int, every: int, given: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "glide_edit.training", stage, "--out", str(out), "--steps", str(steps)]
    command += ["--log-every", str(every), "--sample-seconds", "1e6", *data_options(stage, given)]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    subprocess.run(command, env=environment, cwd=tree, check=True, stdout=subprocess.DEVNULL)


def block(tree: Path, stage: str, out: Path, number: int, given: argparse.Namespace) -> float:
    """Views a second of one more block of the run in ``out``, without the block's first third."""
    every = max(1, given.steps // 3)
    train(tree, stage, out, 3 * every * (number + 1), every, given)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    first, last = records[-3], records[-1]
    return float((last["views"] - first["views"]) / (last["seconds"] - first["seconds"]))


def compare(stage: str, trees: Sequence[Path], folder: Path, given: argparse.Namespace) -> None:
    """A row: each tree's median views a second, and the ratio of the last tree's to the first's."""
    rates: list[list[float]] = [[] for _ in trees]
    for number in range(given.blocks):
        order = range(len(trees)) if number % 2 else reversed(range(len(trees)))
        for k in order:
            rates[k].append(block(trees[k], stage, folder / f"{stage}-{k}", number, given))
    medians = [statistics.median(each) for each in rates]
    ratios = [new / old for old, new in zip(rates[0], rates[-1], strict=True)]
    spread = (f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}")
    print_row([stage, *(f"{rate:.1f}" for rate in medians), *(spread if len(trees) > 1 else ())])


def profile(stage: str, folder: Path, given: argparse.Namespace, repeats: int = 3) -> None:
    """Print how long the parts of a step take on one thread, and the operations that take most of it."""
    import torch
    from torch.profiler import ProfilerActivity, record_function
    from torch.profiler import profile as profiled

    from glide_edit.models.runtime import apply, choose_runtime
    from glide_edit.training.command_line import OPTIONS, settings_of
    from glide_edit.training.shares import Workers, gradients_of
    from glide_edit.training.unet import prepare_unet
    from glide_edit.training.weights import MasterWeights

    options = argparse.ArgumentParser()
    for option in OPTIONS:
        options.add_argument(*option.flags, type=option.type)
    values = vars(options.parse_args(["--out", str(folder), "--steps", "1", *data_options(stage, given)]))
    settings = settings_of({"stage": stage, **values})
    runtime = choose_runtime("cpu", threads=1)
    apply(runtime)
    prepared = prepare_unet(settings, runtime, None, False, None)
    module, workers = prepared.module, Workers()
    weights = MasterWeights(module, settings.learning_rate, settings.ema_decay, workers)

    def step(number: int) -> None:
        with record_function("- batch"):
            batch = prepared.plan.make(number)  # type: ignore[attr-defined]
        with record_function("- loss and gradients"):
            terms = module.terms(batch, torch.Generator().manual_seed(number), 1)
            _, gradients = gradients_of(terms, weights.parameters, workers)
        with record_function("- update"):
            weights.step(settings.learning_rate, gradients=gradients)

    for number in range(2):
        step(number)
    began = time.process_time()
    with profiled(activities=[ProfilerActivity.CPU]) as profiler:
        for number in range(repeats):
            step(2 + number)
    seconds = (time.process_time() - began) / repeats
    print(f"\n{stage}: {1000 * seconds:.0f} ms a step of {settings.batch_size} views on one thread\n")
    events = profiler.key_averages()
    parts = [event for event in events if event.key.startswith("- ")]
    whole = sum(event.cpu_time_total for event in parts)
    print_header(["part or operation", "share", "calls a step"])
    for event in parts:
        print_row([event.key[2:], f"{event.cpu_time_total / whole:.1%}", ""])
    operations = [event for event in events if not event.key.startswith("- ")]
    for event in sorted(operations, key=lambda event: -event.self_cpu_time_total)[:16]:
        print_row([event.key, f"{event.self_cpu_time_total / whole:.1%}", event.count // repeats])


def main() -> None:
    options = parser("train", __doc__)
    options.add_argument("--against", metavar="COMMIT")
    options.add_argument("--stages", nargs="+", choices=STAGES, default=[*STAGES])
    options.add_argument("--blocks", type=int, default=5)
    options.add_argument("--steps", type=int, default=9, help="of a block")
    options.add_argument("--cache", help="a folder with the caches toys-64 and toys-256, or for them")
    options.add_argument("--cache-size", type=int, default=256)
    options.add_argument("--photos", help="a folder of photographs to mix into the base's views")
    given = options.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        given.cache = given.cache or str(folder)
        old = [] if given.against is None else [stack.enter_context(tree_of(given.against))]
        for stage in given.stages:  # so that no tree's first block waits for it
            train(ROOT, stage, folder / f"render-{stage}", 1, 1, given)
        last = ("ratio", "of single blocks") if old else ()
        print_header(["views a second", *(["old"] if old else []), "new", *last])
        for stage in given.stages:
            compare(stage, [*old, ROOT], folder, given)
        for stage in given.stages:
            profile(stage, folder / f"profile-{stage}", given)


if __name__ == "__main__":
    main()

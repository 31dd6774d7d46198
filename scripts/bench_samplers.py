"""How good the samplers' pictures are against the number of steps: kernel distance to real renders.

    scripts/bench samplers [--model NAME|FOLDER] [--count 512] [--out docs/gallery/samplers.png]

The base network alone draws the captions of unseen scenes, without guidance, from the same noise for every
sampler; what it drew is compared with renders of the same scenes by the verifier's features. The interval is
the bootstrap's, 95 %. It takes half an hour on two cores: --count and --samplers make it shorter.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import solver_timesteps, timesteps
from glide_edit.evaluation.distances import Distance, kernel_distance
from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED
from glide_edit.evaluation.verifier import Verifier
from glide_edit.guidance import DynamicThreshold, Finish, Guided
from glide_edit.models import apply, choose_runtime, load_model, resolve
from glide_edit.models.memory import keep_freed_memory
from glide_edit.models.model import Stage
from glide_edit.operations.finished import to_pixels, to_uint8
from glide_edit.toybox import caption, render, sample_scene

STEPS = {
    "dpm-solver++": (5, 10, 20),
    "ddim": (10, 20, 50),
    "ddpm": (20, 50, 250),
}
_TOGETHER = 64
Pictures = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser("scripts/bench samplers", description=__doc__)
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--count", type=int, default=512)
    parser.add_argument("--samplers", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--out", type=Path, help="where to draw the curves")
    given = parser.parse_args()

    runtime = choose_runtime(given.device)
    apply(runtime)
    keep_freed_memory()
    stage = load_model(resolve(given.model), runtime).cascade(inpainting=False)[0]
    scenes = [sample_scene(FIRST_UNSEEN_SEED + k) for k in range(given.count)]
    prompts = [caption(scene, k) for k, scene in enumerate(scenes)]
    verifier = Verifier.load()
    real = verifier.features(np.stack([render(scene, stage.image_size).image for scene in scenes]))

    curves: dict[str, list[tuple[int, Distance]]] = {name: [] for name in given.samplers}
    print(f"{given.count} pictures of {stage.image_size} px, unguided, on {runtime.reason}")
    print("| sampler | steps | kernel distance x 1000 | 95 % interval | s a picture |")
    print("|---|---|---|---|---|")
    for name in given.samplers:
        for steps in STEPS[name]:
            began = time.perf_counter()
            drawn = np.concatenate(
                [
                    draw(stage, name, steps, prompts[k : k + _TOGETHER], k)
                    for k in range(0, given.count, _TOGETHER)
                ]
            )
            seconds = (time.perf_counter() - began) / given.count
            found = kernel_distance(verifier.features(drawn), real)
            curves[name].append((steps, found))
            interval = f"{1000 * found.low:.2f} ... {1000 * found.high:.2f}"
            print(f"| {name} | {steps} | {1000 * found.value:.2f} | {interval} | {seconds:.3f} |", flush=True)
    if given.out is not None:
        plot(curves, given.count, given.out)


def draw(stage: Stage, sampler: str, steps: int, prompts: list[str], first_seed: int) -> Pictures:
    """Pictures of the prompts with seeds from ``first_seed`` on, uint8 (B, S, S, 3)."""
    assert stage.text_encoder is not None
    condition = Conditioning(text=stage.text_encoder.encode(prompts))
    denoiser = Guided(stage.network, [(condition, 1.0)], finish=Finish(DynamicThreshold()))
    seeds = tuple(range(first_seed, first_seed + len(prompts)))
    size = stage.image_size
    device = next(stage.network.parameters()).device
    noise = NoiseSource(seeds, 0, 0, (3, size, size), device)
    schedule = stage.schedule
    times: list[float] = (
        solver_timesteps(schedule, steps)
        if sampler == "dpm-solver++"
        else [float(t) for t in timesteps(schedule, steps)]
    )
    x = noise.start()
    for step in get_sampler(sampler)(denoiser, x, times, noise):
        x = step.x
    return to_uint8(to_pixels(x.clamp(-1, 1)))


def plot(curves: dict[str, list[tuple[int, Distance]]], count: int, path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.add_subplot()
    for name, points in curves.items():
        steps = [count for count, _ in points]
        values = np.array([(d.value, d.low, d.high) for _, d in points]) * 1000
        (line,) = axes.plot(steps, values[:, 0], marker="o", label=name)
        axes.fill_between(steps, values[:, 1], values[:, 2], alpha=0.15, color=line.get_color())
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="kernel distance x 1000")
    axes.set_title(f"{count} pictures against renders of the same scenes")
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    with torch.inference_mode():
        main()

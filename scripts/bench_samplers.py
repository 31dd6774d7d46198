"""How good the samplers' pictures are against the number of steps: kernel distance to real renders.

    scripts/bench samplers [--model NAME|FOLDER] [--count 512] [--out docs/gallery/samplers.png]

The base network alone draws the captions of unseen scenes, without guidance, from the same noise for every
sampler; the verifier's features compare its pictures with renders of the same scenes. The interval is the
bootstrap's, 95 %. It takes half an hour on two cores: --count and --samplers make it shorter.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
from benching import parser, print_header, print_row, unseen_prompts
from matplotlib.figure import Figure

from glide_edit.evaluation.distances import Distance, kernel_distance
from glide_edit.evaluation.drawing import Settings, draw
from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED
from glide_edit.evaluation.verifier import Verifier
from glide_edit.models import apply, choose_runtime, load_model, resolve
from glide_edit.toybox import render

STEPS = {
    "dpm-solver++": (5, 10, 20),
    "ddim": (10, 20, 50),
    "ddpm": (20, 50, 250),
}


def main() -> None:
    options = parser("samplers", __doc__)
    options.add_argument("--model", default="toybox")
    options.add_argument("--device", default="auto")
    options.add_argument("--count", type=int, default=512)
    options.add_argument("--samplers", nargs="+", choices=STEPS, default=list(STEPS))
    options.add_argument("--out", type=Path, help="where to draw the curves")
    given = options.parse_args()
    runtime = choose_runtime(given.device)
    apply(runtime)
    model = load_model(resolve(given.model), runtime)
    size = model.cascade(inpainting=False)[0].image_size
    scenes, prompts = unseen_prompts(FIRST_UNSEEN_SEED, given.count)
    verifier = Verifier.load()
    real = verifier.features(np.stack([render(scene, size).image for scene in scenes]))
    curves: dict[str, list[tuple[int, Distance]]] = {name: [] for name in given.samplers}
    print(f"{given.count} pictures of {size} px, unguided, on {runtime.reason}")
    print_header(["sampler", "steps", "kernel distance x 1000", "95 % interval", "s a picture"])
    for name, steps in [(sampler, count) for sampler in given.samplers for count in STEPS[sampler]]:
        began = time.perf_counter()
        settings = Settings(steps=steps, sampler=name, guidance=1.0)
        drawn = np.concatenate(list(draw(model, prompts, range(given.count), settings, "base")))
        seconds = (time.perf_counter() - began) / given.count
        found = kernel_distance(verifier.features(drawn), real)
        curves[name].append((steps, found))
        interval = f"{1000 * found.low:.2f} ... {1000 * found.high:.2f}"
        print_row([name, steps, f"{1000 * found.value:.2f}", interval, f"{seconds:.3f}"])
    if given.out is not None:
        plot(curves, given.count, given.out)


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

"""How long an edit takes here, where the time goes, and what it costs in memory.

    scripts/bench [--model NAME|FOLDER] [--device DEVICE] [--repeats N]

The same edit is run at the precision that this machine chooses and in plain float32, one after the other.
Memory is the peak of a fresh process that loads the model and edits once.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from benching import own_peak, parser, peak_of

from glide_edit import Editor, Generate, Inpaint, open_picture
from glide_edit.toybox import caption, render, sample_scene
from masks import draw

SIZE = (1000, 1500)
PROMPTS = 32
"""How many pictures are compared between the precisions."""


def request() -> Inpaint:
    """An edit of a photograph-sized picture of noise: what a picture shows does not change the time."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    mask = draw.ellipse((600, 350, 900, 650), SIZE)
    return Inpaint(image=open_picture(pixels), mask=mask, prompt="a red ball", steps=20, upsampler_steps=8)


def timed(editor: Editor, repeats: int, name: str) -> float:
    """Print and return the median seconds of an edit, after one that is not counted."""
    editor.run(request())
    results = [editor.run(request()) for _ in range(repeats)]
    total = statistics.median(result.seconds for result in results)
    network = statistics.median(result.network_seconds for result in results)
    print(f"  {name:<12} {total:6.2f} s   network {network:6.2f} s   the rest {total - network:6.3f} s")
    return total


def agreement(editor: Editor, reference: Editor) -> tuple[float, float]:
    """Mean and least PSNR, in dB, between both editors' pictures of the same prompts and seeds."""
    found = []
    for k in range(PROMPTS):
        asked = Generate(prompt=caption(sample_scene(k), k), seed=k)
        ours, theirs = (each.run(asked).pictures[0].pixels / 255 for each in (editor, reference))
        found.append(-10 * np.log10(max(1e-12, float(np.mean((ours - theirs) ** 2)))))
    return float(np.mean(found)), min(found)


def rendering_rate(size: int, passes: str) -> float:
    """Toybox pictures a second."""
    scenes = [sample_scene(k) for k in range(48)]
    began = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(render, size=size, passes=passes, threads=1), scenes))
    return len(scenes) / (time.perf_counter() - began)


def main() -> None:
    options = parser("", __doc__)
    options.add_argument("--model", default="toybox")
    options.add_argument("--device", default="auto")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    editor = Editor.load(given.model, given.device, tune_process=True)
    if given.once:
        editor.run(request())
        print(own_peak())
        return
    print(f"{editor.runtime.reason}; {torch.get_num_threads()} threads; torch {torch.__version__}")
    print(f"one inpainting, {SIZE[1]} x {SIZE[0]} picture, 20 guided base steps and 8 upsampler steps, warm:")
    chosen = timed(editor, given.repeats, "as chosen")
    reference = Editor.load(given.model, given.device, "float32", tune_process=True)
    plain = timed(reference, max(1, given.repeats // 2), "float32")
    print(f"  float32 takes {plain / chosen:.1f} times as long")
    peak = peak_of(__file__, "--model", given.model, "--device", given.device)
    print(f"  peak memory  {peak:.2f} GiB, loading included")
    mean, least = agreement(editor, reference)
    print(f"  {PROMPTS} prompts in both precisions: PSNR {mean:.1f} dB on average, {least:.1f} at least")
    render(sample_scene(0), 64)  # compiles
    full, small = rendering_rate(256, "all"), rendering_rate(64, "image")
    print(f"toybox: {full:.1f} pictures a second at 256 px with masks and drawing, {small:.0f} at 64 px")


if __name__ == "__main__":
    main()

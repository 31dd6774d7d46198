"""How long an edit takes here, where the time goes, and what it costs in memory.

    scripts/bench [--model NAME|FOLDER] [--device DEVICE] [--repeats N]

Speed is told as a ratio: the same edit is run at the precision this machine chooses and in plain float32, one
after the other in one run. Memory is the peak of a process of its own that loads the model and edits once.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from glide_edit import Editor, Generate, Inpaint, open_picture
from glide_edit.toybox import caption, render, sample_scene
from masks import draw

SIZE = (1000, 1500)
PROMPTS = 32
"""How many pictures are compared between the precisions."""


@dataclass(frozen=True)
class Timing:
    """Medians in seconds: the whole edit, and the part of it spent in the networks' samplers."""

    total: float
    network: float

    def __str__(self) -> str:
        rest = self.total - self.network
        return f"{self.total:6.2f} s   network {self.network:6.2f} s   the rest {rest:6.3f} s"


def request() -> Inpaint:
    """An edit in a photograph-sized picture of noise: what is in the picture does not change the time."""
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    mask = draw.ellipse((600, 350, 900, 650), SIZE)
    return Inpaint(image=open_picture(pixels), mask=mask, prompt="a red ball", steps=20, upsampler_steps=8)


def timed(editor: Editor, repeats: int) -> Timing:
    editor.run(request())
    results = [editor.run(request()) for _ in range(repeats)]
    return Timing(
        statistics.median(result.seconds for result in results),
        statistics.median(result.network_seconds for result in results),
    )


def agreement(editor: Editor, reference: Editor) -> tuple[float, float]:
    """Mean and least PSNR, in dB, between both editors' pictures of the same prompts and seeds."""
    found = []
    for k in range(PROMPTS):
        request = Generate(prompt=caption(sample_scene(k), k), seed=k)
        ours, theirs = (each.run(request).pictures[0].pixels / 255 for each in (editor, reference))
        found.append(-10 * np.log10(max(1e-12, float(np.mean((ours - theirs) ** 2)))))
    return float(np.mean(found)), min(found)


def peak_memory(model: str, device: str) -> float:
    """GB of a fresh process that loads the model and edits once."""
    command = [sys.executable, __file__, "--once", "--model", model, "--device", device]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def once(model: str, device: str) -> None:
    Editor.load(model, device).run(request())
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(kilobytes / (2**20 if sys.platform != "darwin" else 2**30))


def rendering() -> tuple[float, float]:
    """Toybox pictures a second, at 256 px with everything and at 64 px the picture alone."""
    render(sample_scene(0), 64)
    rates = []
    for size, passes in ((256, "all"), (64, "image")):
        scenes = [sample_scene(k) for k in range(48)]
        began = time.perf_counter()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(partial(render, size=size, passes=passes, threads=1), scenes))
        rates.append(len(scenes) / (time.perf_counter() - began))
    return rates[0], rates[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure one edit: time, memory, and against float32.")
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--once", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once(options.model, options.device)
        return
    editor = Editor.load(options.model, options.device)
    print(f"{editor.runtime.reason}; {torch.get_num_threads()} threads; torch {torch.__version__}")
    print(f"one inpainting, {SIZE[1]} x {SIZE[0]} picture, 20 guided base steps and 8 upsampler steps, warm:")
    chosen = timed(editor, options.repeats)
    print(f"  as chosen    {chosen}")
    reference = Editor.load(options.model, options.device, "float32")
    plain = timed(reference, max(1, options.repeats // 2))
    print(f"  float32      {plain}   ({plain.total / chosen.total:.1f} times as long)")
    print(f"  peak memory  {peak_memory(options.model, options.device):.2f} GiB, loading included")
    mean, least = agreement(editor, reference)
    print(f"  {PROMPTS} prompts in both precisions: PSNR {mean:.1f} dB on average, {least:.1f} at least")
    full, small = rendering()
    print(f"toybox: {full:.1f} pictures a second at 256 px with masks and drawing, {small:.0f} at 64 px")


if __name__ == "__main__":
    main()

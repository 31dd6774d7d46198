"""Watch an edit: a line for every step, the last preview, and the latents of every step in one file.

python callback.py photo.png mask.png "a red ball" out
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glide_edit import Editor, Progress, SampleStep


class Recorder:
    """Keeps what an edit reports."""

    def __init__(self) -> None:
        self.latents: dict[str, NDArray[np.float32]] = {}
        self.lines: list[str] = []
        self.preview: NDArray[np.uint8] | None = None

    def on_progress(self, progress: Progress) -> None:
        self.lines.append(f"{progress.stage} {progress.step}/{progress.total}, {progress.finished} finished")
        self.preview = progress.preview

    def on_step(self, step: SampleStep) -> None:
        latents: NDArray[np.float32] = step.latents.float().cpu().numpy()
        self.latents[f"{step.stage}-{step.index:03}"] = latents
        spread = float(step.x0.float().std())
        self.lines.append(f"t = {step.t:.0f}, seeds {step.seeds}, x0 spreads by {spread:.2f}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("prompt")
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args(arguments)
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    recorder = Recorder()
    editor = Editor.load(given.model)
    result = editor.inpaint(
        given.photo,
        given.mask,
        given.prompt,
        steps=6,
        callback=recorder.on_progress,
        on_step=recorder.on_step,
    )
    result.save(out / "edit.png")
    if recorder.preview is not None:
        Image.fromarray(recorder.preview).save(out / "preview.png")
    np.savez(out / "latents.npz", allow_pickle=False, **recorder.latents)
    (out / "steps.txt").write_text("\n".join(recorder.lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A folder of toybox pictures with their captions, masks and drawings, as training data or fixtures."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.toybox.captions import caption
from glide_edit.toybox.render import Rendering, render
from glide_edit.toybox.sampling import Split, sample_scene
from glide_edit.toybox.world import Scene

CAPTIONS = 4


def write_folder(
    out: Path,
    count: int,
    seed: int = 0,
    size: int = 256,
    split: Split = "train",
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Writes `count` scenes, of the seeds seed, seed + 1, …, rendered at size x size pixels.

    images/NNNNNN.png, drawings/NNNNNN.png (255 paper, 0 ink), masks/NNNNNN_<toy>_visible.png and _whole.png
    (255 on the toy), and metadata.jsonl, one line a picture, in the layout that Hugging Face's "imagefolder"
    reads: file_name, text, captions, drawing, toys (kind, colour, material, size, box, visible, whole), seed,
    scene. `box` is x0, y0, x1, y1 with exclusive ends, or null. `progress` is called with (done, count).

    The folder appears whole or not at all. Raises InputError where `out` is a file or holds something
    already, or where count, seed, size or split are out of range.
    """
    out = Path(out)
    if count < 1:
        raise InputError(f"a folder holds at least one picture, not {count}")
    _check_free(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.tmp")
    try:
        for name in ("images", "drawings", "masks"):
            (partial / name).mkdir(parents=True)

        def make(k: int) -> str:
            scene = sample_scene(seed + k, split)
            return json.dumps(_write_scene(partial, f"{k:06d}", scene, render(scene, size, threads=1)))

        lines = []
        # One scene per thread: faster than all threads on one scene, part of which is computed in Python.
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            for line in pool.map(make, range(count)):
                lines.append(line)
                if progress is not None:
                    progress(len(lines), count)
        finally:
            pool.shutdown(cancel_futures=True)
        (partial / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _check_free(out)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"{out} is a file; name a new folder")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty; name a new folder")


def _write_scene(folder: Path, name: str, scene: Scene, rendering: Rendering) -> dict[str, Any]:
    captions = [caption(scene, k) for k in range(CAPTIONS)]
    line: dict[str, Any] = {
        "file_name": _save(folder, f"images/{name}.png", rendering.image[:, :, ::-1]),
        "text": captions[0],
        "captions": captions,
        "drawing": _save(folder, f"drawings/{name}.png", rendering.drawing),
        "seed": scene.seed,
        "toys": [],
        "scene": scene.to_json(),
    }
    for k, toy in enumerate(scene.toys):
        record = {word: getattr(toy, word) for word in ("kind", "colour", "material", "size")}
        record["box"] = rendering.boxes[k]
        for part, pixels in (("visible", rendering.visible == k), ("whole", rendering.whole[k])):
            record[part] = _save(folder, f"masks/{name}_{k}_{part}.png", pixels * np.uint8(255))
        line["toys"].append(record)
    return line


def _save(folder: Path, path: str, pixels: NDArray[np.uint8]) -> str:
    done, data = cv2.imencode(".png", pixels)
    assert done
    (folder / path).write_bytes(data.tobytes())
    return path

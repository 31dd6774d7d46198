"""Labelled renders, for training and testing the verifier.

A folder of them holds ``00000.npz``, ``00001.npz``, … of 128 scenes each, so that rendering can be stopped
and resumed.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import TrainingError
from glide_edit.images import write_atomically
from glide_edit.toybox import COLOURS, GROUNDS, KINDS, LIGHTS, MATERIALS, Scene, render, sample_scene
from glide_edit.training.cache import render_pool

FIRST_VERIFIER_SEED = 2**50
"""The verifier learns from scenes of this seed and above; models stay below, up to data seed 2**17."""

FIRST_UNSEEN_SEED = 700_000
"""The verifier is tested on scenes of this seed and above, which nothing is trained on."""

SLOTS = 4
_SPAN = 128


@dataclass(frozen=True, eq=False)
class LabelledRenders:
    """N pictures and what they show; objects fill up to four slots each.

    ``pictures`` uint8 (N, S, S, 3). ``kind``, ``colour``, ``material`` int64 (N, 4), indices into the
    toybox's words, -1 where the slot is empty. ``box`` float32 (N, 4, 4): x0, y0, x1, y1 of the visible part
    as fractions of the picture. ``share`` float32 (N, 4): how much of the object's silhouette in the picture
    no other object covers. ``area`` float32 (N, 4): the visible part as a fraction of the picture.
    ``ground`` and ``light`` int64 (N,).
    """

    pictures: NDArray[np.uint8]
    kind: NDArray[np.int64]
    colour: NDArray[np.int64]
    material: NDArray[np.int64]
    box: NDArray[np.float32]
    share: NDArray[np.float32]
    area: NDArray[np.float32]
    ground: NDArray[np.int64]
    light: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)


def label(scenes: list[Scene], size: int) -> LabelledRenders:
    """The scenes, of at most four toys each, rendered at ``size`` pixels on one thread."""
    count = len(scenes)
    kind, colour, material = np.full((3, count, SLOTS), -1, np.int64)
    box = np.zeros((count, SLOTS, 4), np.float32)
    share, area = np.zeros((2, count, SLOTS), np.float32)
    pictures = np.empty((count, size, size, 3), np.uint8)
    for n, scene in enumerate(scenes):
        rendering = render(scene, size, threads=1)
        pictures[n] = rendering.image
        for k, toy in enumerate(scene.toys):
            kind[n, k] = KINDS.index(toy.kind)
            colour[n, k] = tuple(COLOURS).index(toy.colour)
            material[n, k] = MATERIALS.index(toy.material)
            seen = int((rendering.visible == k).sum())
            box[n, k] = np.array(rendering.boxes[k] or (0, 0, 0, 0), np.float32) / size
            share[n, k] = min(1.0, seen / max(1, int(rendering.whole[k].sum())))
            area[n, k] = seen / size**2
    ground = np.array([GROUNDS.index(scene.ground) for scene in scenes])
    light = np.array([LIGHTS.index(scene.light) for scene in scenes])
    return LabelledRenders(pictures, kind, colour, material, box, share, area, ground, light)


def render_folder(
    folder: Path,
    count: int,
    size: int,
    first_seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> LabelledRenders:
    """Scenes ``first_seed``, ``first_seed`` + 1, … of every combination, held-out ones too, rendered once.

    ``count`` is rounded up to whole files of 128; what the folder holds already is not rendered again, so a
    folder must only ever be used with one size and first seed. ``progress`` is called with (done, count).

    Raises:
        TrainingError: the folder cannot be written or read, or holds pictures of another size.
    """
    starts = range(0, count, _SPAN)
    files = {start: folder / f"{start // _SPAN:05d}.npz" for start in starts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [start for start in starts if not files[start].exists()]
        pool = render_pool()
        try:
            spans = [range(first_seed + start, first_seed + start + _SPAN) for start in missing]
            asked = zip(missing, spans, strict=True)
            work = [pool.submit(_render_span, files[start], size, seeds) for start, seeds in asked]
            for done, future in enumerate(work, len(starts) - len(missing) + 1):
                future.result()
                progress(done * _SPAN, len(starts) * _SPAN)
        finally:
            pool.shutdown(cancel_futures=True)
        return _load(list(files.values()), size)
    except (OSError, ValueError, KeyError, BrokenProcessPool) as error:
        raise TrainingError(
            f"The renders in {folder} cannot be used ({error}): name another folder, or delete it."
        ) from error


def _render_span(path: Path, size: int, seeds: range) -> None:
    scenes = [sample_scene(seed, "all") for seed in seeds]
    data = io.BytesIO()
    np.savez(data, **vars(label(scenes, size)))
    write_atomically(path, data.getvalue(), force=True)


def _load(paths: list[Path], size: int) -> LabelledRenders:
    parts = []
    for path in paths:
        with np.load(path) as file:
            parts.append({field.name: file[field.name] for field in fields(LabelledRenders)})
    renders = LabelledRenders(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})
    if renders.pictures.shape[1] != size:
        raise ValueError(f"they are {renders.pictures.shape[1]} px wide, not {size}")
    return renders

"""Where training pictures come from: rendered on the fly, a rendered cache, or any captioned image folder."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import TrainingError
from glide_edit.images import open_picture, to_uint8
from glide_edit.toybox import Scene, caption, describe_toy, render, sample_scene

FIRST_TRAINING_SEED = 1_000_000
"""Scene seeds below this are left to tests, benches and galleries."""


@dataclass(frozen=True, eq=False)
class Item:
    """One picture and what is known of it.

    ``image`` is uint8 (S, S, 3). ``caption(seed)`` words the whole picture. ``objects`` has for each object
    its mask, bool (S, S), shadow included, and ``describe(index, seed)`` words that object alone.
    ``drawing`` is uint8 (S, S), 255 paper and 0 ink, or None.
    """

    image: NDArray[np.uint8]
    caption: Callable[[int], str]
    objects: tuple[NDArray[np.bool_], ...] = ()
    describe: Callable[[int, int], str] = lambda index, seed: ""
    foreground: NDArray[np.bool_] | None = None
    drawing: NDArray[np.uint8] | None = None


class Source(Protocol):
    """A collection of items; the same generator state gives the same item."""

    def draw(self, rng: np.random.Generator) -> Item: ...


def _toy_item(scene: Scene, image: NDArray, foreground: NDArray, objects: tuple, drawing: NDArray) -> Item:
    return Item(
        image=image,
        caption=lambda seed: caption(scene, seed),
        objects=objects,
        describe=lambda index, seed: describe_toy(scene, index, seed),
        foreground=foreground,
        drawing=drawing,
    )


@dataclass(frozen=True)
class RenderedToybox:
    """Toybox pictures without end, rendered as they are asked for."""

    size: int

    def draw(self, rng: np.random.Generator) -> Item:
        scene = sample_scene(FIRST_TRAINING_SEED + int(rng.integers(2**40)))
        picture = render(scene, self.size)
        objects = tuple(picture.whole | picture.shadow)
        return _toy_item(scene, picture.image, picture.visible >= 0, objects, picture.drawing)


class CachedToybox:
    """Toybox pictures rendered once into memory-mapped arrays; see ``build_cache``."""

    def __init__(self, folder: Path) -> None:
        try:
            about = json.loads((folder / "cache.json").read_text())
        except (OSError, ValueError) as error:
            raise TrainingError(f"{folder} holds no finished toybox cache ({error}).") from error
        self.size: int = about["size"]
        self._scenes = [
            Scene.from_json(json.loads(line)) for line in (folder / "scenes.jsonl").read_text().splitlines()
        ]
        self._images = np.load(folder / "images.npy", mmap_mode="r")
        self._bits = np.load(folder / "bits.npy", mmap_mode="r")
        self._drawings = np.load(folder / "drawings.npy", mmap_mode="r")

    def __len__(self) -> int:
        return len(self._scenes)

    def draw(self, rng: np.random.Generator) -> Item:
        index = int(rng.integers(len(self)))
        scene, bits = self._scenes[index], self._bits[index]
        objects = tuple((bits & (1 << k)) > 0 for k in range(len(scene.toys)))
        return _toy_item(scene, self._images[index], bits >= 128, objects, self._drawings[index])


def build_cache(
    folder: Path, count: int, size: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> CachedToybox:
    """Render ``count`` toybox pictures at ``size`` pixels into ``folder``; goes on where it was stopped.

    Bits 0-3 of ``bits.npy`` are the objects' masks with their shadows, bit 7 is "any object is seen here".
    """
    if (folder / "cache.json").exists():
        cache = CachedToybox(folder)
        if (cache.size, len(cache)) != (size, count):
            raise TrainingError(
                f"{folder} holds {len(cache)} pictures of {cache.size} px, not {count} of {size} px: "
                "name another folder, or delete it."
            )
        return cache
    folder.mkdir(parents=True, exist_ok=True)
    for name, shape in _cache_shapes(count, size).items():
        _open_array(folder / f"{name}.npy", shape).flush()
    progress_file = folder / "rendered"
    first = int(progress_file.read_text()) if progress_file.exists() else 0
    spans = [(k, min(k + 128, count)) for k in range(first, count, 128)]
    # Processes, not threads: much of a scene is worked out in Python.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        work = [pool.submit(_render_span, folder, count, size, seed, *span) for span in spans]
        for (_, end), future in zip(spans, work, strict=True):
            future.result()
            progress_file.write_text(str(end))
            if progress is not None:
                progress(end, count)
    scenes = "\n".join(json.dumps(_cache_scene(seed, index).to_json()) for index in range(count))
    (folder / "scenes.jsonl").write_text(scenes)
    (folder / "cache.json").write_text(json.dumps({"size": size, "count": count, "seed": seed}))
    progress_file.unlink(missing_ok=True)
    return CachedToybox(folder)


def _render_span(folder: Path, count: int, size: int, seed: int, start: int, end: int) -> None:
    shapes = _cache_shapes(count, size)
    images, bits, drawings = (_open_array(folder / f"{name}.npy", shape) for name, shape in shapes.items())
    for index in range(start, end):
        picture = render(_cache_scene(seed, index), size, threads=1)
        powers = (1 << np.arange(len(picture.whole), dtype=np.uint8))[:, None, None]
        objects = ((picture.whole | picture.shadow) * powers).sum(axis=0, dtype=np.uint8)
        images[index] = picture.image
        bits[index] = objects | np.uint8(128) * (picture.visible >= 0)
        drawings[index] = picture.drawing


def _cache_shapes(count: int, size: int) -> dict[str, tuple[int, ...]]:
    plane = (count, size, size)
    return {"images": (*plane, 3), "bits": plane, "drawings": plane}


def _cache_scene(seed: int, index: int) -> Scene:
    return sample_scene(FIRST_TRAINING_SEED + seed * 2**32 + index)


def _open_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    if path.exists():
        array = np.lib.format.open_memmap(path, mode="r+")
        if array.shape == shape:
            return array
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


class ImageFolder:
    """Any folder with ``metadata.jsonl``: a line has file_name and text, and may have masks and drawings.

    That is the layout of Hugging Face's imagefolder, and what ``glide-edit toybox render`` writes. Pictures
    are cut to a random square (at least 80 % of the shorter side) and resized.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.size = size
        try:
            lines = (folder / "metadata.jsonl").read_text().splitlines()
            self._rows = [json.loads(line) for line in lines if line.strip()]
            for row in self._rows:
                row["file_name"], row["text"]
        except OSError as error:
            raise TrainingError(f"{folder} has no readable metadata.jsonl ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TrainingError(
                f"{folder}/metadata.jsonl must have JSON lines with file_name and text ({error!r})."
            ) from error
        if not self._rows:
            raise TrainingError(f"{folder}/metadata.jsonl has no lines.")

    def __len__(self) -> int:
        return len(self._rows)

    def captions(self) -> list[str]:
        return [row["text"] for row in self._rows]

    def draw(self, rng: np.random.Generator) -> Item:
        row = self._rows[int(rng.integers(len(self._rows)))]
        pixels = to_uint8(open_picture(self.folder / row["file_name"]).pixels)
        height, width = pixels.shape[:2]
        side = int(min(height, width) * rng.uniform(0.8, 1.0))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        shrink = cv2.INTER_AREA if side > self.size else cv2.INTER_CUBIC
        captions = row.get("captions") or [row["text"]]
        return Item(
            image=cv2.resize(square, (self.size, self.size), interpolation=shrink),
            caption=lambda seed: captions[seed % len(captions)],
        )

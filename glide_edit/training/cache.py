"""Toybox pictures rendered once into memory-mapped arrays.

A cache's folder holds ``images.npy`` (N, S, S, 3), ``drawings.npy`` and ``bits.npy`` (N, S, S), all uint8;
``scenes.jsonl``, one scene a line; and ``cache.json``: size, count, seed, and the number rendered. Bits 0-3
are the masks of up to four objects with their shadows; bit 7 says that any object is seen there.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np

from glide_edit.errors import TrainingError
from glide_edit.toybox import Scene, render
from glide_edit.training.sources import TOY_COUNTS, Item, Toybox, toy_item, training_scene

_ARRAYS = ("images", "bits", "drawings")
_SPAN = 128
"""How many pictures a process renders at a time."""


class CachedToybox(Toybox):
    """The pictures of a finished cache; see ``build_cache``.

    Raises:
        TrainingError: the folder holds no finished cache, or a damaged one.
    """

    def __init__(self, folder: Path) -> None:
        about = _about(folder)
        if about is None or about["rendered"] < about["count"]:
            raise TrainingError(f"{folder} holds no finished toybox cache: build it first.")
        self._folder = folder
        self.size: int = about["size"]
        try:
            lines = (folder / "scenes.jsonl").read_text(encoding="utf-8").splitlines()
            self._scenes = [Scene.from_json(json.loads(line)) for line in lines]
            self._images, self._bits, self._drawings = (
                np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise _damaged(folder, error) from error
        if {len(self._scenes), len(self._images), len(self._bits), len(self._drawings)} != {about["count"]}:
            raise _damaged(folder, "its files are not of the same length")
        counts = np.array([len(scene.toys) for scene in self._scenes])
        self._by_count = [np.flatnonzero(counts == 1 + k) for k in range(len(TOY_COUNTS))]
        # A small cache may lack one of the counts.
        shares = np.array(TOY_COUNTS) * [len(found) > 0 for found in self._by_count]
        self._shares = shares / shares.sum()

    def __reduce__(self) -> tuple[type[CachedToybox], tuple[Path]]:
        """Another process maps the same files."""
        return CachedToybox, (self._folder,)

    def __len__(self) -> int:
        return len(self._scenes)

    def draw(self, rng: np.random.Generator) -> Item:
        alike = self._by_count[int(rng.choice(len(self._shares), p=self._shares))]
        index = int(alike[rng.integers(len(alike))])
        scene, bits = self._scenes[index], self._bits[index]
        objects = tuple((bits & (1 << k)) > 0 for k in range(len(scene.toys)))
        return toy_item(scene, self._images[index], bits >= 128, objects, self._drawings[index])


def build_cache(
    folder: Path, count: int, size: int, seed: int = 0, progress: Callable[[int, int], None] | None = None
) -> CachedToybox:
    """Render ``count`` toybox pictures at ``size`` pixels into ``folder``, or continue doing so.

    A finished cache is used as it is, whatever its seed. ``progress`` is called with (done, count).

    Raises:
        TrainingError: the folder holds a cache of another size or count, or cannot be written.
    """
    about = _about(folder)
    if about is not None:
        finished = about["rendered"] == about["count"]
        if (about["size"], about["count"]) != (size, count) or (not finished and about["seed"] != seed):
            raise TrainingError(
                f"{folder} holds {about['count']} pictures of {about['size']} px from seed {about['seed']}, "
                f"not {count} of {size} px from seed {seed}: name another folder, or delete it."
            )
        if finished:
            return CachedToybox(folder)
    try:
        first = 0 if about is None else about["rendered"]
        if about is None:
            _allocate(folder, count, size)
        _render_rest(folder, {"size": size, "count": count, "seed": seed}, first, progress)
    except OSError as error:
        raise TrainingError(f"The cache {folder} cannot be written: {error.strerror or error}.") from error
    except BrokenProcessPool as error:
        raise TrainingError(
            f"A process that rendered for the cache {folder} was killed, perhaps for want of memory or disk: "
            "repeat the command to go on."
        ) from error
    return CachedToybox(folder)


def _allocate(folder: Path, count: int, size: int) -> None:
    shapes = {"images": (count, size, size, 3), "bits": (count, size, size), "drawings": (count, size, size)}
    folder.mkdir(parents=True, exist_ok=True)
    needed = sum(int(np.prod(shape)) for shape in shapes.values())
    # The files are sparse: running out of disk later would kill the process that writes.
    if (free := shutil.disk_usage(folder).free) < needed:
        raise TrainingError(
            f"The cache {folder} needs {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB left: "
            "ask for fewer pictures, or name a folder elsewhere."
        )
    for name, shape in shapes.items():
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape).flush()


def _render_rest(
    folder: Path, about: dict[str, int], first: int, progress: Callable[[int, int], None] | None
) -> None:
    """Render span after span, and record the number rendered after each."""
    count, seed = about["count"], about["seed"]
    scenes = folder / "scenes.jsonl"
    known = scenes.read_text(encoding="utf-8").splitlines(keepends=True)[:first] if first else []
    scenes.write_text("".join(known), encoding="utf-8")
    _write_about(folder, about, first)
    starts = range(first, count, _SPAN)
    pool = render_pool()
    try:
        work = [pool.submit(_render_span, folder, seed, k, min(k + _SPAN, count)) for k in starts]
        with open(scenes, "a", encoding="utf-8") as file:
            for start, future in zip(starts, work, strict=True):
                file.write("".join(f"{line}\n" for line in future.result()))
                file.flush()
                done = min(start + _SPAN, count)
                _write_about(folder, about, done)
                if progress is not None:
                    progress(done, count)
    finally:
        pool.shutdown(cancel_futures=True)


def render_pool() -> ProcessPoolExecutor:
    """A process for each core: much of the rendering is Python, where threads wait for each other."""
    return ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn"), initializer=_begin_worker)


def _begin_worker() -> None:
    """Ctrl-C is left to the parent, and the process ends with it even where the parent is killed."""
    parent = parent_process()
    assert parent is not None

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()


def _render_span(folder: Path, seed: int, start: int, end: int) -> list[str]:
    """Render pictures ``start`` ... ``end`` - 1; returns their scenes as JSON."""
    images, bits, drawings = (
        np.lib.format.open_memmap(folder / f"{name}.npy", mode="r+") for name in _ARRAYS
    )
    scenes = [training_scene(seed * 2**32 + index) for index in range(start, end)]
    for index, scene in enumerate(scenes, start):
        picture = render(scene, images.shape[1], threads=1)
        powers = (1 << np.arange(len(picture.whole), dtype=np.uint8))[:, None, None]
        objects = ((picture.whole | picture.shadow) * powers).sum(axis=0, dtype=np.uint8)
        images[index] = picture.image
        bits[index] = objects | np.uint8(128) * (picture.visible >= 0)
        drawings[index] = picture.drawing
    for array in (images, bits, drawings):
        array.flush()
    return [json.dumps(scene.to_json()) for scene in scenes]


def _about(folder: Path) -> dict[str, int] | None:
    """The contents of ``cache.json``, or None where there is none."""
    path = folder / "cache.json"
    if not path.exists():
        return None
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        # Without the number rendered, all are.
        numbers = {"rendered": about["count"], **about}
        about = {key: numbers[key] for key in ("size", "count", "seed", "rendered")}
        if not all(type(value) is int for value in about.values()):
            raise ValueError("its numbers must be whole")
        if about["size"] < 1 or not 0 <= about["rendered"] <= about["count"]:
            raise ValueError("its numbers are out of range")
        return about
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(folder, error) from error


def _write_about(folder: Path, about: dict[str, int], rendered: int) -> None:
    temporary = folder / ".cache.json.tmp"
    temporary.write_text(json.dumps(about | {"rendered": rendered}), encoding="utf-8")
    os.replace(temporary, folder / "cache.json")


def _damaged(folder: Path, reason: object) -> TrainingError:
    return TrainingError(f"The toybox cache {folder} is damaged ({reason}): delete it to build it again.")

"""Batches: a function of (seed, step) alone, so that a run that was stopped continues with the same data."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import count
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from glide_edit.conditioning import TextStates
from glide_edit.errors import GlideEditError
from glide_edit.training.caption_states import CaptionStates
from glide_edit.training.feature_probe import tag_map
from glide_edit.training.sources import Source
from glide_edit.training.text_probe import WordTargets, word_targets
from glide_edit.training.views import Mixture, View, make_view

B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class Batch:
    """``image`` (B, 3, S, S) in [-1, 1]; ``keep_mask``, ``drawing`` and ``foreground`` (B, 1, S, S).

    ``text`` holds a frozen language model's states of the captions, ``tags`` (B, len(TAGS), side, side) and
    ``word_targets`` what the probes should say; each is None where the plan does not ask for it.
    """

    step: int
    image: Tensor
    captions: tuple[str, ...]
    keep_mask: Tensor
    drawing: Tensor
    foreground: Tensor
    text: TextStates | None = None
    tags: Tensor | None = None
    word_targets: tuple[WordTargets, ...] | None = None

    def of(self, views: slice) -> Batch:
        """The batch of some of its views."""
        text = self.text
        if text is not None:
            text = TextStates(text.states[views], text.token_mask[views])
        cut = {field.name: getattr(self, field.name) for field in fields(self)}
        cut = {
            name: value if value is None else value[views]
            for name, value in cut.items()
            if name not in ("step", "text")
        }
        return replace(self, text=text, **cut)


def to_device(batch: B, device: torch.device) -> B:
    """The dataclass with its tensors, and those of the dataclasses in it, on the device."""
    assert is_dataclass(batch)
    changed: dict[str, Any] = {}
    for field in fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = value.to(device)
        elif is_dataclass(value):
            changed[field.name] = to_device(value, device)
    return replace(batch, **changed)  # type: ignore[type-var]


@dataclass(frozen=True)
class BatchPlan:
    """What batches are made of: sources, each with its share and its mixture of conditions.

    ``crop`` smaller than the sources' size cuts a random square out of each view. ``tag_side`` adds the
    probes' targets, with tags of that many cells a side. ``phrasings`` is the number of ways in which each
    picture is worded, None for all there are. ``caption_states`` adds the states of captions. ``workers``
    processes make the batches, or one thread if 0; caption states need the thread.
    """

    sources: Sequence[tuple[Source, float, Mixture]]
    batch_size: int
    seed: int
    crop: int | None = None
    tag_side: int | None = None
    phrasings: int | None = None
    caption_states: CaptionStates | None = None
    workers: int = 0

    def make(self, step: int) -> Batch:
        """The batch of a step. Sources get their shares on average."""
        rng, side = np.random.default_rng([self.seed, step]), self.tag_side
        shares = np.array([share for _, share, _ in self.sources], dtype=np.float64)
        chosen = rng.choice(len(self.sources), self.batch_size, p=shares / shares.sum())
        items, views = [], []
        for source, _, mixture in (self.sources[k] for k in chosen):
            items.append(source.draw(rng))
            views.append(make_view(items[-1], mixture, rng, self.phrasings))
        if self.crop is not None:
            views = [_cropped(view, self.crop, rng) for view in views]
        captions = tuple(view.caption for view in views)
        return Batch(
            step=step,
            image=to_images([view.image for view in views]),
            captions=captions,
            keep_mask=_to_channel([view.keep for view in views]),
            drawing=_to_channel([view.drawing for view in views]),
            foreground=_to_channel([view.foreground for view in views]),
            text=None if self.caption_states is None else self.caption_states.of(captions),
            tags=None if side is None else torch.stack([tag_map(item, side) for item in items]),
            word_targets=None if side is None else tuple(word_targets(item) for item in items),
        )

    def stream(self, first_step: int) -> Generator[Batch, None, None]:
        """Batches from ``first_step`` on; see ``made_ahead``."""
        return made_ahead(self.make, first_step, self.workers)


def made_ahead(make: Callable[[int], B], first_step: int, workers: int = 0) -> Generator[B, None, None]:
    """``make(first_step)`` and on, made ahead by that many processes, or by one thread if 0.

    Close it to end them. An error while a batch is made is raised in that batch's place. For processes
    ``make`` must be picklable.
    """
    return _made_by_processes(make, first_step, workers) if workers else _made_by_thread(make, first_step)


def workers_for(device: torch.device) -> int:
    """The number of processes that keep the device busy. Beside a CPU that trains, one thread is enough."""
    return 0 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 1) - 1))


def _made_by_thread(make: Callable[[int], B], first_step: int, ahead: int = 3) -> Generator[B, None, None]:
    # OpenCV's own threads would compete with the network's for the cores.
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(1, "batches")
    try:
        pending = deque(pool.submit(make, first_step + k) for k in range(ahead))
        for step in count(first_step + ahead):
            batch = pending.popleft().result()
            pending.append(pool.submit(make, step))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _made_by_processes(make: Callable[[int], B], first_step: int, workers: int) -> Generator[B, None, None]:
    loader = DataLoader(
        _Steps(make),
        batch_size=None,
        sampler=range(first_step, 2**62),
        num_workers=workers,
        prefetch_factor=4,
        # Forked processes would share the device's state with this one.
        multiprocessing_context="spawn",
        worker_init_fn=_begin_worker,
    )
    for made in loader:
        if isinstance(made, GlideEditError):
            raise made
        yield made


@dataclass(frozen=True)
class _Steps(Dataset[Any]):
    """The batches for PyTorch's loader. Our errors are returned: it would reword those that are raised."""

    make: Callable[[int], Any]

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except GlideEditError as error:
            return error


def _begin_worker(index: int) -> None:
    """Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def to_images(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """uint8 (S, S, 3) each -> (B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _to_channel(arrays: Sequence[NDArray[Any]]) -> Tensor:
    """(S, S) each -> (B, 1, S, S)."""
    return torch.from_numpy(np.stack(arrays).astype(np.float32))[:, None]


def _cropped(view: View, size: int, rng: np.random.Generator) -> View:
    """A random square of the view; three times in four it contains foreground, or else a hidden pixel."""
    side = view.image.shape[0]
    corner = rng.integers(0, side - size + 1, 2)
    important = np.argwhere(view.foreground if view.foreground.any() else ~view.keep)
    if len(important) and rng.random() < 0.75:
        middle = important[rng.integers(len(important))]
        corner = np.clip(middle - rng.integers(size // 4, size, 2), 0, side - size)
    top, left = (int(c) for c in corner)
    window = (slice(top, top + size), slice(left, left + size))
    arrays = {name: getattr(view, name)[window] for name in ("image", "keep", "drawing", "foreground")}
    return replace(view, **arrays)


def shrink(image: Tensor, size: int) -> Tensor:
    """(B, C, S, S) -> (B, C, size, size) by averaging areas; S must be a multiple of size."""
    return torch.nn.functional.avg_pool2d(image, image.shape[-1] // size)

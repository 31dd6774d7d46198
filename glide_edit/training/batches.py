"""Batches: a function of (seed, step) alone, so a run that was stopped goes on with the same data order."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
from glide_edit.training.meanings import Meanings, meanings_of
from glide_edit.training.sources import Source
from glide_edit.training.tags import tags_of
from glide_edit.training.views import Mixture, View, make_view

B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class Batch:
    """``image`` (B, 3, S, S) in [-1, 1]; ``keep_mask``, ``drawing`` and ``foreground`` (B, 1, S, S).

    ``text`` is what a frozen language model says of the captions, ``tags`` (B, len(TAGS), side, side) and
    ``meanings`` what ``tags_of`` and ``meanings_of`` give of the pictures, each None where it was not asked.
    """

    step: int
    image: Tensor
    captions: tuple[str, ...]
    keep_mask: Tensor
    drawing: Tensor
    foreground: Tensor
    text: TextStates | None = None
    tags: Tensor | None = None
    meanings: tuple[Meanings, ...] | None = None

    def to(self, device: torch.device) -> Batch:
        text = self.text
        if text is not None:
            text = TextStates(text.states.to(device), text.token_mask.to(device))
        return Batch(
            step=self.step,
            image=self.image.to(device),
            captions=self.captions,
            keep_mask=self.keep_mask.to(device),
            drawing=self.drawing.to(device),
            foreground=self.foreground.to(device),
            text=text,
            tags=None if self.tags is None else self.tags.to(device),
            meanings=self.meanings,
        )


@dataclass(frozen=True)
class BatchPlan:
    """What a batch is made of: sources, each with its share and its mixture of conditions.

    ``crop`` less than the source's size cuts a random square out of each view. ``tag_side`` asks for tags of
    so many cells a side, of whole views, and for the meanings of words. ``workers`` processes make the
    batches, or a thread if none.
    """

    sources: Sequence[tuple[Source, float, Mixture]]
    batch_size: int
    seed: int
    crop: int | None = None
    tag_side: int | None = None
    workers: int = 0

    def make(self, step: int) -> Batch:
        """The batch of a step; shares of the sources are met on average."""
        rng, side = np.random.default_rng([self.seed, step]), self.tag_side
        shares = np.array([share for _, share, _ in self.sources], dtype=np.float64)
        chosen = rng.choice(len(self.sources), self.batch_size, p=shares / shares.sum())
        items, views = [], []
        for source, _, mixture in (self.sources[k] for k in chosen):
            items.append(source.draw(rng))
            views.append(make_view(items[-1], mixture, rng))
        if self.crop is not None:
            views = [_cropped(view, self.crop, rng) for view in views]
        images = np.stack([view.image for view in views])
        return Batch(
            step=step,
            image=torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1,
            captions=tuple(view.caption for view in views),
            keep_mask=_plane([view.keep for view in views]),
            drawing=_plane([view.drawing for view in views]),
            foreground=_plane([view.foreground for view in views]),
            tags=None if side is None else torch.stack([tags_of(item, side) for item in items]),
            meanings=None if side is None else tuple(meanings_of(item) for item in items),
        )

    def stream(self, first_step: int) -> Generator[Batch, None, None]:
        """Batches from ``first_step`` on; see ``made_ahead``."""
        return made_ahead(self.make, first_step, self.workers)


def made_ahead(make: Callable[[int], B], first_step: int, workers: int = 0) -> Generator[B, None, None]:
    """What ``make`` gives for ``first_step`` and on, made ahead by so many processes, or by a thread if none.

    Close it to end them. An error in the making of a batch is raised where that batch would have come. For
    processes ``make`` must be something that can be pickled.
    """
    return _made_by_processes(make, first_step, workers) if workers else _made_by_a_thread(make, first_step)


def workers_for(device: torch.device) -> int:
    """How many processes it takes to keep the device busy: beside a CPU that trains, one thread is enough."""
    return 0 if device.type == "cpu" else max(1, min(8, (os.cpu_count() or 1) - 1))


def _made_by_a_thread(make: Callable[[int], B], first_step: int, ahead: int = 3) -> Generator[B, None, None]:
    # OpenCV's own threads would fight with the network's for the cores.
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
    """The batches as PyTorch's loader asks for them; errors come back as values, in their own words."""

    make: Callable[[int], Any]

    def __getitem__(self, step: int) -> Any:
        try:
            return self.make(step)
        except GlideEditError as error:
            return error


def _begin_worker(index: int) -> None:
    """Ctrl-C is the parent's business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _plane(arrays: Sequence[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))[:, None]


def _cropped(view: View, size: int, rng: np.random.Generator) -> View:
    """A random square of the view; three times in four it holds a bit of what matters most."""
    side = view.image.shape[0]
    corner = rng.integers(0, side - size + 1, 2)
    important = np.argwhere(view.foreground if view.foreground.any() else ~view.keep)
    if len(important) and rng.random() < 0.75:
        middle = important[rng.integers(len(important))]
        corner = np.clip(middle - rng.integers(size // 4, size, 2), 0, side - size)
    top, left = (int(c) for c in corner)
    window = (slice(top, top + size), slice(left, left + size))
    return View(
        image=view.image[window],
        caption=view.caption,
        keep=view.keep[window],
        drawing=view.drawing[window],
        foreground=view.foreground[window],
    )


def shrink(image: Tensor, size: int) -> Tensor:
    """(B, C, S, S) -> (B, C, size, size) by averaging areas; S must be a multiple of size."""
    return torch.nn.functional.avg_pool2d(image, image.shape[-1] // size)

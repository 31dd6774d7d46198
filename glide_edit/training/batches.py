"""Batches: a function of (seed, step) alone, so a run that was stopped goes on with the same data order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.training.sources import Source
from glide_edit.training.views import Mixture, View, make_view


@dataclass(frozen=True, eq=False)
class Batch:
    """``image`` (B, 3, S, S) in [-1, 1]; ``keep_mask``, ``drawing`` and ``weight`` (B, 1, S, S)."""

    step: int
    image: Tensor
    captions: tuple[str, ...]
    keep_mask: Tensor
    drawing: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> Batch:
        moved = {k: getattr(self, k).to(device) for k in ("image", "keep_mask", "drawing", "weight")}
        return Batch(step=self.step, captions=self.captions, **moved)


@dataclass(frozen=True)
class BatchPlan:
    """What a batch is made of. ``crop`` less than the source's size cuts a random square out of each view."""

    sources: Sequence[tuple[Source, float]]
    batch_size: int
    mixture: Mixture
    seed: int
    crop: int | None = None

    def make(self, step: int) -> Batch:
        """The batch of a step; shares of the sources are met on average."""
        rng = np.random.default_rng([self.seed, step])
        shares = np.array([share for _, share in self.sources], dtype=np.float64)
        chosen = rng.choice(len(self.sources), self.batch_size, p=shares / shares.sum())
        views = [make_view(self.sources[k][0].draw(rng), self.mixture, rng) for k in chosen]
        if self.crop is not None:
            views = [_cropped(view, self.crop, rng) for view in views]
        images = np.stack([view.image for view in views])
        return Batch(
            step=step,
            image=torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1,
            captions=tuple(view.caption for view in views),
            keep_mask=_plane([view.keep for view in views]),
            drawing=_plane([view.drawing for view in views]),
            weight=_plane([view.weight for view in views]),
        )

    def stream(self, first_step: int, ahead: int = 3) -> Iterator[Batch]:
        """Batches from ``first_step`` on, made ahead in a thread."""
        ready: queue.Queue[Batch | BaseException] = queue.Queue(maxsize=ahead)
        stop = threading.Event()

        def work() -> None:
            step = first_step
            try:
                while not stop.is_set():
                    item = self.make(step)
                    step += 1
                    while not stop.is_set():
                        try:
                            ready.put(item, timeout=0.2)
                            break
                        except queue.Full:
                            continue
            except BaseException as error:  # handed to the reader, which raises it
                ready.put(error)

        thread = threading.Thread(target=work, name="batches", daemon=True)
        thread.start()
        try:
            while True:
                item = ready.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stop.set()
            thread.join(timeout=30)


def _plane(arrays: Sequence[NDArray]) -> Tensor:
    return torch.from_numpy(np.stack(arrays).astype(np.float32))[:, None]


def _cropped(view: View, size: int, rng: np.random.Generator) -> View:
    """A random square of the view; three times in four it holds a bit of what matters most."""
    side = view.image.shape[0]
    corner = rng.integers(0, side - size + 1, 2)
    important = np.argwhere(view.weight > view.weight.min())
    if len(important) and rng.random() < 0.75:
        corner = np.clip(
            important[rng.integers(len(important))] - rng.integers(size // 4, size, 2), 0, side - size
        )
    window = tuple(slice(int(c), int(c) + size) for c in corner)
    return View(
        view.image[window], view.caption, view.keep[window], view.drawing[window], view.weight[window]
    )


def shrink(image: Tensor, size: int) -> Tensor:
    """(B, C, S, S) -> (B, C, size, size) by averaging areas; S must be a multiple of size."""
    return torch.nn.functional.avg_pool2d(image, image.shape[-1] // size)


def hide_opencv_threads() -> None:
    """OpenCV's own threads fight with the network's for the cores while both run."""
    cv2.setNumThreads(1)

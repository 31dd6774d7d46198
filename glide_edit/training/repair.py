"""Training of the repair network: to fill what is hidden of photographs and renders as it was.

Of every four steps three show many small views and one a few large ones, of as many pixels: thin covers need
many pictures, and holes need large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.errors import TrainingError
from glide_edit.models.model import Model
from glide_edit.models.repair import load_repair, provenance_of, write_repair
from glide_edit.models.runtime import Runtime, choose_runtime
from glide_edit.networks.repair import RepairConfig, RepairNetwork
from glide_edit.training.batches import made_ahead, to_images, workers_for
from glide_edit.training.checkpoint import Progress
from glide_edit.training.folder import ImageFolder
from glide_edit.training.hidden import hidden_part
from glide_edit.training.photos import PhotoCache, read_photos
from glide_edit.training.pictures import sheet_path, to_uint8, write_sheet
from glide_edit.training.preparing import PreparedRun, toybox_source
from glide_edit.training.settings import TOYBOX, TrainSettings
from glide_edit.training.shares import slices
from glide_edit.training.sources import Source
from glide_edit.training.training_module import ModuleWithLoss
from glide_edit.training.weights import strip_prefix

LARGE_EVERY = 4
"""One of so many steps shows large views."""

SMALL = 2
"""The others show views of a side this many times shorter, and as many more."""

_TURNED, _PIECED, _LINED = 0.5, 0.35, 0.2
"""The shares of views that are turned, that have a piece of another one, that are crossed by lines."""

_SOFT = 0.01
"""Differences well below this count by their square, those above as they are (Charbonnier)."""


@dataclass(frozen=True, eq=False)
class RepairBatch:
    """``image`` (B, 3, S, S) in [-1, 1]; ``keep_mask`` (B, 1, S, S), 0 where it is hidden."""

    step: int
    image: Tensor
    keep_mask: Tensor


@dataclass(frozen=True)
class RepairPlan:
    """Batches of squares of photographs and of other pictures; each is a function of (seed, step) alone.

    ``batch_size`` is the number of large views that have the pixels of a step. ``size`` is their side.
    """

    photos: PhotoCache | None
    others: Source
    share_of_others: float
    batch_size: int
    size: int
    seed: int
    workers: int = 0

    def make(self, step: int) -> RepairBatch:
        rng = np.random.default_rng([self.seed, step])
        factor = 1 if step % LARGE_EVERY == 0 else SMALL
        count, size = self.batch_size * factor**2, self.size // factor
        images = [self._image(size, rng) for _ in range(count)]
        keep = np.stack([~hidden_part(size, rng) for _ in range(count)])
        return RepairBatch(step, to_images(images), torch.from_numpy(keep).float()[:, None])

    def stream(self, first_step: int) -> Generator[RepairBatch, None, None]:
        return made_ahead(self.make, first_step, self.workers)

    def _image(self, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A view, uint8 (size, size, 3): perhaps turned, with a piece of another one, with lines across."""
        image = self._part(size, rng)
        if rng.random() < _PIECED:
            _put_piece(image, self._part(size, rng), rng)
        if rng.random() < _LINED:
            _put_lines(image, rng)
        if rng.random() < _TURNED:
            image = np.rot90(image, int(rng.integers(1, 4)))
        if rng.random() < 0.5:
            image = image[:, ::-1]
        return _recoloured(image, rng)

    def _part(self, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        if self.photos is None or rng.random() < self.share_of_others:
            whole: NDArray[np.uint8] = np.array(self.others.draw(rng).image)
        else:
            whole, _ = self.photos.cut(rng, 0.6)
        side = int(rng.integers(size, len(whole) + 1))
        top, left = (int(at) for at in rng.integers(0, len(whole) - side + 1, 2))
        part = whole[top : top + side, left : left + side]
        return np.array(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _put_piece(image: NDArray[np.uint8], other: NDArray[np.uint8], rng: np.random.Generator) -> None:
    """Put a polygon of another picture into this one: edges that are straight."""
    size, count = len(image), int(rng.integers(3, 6))
    angles = np.sort(rng.uniform(0, 2 * np.pi, count))
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.2, 1.2) * size
    points = ((rng.uniform(0, size, 2) + corners) * 16).round().astype(np.int32)[:, None]
    piece = np.zeros((size, size), np.uint8)
    cv2.fillPoly(piece, [points], 255, cv2.LINE_AA, 4)
    alpha = piece[..., None] / np.float32(255)
    image[:] = (image + alpha * (other.astype(np.float32) - image)).round()


def _put_lines(image: NDArray[np.uint8], rng: np.random.Generator) -> None:
    size = len(image)
    for _ in range(int(rng.integers(1, 4))):
        ends = (rng.uniform(-0.2, 1.2, (2, 2)) * size * 16).round().astype(np.int32)
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        first, second = (tuple(int(v) for v in end) for end in ends)
        cv2.line(image, first, second, colour, int(rng.integers(1, 7)), cv2.LINE_AA, 4)


def _recoloured(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """In another light: channels change places, and each gets a gain and an offset."""
    if rng.random() < 0.3:
        image = image[..., rng.permutation(3)]
    gain, offset = rng.uniform(0.6, 1.15, 3), rng.uniform(-20, 30, 3)
    light = (rng.uniform(0.7, 1.1) + 0.3 * (gain - gain.mean())) * image + offset.mean() + 0.3 * offset
    return np.asarray(light.round().clip(0, 255), np.uint8)


class RepairTrainingModule(ModuleWithLoss[RepairBatch]):
    """A repair network and its loss: the mean difference of hidden pixels, each view counting alike."""

    def __init__(self, network: RepairNetwork) -> None:
        super().__init__()
        self.network = network

    def loss(self, batch: RepairBatch, generator: torch.Generator) -> Tensor:
        return self._term(batch.image, batch.keep_mask, len(batch.image))

    def terms(self, batch: RepairBatch, generator: torch.Generator, most: int) -> list[Callable[[], Tensor]]:
        views = len(batch.image)
        return [
            partial(self._term, batch.image[part], batch.keep_mask[part], views)
            for part in slices(views, most)
        ]

    def _term(self, image: Tensor, keep_mask: Tensor, views: int) -> Tensor:
        error = self.network(image, keep_mask) - image
        soft = (error.square() + _SOFT**2).sqrt() - _SOFT
        hidden = 1 - keep_mask
        return ((soft.mean(1, keepdim=True) * hidden).sum((1, 2, 3)) / hidden.sum((1, 2, 3))).sum() / views


def prepare_repair(
    settings: TrainSettings,
    runtime: Runtime,
    start: Model | None,
    resuming: bool,
    on_cache: Callable[[int, int], None] | None,
) -> PreparedRun:
    """The module, batches, samples and export of a repair network's run."""
    config = cast("RepairConfig", settings.network)
    photos = None
    if settings.photos is not None:
        settings.out.mkdir(parents=True, exist_ok=True)
        photos = PhotoCache(read_photos(settings.photos), config.image_size, settings.cache or settings.out)
    if config.image_size % (SMALL * config.stride):
        said = f"A repair network's views are a multiple of {SMALL * config.stride} pixels wide."
        raise TrainingError(said)
    others: Source
    if settings.data == TOYBOX:
        others = toybox_source(settings, on_cache)
    else:
        others = ImageFolder(Path(settings.data), config.image_size)
    settings.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    module = RepairTrainingModule(RepairNetwork(config)).to(device=runtime.device, dtype=runtime.dtype)
    if runtime.channels_last:
        module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    before = {} if settings.start is None else {"started_from": provenance_of(Path(settings.start))}
    plan = RepairPlan(
        photos,
        others,
        1 - settings.photo_share,
        settings.batch_size,
        config.image_size,
        settings.seed,
        workers_for(runtime.device),
    )
    shown = plan.make(0)

    def draw_samples(progress: Progress) -> None:
        image, keep = (part[:6].to(runtime.device) for part in (shown.image, shown.keep_mask))
        with torch.no_grad():
            rows = (image * keep, module.network(image, keep).clamp(-1, 1), image)
        sheet = np.concatenate([np.concatenate(to_uint8(row), axis=1) for row in rows])
        write_sheet(sheet, sheet_path(settings.out, progress.step))

    def export(averaged: dict[str, Tensor], progress: Progress) -> Path:
        provenance = {"training": {"repair": settings.public_recipe() | asdict(progress)}, **before}
        tensors = strip_prefix(averaged, "network.")
        return write_repair(settings.out / "repair", config, tensors, provenance)

    return PreparedRun(module, plan, export, _start_weights(settings, config), draw_samples)


def _start_weights(settings: TrainSettings, config: RepairConfig) -> dict[str, Tensor] | None:
    if settings.start is None:
        return None
    network = load_repair(Path(settings.start), choose_runtime("cpu", "float32"))
    if replace(network.config, image_size=config.image_size) != config:
        raise TrainingError(f"{settings.start} cannot be started from: its network is another one.")
    return {f"network.{name}": value for name, value in network.named_parameters()}

"""Batches follow from (seed, step) alone, and the thread that makes them never outlives its reader."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.errors import TrainingError
from glide_edit.training.batches import Batch, BatchPlan
from glide_edit.training.sources import Item
from glide_edit.training.views import Mixture


def same(a: Batch, b: Batch) -> bool:
    tensors = all(
        torch.equal(getattr(a, k), getattr(b, k)) for k in ("image", "keep_mask", "drawing", "foreground")
    )
    return tensors and (a.step, a.captions) == (b.step, b.captions)


def makers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


class Coordinates:
    """A picture that says of each pixel where it is: red its row, green its column; blue ``tint``."""

    def __init__(self, size: int, tint: int = 0, fail_after: int | None = None) -> None:
        rows, columns = np.mgrid[0:size, 0:size].astype(np.uint8)
        self.image = np.stack([rows, columns, np.full_like(rows, tint)], axis=2)
        self.left = fail_after

    def draw(self, rng: np.random.Generator) -> Item:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise TrainingError("the disk is gone")
        foreground = np.zeros(self.image.shape[:2], bool)
        foreground[-6:-3, -6:-3] = True
        return Item(self.image, lambda seed: "a place", foreground=foreground)

    def captions(self) -> list[str]:
        return ["a place"]


def test_a_batch_follows_from_seed_and_step(squares: Any) -> None:
    plan = BatchPlan([(squares(16), 1.0, Mixture())], 4, seed=3)
    later, first = plan.make(7), plan.make(0)
    assert same(plan.make(7), later)
    assert same(BatchPlan([(squares(16), 1.0, Mixture())], 4, seed=3).make(0), first)
    assert not torch.equal(first.image, later.image)
    assert not torch.equal(BatchPlan([(squares(16), 1.0, Mixture())], 4, seed=4).make(0).image, first.image)
    assert first.image.shape == (4, 3, 16, 16)
    assert first.image.abs().max() <= 1
    assert first.keep_mask.shape == first.drawing.shape == first.foreground.shape == (4, 1, 16, 16)


def test_the_stream_begins_where_it_is_told(squares: Any) -> None:
    plan = BatchPlan([(squares(16), 1.0, Mixture())], 2, seed=0)
    stream = plan.stream(5)
    for step in range(5, 12):
        assert same(next(stream), plan.make(step))
    assert len(makers()) == 1
    stream.close()
    assert makers() == []


def test_an_error_comes_where_its_batch_would_have_come() -> None:
    stream = BatchPlan([(Coordinates(16, fail_after=5), 1.0, Mixture())], 2, seed=0).stream(0)
    assert [next(stream).step, next(stream).step] == [0, 1]
    with pytest.raises(TrainingError, match="the disk is gone"):
        next(stream)
    assert makers() == []


def test_sources_get_their_shares() -> None:
    plan = BatchPlan(
        [(Coordinates(16, 10), 3.0, Mixture()), (Coordinates(16, 200), 1.0, Mixture())], 500, seed=0
    )
    blue = plan.make(0).image[:, 2, 0, 0]
    assert (blue > 0).double().mean().item() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 500))


def test_each_source_has_a_mixture_of_its_own() -> None:
    hidden, whole = Mixture(known=1), Mixture(known=0, caption=0)
    batch = BatchPlan([(Coordinates(16, 10), 1.0, hidden), (Coordinates(16, 200), 1.0, whole)], 40, 0).make(0)
    first = batch.image[:, 2, 0, 0] < 0
    assert 5 < first.sum() < 35
    assert torch.equal(batch.keep_mask.amax(dim=(1, 2, 3)) > 0, first)
    assert not any(caption and not is_first for caption, is_first in zip(batch.captions, first, strict=True))


def test_crops_are_windows_of_the_picture_and_never_mirrored() -> None:
    plan = BatchPlan([(Coordinates(24), 1.0, Mixture(known=0))], 400, seed=0, crop=8)
    batch = plan.make(0)
    assert batch.image.shape == (400, 3, 8, 8)
    pixels = ((batch.image + 1) * 127.5).round()
    assert (pixels[:, 0].diff(dim=1) == 1).all()
    assert (pixels[:, 1].diff(dim=2) == 1).all()
    corners = pixels[:, :2, 0, 0]
    assert corners.min() == 0
    assert corners.max() == 24 - 8
    # Three times in four the foreground is looked for: 3 of 24 pixels are far rarer by chance.
    seen = batch.foreground.amax(dim=(1, 2, 3)).double().mean().item()
    assert 0.7 < seen < 0.95
    # The foreground was cut with the picture.
    rows = pixels[:, 0:1]
    assert rows[batch.foreground == 1].min() == 18
    assert rows[batch.foreground == 1].max() == 20

"""FID by torchmetrics with a stub for the Inception network: closed forms, and what is missing is told."""

from __future__ import annotations

import importlib.util
import math
import sys

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glide_edit.errors import InputError
from glide_edit.evaluation.inception import InceptionDistance

needs_torchmetrics = pytest.mark.skipif(
    importlib.util.find_spec("torchmetrics") is None,
    reason="the optional set glide-edit[fid] is not installed",
)


class Means(nn.Module):
    """Takes uint8 (B, 3, H, W) to its channels' means, as fractions."""

    num_features = 3

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("white", torch.tensor(255.0))

    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.double().mean((2, 3)) / self.white


def plain(levels: np.ndarray) -> np.ndarray:
    """Grey pictures of these levels."""
    return np.broadcast_to(levels[:, None, None, None], (len(levels), 8, 8, 3)).astype(np.uint8)


@needs_torchmetrics
def test_it_is_the_gaussians_distance() -> None:
    """Three channels alike: the distance of means, and of deviations in the one direction there is."""
    rng = np.random.default_rng(0)
    real, drawn = rng.integers(0, 120, 64), rng.integers(60, 250, 64)
    distance = InceptionDistance(Means())
    distance.add(plain(real), real=True)
    distance.add(plain(drawn), real=False)
    a, b = real / 255, drawn / 255
    expected = 3 * ((a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2)
    assert distance.finish() == pytest.approx(expected, rel=1e-3)


@needs_torchmetrics
def test_real_pictures_are_kept_and_drawn_ones_forgotten() -> None:
    rng = np.random.default_rng(0)
    real, far = plain(rng.integers(0, 100, 32)), plain(rng.integers(150, 250, 32))
    distance = InceptionDistance(Means())
    distance.add(real, real=True)
    assert math.isnan(distance.finish())
    distance.add(far, real=False)
    assert distance.finish() > 0.3
    distance.add(real, real=False)
    assert distance.finish() == pytest.approx(0, abs=1e-4)


@needs_torchmetrics
def test_the_protocol_tells_extractors_apart() -> None:
    other = Means()
    other.white.fill_(256)
    prints = [InceptionDistance(each).protocol["extractor"] for each in (Means(), Means(), other)]
    assert prints[0] == prints[1] != prints[2]


@needs_torchmetrics
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("no torch-fidelity"), "glide-edit\\[fid\\]"),
        (OSError("no way\nout"), "no way out"),
    ],
)
def test_what_is_missing_is_told_in_a_sentence(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchmetrics.image import fid

    def failing(*given: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(fid, "FrechetInceptionDistance", failing)
    with pytest.raises(InputError, match=said):
        InceptionDistance()


def test_without_torchmetrics_its_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    with pytest.raises(InputError, match=r"torchmetrics.*glide-edit\[fid\]"):
        InceptionDistance()

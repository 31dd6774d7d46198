"""Finishing a predicted clean picture: bring it into range, then put back the pixels that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glide_edit.diffusion.schedule import per_image
from glide_edit.errors import InputError

Threshold = Callable[[Tensor], Tensor]
"""x0 (B, C, H, W) -> x0 in [-1, 1]."""


@dataclass(frozen=True)
class StaticThreshold:
    """Clip x0 to [-1, 1] (Ho et al. 2020; GLIDE's clip_denoised)."""

    def __call__(self, x0: Tensor) -> Tensor:
        return x0.clamp(-1.0, 1.0)


@dataclass(frozen=True)
class DynamicThreshold:
    """Clip each picture to its own range [-s, s] and divide by s (Saharia et al. 2022, Imagen, sec. 2.3).

    s is the given percentile, a fraction in (0, 1], of the picture's |x0|, and at least 1: high guidance
    weights then cost contrast instead of saturating pixels.

    Raises:
        InputError: the percentile is not in (0, 1].
    """

    percentile: float = 0.995

    def __post_init__(self) -> None:
        if not 0.0 < self.percentile <= 1.0:
            raise InputError(f"The percentile must be a fraction in (0, 1], not {self.percentile}.")

    def __call__(self, x0: Tensor) -> Tensor:
        s = per_image(_quantile(x0.abs().flatten(1), self.percentile).clamp(min=1.0), x0)
        return x0.clamp(-s, s) / s


def _quantile(values: Tensor, fraction: float) -> Tensor:
    """(B, N) -> (B,), what ``torch.quantile`` gives, from the largest values alone.

    It sorts all of them, which took a quarter of an edit.
    """
    last = values.shape[1] - 1
    rank = torch.tensor(fraction, dtype=values.dtype) * last
    below = int(rank)
    largest = values.topk(values.shape[1] - below, dim=1).values  # falling
    return largest[:, -1].lerp(largest[:, max(-2, -largest.shape[1])], float(rank - below))


@dataclass(frozen=True, eq=False)
class PasteKnown:
    """Put the known pixels back: ``known`` is (B, C, H, W) in [-1, 1], ``keep_mask`` (B, 1, H, W), 1 = keep.

    Either may have a batch of 1, for all pictures alike. Where it is 1, nothing of x0 is left, finite or not.
    """

    known: Tensor
    keep_mask: Tensor

    def __call__(self, x0: Tensor) -> Tensor:
        mixed = x0 * (1 - self.keep_mask) + self.known * self.keep_mask
        return torch.where(self.keep_mask == 1, self.known.to(mixed.dtype), mixed)


@dataclass(frozen=True, eq=False)
class X0Transform:
    """Threshold first, then paste: known pixels come out exactly as given, whatever the threshold does."""

    threshold: Threshold | None = None
    known: PasteKnown | None = None

    def __call__(self, x0: Tensor) -> Tensor:
        """x0 (B, C, H, W) as the network drew it -> the clean picture a sampler steps towards."""
        if self.threshold is not None:
            x0 = self.threshold(x0)
        return x0 if self.known is None else self.known(x0)

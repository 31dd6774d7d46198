"""Differential diffusion: each pixel stays at a given picture until the noise has fallen to its level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.schedule import Schedule, per_image


@dataclass(frozen=True, eq=False)
class DifferentialDiffusion:
    """SDEdit (Meng et al. 2021, arXiv 2108.01073) with a strength for each pixel.

    ``init`` is (B or 1, C, H, W), what the network denoises; ``strengths`` is (B or 1, 1, H, W)
    in [0, 1], as fractions t / (T-1) of the noise axis. While the time is above a pixel's strength, ``init``
    is its predicted clean value: a sampler that began with the noised ``init`` then keeps it there, noised
    for its time. At 0 it comes out as given; at 1 it is never held.
    """

    denoiser: Denoiser
    init: Tensor
    strengths: Tensor

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W) and t (B,) -> the denoiser's prediction, ``init`` where it is held."""
        predicted = self.denoiser(x_t, t)
        fraction = per_image(t / max(1, self.schedule.num_timesteps - 1), x_t)
        held = (fraction > self.strengths) | (self.strengths == 0)
        init = self.init.to(predicted.x0.dtype)
        return replace(
            predicted,
            x0=torch.where(held, init, predicted.x0),
            score=None if predicted.score is None else predicted.score.masked_fill(held, 0.0),
            shifted_x0=None
            if predicted.shifted_x0 is None
            else torch.where(held, init, predicted.shifted_x0),
        )

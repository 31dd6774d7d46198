"""A denoiser that leaves some pixels at a given picture until the noise has fallen to their level."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.schedule import Schedule, per_image


@dataclass(frozen=True, eq=False)
class DifferentialDiffusion:
    """SDEdit (Meng et al. 2021, arXiv 2108.01073) with a strength for each pixel.

    ``start`` is (B or 1, C, H, W) in [-1, 1]; ``levels`` is (B or 1, 1, H, W) in [0, 1], as fractions
    t / (T-1) of the noise axis. While the time is above a pixel's level, ``start`` is what is believed of it:
    a sampler that began with the noised ``start`` then keeps it there, noised as much as its time says. At
    level 0 it comes out as given; at level 1 it was never held.
    """

    denoiser: Denoiser
    start: Tensor
    levels: Tensor

    @property
    def schedule(self) -> Schedule:
        return self.denoiser.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W) and t (B,) -> the denoiser's prediction, ``start`` where it is held."""
        said = self.denoiser(x_t, t)
        fraction = per_image(t / max(1, self.schedule.num_timesteps - 1), x_t)
        held = (fraction > self.levels) | (self.levels == 0)
        start = self.start.to(said.x0.dtype)
        return replace(
            said,
            x0=torch.where(held, start, said.x0),
            score=None if said.score is None else said.score.masked_fill(held, 0.0),
            shifted_x0=None if said.shifted_x0 is None else torch.where(held, start, said.shifted_x0),
        )

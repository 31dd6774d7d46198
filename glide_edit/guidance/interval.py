"""Guidance on an interval of the noise axis: one denoiser inside it, another outside."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.schedule import Schedule


@dataclass(frozen=True, eq=False)
class IntervalGuidance:
    """``inside`` where t / (T-1) lies in ``interval`` = (low, high), both ends included; else ``outside``.

    Both have the same schedule. All pictures of a batch are at the same time, as samplers have them.
    """

    inside: Denoiser
    outside: Denoiser
    interval: tuple[float, float]

    @property
    def schedule(self) -> Schedule:
        return self.inside.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W) and t (B,) -> the prediction of the denoiser for this time."""
        low, high = self.interval
        fraction = float(t[0]) / max(1, self.schedule.num_timesteps - 1)
        return (self.inside if low <= fraction <= high else self.outside)(x_t, t)

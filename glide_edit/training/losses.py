"""The training objective: v- or eps-prediction under min-SNR weighting."""

from __future__ import annotations

import torch
from torch import Tensor

from glide_edit.diffusion.schedule import Schedule


def stratified_times(count: int, num_timesteps: int, generator: torch.Generator) -> Tensor:
    """(count,) times spread evenly over 0 ... T-1 with one random offset, in random order.

    Low-discrepancy times (Kingma et al. 2021, appendix I.1) take much of the noise out of the loss.
    """
    offset = torch.rand((), generator=generator)
    spread = (torch.arange(count) + offset) / count
    return spread[torch.randperm(count, generator=generator)] * (num_timesteps - 1)


def min_snr_weight(schedule: Schedule, t: Tensor, prediction: str, gamma: float = 5.0) -> Tensor:
    """(B,) weights of the squared error (Hang et al. 2023): min(SNR, gamma)/(SNR + 1) for v, /SNR for eps."""
    snr = schedule.log_snr(t).exp()
    divisor = snr + 1 if prediction == "v" else snr
    return (snr.clamp(max=gamma) / divisor).float()


def weighted_error(output: Tensor, target: Tensor, pixel_weight: Tensor) -> Tensor:
    """(B,) mean squared errors; ``pixel_weight`` (B, 1, H, W) is normalised over the batch."""
    error = (output - target).square().mean(dim=1, keepdim=True)
    return (error * (pixel_weight / pixel_weight.mean())).mean(dim=(1, 2, 3))

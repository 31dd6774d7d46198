"""The training objective: v- or eps-prediction, and how much each noise level and each pixel counts."""

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


def high_noise_weight(schedule: Schedule, t: Tensor, gamma: float = 5.0) -> Tensor:
    """(B,) weights of v's squared error: min(SNR + 1, gamma)/(SNR + 1), 1 wherever noise is high.

    The "SNR + 1" weighting of Salimans and Ho (2022), with min-SNR's cap where there is little noise. Words
    decide most where there is much of it: over the toybox the right caption in place of another's takes two
    thirds off v's error at log-SNR -5 and a tenth at log-SNR +1, and min-SNR gives the former a hundredth of
    the latter's weight.
    """
    snr = schedule.log_snr(t).exp()
    return ((snr + 1).clamp(max=gamma) / (snr + 1)).float()


OBJECT_WEIGHT = 3.0
"""How much an error on an object counts, where there is no noise; the background counts 1."""

KEPT_WEIGHT = 0.2
"""How much an error on a known pixel counts: it will be pasted over."""


def pixel_weight(foreground: Tensor, keep_mask: Tensor, alpha_bar: Tensor) -> Tensor:
    """(B, 1, H, W) weights of the squared error from the foreground and the keep-mask, both (B, 1, H, W).

    Objects are a fifth of the pixels and nearly all of the meaning. But a weight that depends on the
    picture to be found moves the network's answer away from the mean, towards pictures full of objects,
    wherever it cannot yet know where they are. So objects weigh more only as far as the noise, ``alpha_bar``
    (B,), shows them.
    """
    shown = (alpha_bar**2).to(foreground.dtype)[:, None, None, None]
    objects = 1 + (OBJECT_WEIGHT - 1) * foreground * shown
    return objects * (1 - (1 - KEPT_WEIGHT) * keep_mask)


def weighted_error(
    output: Tensor, target: Tensor, pixel_weight: Tensor, mean: Tensor | None = None
) -> Tensor:
    """(B,) mean squared errors; ``pixel_weight`` (B, 1, H, W) is normalised over the batch, or by ``mean``,
    where this is a part of one."""
    error = (output - target).square().mean(dim=1, keepdim=True)
    mean = pixel_weight.mean() if mean is None else mean
    return (error * (pixel_weight / mean)).mean(dim=(1, 2, 3))

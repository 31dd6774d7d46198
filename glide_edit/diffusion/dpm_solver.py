"""DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095): second-order and deterministic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser
from glide_edit.diffusion.schedule import working_dtype
from glide_edit.diffusion.step import Noise, Step, alpha_bar_chain, log_snr_chain, times


def dpm_solver(denoiser: Denoiser, x_T: Tensor, timesteps: Sequence[float], noise: Noise) -> Iterator[Step]:
    """Extrapolate the clean picture along half the log-SNR from the two latest predictions (algorithm 2).

    The first step and the last are first-order: the first has no history, and the last goes to infinite
    log-SNR, where the clean picture itself is the answer. ``noise`` is not called. For networks that predict
    eps, ``schedule.solver_timesteps`` starts where x0 can still be recovered.
    """
    x = x_T.to(working_dtype(x_T))
    alphas_bar = alpha_bar_chain(denoiser.schedule, timesteps)
    half_log_snr = [log_snr / 2 for log_snr in log_snr_chain(denoiser.schedule, timesteps)]
    x0_before: Tensor | None = None
    for index, t in enumerate(times(timesteps, x)):
        with torch.no_grad():
            x0 = denoiser(x, t).solver_x0
            if index + 1 == len(timesteps):
                x = x0
            else:
                h = half_log_snr[index + 1] - half_log_snr[index]
                target = x0
                if x0_before is not None:
                    h_before = half_log_snr[index] - half_log_snr[index - 1]
                    target = x0 + h / (2 * h_before) * (x0 - x0_before)
                sigma_ratio = math.sqrt((1 - alphas_bar[index + 1]) / (1 - alphas_bar[index]))
                x = sigma_ratio * x - math.sqrt(alphas_bar[index + 1]) * math.expm1(-h) * target
        x0_before = x0
        yield Step(index, len(timesteps), timesteps[index], x, x0)

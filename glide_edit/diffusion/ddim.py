"""DDIM (Song et al. 2021): first-order and deterministic at eta 0, as noisy as DDPM at eta 1."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser
from glide_edit.diffusion.schedule import working_dtype
from glide_edit.diffusion.step import Noise, Step, alpha_bar_chain, times
from glide_edit.errors import InputError


def ddim(
    denoiser: Denoiser, x_T: Tensor, timesteps: Sequence[float], noise: Noise, *, eta: float = 0.0
) -> Iterator[Step]:
    """Step along the noise direction that the clean picture implies (Song et al. 2021, eq. 12 and 16).

    The noise is worked out again from the finished clean picture, so thresholds and pasted pixels count; a
    score is already in that picture (``Prediction.solver_x0``). ``noise`` is not called at eta 0.

    Raises:
        InputError: eta is outside 0 ... 1.
    """
    if not 0.0 <= eta <= 1.0:
        raise InputError(f"DDIM's eta must be between 0 and 1, not {eta}.")
    schedule = denoiser.schedule
    x = x_T.to(working_dtype(x_T))
    alphas_bar = alpha_bar_chain(schedule, timesteps)
    for index, t in enumerate(times(timesteps, x)):
        alpha_bar, alpha_bar_next = alphas_bar[index], alphas_bar[index + 1]
        sigma = eta * math.sqrt((1 - alpha_bar_next) / (1 - alpha_bar) * (1 - alpha_bar / alpha_bar_next))
        with torch.no_grad():
            x0 = denoiser(x, t).solver_x0
            eps = schedule.eps(x0, x, t)
            x = math.sqrt(alpha_bar_next) * x0 + math.sqrt(1 - alpha_bar_next - sigma**2) * eps
            if sigma > 0:
                x = x + sigma * noise(index)
        yield Step(index, len(timesteps), timesteps[index], x, x0)

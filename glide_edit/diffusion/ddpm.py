"""The ancestral sampler of Ho et al. 2020, on a respaced chain and with a learned variance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.schedule import working_dtype
from glide_edit.diffusion.step import Noise, Step, alpha_bar_chain, times


def ddpm(
    denoiser: Denoiser,
    x_T: Tensor,
    timesteps: Sequence[float],
    noise: Noise,
    *,
    fixed_variance: Literal["small", "large"] = "small",
) -> Iterator[Step]:
    """Sample each x from q(x_next | x_t, x0) with the network's x0 for the true one (Ho et al. 2020, eq. 7).

    The betas are those of the chain of ``timesteps`` itself (Nichol & Dhariwal 2021, eq. 19). Where the
    network learned a variance, it lies between the posterior variance and beta (the same, eq. 15); elsewhere
    it is the former ("small") or the latter ("large"). A score moves the mean by variance * score (Dhariwal &
    Nichol 2021, algorithm 1), also in the last step, as published.
    """
    x = x_T.to(working_dtype(x_T))
    posteriors = _posterior_chain(alpha_bar_chain(denoiser.schedule, timesteps))
    for index, t in enumerate(times(timesteps, x)):
        posterior = posteriors[index]
        with torch.no_grad():
            prediction = denoiser(x, t)
            variance = _variance(posterior, prediction, fixed_variance)
            x = posterior.x0_weight * prediction.x0 + posterior.x_t_weight * x
            if prediction.score is not None:
                x = x + variance * prediction.score
            if index + 1 < len(timesteps):
                x = x + variance**0.5 * noise(index)
        yield Step(index, len(timesteps), timesteps[index], x, prediction.x0)


@dataclass(frozen=True)
class _Posterior:
    """q(x_next | x_t, x0): a mean of x0 and x_t in these weights, and the two ends of its variance."""

    x0_weight: float
    x_t_weight: float
    variance: float
    beta: float


def _posterior(alpha_bar: float, alpha_bar_next: float) -> _Posterior:
    alpha = alpha_bar / alpha_bar_next
    beta = 1.0 - alpha
    return _Posterior(
        x0_weight=beta * math.sqrt(alpha_bar_next) / (1.0 - alpha_bar),
        x_t_weight=(1.0 - alpha_bar_next) * math.sqrt(alpha) / (1.0 - alpha_bar),
        variance=beta * (1.0 - alpha_bar_next) / (1.0 - alpha_bar),
        beta=beta,
    )


def _posterior_chain(alphas_bar: list[float]) -> list[_Posterior]:
    chain = [_posterior(*pair) for pair in pairwise(alphas_bar)]
    # The last step's posterior variance is 0, which has no logarithm: published code borrows that of the step
    # before. No noise is added there, but a score is still weighted by it.
    last = chain[-1]
    borrowed = chain[-2].variance if len(chain) > 1 else last.beta
    return [*chain[:-1], _Posterior(last.x0_weight, last.x_t_weight, borrowed, last.beta)]


def _variance(
    posterior: _Posterior, prediction: Prediction, fixed_variance: Literal["small", "large"]
) -> Tensor | float:
    if prediction.variance_fraction is None:
        return posterior.variance if fixed_variance == "small" else posterior.beta
    log_small, log_large = math.log(posterior.variance), math.log(posterior.beta)
    return torch.exp(log_small + (log_large - log_small) * prediction.variance_fraction)

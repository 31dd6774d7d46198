"""What all samplers share: the Step they yield, the protocol they follow, and their chain of alphas_bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser
from glide_edit.diffusion.schedule import Schedule

Noise = Callable[[int], Tensor]
"""Step index -> standard normal noise, shaped like x_T. Called only for the steps that add noise."""


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a sampler, ``index`` of ``total``: it consumed time ``t`` and left the picture at ``x``.

    ``x0`` is the clean picture the step believed in, finished (thresholded, known pixels pasted): what a
    preview shows. Both are (B, C, H, W). After the last step ``x`` is the result.
    """

    index: int
    total: int
    t: float
    x: Tensor
    x0: Tensor


class Sampler(Protocol):
    """From noise to a picture, one Step at a time.

    ``x_T`` is (B, C, H, W) noise; ``timesteps`` are strictly descending times on the training index axis,
    the last of which is stepped from to the clean picture (alpha_bar 1, first order, no noise added).
    Stop iterating and the work stops. Gradients are off inside a step and as the caller has them between.
    """

    def __call__(
        self, denoiser: Denoiser, x_T: Tensor, timesteps: Sequence[float], noise: Noise
    ) -> Iterator[Step]: ...


def times(timesteps: Sequence[float], like: Tensor) -> list[Tensor]:
    """Each time as the (B,) float32 tensor a denoiser is given, on the device of ``like``."""
    return [torch.full((like.shape[0],), t, dtype=torch.float32, device=like.device) for t in timesteps]


def log_snr_chain(schedule: Schedule, timesteps: Sequence[float]) -> list[float]:
    """log-SNR at each of the timesteps, the same that the denoiser derives from ``times``."""
    last_index = schedule.num_timesteps - 1
    assert len(timesteps) > 0, "a sampler needs at least one timestep"
    assert all(0 <= t <= last_index for t in timesteps), f"timesteps must lie in 0 ... {last_index}"
    falling = all(t > after for t, after in pairwise(timesteps))
    assert falling, "timesteps must be strictly descending"
    chain: list[float] = schedule.log_snr(torch.tensor(timesteps, dtype=torch.float32)).tolist()
    return chain


def alpha_bar_chain(schedule: Schedule, timesteps: Sequence[float]) -> list[float]:
    """alpha_bar at each of the timesteps, and after them the implied 1 of the clean picture."""
    log_snr = torch.tensor(log_snr_chain(schedule, timesteps), dtype=torch.float64)
    return [*torch.sigmoid(log_snr).tolist(), 1.0]

"""The only place where a sampler runs: base stages, upsamplers, tiles, candidates, benches, sample sheets."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glide_edit import cores
from glide_edit.conditioning import Denoiser
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.step import Noise


@dataclass(frozen=True, eq=False)
class SampleTask:
    """One run of a sampler for a batch of pictures.

    ``x_T`` is (B, C, H, W), ``timesteps`` strictly descending on the training index axis, ``noise`` as
    samplers ask for it. ``stage`` and ``seeds`` only label the steps. ``bounded`` clamps the result to
    [-1, 1].
    """

    denoiser: Denoiser
    sampler: str
    timesteps: Sequence[float]
    x_T: Tensor  # noqa: N815
    noise: Noise
    stage: str = ""
    seeds: tuple[int, ...] = ()
    bounded: bool = True


@dataclass(frozen=True, eq=False)
class SampleStep:
    """Step ``index`` (from 0) of ``total``, which consumed the time ``t``.

    ``latents`` is x_t after the step and ``x0`` the clean picture predicted in it (in the last step the
    result), both (B, C, H, W) of what the stage denoises: pixels in [-1, 1] for pixel models. ``seconds`` is
    how long the step took.
    """

    stage: str
    index: int
    total: int
    t: float
    seeds: tuple[int, ...]
    latents: Tensor
    x0: Tensor
    seconds: float = 0.0

    @property
    def is_last(self) -> bool:
        return self.index + 1 == self.total


def sample(task: SampleTask) -> Iterator[SampleStep]:
    """Run the sampler step by step. Stop iterating and the work stops.

    Raises:
        InputError: no sampler of that name.
    """
    cores.adapt()
    began = time.perf_counter()
    for step in get_sampler(task.sampler)(task.denoiser, task.x_T, task.timesteps, task.noise):
        x0 = step.x0
        if step.index + 1 == step.total:
            x0 = step.x.clamp(-1, 1) if task.bounded else step.x
        if x0.device.type == "cuda":
            torch.cuda.synchronize(x0.device)  # or the clock would stop before the work does
        seconds = time.perf_counter() - began
        yield SampleStep(task.stage, step.index, step.total, step.t, task.seeds, step.x, x0, seconds)
        cores.adapt()
        began = time.perf_counter()  # what the caller does between the steps does not count


def sampled(task: SampleTask) -> Tensor:
    """The result of a whole run, (B, C, H, W)."""
    for step in sample(task):
        result = step.x0
    return result

"""One cascade for all operations: base, then upsamplers, each told what is known at its own size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource, noise_for
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.errors import InputError
from glide_edit.guidance import DynamicThreshold, Finish, Guided, PasteKnown, StaticThreshold, classifier_free
from glide_edit.models.folder import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.requests import Request

LOW_RES_NOISE = -2
"""The step number under which the noise for the upsampler's low-resolution picture is drawn."""

MOST_AT_ONCE = 4
"""Pictures drawn side by side; more would only cost memory."""

Known = tuple[Tensor, Tensor]
"""A known picture (1, 3, S, S) in [-1, 1], zero where not kept, and its keep-mask (1, 1, S, S)."""


@dataclass(frozen=True, eq=False)
class Job:
    """What the cascade is asked to draw, in the model's own square frame.

    ``known`` and ``drawing`` give for a size S what the stage of that size is told; ``drawing`` is
    (1, 1, S, S), ink +1 and paper -1.
    """

    request: Request
    known: Callable[[int], Known] | None = None
    drawing: Callable[[int], Tensor] | None = None


@dataclass(frozen=True, eq=False)
class CascadeStep:
    """A step of a stage for the pictures of ``seeds``: ``x0`` (B, 3, S, S) is what they look like so far."""

    stage: str
    step: int
    total: int
    seeds: tuple[int, ...]
    x0: Tensor
    network_seconds: float


def check(model: Model, request: Request) -> None:
    """Refuse what this model cannot do, before any time is spent.

    Raises:
        InputError: no base stage, a prompt for a model without text, a drawing for one without that channel,
            or more steps than the schedule has.
    """
    base = model.stages[0]
    if base.name != "base":
        raise InputError(
            f"The model {model.name} has only an upsampler: assemble it with a base stage first."
        )
    config = base.network.config
    if request.operation == "sketch" and not config.drawing:
        raise InputError(f"The model {model.name} has no drawing channel: it cannot follow a sketch.")
    if request.operation == "inpaint" and not config.known:
        raise InputError(f"The model {model.name} was not trained to inpaint.")
    for stage in model.stages:
        _timesteps(stage.schedule, _settings(stage, request))


def run_cascade(model: Model, job: Job) -> Iterator[CascadeStep]:
    """Draw all seeds of the request, a few at a time, through all stages.

    The last step of the last stage of each group has the finished pictures in ``x0``. Stop iterating and the
    work stops.
    """
    seeds = job.request.seeds
    for start in range(0, len(seeds), MOST_AT_ONCE):
        group = seeds[start : start + MOST_AT_ONCE]
        picture: Tensor | None = None
        for index, stage in enumerate(model.stages):
            for step in _run_stage(model, stage, index, job, group, picture):
                picture = step.x0
                yield step


def _run_stage(
    model: Model, stage: Stage, index: int, job: Job, seeds: tuple[int, ...], before: Tensor | None
) -> Iterator[CascadeStep]:
    began = time.perf_counter()
    size, device = stage.image_size, model.runtime.device
    preset = _settings(stage, job.request)
    steps = _timesteps(stage.schedule, preset)
    source = NoiseSource(seeds, index, 0, (3, size, size), device)
    denoiser = _denoiser(model, stage, index, job, seeds, before, preset)
    sampler = get_sampler(preset.sampler)
    taken = sampler(denoiser, source.start(), steps, source)
    while True:
        step = next(taken, None)
        if step is None:
            return
        last = step.index == step.total - 1
        picture = step.x.clamp(-1, 1) if last else step.x0
        yield CascadeStep(stage.name, step.index + 1, step.total, seeds, picture, time.perf_counter() - began)
        began = time.perf_counter()


def _denoiser(
    model: Model,
    stage: Stage,
    index: int,
    job: Job,
    seeds: tuple[int, ...],
    before: Tensor | None,
    preset: StagePreset,
) -> Guided:
    count, size, device = len(seeds), stage.image_size, model.runtime.device
    config = stage.network.config
    condition = Conditioning()
    paste = None
    if job.known is not None:
        known, keep_mask = (tensor.to(device) for tensor in job.known(size))
        paste = PasteKnown(known, keep_mask)
        if config.known:
            expand = partial(_repeat, count=count)
            condition = replace(condition, known=expand(known), keep_mask=expand(keep_mask))
    if job.drawing is not None and config.drawing:
        condition = replace(condition, drawing=_repeat(job.drawing(size).to(device), count))
    if config.low_res:
        assert before is not None, "an upsampler follows another stage"
        low_res, level = _noised(before, seeds, index, preset.low_res_noise)
        condition = replace(condition, low_res=low_res, low_res_noise=level)
    branches = [(condition, 1.0)]
    prompt = job.request.prompt.strip()
    if prompt and config.text_width and model.text_encoder is not None:
        text = model.text_encoder.encode([prompt] * count)
        branches = classifier_free(replace(condition, text=text), condition, preset.guidance)
    threshold = DynamicThreshold(preset.percentile) if preset.threshold == "dynamic" else StaticThreshold()
    return Guided(stage.network, branches, preset.interval, Finish(threshold, paste))


def _noised(before: Tensor, seeds: tuple[int, ...], index: int, level: float) -> tuple[Tensor, Tensor]:
    """The low-resolution picture with noise mixed in, as the upsampler saw it in training."""
    shape = tuple(before.shape[1:])
    noise = torch.stack([noise_for(seed, index, 0, LOW_RES_NOISE, shape) for seed in seeds]).to(before.device)
    levels = torch.full((len(seeds),), level, device=before.device)
    return (1 - level**2) ** 0.5 * before + level * noise, levels


def _repeat(tensor: Tensor, count: int) -> Tensor:
    return tensor.expand(count, -1, -1, -1)


def _settings(stage: Stage, request: Request) -> StagePreset:
    """The stage's preset with what the request says of it."""
    if stage.name == "base":
        asked = {"steps": request.steps, "sampler": request.sampler, "guidance": request.guidance}
    else:
        asked = {"steps": request.upsampler_steps}
    return replace(stage.preset, **{name: value for name, value in asked.items() if value is not None})


def _timesteps(schedule: Schedule, preset: StagePreset) -> list[float]:
    if preset.sampler == "dpm-solver++":
        return solver_timesteps(schedule, preset.steps)
    return [float(t) for t in timesteps(schedule, preset.steps)]


def to_pixels(x0: Tensor) -> NDArray[np.float32]:
    """(B, 3, S, S) in [-1, 1] -> float32 (B, S, S, 3) in [0, 255]; what is not finite stays so."""
    return ((x0.float() + 1) * 127.5).permute(0, 2, 3, 1).cpu().numpy()


def preview(x0: Tensor) -> NDArray[np.uint8]:
    """The first picture of a batch as uint8 (S, S, 3)."""
    return np.nan_to_num(to_pixels(x0[:1])[0]).round().clip(0, 255).astype(np.uint8)

"""One cascade for all operations: base, then upsamplers, each told what is known at its own size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.noise import NoiseSource, noise_for
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.errors import InputError
from glide_edit.guidance import DynamicThreshold, Finish, Guided, PasteKnown, StaticThreshold, classifier_free
from glide_edit.models.folder import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.requests import Inpaint, Request, Sketch

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
    """A step of a stage for the pictures of ``seeds``: ``x0`` (B, 3, S, S) is what they look like so far.

    ``is_last``: no stage and no step follows for these seeds, so that this is what was drawn.
    """

    stage: str
    step: int
    total: int
    seeds: tuple[int, ...]
    x0: Tensor
    is_last: bool
    network_seconds: float


def check(model: Model, request: Request) -> None:
    """Refuse what this model cannot do, before any time is spent.

    Raises:
        InputError: no base stage, a selection or a drawing for a model without that channel, or more steps
            than a schedule has.
    """
    base = model.stages[0]
    if base.name != "base":
        raise InputError(
            f"The model {model.name} has only an upsampler: assemble it with a base stage first."
        )
    config = base.network.config
    if isinstance(request, Sketch) and not config.drawing:
        raise InputError(f"The model {model.name} has no drawing channel: it cannot follow a sketch.")
    if isinstance(request, Inpaint) and not config.known:
        raise InputError(f"The model {model.name} was not trained to inpaint.")
    for stage in model.stages:
        _timesteps(stage.schedule, _settings(stage, request))


def remarks(model: Model, request: Request) -> tuple[str, ...]:
    """What of a request this model will not heed, as sentences for the user."""
    said = []
    if request.prompt.strip():
        if model.text_encoder is None or not _reads_text(model):
            said.append(f"The model {model.name} reads no text: the prompt was ignored.")
        elif dropped := model.text_encoder.dropped_tokens(request.prompt):
            said.append(f"The prompt is too long for this model: its last {dropped} tokens were left out.")
    if request.upsampler_steps is not None and len(model.stages) == 1:
        said.append(f"The model {model.name} has no upsampler: upsampler_steps was ignored.")
    return tuple(said)


def run_cascade(model: Model, job: Job) -> Iterator[CascadeStep]:
    """Draw all seeds of the request, a few at a time, through all stages.

    Stop iterating and the work stops.
    """
    seeds, text = job.request.seeds, _encoded(model, job.request.prompt)
    for start in range(0, len(seeds), MOST_AT_ONCE):
        group = _Group(model, job, seeds[start : start + MOST_AT_ONCE], text)
        picture: Tensor | None = None
        for index in range(len(model.stages)):
            for step in _run_stage(group, index, picture):
                picture = step.x0
                yield step


@dataclass(frozen=True, eq=False)
class _Group:
    """Pictures that are drawn side by side; ``prompt`` is the encoded one (1, L, D), the same for all."""

    model: Model
    job: Job
    seeds: tuple[int, ...]
    prompt: TextStates | None

    @property
    def device(self) -> torch.device:
        return self.model.runtime.device

    @property
    def text(self) -> TextStates | None:
        if self.prompt is None:
            return None
        count = len(self.seeds)
        return TextStates(self.prompt.states.expand(count, -1, -1), self.prompt.token_mask.expand(count, -1))

    def repeat(self, tensor: Tensor) -> Tensor:
        """(1, C, S, S) on any device, for every picture on the model's device."""
        return tensor.to(self.device).expand(len(self.seeds), -1, -1, -1)


def _run_stage(group: _Group, index: int, before: Tensor | None) -> Iterator[CascadeStep]:
    began = time.perf_counter()
    stage = group.model.stages[index]
    preset = _settings(stage, group.job.request)
    noise = NoiseSource(group.seeds, index, 0, (3, stage.image_size, stage.image_size), group.device)
    denoiser = _denoiser(stage, group, _condition(stage, group, index, before), preset)
    steps = _timesteps(stage.schedule, preset)
    for step in get_sampler(preset.sampler)(denoiser, noise.start(), steps, noise):
        at_end = step.index + 1 == step.total
        if group.device.type == "cuda":
            torch.cuda.synchronize(group.device)  # or the clock would stop before the work does
        yield CascadeStep(
            stage=stage.name,
            step=step.index + 1,
            total=step.total,
            seeds=group.seeds,
            x0=step.x.clamp(-1, 1) if at_end else step.x0,
            is_last=at_end and index + 1 == len(group.model.stages),
            network_seconds=time.perf_counter() - began,
        )
        began = time.perf_counter()  # what happens between the steps is not the network's time


def _condition(stage: Stage, group: _Group, index: int, before: Tensor | None) -> Conditioning:
    """What the stage is told of the pictures, apart from the text."""
    job, config = group.job, stage.network.config
    condition = Conditioning()
    if job.known is not None and config.known:
        known, keep_mask = (group.repeat(tensor) for tensor in job.known(stage.image_size))
        condition = replace(condition, known=known, keep_mask=keep_mask)
    if job.drawing is not None and config.drawing:
        condition = replace(condition, drawing=group.repeat(job.drawing(stage.image_size)))
    if config.low_res:
        assert before is not None, "an upsampler follows another stage"
        low_res, level = _noised(before, group.seeds, index, stage.preset.low_res_noise)
        condition = replace(condition, low_res=low_res, low_res_noise=level)
    return condition


def _denoiser(stage: Stage, group: _Group, condition: Conditioning, preset: StagePreset) -> Guided:
    branches = [(condition, 1.0)]
    if group.text is not None and stage.network.config.text_width:
        branches = classifier_free(replace(condition, text=group.text), condition, preset.guidance)
    threshold = DynamicThreshold(preset.percentile) if preset.threshold == "dynamic" else StaticThreshold()
    paste = None
    if group.job.known is not None:
        known, keep_mask = group.job.known(stage.image_size)
        paste = PasteKnown(known.to(group.device), keep_mask.to(group.device))
    return Guided(stage.network, branches, preset.interval, Finish(threshold, paste))


def _encoded(model: Model, prompt: str) -> TextStates | None:
    """The prompt (1, L, D) once for all pictures; None where there is none or nobody reads it."""
    if model.text_encoder is None or not prompt.strip() or not _reads_text(model):
        return None
    return model.text_encoder.encode([prompt])


def _reads_text(model: Model) -> bool:
    return any(stage.network.config.text_width for stage in model.stages)


def _noised(before: Tensor, seeds: tuple[int, ...], index: int, level: float) -> tuple[Tensor, Tensor]:
    """The low-resolution picture with noise mixed in, as the upsampler saw it in training."""
    shape = tuple(before.shape[1:])
    noise = torch.stack([noise_for(seed, index, 0, LOW_RES_NOISE, shape) for seed in seeds]).to(before.device)
    levels = torch.full((len(seeds),), level, device=before.device)
    return (1 - level**2) ** 0.5 * before + level * noise, levels


def _settings(stage: Stage, request: Request) -> StagePreset:
    """The stage's preset with what the request says of it."""
    asked: dict[str, Any]
    if stage.name == "base":
        asked = {"steps": request.steps, "sampler": request.sampler, "guidance": request.guidance}
    else:
        asked = {"steps": request.upsampler_steps}
    return replace(stage.preset, **{name: value for name, value in asked.items() if value is not None})


def _timesteps(schedule: Schedule, preset: StagePreset) -> list[float]:
    if preset.sampler == "dpm-solver++":
        # Even in log-SNR: with steps even in time, brightness as a whole comes out wrong, since it is decided
        # where there is most noise, in the first few of them.
        return solver_timesteps(schedule, preset.steps)
    return [float(t) for t in timesteps(schedule, preset.steps)]

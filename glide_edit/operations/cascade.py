"""One cascade for all operations: base, then upsamplers, each told what is known at its own size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.noise import NoiseSource, noise_for
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.errors import InputError
from glide_edit.guidance import (
    Branch,
    DynamicThreshold,
    Finish,
    Guided,
    PasteKnown,
    ScoreFn,
    StaticThreshold,
    classifier_free,
)
from glide_edit.models.memory import give_back_freed_memory, keep_freed_memory
from glide_edit.models.model import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.models.spec import DEFAULT, StageSpec
from glide_edit.operations.clip import Clip, clip_score
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


def check(model: Model, request: Request, clip: Clip | None = None) -> None:
    """Refuse what this model cannot do, before any time is spent; ``clip`` replaces the model's own.

    Raises:
        InputError: no base stage for this operation, a selection or a drawing for a model without that
            channel, a preset it does not have, guidance by CLIP without one, or more steps than a schedule
            has.
    """
    stages = model.spec.cascade(isinstance(request, Inpaint))
    if not stages or stages[0].role != "base":
        raise InputError(_lacking(model, "base network for this"))
    config = stages[0].config
    if isinstance(request, Sketch) and not config.drawing:
        raise InputError(f"The model {model.name} has no drawing channel: it cannot follow a sketch.")
    if isinstance(request, Inpaint) and not config.known:
        raise InputError(_lacking(model, "network that was trained to inpaint"))
    if request.preset is not None and request.preset not in model.spec.preset_names:
        raise InputError(
            f"The model {model.name} has no preset {request.preset!r}; it has "
            f"{', '.join(model.spec.preset_names)}."
        )
    for stage in stages:
        timesteps_of(stage.schedule, settings_of(stage, request))
    if settings_of(stages[0], request).clip_guidance and clip is None and model.spec.clip is None:
        raise InputError(
            f"The model {model.name} has no CLIP of its own to be guided by: name one (clip), or leave "
            "guidance by CLIP out."
        )


def remarks(model: Model, request: Request) -> tuple[str, ...]:
    """What of a request this model will not heed, as sentences for the user."""
    said = []
    stages = model.cascade(isinstance(request, Inpaint))
    if request.prompt.strip():
        readers = [stage.text_encoder for stage in stages if stage.text_encoder is not None]
        if not readers:
            said.append(f"The model {model.name} reads no text: the prompt was ignored.")
        elif dropped := readers[0].dropped_tokens(request.prompt):
            said.append(f"The prompt is too long for this model: its last {dropped} tokens were left out.")
    if request.upsampler_steps is not None and len(stages) == 1:
        said.append(f"The model {model.name} has no upsampler: upsampler_steps was ignored.")
    return tuple(said)


def run_cascade(model: Model, job: Job, clip: Clip | None = None) -> Iterator[CascadeStep]:
    """Draw all seeds of the request, a few at a time, through all stages.

    ``clip`` takes the place of the model's own. Stop iterating and the work stops.
    """
    seeds, prompt = job.request.seeds, job.request.prompt
    stages = model.cascade(isinstance(job.request, Inpaint))
    texts = [_Texts.of(stage, prompt) for stage in stages]
    if model.runtime.device.type == "cpu":
        keep_freed_memory()
    for start in range(0, len(seeds), MOST_AT_ONCE):
        group = _Group(model, job, clip, stages, seeds[start : start + MOST_AT_ONCE])
        picture: Tensor | None = None
        for index, text in enumerate(texts):
            for step in _run_stage(group, index, text, picture):
                picture = step.x0
                yield step


@dataclass(frozen=True, eq=False)
class _Texts:
    """What a stage reads: the prompt, and the empty prompt that means "nothing said" (both (1, L, D))."""

    prompt: TextStates
    nothing: TextStates

    @classmethod
    def of(cls, stage: Stage, prompt: str) -> _Texts | None:
        """None where the stage reads no text. Encoded once for all pictures."""
        if stage.text_encoder is None:
            return None
        nothing = stage.text_encoder.encode([""])
        return cls(stage.text_encoder.encode([prompt]) if prompt.strip() else nothing, nothing)


@dataclass(frozen=True, eq=False)
class _Group:
    """Pictures that are drawn side by side."""

    model: Model
    job: Job
    clip: Clip | None
    stages: tuple[Stage, ...]
    seeds: tuple[int, ...]

    @property
    def device(self) -> torch.device:
        return self.model.runtime.device

    def repeat(self, tensor: Tensor) -> Tensor:
        """(1, C, S, S) on any device, for every picture on the model's device."""
        return tensor.to(self.device).expand(len(self.seeds), -1, -1, -1)

    def repeat_text(self, text: TextStates) -> TextStates:
        count = len(self.seeds)
        return TextStates(text.states.expand(count, -1, -1), text.token_mask.expand(count, -1))

    def known(self, stage: Stage, preset: StagePreset) -> Known | None:
        """The known picture and its keep-mask at the stage's size, on the model's device."""
        known = known_of(self.job, stage.image_size, self.stages[0].image_size, preset)
        return None if known is None else (known[0].to(self.device), known[1].to(self.device))


def _run_stage(
    group: _Group, index: int, text: _Texts | None, before: Tensor | None
) -> Iterator[CascadeStep]:
    began = time.perf_counter()
    if group.device.type == "cpu":
        give_back_freed_memory()
    stage = group.stages[index]
    preset = settings_of(stage.spec, group.job.request)
    noise = NoiseSource(group.seeds, index, 0, (3, stage.image_size, stage.image_size), group.device)
    known = group.known(stage, preset)
    condition = _condition(stage, group, known)
    if before is not None:
        low_res, level = low_res_of(before, group.seeds, index, preset)
        condition = replace(condition, low_res=low_res, low_res_noise=level)
    denoiser = Guided(
        stage.network,
        _branches(condition, group, text, preset.guidance),
        preset.interval,
        Finish(threshold_of(preset), None if known is None else PasteKnown(*known)),
        _score(group, stage, preset),
        score_mask=1 - known[1] if known is not None and preset.mask_score else None,
    )
    steps = timesteps_of(stage.schedule, preset)
    x_T = noise.start() * preset.temperature
    for step in get_sampler(preset.sampler)(denoiser, x_T, steps, noise):
        at_end = step.index + 1 == step.total
        if group.device.type == "cuda":
            torch.cuda.synchronize(group.device)  # or the clock would stop before the work does
        yield CascadeStep(
            stage=stage.spec.role,
            step=step.index + 1,
            total=step.total,
            seeds=group.seeds,
            x0=step.x.clamp(-1, 1) if at_end else step.x0,
            is_last=at_end and index + 1 == len(group.stages),
            network_seconds=time.perf_counter() - began,
        )
        began = time.perf_counter()  # what happens between the steps is not the network's time


def _condition(stage: Stage, group: _Group, known: Known | None) -> Conditioning:
    """What the stage is told of the pictures, apart from the text and the picture before it."""
    job, config = group.job, stage.spec.config
    condition = Conditioning()
    if known is not None and config.known:
        condition = replace(condition, known=group.repeat(known[0]), keep_mask=group.repeat(known[1]))
    if job.drawing is not None and config.drawing:
        condition = replace(condition, drawing=group.repeat(job.drawing(stage.image_size)))
    return condition


def _branches(condition: Conditioning, group: _Group, text: _Texts | None, guidance: float) -> list[Branch]:
    if text is None:
        return [(condition, 1.0)]
    prompted = replace(condition, text=group.repeat_text(text.prompt))
    if text.prompt is text.nothing:
        return [(prompted, 1.0)]
    return classifier_free(prompted, replace(condition, text=group.repeat_text(text.nothing)), guidance)


def known_of(job: Job, size: int, base_size: int, preset: StagePreset) -> Known | None:
    """What a stage of ``size`` px is told that is known, as its preset says; None where nothing is."""
    if job.known is None:
        return None
    known, keep_mask = job.known(size)
    if preset.enlarge_keep_mask:
        _, small = job.known(base_size)
        keep_mask = F.interpolate(small, keep_mask.shape[2:], mode="nearest")
        known = known * keep_mask
    return known, keep_mask


def threshold_of(preset: StagePreset) -> DynamicThreshold | StaticThreshold:
    """What brings a stage's pictures into range."""
    return DynamicThreshold(preset.percentile) if preset.threshold == "dynamic" else StaticThreshold()


def _score(group: _Group, stage: Stage, preset: StagePreset) -> ScoreFn | None:
    """Guidance by CLIP, in the base stage alone; there is none for an empty prompt."""
    request = group.job.request
    if stage.spec.role != "base" or not preset.clip_guidance or not request.prompt.strip():
        return None
    clip = group.clip or group.model.clip
    assert clip is not None, "check lets no request pass that has no CLIP to be guided by"
    return clip_score(clip, request, preset.clip_guidance, group.seeds, stage.schedule)


def low_res_of(
    before: Tensor, seeds: tuple[int, ...], index: int, preset: StagePreset
) -> tuple[Tensor, Tensor]:
    """The low-resolution picture as the upsampler saw it in training, and how much noise is in it."""
    if preset.round_low_res:
        before = ((before + 1) * 127.5).round() / 127.5 - 1
    level = preset.low_res_noise
    levels = torch.full((len(seeds),), level, device=before.device)
    if level == 0:
        return before, levels
    shape = tuple(before.shape[1:])
    noise = torch.stack([noise_for(seed, index, 0, LOW_RES_NOISE, shape) for seed in seeds]).to(before.device)
    return (1 - level**2) ** 0.5 * before + level * noise, levels


def settings_of(stage: StageSpec, request: Request) -> StagePreset:
    """The stage's preset with what the request says of it."""
    preset = stage.presets[request.preset or DEFAULT]
    asked: dict[str, Any]
    if stage.role == "base":
        asked = {
            "steps": request.steps,
            "sampler": request.sampler,
            "guidance": request.guidance,
            "clip_guidance": request.clip_guidance,
        }
    else:
        asked = {"steps": request.upsampler_steps}
    if asked["steps"] not in (None, preset.steps) or asked.get("sampler") not in (None, preset.sampler):
        preset = replace(preset, respacing=None)
    return replace(preset, **{name: value for name, value in asked.items() if value is not None})


def timesteps_of(schedule: Schedule, preset: StagePreset) -> list[float]:
    """The times at which a stage's sampler asks the network, strictly descending."""
    if preset.respacing is not None:
        return [float(t) for t in timesteps(schedule, preset.respacing)]
    if preset.sampler == "dpm-solver++":
        # Even in log-SNR: with steps even in time, brightness as a whole comes out wrong, since it is decided
        # where there is most noise, in the first few of them.
        return solver_timesteps(schedule, preset.steps)
    return [float(t) for t in timesteps(schedule, preset.steps)]


def _lacking(model: Model, what: str) -> str:
    there = ", ".join(stage.name for stage in model.spec.stages)
    return (
        f"The model {model.name} has no {what}, only {there}: "
        "`glide-edit models fetch` or `models assemble` can add one."
    )

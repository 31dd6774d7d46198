"""One cascade for all operations: base, then upsamplers, each told what is known at its own size."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.conditioning import Conditioning, Denoiser, TextStates
from glide_edit.diffusion.noise import NoiseSource, noise_for
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.errors import InputError
from glide_edit.guidance import (
    Branch,
    CFGDenoiser,
    DifferentialDiffusion,
    DynamicThreshold,
    Finish,
    IntervalGuidance,
    PasteKnown,
    ScoreFn,
    StaticThreshold,
    mixture,
)
from glide_edit.models.memory import give_back_freed_memory, keep_freed_memory
from glide_edit.models.model import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.models.spec import DEFAULT, StageSpec
from glide_edit.operations.clip import Clip, clip_score
from glide_edit.requests import Repaint, Request, Sketch, Upscale
from glide_edit.text.prompt_weights import read_words

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

    ``start`` gives a picture (1, 3, S, S) in [-1, 1] that the base stage begins from in place of pure noise
    (SDEdit, Meng et al. 2021): noised as far as ``strength`` says, a share in (0, 1] of the noise axis. The
    stages after it and the detail begin from it as far as ``fine_strength`` says, None: not at all.
    ``strength_map`` gives (1, 1, S, S) in [0, 1], a strength for each pixel: those below ``strength`` are
    held to the start until the noise has fallen to their level.

    ``side`` is the frame's own side in the photograph, px, where there is detail to be drawn at that size;
    with ``grain`` it may come out sharper than what surrounds it. ``frame`` counts the frames of an edit that
    needs several: each has noise of its own.
    """

    request: Request
    known: Callable[[int], Known] | None = None
    drawing: Callable[[int], Tensor] | None = None
    start: Callable[[int], Tensor] | None = None
    strength: float = 1.0
    fine_strength: float | None = None
    strength_map: Callable[[int], Tensor] | None = None
    side: int | None = None
    grain: bool = False
    frame: int = 0


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
    stages = model.spec.cascade(request.repaints)
    if isinstance(request, Upscale):
        if len(stages) < 2 or not stages[-1].config.low_res:
            raise InputError(_lacking(model, "upsampler"))
        timesteps_of(stages[-1].schedule, settings_of(stages[-1], request))
        return
    if not stages or stages[0].role != "base":
        raise InputError(_lacking(model, "base network for this"))
    config = stages[0].config
    if isinstance(request, Sketch) and not config.drawing and request.mode != "tone":
        raise InputError(
            f"The model {model.name} has no drawing channel: it can follow a sketch by its tones alone "
            "(mode tone)."
        )
    if request.repaints and not config.known:
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
    stages = model.cascade(request.repaints)
    readers = [stage.text_encoder for stage in stages if stage.text_encoder is not None]
    for name, prompt in (("prompt", request.prompt), ("negative prompt", request.negative_prompt or "")):
        words = read_words(prompt)
        if words.dropped:
            said.append(f"The {name} has control characters: {words.dropped} of them were left out.")
        if words.plain and not readers:
            said.append(f"The model {model.name} reads no text: the {name} was ignored.")
        elif words.plain and (dropped := readers[0].dropped_tokens(words.plain)):
            said.append(f"The {name} is too long for this model: its last {dropped} tokens were left out.")
    if request.negative_prompt and settings_of(stages[0].spec, request).guidance == 1:
        said.append("With a guidance of 1 a negative prompt has no effect: it was ignored.")
    if request.upsampler_steps is not None and len(stages) == 1:
        said.append(f"The model {model.name} has no upsampler: upsampler_steps was ignored.")
    return tuple(said)


def run_cascade(
    model: Model, job: Job, clip: Clip | None = None, drafts: Mapping[int, Tensor] | None = None
) -> Iterator[CascadeStep]:
    """Draw all seeds of the request, a few at a time, through all stages.

    ``clip`` takes the place of the model's own. ``drafts`` are pictures (1, 3, S, S) by seed that the base
    stage has drawn already (``run_base``): only these are drawn, in their order, from there on. Stop
    iterating and the work stops.
    """
    for group, texts in _groups(model, job, clip, job.request.seeds if drafts is None else tuple(drafts)):
        picture: Tensor | None = None
        if drafts is not None:
            picture = torch.cat([drafts[seed] for seed in group.seeds]).to(group.device)
            if len(group.stages) == 1:
                yield CascadeStep(group.stages[0].spec.role, 1, 1, group.seeds, picture, True, 0.0)
        for index in range(0 if picture is None else 1, len(texts)):
            for step in _run_stage(group, index, texts[index], picture):
                picture = step.x0
                yield step


def run_base(model: Model, job: Job, clip: Clip | None, seeds: tuple[int, ...]) -> Iterator[CascadeStep]:
    """The base stage alone, for these seeds; no step is the last of a picture."""
    for group, texts in _groups(model, job, clip, seeds):
        for step in _run_stage(group, 0, texts[0], None):
            yield replace(step, is_last=False)


def _groups(
    model: Model, job: Job, clip: Clip | None, seeds: tuple[int, ...]
) -> Iterator[tuple[_Group, list[_Texts | None]]]:
    """Pictures that are drawn side by side, and what each stage reads."""
    stages = model.cascade(job.request.repaints)
    texts = [_Texts.of(stage) for stage in stages]
    if model.runtime.device.type == "cpu":
        keep_freed_memory()
    for start in range(0, len(seeds), MOST_AT_ONCE):
        yield _Group(model, job, clip, stages, seeds[start : start + MOST_AT_ONCE]), texts


@dataclass(frozen=True, eq=False)
class _Texts:
    """What a stage reads of the words: prompts as states (1, L, D), each encoded once for all pictures."""

    encode: Callable[[str], TextStates]

    @classmethod
    def of(cls, stage: Stage) -> _Texts | None:
        """None where the stage reads no text."""
        encoder = stage.text_encoder
        return None if encoder is None else cls(cache(lambda words: encoder.encode([words])))


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
    shape = (3, stage.image_size, stage.image_size)
    noise = NoiseSource(group.seeds, index, group.job.frame, shape, group.device)
    known = group.known(stage, preset)
    condition = _condition(stage, group, known)
    if before is not None:
        low_res, level = low_res_of(before, group.seeds, index, preset, group.job.frame)
        condition = replace(condition, low_res=low_res, low_res_noise=level)
    finish = Finish(threshold_of(preset), None if known is None else PasteKnown(*known))
    score = _score(group, stage, preset)
    score_mask = 1 - known[1] if known is not None and preset.mask_score else None

    def guided(context_guidance: float) -> Denoiser:
        branches = _branches(condition, group, stage, text, context_guidance)
        return CFGDenoiser(stage.network, branches, preset.interval, finish, score, score_mask=score_mask)

    denoiser = dialled(guided, stage.spec, group.job.request)
    steps = timesteps_of(stage.schedule, preset)
    x_T = noise.start() * preset.temperature
    strength = group.job.strength if before is None else group.job.fine_strength
    if group.job.start is not None and strength is not None:
        denoiser, steps, x_T = _begun(group, stage, strength, denoiser, steps, x_T)
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


def _begun(
    group: _Group, stage: Stage, strength: float, denoiser: Denoiser, steps: list[float], eps: Tensor
) -> tuple[Denoiser, list[float], Tensor]:
    """A sampler's denoiser, times and x_T where the job gives a picture to begin from."""
    job, size = group.job, stage.image_size
    assert job.start is not None
    start = group.repeat(job.start(size))
    last = stage.schedule.num_timesteps - 1
    steps = [t for t in steps if t <= strength * last] or steps[-1:]
    at = torch.full((len(eps),), steps[0], device=eps.device)
    x_T = stage.schedule.add_noise(start, eps, at)
    if job.strength_map is not None:
        denoiser = DifferentialDiffusion(denoiser, start, group.repeat(job.strength_map(size)))
    return denoiser, steps, x_T


def _condition(stage: Stage, group: _Group, known: Known | None) -> Conditioning:
    """What the stage is told of the pictures, apart from the text and the picture before it."""
    job, config = group.job, stage.spec.config
    condition = Conditioning()
    if known is not None and config.known:
        condition = replace(condition, known=group.repeat(known[0]), keep_mask=group.repeat(known[1]))
    if job.drawing is not None and config.drawing:
        condition = replace(condition, drawing=group.repeat(job.drawing(stage.image_size)))
    return condition


def dialled(guided: Callable[[float], Denoiser], stage: StageSpec, request: Request) -> Denoiser:
    """What ``guided`` makes of the scale of the known picture in a stage, where on the noise axis it acts.

    1 is the network's own; only the base stage has another.
    """
    if not isinstance(request, Repaint) or request.context_guidance is None or stage.role != "base":
        return guided(1.0)
    denoiser = guided(request.context_guidance)
    if request.context_guidance == 1 or request.context_interval is None:
        return denoiser
    return IntervalGuidance(denoiser, guided(1.0), request.context_interval)


def _branches(
    condition: Conditioning, group: _Group, stage: Stage, text: _Texts | None, context_guidance: float = 1.0
) -> list[Branch]:
    """Weights of words hold in the base stage alone: for an upsampler they would only cost time."""
    request = group.job.request
    prompt, against = (
        {"": 1.0} if text is None else words.shares() if stage.spec.role == "base" else {words.plain: 1.0}
        for words in map(read_words, (request.prompt, request.negative_prompt or ""))
    )
    asked = mixture(prompt, against, settings_of(stage.spec, request).guidance, context_guidance)
    branches = []
    for (words, with_context), weight in asked.items():
        branch = condition if with_context else replace(condition, known=None, keep_mask=None)
        if text is not None:
            branch = replace(branch, text=group.repeat_text(text.encode(words)))
        branches.append((branch, weight))
    return branches


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


@dataclass(frozen=True, eq=False)
class Upsampling:
    """The cascade's last stage, an upsampler, at work on parts of a larger picture with one seed."""

    stage: Stage
    preset: StagePreset
    factor: int
    index: int
    _group: _Group
    _text: _Texts | None

    @classmethod
    def of(cls, model: Model, job: Job, seed: int) -> Upsampling | None:
        """None where the model has no upsampler."""
        stages = model.cascade(job.request.repaints)
        stage = stages[-1]
        if not stage.spec.config.low_res or len(stages) < 2:
            return None
        return cls(
            stage=stage,
            preset=settings_of(stage.spec, job.request),
            factor=stage.image_size // stages[-2].image_size,
            index=len(stages) - 1,
            _group=_Group(model, job, None, stages, (seed,)),
            _text=_Texts.of(stage),
        )

    @property
    def device(self) -> torch.device:
        return self._group.device

    @property
    def multiple(self) -> int:
        """Heights, widths and places of tiles are multiples of this."""
        return math.lcm(self.stage.spec.config.stride, self.factor)

    def denoiser(self, low_res: Tensor, noise_level: Tensor, known: Known | None) -> CFGDenoiser:
        """For a part of (1, 3, h, w) shown at a ``factor``-th of its size; all on the model's device."""
        condition = Conditioning(low_res=low_res, low_res_noise=noise_level)
        if known is not None and self.stage.spec.config.known:
            condition = replace(condition, known=known[0], keep_mask=known[1])
        return CFGDenoiser(
            self.stage.network,
            _branches(condition, self._group, self.stage, self._text),
            self.preset.interval,
            Finish(threshold_of(self.preset), None if known is None else PasteKnown(*known)),
        )


def _score(group: _Group, stage: Stage, preset: StagePreset) -> ScoreFn | None:
    """Guidance by CLIP, in the base stage alone; there is none for an empty prompt."""
    request = group.job.request
    if stage.spec.role != "base" or not preset.clip_guidance or not read_words(request.prompt).plain:
        return None
    clip = group.clip or group.model.clip
    assert clip is not None, "check lets no request pass that has no CLIP to be guided by"
    return clip_score(clip, request, preset.clip_guidance, group.seeds, stage.schedule)


def low_res_of(
    before: Tensor, seeds: tuple[int, ...], index: int, preset: StagePreset, frame: int = 0
) -> tuple[Tensor, Tensor]:
    """The low-resolution picture as the upsampler saw it in training, and how much noise is in it."""
    shape = tuple(before.shape[1:])

    def noise() -> Tensor:
        return torch.stack([noise_for(seed, index, frame, LOW_RES_NOISE, shape) for seed in seeds])

    return with_low_res_noise(before, preset, noise)


def with_low_res_noise(
    before: Tensor, preset: StagePreset, noise: Callable[[], Tensor]
) -> tuple[Tensor, Tensor]:
    """The same with the noise, shaped like ``before``, given; it is called where there is any."""
    if preset.round_low_res:
        before = ((before + 1) * 127.5).round() / 127.5 - 1
    level = preset.low_res_noise
    levels = torch.full((len(before),), level, device=before.device)
    if level == 0:
        return before, levels
    return (1 - level**2) ** 0.5 * before + level * noise().to(before.device), levels


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

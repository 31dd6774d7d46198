"""What a stage is run with, settled before any work: its preset with what the request says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.guidance import cfg_weights
from glide_edit.models.presets import StagePreset
from glide_edit.models.spec import DEFAULT, ModelSpec, StageSpec
from glide_edit.operations.frame import Prepared
from glide_edit.requests import Repaint, Request
from glide_edit.text.prompt_weights import read_words


@dataclass(frozen=True)
class PromptBranch:
    """A prompt that the network is asked for ("": nothing said), and its weight in the mixed prediction.

    ``sees_known``: it is shown the known part of the picture.
    """

    prompt: str
    sees_known: bool
    weight: float


@dataclass(frozen=True)
class StageSettings:
    """One stage of an edit. ``preset`` holds the resolved settings, ``timesteps`` when the network is called.

    ``stage`` is the name in ``model.json``, ``label`` what progress calls it, ``index`` its place in the
    cascade. With ``from_init`` it begins from the frame's init image, noised to ``timesteps[0]``. Within
    ``context_interval``, a part (low, high) of the noise axis, ``branches`` are asked, elsewhere
    ``outside_branches``; None: ``branches`` everywhere.
    """

    stage: str
    label: str
    index: int
    image_size: int
    preset: StagePreset
    timesteps: tuple[float, ...]
    branches: tuple[PromptBranch, ...]
    outside_branches: tuple[PromptBranch, ...] = ()
    context_interval: tuple[float, float] | None = None
    clip_prompt: str = ""
    from_init: bool = False

    @property
    def signature(self) -> StageSettings:
        """The same without words."""
        branches, outside = (
            tuple(replace(branch, prompt="") for branch in each)
            for each in (self.branches, self.outside_branches)
        )
        clip_prompt = "any" if self.clip_prompt else ""
        return replace(self, branches=branches, outside_branches=outside, clip_prompt=clip_prompt)


def preset_for(spec: ModelSpec, request: Request, prepared: Prepared) -> str:
    """The preset's name: the one asked for, or the model's usual one where the request leaves sampling to it.

    A distilled stage has its steps and its guidance built in. So whoever says more than words, or begins from
    a picture, gets the default preset.
    """
    if request.preset is not None:
        return request.preset
    names = ("steps", "stage_steps", "sampler", "guidance", "clip_guidance", "context_guidance")
    said = any(getattr(request, name, None) is not None for name in names)
    words = request.negative_prompt or len(read_words(request.prompt).shares()) > 1
    if said or words or prepared.strength is not None:
        return DEFAULT
    return spec.preset_of(repaints=request.repaints)


def settings_of(
    spec: StageSpec, index: int, request: Request, prepared: Prepared, preset_name: str
) -> StageSettings:
    """The settings of the stage at place ``index`` of the cascade.

    Only the first stage heeds word weights, the scale of the known picture and guidance by CLIP: for later
    ones they would only cost time.
    """
    preset = preset_of(spec, index, request, preset_name)
    strength = prepared.strength
    if strength is not None and index > 0:
        strength = prepared.fine_strength
    times = sampling_times(spec.schedule, preset)
    if strength is not None:
        times = begin_at(times, strength, spec.schedule)
    scale = request.context_guidance if isinstance(request, Repaint) and index == 0 else None
    interval = request.context_interval if isinstance(request, Repaint) and scale not in (None, 1) else None
    reads_text = spec.config.text_width > 0
    clip_prompt = read_words(request.prompt).plain if index == 0 and preset.clip_guidance else ""

    def branches(context_guidance: float) -> tuple[PromptBranch, ...]:
        return _branches(request, reads_text, index == 0, preset.guidance, context_guidance)

    return StageSettings(
        stage=spec.name,
        label=spec.label,
        index=index,
        image_size=spec.config.image_size,
        preset=preset,
        timesteps=tuple(times),
        branches=branches(1.0 if scale is None else scale),
        outside_branches=() if interval is None else branches(1.0),
        context_interval=interval,
        clip_prompt=clip_prompt,
        from_init=strength is not None,
    )


def preset_of(spec: StageSpec, index: int, request: Request, name: str) -> StagePreset:
    """The stage's preset of that name with what the request says of it."""
    preset = spec.presets[name]
    asked: dict[str, Any] = {"steps": request.upsampler_steps}
    if index == 0:
        asked = {
            "steps": request.steps,
            "sampler": request.sampler,
            "guidance": request.guidance,
            "clip_guidance": request.clip_guidance,
        }
    if request.stage_steps is not None and index < len(request.stage_steps):
        asked["steps"] = request.stage_steps[index]
    if asked["steps"] not in (None, preset.steps) or asked.get("sampler") not in (None, preset.sampler):
        preset = replace(preset, respacing=None)
    return replace(preset, **{name: value for name, value in asked.items() if value is not None})


def sampling_times(schedule: Schedule, preset: StagePreset) -> list[float]:
    """The times at which a sampler calls the network, strictly descending."""
    if preset.respacing is not None:
        return [float(t) for t in timesteps(schedule, preset.respacing)]
    if preset.sampler == "dpm-solver++":
        # Even in log-SNR: with steps even in time, the brightness of the whole picture comes out wrong, since
        # it is decided where there is most noise, in the first few steps.
        return solver_timesteps(schedule, preset.steps)
    return [float(t) for t in timesteps(schedule, preset.steps)]


def begin_at(
    times: Sequence[float], strength: float, schedule: Schedule, *, rescale: bool = False
) -> list[float]:
    """The times of a run that begins from a noised picture, at ``strength`` of the noise axis, in (0, 1].

    The times above it are left out, as SDEdit does; where that leaves none, it is the only one. With
    ``rescale`` all are kept and moved down: a pass over tiles adds detail in all of its few steps.
    """
    if rescale:
        return [strength * t for t in times]
    begin = strength * (schedule.num_timesteps - 1)
    return [t for t in times if t <= begin] or [begin]


def _branches(
    request: Request, reads_text: bool, is_first: bool, guidance: float, context_guidance: float
) -> tuple[PromptBranch, ...]:
    prompt, negative = (
        {"": 1.0} if not reads_text else words.shares() if is_first else {words.plain: 1.0}
        for words in map(read_words, (request.prompt, request.negative_prompt or ""))
    )
    weights = cfg_weights(prompt, negative, guidance, context_guidance)
    return tuple(PromptBranch(words, sees_known, weight) for (words, sees_known), weight in weights.items())

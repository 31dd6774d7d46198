"""Pictures of many prompts at once, for benches: what ``Generate`` draws of each prompt and seed, in batches.

An editor draws one prompt at a time, which leaves small networks idle; here a batch holds a prompt a picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.guidance import (
    Branch,
    Finish,
    Guided,
    NoisedClipScore,
    ScoreFn,
    classifier_free,
    prompt_embeddings,
)
from glide_edit.models.memory import keep_freed_memory
from glide_edit.models.model import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.operations.cascade import check, low_res_of, settings_of, threshold_of, timesteps_of
from glide_edit.operations.finished import to_pixels, to_uint8
from glide_edit.requests import Generate

Pictures = NDArray[np.uint8]

MOST_TOGETHER = 32
_PIXELS_TOGETHER = 64 * 64**2
"""Pictures and pixels in a batch at most."""


@dataclass(frozen=True)
class Settings:
    """What differs from the model's preset; None is as the preset says.

    ``steps``, ``sampler``, ``guidance`` and ``clip_guidance`` are the base network's, as in a ``Request``.
    """

    steps: int | None = None
    sampler: str | None = None
    guidance: float | None = None
    clip_guidance: float | None = None


Size = Literal["base", "full"]
"""What to draw: the base network's picture alone, or through all upsamplers."""


def check_settings(model: Model, settings: Settings | None = None) -> None:
    """Refuse what this model cannot draw, before any time is spent.

    Raises:
        InputError: no base network, guidance by CLIP with a model that has no CLIP of its own, or a value out
            of range.
    """
    check(model, _request(settings or Settings()))


def draw(
    model: Model,
    prompts: Sequence[str],
    seeds: Sequence[int],
    settings: Settings | None = None,
    size: Size = "full",
) -> Iterator[Pictures]:
    """Pictures of the prompts, each from its own seed, in order: batches of uint8 (B, S, S, 3).

    Stop iterating and the work stops.

    Raises:
        InputError: what ``check_settings`` refuses.
    """
    check_settings(model, settings)
    specs = model.spec.cascade(inpainting=False)[: 1 if size == "base" else None]
    stages = [model.load_stage[spec.name]() for spec in specs]
    if model.runtime.device.type == "cpu":
        keep_freed_memory()
    together = _together(stages[0])
    for start in range(0, len(prompts), together):
        part = slice(start, start + together)
        yield _draw_batch(model, stages, list(prompts[part]), tuple(seeds[part]), settings or Settings())


def _draw_stage(
    model: Model,
    stage: Stage,
    prompts: Sequence[str],
    seeds: tuple[int, ...],
    preset: StagePreset,
    index: int,
    before: Tensor | None,
) -> Tensor:
    """What a stage draws, (B, 3, S, S) in [-1, 1]; ``before`` is what the stage before it drew."""
    device = model.runtime.device
    noise = NoiseSource(seeds, index, 0, (3, stage.image_size, stage.image_size), device)
    condition = Conditioning()
    if before is not None:
        low_res, level = low_res_of(before, seeds, index, preset)
        condition = Conditioning(low_res=low_res, low_res_noise=level)
    denoiser = Guided(
        stage.network,
        _branches(stage, condition, prompts, preset.guidance),
        preset.interval,
        Finish(threshold_of(preset)),
        _score(model, stage, prompts, preset),
    )
    x = noise.start() * preset.temperature
    for step in get_sampler(preset.sampler)(denoiser, x, timesteps_of(stage.schedule, preset), noise):
        x = step.x
    return x.clamp(-1, 1)


def _draw_batch(
    model: Model, stages: Sequence[Stage], prompts: list[str], seeds: tuple[int, ...], settings: Settings
) -> Pictures:
    request = _request(settings)
    drawn: Tensor | None = None
    for index, stage in enumerate(stages):
        together = _together(stage)
        parts = [slice(start, start + together) for start in range(0, len(prompts), together)]
        preset = settings_of(stage.spec, request)
        drawn = torch.cat(
            [
                _draw_stage(
                    model,
                    stage,
                    prompts[part],
                    seeds[part],
                    preset,
                    index,
                    None if drawn is None else drawn[part],
                )
                for part in parts
            ]
        )
    assert drawn is not None
    return to_uint8(to_pixels(drawn))


def _request(settings: Settings) -> Generate:
    """A request with these settings, of which the cascade knows what they make of a preset."""
    return Generate(prompt="anything", **vars(settings))


def _together(stage: Stage) -> int:
    return max(1, min(MOST_TOGETHER, _PIXELS_TOGETHER // stage.image_size**2))


def _branches(stage: Stage, condition: Conditioning, prompts: Sequence[str], guidance: float) -> list[Branch]:
    encoder = stage.text_encoder
    if encoder is None:
        return [(condition, 1.0)]
    prompted = replace(condition, text=encoder.encode(prompts))
    nothing = encoder.encode([""])
    count = len(prompts)
    unsaid = TextStates(nothing.states.expand(count, -1, -1), nothing.token_mask.expand(count, -1))
    return classifier_free(prompted, replace(condition, text=unsaid), guidance)


def _score(model: Model, stage: Stage, prompts: Sequence[str], preset: StagePreset) -> ScoreFn | None:
    if stage.spec.role != "base" or not preset.clip_guidance:
        return None
    clip = model.clip
    assert clip is not None, "check_settings lets nothing pass that has no CLIP to be guided by"
    text = prompt_embeddings(clip.network, clip.tokenizer, prompts)
    return NoisedClipScore(clip.network, text, preset.clip_guidance)

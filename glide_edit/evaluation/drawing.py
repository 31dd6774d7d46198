"""Pictures of many requests at once, for benches: what an editor draws of each, in batches.

An editor draws the pictures of one prompt at a time, which leaves small networks idle; here every picture of
a batch has a prompt, a seed, a known picture or a drawing of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning, Denoiser, TextStates
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.guidance import (
    Branch,
    CFGDenoiser,
    Finish,
    NoisedClipScore,
    PasteKnown,
    ScoreFn,
    mixture,
    prompt_embeddings,
)
from glide_edit.models.memory import keep_freed_memory
from glide_edit.models.model import Model, Stage
from glide_edit.models.presets import StagePreset
from glide_edit.operations.cascade import (
    Job,
    Known,
    check,
    dialled,
    known_of,
    low_res_of,
    settings_of,
    threshold_of,
    timesteps_of,
)
from glide_edit.operations.postprocess import to_pixels, to_uint8
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
    check(model, Generate(prompt="anything", **vars(settings or Settings())))


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
    asked = vars(settings or Settings())
    jobs = [
        Job(Generate(prompt=prompt, seed=seed, **asked)) for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    for drawn in draw_jobs(model, jobs, size):
        yield to_uint8(drawn)


def draw_jobs(model: Model, jobs: Sequence[Job], size: Size = "full") -> Iterator[NDArray[np.float32]]:
    """What the model draws of each job from the first of its seeds, in order: batches (B, S, S, 3), 0 to 255.

    The jobs are of one operation and of the same settings; CLIP guidance is by the model's own. Stop
    iterating and the work stops.

    Raises:
        InputError: what the cascade's ``check`` refuses.
    """
    if not jobs:
        return
    check(model, jobs[0].request)
    specs = model.spec.cascade(jobs[0].request.repaints)[: 1 if size == "base" else None]
    stages = [model.load_stage[spec.name]() for spec in specs]
    if model.runtime.device.type == "cpu":
        keep_freed_memory()
    together = _together(stages[0])
    for start in range(0, len(jobs), together):
        yield to_pixels(_draw_batch(model, stages, jobs[start : start + together]))


def _draw_batch(model: Model, stages: Sequence[Stage], jobs: Sequence[Job]) -> Tensor:
    """What the last stage draws, (B, 3, S, S) in [-1, 1]."""
    drawn: Tensor | None = None
    for index, stage in enumerate(stages):
        together = _together(stage)
        parts = [slice(start, start + together) for start in range(0, len(jobs), together)]
        drawn = torch.cat(
            [
                _draw_stage(model, stages, index, jobs[part], None if drawn is None else drawn[part])
                for part in parts
            ]
        )
    assert drawn is not None
    return drawn


def _draw_stage(
    model: Model, stages: Sequence[Stage], index: int, jobs: Sequence[Job], before: Tensor | None
) -> Tensor:
    """What a stage draws, (B, 3, S, S) in [-1, 1]; ``before`` is what the stage before it drew."""
    stage, device = stages[index], model.runtime.device
    preset = settings_of(stage.spec, jobs[0].request)
    prompts = [job.request.prompt for job in jobs]
    seeds = tuple(job.request.seeds[0] for job in jobs)
    noise = NoiseSource(seeds, index, 0, (3, stage.image_size, stage.image_size), device)
    known = _known(jobs, stage.image_size, stages[0].image_size, preset, device)
    condition = _condition(jobs, stage, known, device)
    if before is not None:
        low_res, level = low_res_of(before, seeds, index, preset)
        condition = replace(condition, low_res=low_res, low_res_noise=level)
    finish = Finish(threshold_of(preset), None if known is None else PasteKnown(*known))
    score = _score(model, stage, prompts, preset)
    score_mask = 1 - known[1] if known is not None and preset.mask_score else None

    def guided(context_guidance: float) -> Denoiser:
        branches = _branches(stage, condition, prompts, preset.guidance, context_guidance)
        return CFGDenoiser(stage.network, branches, preset.interval, finish, score, score_mask=score_mask)

    denoiser = dialled(guided, stage.spec, jobs[0].request)
    x = noise.start() * preset.temperature
    for step in get_sampler(preset.sampler)(denoiser, x, timesteps_of(stage.schedule, preset), noise):
        x = step.x
    return x.clamp(-1, 1)


def _known(
    jobs: Sequence[Job], size: int, base_size: int, preset: StagePreset, device: torch.device
) -> Known | None:
    """Known pictures (B, 3, size, size) and their keep-masks, None where the operation knows nothing."""
    each = [known for job in jobs if (known := known_of(job, size, base_size, preset)) is not None]
    if not each:
        return None
    assert len(each) == len(jobs), "the jobs are of one operation"
    pictures, keep_masks = zip(*each, strict=True)
    return torch.cat(pictures).to(device), torch.cat(keep_masks).to(device)


def _condition(jobs: Sequence[Job], stage: Stage, known: Known | None, device: torch.device) -> Conditioning:
    """What the stage is told, apart from the text and the picture before it."""
    condition, config = Conditioning(), stage.spec.config
    if known is not None and config.known:
        condition = replace(condition, known=known[0], keep_mask=known[1])
    drawings = [job.drawing(stage.image_size) for job in jobs if job.drawing is not None]
    if drawings and config.drawing:
        condition = replace(condition, drawing=torch.cat(drawings).to(device))
    return condition


def _together(stage: Stage) -> int:
    return max(1, min(MOST_TOGETHER, _PIXELS_TOGETHER // stage.image_size**2))


def _branches(
    stage: Stage, condition: Conditioning, prompts: Sequence[str], guidance: float, context_guidance: float
) -> list[Branch]:
    texts: dict[str, TextStates | None] = {"prompt": None, "nothing": None}
    if (encoder := stage.text_encoder) is not None:
        nothing, count = encoder.encode([""]), len(prompts)
        unsaid = TextStates(nothing.states.expand(count, -1, -1), nothing.token_mask.expand(count, -1))
        texts = {"prompt": encoder.encode(prompts), "nothing": unsaid}
    said = "nothing" if encoder is None else "prompt"
    asked = mixture({said: 1.0}, {"nothing": 1.0}, guidance, context_guidance)
    branches = []
    for (what, with_context), weight in asked.items():
        branch = condition if with_context else replace(condition, known=None, keep_mask=None)
        branches.append((replace(branch, text=texts[what]), weight))
    return branches


def _score(model: Model, stage: Stage, prompts: Sequence[str], preset: StagePreset) -> ScoreFn | None:
    if stage.spec.role != "base" or not preset.clip_guidance:
        return None
    clip = model.clip
    assert clip is not None, "check lets nothing pass that has no CLIP to be guided by"
    text = prompt_embeddings(clip.network, clip.tokenizer, prompts)
    return NoisedClipScore(clip.network, text, preset.clip_guidance)

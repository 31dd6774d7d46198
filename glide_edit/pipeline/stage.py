"""One stage for a batch of pictures: what its network is told, and the task for the sampler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.codecs import encode_known, shape_of
from glide_edit.conditioning import Conditioning, Denoiser, TextStates
from glide_edit.diffusion.noise import NoiseSource, noise_for
from glide_edit.guidance import (
    Branch,
    CFGDenoiser,
    DifferentialDiffusion,
    DynamicThreshold,
    IntervalGuidance,
    PasteKnown,
    ScoreFn,
    StaticThreshold,
    X0Transform,
)
from glide_edit.models.model import Stage
from glide_edit.models.presets import StagePreset
from glide_edit.operations.clip import Clip, clip_score
from glide_edit.operations.frame import Frame, FrameInputs, Known
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.stage_settings import PromptBranch, StageSettings
from glide_edit.sampling import SampleTask

LOW_RES_NOISE = -2
"""The step number under which the noise for the low-resolution picture is drawn."""


@dataclass(frozen=True, eq=False)
class Row:
    """One picture of a batch: a frame of a plan, drawn with one seed."""

    plan: Plan
    frame: Frame
    seed: int
    inputs: FrameInputs


@dataclass(frozen=True, eq=False)
class LoadedStage:
    """A stage on its device, ready to make sampling tasks. Prompts are encoded once each."""

    stage: Stage
    index: int
    device: torch.device
    clip: Clip | None = None

    @cached_property
    def encode(self) -> Callable[[tuple[str, ...]], TextStates]:
        encoder = self.stage.text_encoder
        assert encoder is not None
        return lru_cache(maxsize=64)(lambda prompts: encoder.encode(list(prompts)))

    def task(self, rows: Sequence[Row], before: Tensor | None) -> SampleTask:
        """Draws one frame of each row; ``before`` (B, 3, h, w) is what the stage before it drew.

        The rows have the same operation and settings but for words, pictures and seeds.
        """
        stage, settings = self.stage, self.settings(rows)
        preset, codec = settings.preset, stage.codec
        seeds, number = tuple(row.seed for row in rows), rows[0].frame.number
        noise = NoiseSource(seeds, self.index, number, shape_of(codec, settings.image_size), self.device)
        known = self._known(rows, preset)
        condition = self._condition(rows, known)
        if before is not None:
            before = before.clamp(-1, 1)  # what a codec decodes has no bounds
            low_res, level = low_res_of(before, preset, self._low_res_noise(seeds, number, before))
            condition = replace(condition, low_res=low_res, low_res_noise=level)
        denoiser = self._denoiser(rows, condition, known)
        x_T = noise.start() * preset.temperature
        if settings.from_init:
            denoiser, x_T = self._from_init(rows, denoiser, x_T)
        return SampleTask(
            denoiser, preset.sampler, settings.timesteps, x_T, noise, settings.label, seeds, codec.bounded
        )

    def settings(self, rows: Sequence[Row]) -> StageSettings:
        return rows[0].plan.settings_at(self.index)

    def guided(
        self,
        condition: Conditioning,
        branches: Sequence[Sequence[PromptBranch]],
        preset: StagePreset,
        known: Known | None,
        score: ScoreFn | None = None,
    ) -> CFGDenoiser:
        """The denoiser for a batch; ``branches`` are those of each row, alike but for their words."""
        mixed: list[Branch] = []
        for several in zip(*branches, strict=True):
            branch = condition if several[0].sees_known else replace(condition, known=None, keep_mask=None)
            if self.stage.text_encoder is not None:
                branch = replace(branch, text=self._text(tuple(each.prompt for each in several)))
            mixed.append((branch, several[0].weight))
        threshold = threshold_of(preset) if self.stage.codec.bounded else None
        return CFGDenoiser(
            self.stage.network,
            mixed,
            preset.interval,
            X0Transform(threshold, None if known is None else PasteKnown(*known)),
            score,
            score_mask=1 - known[1] if known is not None and preset.mask_score else None,
        )

    def _denoiser(self, rows: Sequence[Row], condition: Conditioning, known: Known | None) -> Denoiser:
        each = [row.plan.settings_at(self.index) for row in rows]
        preset, interval = each[0].preset, each[0].context_interval
        score = self._score(rows, each)
        denoiser = self.guided(condition, [settings.branches for settings in each], preset, known, score)
        if interval is None:
            return denoiser
        outside = self.guided(
            condition, [settings.outside_branches for settings in each], preset, known, score
        )
        return IntervalGuidance(denoiser, outside, interval)

    def _text(self, prompts: tuple[str, ...]) -> TextStates:
        if len(set(prompts)) > 1:
            return self.encode(prompts)
        text, count = self.encode(prompts[:1]), len(prompts)
        return TextStates(text.states.expand(count, -1, -1), text.token_mask.expand(count, -1))

    def _score(self, rows: Sequence[Row], each: Sequence[StageSettings]) -> ScoreFn | None:
        prompts = [settings.clip_prompt for settings in each]
        if not all(prompts):
            return None
        assert self.clip is not None, "plan refuses guidance by CLIP without one"
        seeds, scale = tuple(row.seed for row in rows), each[0].preset.clip_guidance
        return clip_score(self.clip, rows[0].plan.request, prompts, scale, seeds, self.stage.schedule)

    def _known(self, rows: Sequence[Row], preset: StagePreset) -> Known | None:
        """The known pictures and their keep-masks, as the codec has them; None where nothing is known."""
        if rows[0].inputs.known is None:
            return None
        size, first_size = self.stage.image_size, rows[0].plan.stages[0].image_size

        def known(inputs: FrameInputs) -> Known:
            assert inputs.known is not None
            picture, keep_mask = inputs.known(size)
            if preset.enlarge_keep_mask:
                keep_mask = F.interpolate(inputs.known(first_size)[1], keep_mask.shape[2:], mode="nearest")
                picture = picture * keep_mask
            return picture, keep_mask

        keep_mask = self._batch(rows, lambda inputs: known(inputs)[1])
        return encode_known(self.stage.codec, self._batch(rows, lambda inputs: known(inputs)[0]), keep_mask)

    def _condition(self, rows: Sequence[Row], known: Known | None) -> Conditioning:
        """What the network is told of the pictures, apart from the words and the picture before."""
        config, condition = self.stage.spec.config, Conditioning()
        if known is not None and config.known:
            condition = replace(condition, known=known[0], keep_mask=known[1])
        if rows[0].inputs.drawing is not None and config.drawing:
            size = self.stage.image_size // self.stage.codec.factor
            drawing = self._batch(rows, lambda inputs: _given(inputs.drawing)(size))
            condition = replace(condition, drawing=drawing)
        return condition

    def _from_init(self, rows: Sequence[Row], denoiser: Denoiser, eps: Tensor) -> tuple[Denoiser, Tensor]:
        """A denoiser and x_T that begin from the rows' init images (SDEdit, Meng et al. 2021)."""
        size, first = self.stage.image_size, self.settings(rows).timesteps[0]
        init = self.stage.codec.encode(self._batch(rows, lambda inputs: _given(inputs.init_image)(size)))
        x_T = self.stage.schedule.add_noise(init, eps, torch.full((len(eps),), first, device=eps.device))
        if rows[0].inputs.strength_map is not None:
            strengths = self._batch(rows, lambda inputs: _given(inputs.strength_map)(size))
            if self.stage.codec.factor > 1:
                strengths = F.avg_pool2d(strengths, self.stage.codec.factor)
            denoiser = DifferentialDiffusion(denoiser, init, strengths)
        return denoiser, x_T

    def _batch(self, rows: Sequence[Row], make: Callable[[FrameInputs], Tensor]) -> Tensor:
        """(1, C, H, W) of each row's inputs as a batch on the device; shared inputs are made once."""
        if all(row.inputs is rows[0].inputs for row in rows):
            return make(rows[0].inputs).to(self.device).expand(len(rows), -1, -1, -1)
        return torch.cat([make(row.inputs) for row in rows]).to(self.device)

    def _low_res_noise(self, seeds: tuple[int, ...], number: int, before: Tensor) -> Callable[[], Tensor]:
        shape = tuple(before.shape[1:])
        return lambda: torch.stack(
            [noise_for(seed, self.index, number, LOW_RES_NOISE, shape) for seed in seeds]
        )


def low_res_of(before: Tensor, preset: StagePreset, noise: Callable[[], Tensor]) -> tuple[Tensor, Tensor]:
    """The low-resolution picture as an upsampler saw it in training, and how much noise is in it, (B,).

    ``noise`` gives it, shaped like ``before``; it is called where there is any.
    """
    if preset.round_low_res:
        before = ((before + 1) * 127.5).round() / 127.5 - 1
    level = preset.low_res_noise
    levels = torch.full((len(before),), level, device=before.device)
    if level == 0:
        return before, levels
    return (1 - level**2) ** 0.5 * before + level * noise().to(before.device), levels


def threshold_of(preset: StagePreset) -> DynamicThreshold | StaticThreshold:
    return DynamicThreshold(preset.percentile) if preset.threshold == "dynamic" else StaticThreshold()


def _given(make: Callable[[int], Tensor] | None) -> Callable[[int], Tensor]:
    assert make is not None, "the frames of a batch are given the same kinds of pictures"
    return make

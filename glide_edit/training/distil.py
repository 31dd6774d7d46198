"""Distillation: a student draws in a few steps without guidance what its teacher draws in many with it.

The noise axis is cut at the student's times. From a noisy picture at one of them the guided teacher goes on
to the next with its own sampler, and the student must get there in one DDIM step: progressive distillation
(Salimans & Ho 2022, arXiv 2202.00512) in one stage, with the guidance taken in (Meng et al. 2023, arXiv
2210.03142). Half of the noisy pictures are training pictures with noise; to the others the student came by
itself, from pure noise, so that it also learns to go on from what it did wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from glide_edit.conditioning import ConditionedNetwork, Conditioning, Denoiser
from glide_edit.diffusion.schedule import Schedule, per_image
from glide_edit.guidance import Branch, CFGDenoiser, PasteKnown, X0Transform
from glide_edit.models.model import Stage
from glide_edit.models.presets import StagePreset
from glide_edit.pipeline.stage import low_res_of, threshold_of
from glide_edit.pipeline.stage_settings import sampling_times
from glide_edit.sampling import SampleTask, sample, sampled
from glide_edit.training.batches import Batch, shrink
from glide_edit.training.losses import high_noise_weight, pixel_weight, weighted_error
from glide_edit.training.shares import slices
from glide_edit.training.training_module import ModuleWithLoss

ON_ITS_OWN = 0.5
"""How often the student begins where it came by itself."""


def student_preset(taught: StagePreset, steps: int, respacing: str) -> StagePreset:
    """How the student of a stage with the preset ``taught`` is sampled."""
    return replace(
        taught,
        steps=steps,
        sampler="ddim",
        respacing=respacing,
        guidance=1.0,
        interval=None,
        clip_guidance=0.0,
    )


def segments_of(schedule: Schedule, begins: Sequence[float], taught: StagePreset) -> list[tuple[float, ...]]:
    """For each of the student's times the teacher's times from there up to the next one, which is the last.

    The last segment ends with the clean picture instead. A segment has as many of the teacher's steps as its
    preset has there: those very ones where the teacher's times are also the student's, as when a student is
    distilled again, else evenly spaced as the teacher's are: in log-SNR for DPM-Solver, else in time.
    """
    teacher = sampling_times(schedule, taught)
    segments = []
    for begin, end in zip(begins, [*begins[1:], None], strict=True):
        within = [t for t in teacher if t < begin and (end is None or t > end)]
        closing = [] if end is None else [end]
        if begin in teacher and (end is None or end in teacher):
            segments.append((begin, *within, *closing))
        else:
            last = min(teacher) if end is None else end
            segments.append(_spaced(schedule, begin, last, 1 + len(within) + len(closing), taught.sampler))
    return segments


def _spaced(schedule: Schedule, begin: float, end: float, count: int, sampler: str) -> tuple[float, ...]:
    """``count`` times from ``begin`` to ``end``; one alone is the begin."""
    if count == 1 or end >= begin:
        return (begin,)
    if sampler != "dpm-solver++":
        return tuple(np.linspace(begin, end, count).tolist())
    falling = schedule.log_snr_table()
    indices = np.arange(len(falling))
    first, last = (float(np.interp(t, indices, falling)) for t in (begin, end))
    inner = np.interp(np.linspace(first, last, count), falling[::-1], indices[::-1])
    return (begin, *(float(np.float32(t)) for t in inner[1:-1]), end)


@dataclass(frozen=True, eq=False)
class _Part:
    """Views of a batch that cross the same segment: ``weight`` (B, 1, S, S) is that of pixels."""

    batch: Batch
    segment: int
    noise: Tensor
    weight: Tensor
    mean_weight: Tensor
    low_res_noise: Tensor | None
    on_its_own: bool
    views: int


class DistillationModule(ModuleWithLoss[Batch]):
    """A student, which begins as a copy of its teacher, and how far it is from where the teacher goes.

    ``teacher`` is a stage as loaded; ``student`` a network of the same configuration. ``taught`` is the
    teacher's preset with its steps and guidance, ``preset`` the student's. An upsampler's pictures are
    ``low_res_factor`` times as large as those that it enlarges.
    """

    def __init__(
        self,
        student: nn.Module,
        teacher: Stage,
        taught: StagePreset,
        preset: StagePreset,
        low_res_factor: int = 1,
    ) -> None:
        super().__init__()
        self.network = student
        self.low_res_factor = low_res_factor
        self._teacher = (teacher,)  # within a tuple its weights are not this module's
        self.taught = taught
        self.preset = preset
        self.times = sampling_times(self.schedule, self.preset)
        self.segments = segments_of(self.schedule, self.times, taught)

    @property
    def teacher(self) -> Stage:
        return self._teacher[0]

    @property
    def student(self) -> ConditionedNetwork:
        return cast("ConditionedNetwork", self.network)

    @property
    def schedule(self) -> Schedule:
        return self.teacher.schedule

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """The loss of a batch; what is drawn by chance comes from the (CPU) generator."""
        return torch.stack([term() for term in self.terms(batch, generator, 1)]).sum()

    def terms(self, batch: Batch, generator: torch.Generator, most: int) -> list[Callable[[], Tensor]]:
        """A term for each segment, which an equal share of the views crosses; the longest come first."""
        image, count = batch.image, len(batch.image)
        noise = torch.randn(image.shape, generator=generator).to(image.device)
        first = int(torch.randint(len(self.segments), (), generator=generator))
        low_res_noise = None
        if self.teacher.spec.config.low_res:
            small = shrink(image, image.shape[-1] // self.low_res_factor)
            low_res_noise = torch.randn(small.shape, generator=generator).to(image.device)
        parts = []
        for k, views in enumerate(slices(count, len(self.segments))):
            segment = (first + k) % len(self.segments)
            t = torch.full((count,), self.times[segment], device=image.device)
            weight = pixel_weight(batch.foreground, batch.keep_mask, self.schedule.alpha_bar(t))
            parts.append(
                _Part(
                    batch=batch.of(views),
                    segment=segment,
                    noise=noise[views],
                    weight=weight[views],
                    mean_weight=weight.mean(),
                    low_res_noise=None if low_res_noise is None else low_res_noise[views],
                    on_its_own=bool(torch.rand((), generator=generator) < ON_ITS_OWN),
                    views=count,
                )
            )
        parts.sort(key=lambda part: -len(self.segments[part.segment]))
        return [partial(self._term, part) for part in parts]

    def _term(self, part: _Part) -> Tensor:
        """What the views of one segment add to the loss."""
        segment = self.segments[part.segment]
        with torch.no_grad():
            condition = self._condition(part)
            x_t = self._start(part, condition)
            target = self._target(part, condition, x_t, segment)
        t = torch.full((len(x_t),), segment[0], device=x_t.device)
        x0 = self.student.predict(x_t, t, [condition])[0].x0
        # An error of v is one of the clean picture over the noise's standard deviation.
        sigma = per_image((1 - self.schedule.alpha_bar(t)).sqrt(), x0).to(x0.dtype)
        errors = weighted_error(x0 / sigma, target / sigma, part.weight, part.mean_weight)
        return (errors * high_noise_weight(self.schedule, t)).sum() / part.views

    def _start(self, part: _Part, condition: Conditioning) -> Tensor:
        """The noisy pictures at the segment's begin."""
        if part.segment == 0:
            return part.noise
        if part.on_its_own:
            denoiser = self.drawing(condition, student=True)
            return _crossed(denoiser, "ddim", self.times[: part.segment + 1], part.noise)
        t = torch.full((len(part.noise),), self.times[part.segment], device=part.noise.device)
        return self.schedule.add_noise(part.batch.image, part.noise, t)

    def _target(self, part: _Part, condition: Conditioning, x_t: Tensor, segment: Sequence[float]) -> Tensor:
        """The clean picture that the student must believe in to get where the teacher gets."""
        denoiser = self.drawing(condition, student=False)
        sampler = self.taught.sampler
        if part.segment + 1 == len(self.segments):
            return sampled(SampleTask(denoiser, sampler, segment, x_t, _no_noise))
        x_s = _crossed(denoiser, sampler, segment, x_t)
        alpha_bar = self.schedule.alpha_bar(torch.tensor([segment[0], segment[-1]]))
        (alpha_t, alpha_s), (sigma_t, sigma_s) = alpha_bar.sqrt().tolist(), (1 - alpha_bar).sqrt().tolist()
        ratio = sigma_s / sigma_t
        return (x_s - ratio * x_t) / (alpha_s - ratio * alpha_t)

    def drawing(self, condition: Conditioning, *, student: bool) -> Denoiser:
        """The denoiser of the student, or of the guided teacher, as the pipeline makes it."""
        preset = self.preset if student else self.taught
        network = self.student if student else self.teacher.network
        branches: list[Branch] = [(condition, 1.0)]
        if preset.guidance != 1 and condition.text is not None:
            encoder = self.teacher.text_encoder
            assert encoder is not None
            nothing = replace(condition, text=encoder.encode([""] * len(condition.text.states)))
            branches = [(condition, preset.guidance), (nothing, 1 - preset.guidance)]
        paste = None
        if condition.known is not None and condition.keep_mask is not None:
            paste = PasteKnown(condition.known, condition.keep_mask)
        transform = X0Transform(threshold_of(preset), paste)
        return CFGDenoiser(network, branches, preset.interval, transform)

    def _condition(self, part: _Part) -> Conditioning:
        batch, config = part.batch, self.teacher.spec.config
        encoder = self.teacher.text_encoder
        low_res = level = None
        if part.low_res_noise is not None:
            noise = part.low_res_noise
            small = shrink(batch.image, noise.shape[-1])
            low_res, level = low_res_of(small, self.taught, lambda: noise)
        return Conditioning(
            text=None if encoder is None else encoder.encode(list(batch.captions)),
            known=batch.image * batch.keep_mask if config.known else None,
            keep_mask=batch.keep_mask if config.known else None,
            drawing=batch.drawing if config.drawing else None,
            low_res=low_res,
            low_res_noise=level,
        )


def _crossed(denoiser: Denoiser, sampler: str, times: Sequence[float], x: Tensor) -> Tensor:
    """The noisy picture at the last of ``times``, from ``x`` at the first."""
    for step in sample(SampleTask(denoiser, sampler, times, x, _no_noise)):
        if step.index + 2 == step.total:
            return step.latents
    raise AssertionError("a segment has a begin and an end")


def _no_noise(index: int) -> Tensor:
    raise AssertionError("students and teachers are sampled without noise")

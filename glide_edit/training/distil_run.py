"""Runs of distillation: what they prepare, the sheet that one looks at, and the model that comes out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.errors import TrainingError
from glide_edit.models.folder import Model, load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import Runtime
from glide_edit.models.students import write_with_student
from glide_edit.pipeline.stage_settings import sampling_times
from glide_edit.sampling import SampleTask, sampled
from glide_edit.training.batches import BatchPlan, shrink, to_images, workers_for
from glide_edit.training.checkpoint import Progress
from glide_edit.training.distil import DistillationModule, student_preset
from glide_edit.training.pictures import sheet_path, to_uint8, write_sheet
from glide_edit.training.preparing import PreparedRun
from glide_edit.training.settings import TrainSettings
from glide_edit.training.unet import TrainingData, crop_of, training_data
from glide_edit.training.weights import strip_prefix


def prepare_distillation(
    settings: TrainSettings,
    runtime: Runtime,
    start: Model | None,
    resuming: bool,
    on_cache: Callable[[int, int], None] | None,
) -> PreparedRun:
    """The student, batches, samples and export of a run that distils a stage."""
    assert settings.teacher is not None
    folder = resolve(settings.teacher)
    teacher = load_model(folder, runtime).load_stage[settings.taught.name]()
    sampler = teacher.preset.sampler
    taught = replace(
        teacher.preset,
        # Where the teacher goes must follow from where it begins.
        sampler="ddim" if sampler == "ddpm" else sampler,
        steps=settings.teacher_steps or teacher.preset.steps,
        guidance=teacher.preset.guidance if settings.guidance is None else settings.guidance,
        respacing=None if settings.teacher_steps else teacher.preset.respacing,
    )
    data = training_data(settings, on_cache)
    student = copy.deepcopy(teacher.network)
    assert isinstance(student, nn.Module)
    student.requires_grad_(True)
    preset = student_preset(taught, settings.student_steps, settings.respacing)
    module = DistillationModule(student, teacher, taught, preset, _factor(settings))
    plan = BatchPlan(
        data.sources,
        settings.batch_size,
        settings.seed,
        crop=crop_of(settings),
        workers=workers_for(runtime.device),
    )

    def draw_samples(progress: Progress) -> None:
        path = sheet_path(settings.out, progress.step)
        _sheet(module, data, settings.seed, path, runtime.device)

    return PreparedRun(
        module,
        plan,
        lambda averaged, progress: _export(settings, module, averaged, progress),
        None if start is None else _start_weights(settings, start),
        draw_samples,
    )


def _factor(settings: TrainSettings) -> int:
    """How many times as large an upsampler's pictures are as those before it; 1 for a first stage."""
    sizes = {stage.config.image_size for stage in settings.teacher_spec.stages}
    size = settings.network.image_size
    smaller = [each for each in sizes if each < size]
    return size // max(smaller) if settings.taught.config.low_res and smaller else 1


def _start_weights(settings: TrainSettings, start: Model) -> dict[str, Tensor]:
    """Those of the student that ``start`` has in the preset, or else of the stage that is distilled."""
    place = settings.taught.distils or settings.teacher_stage
    run = [stage for stage in start.stages if place in (stage.name, stage.spec.distils)]
    run.sort(key=lambda stage: settings.preset not in stage.spec.in_presets)
    stage = run[0] if run else None
    if stage is None or stage.spec.config != settings.network:
        raise TrainingError(f"{settings.start} has no stage {settings.teacher_stage} like the teacher's.")
    network = cast("nn.Module", stage.network)
    return {f"network.{name}": value for name, value in network.named_parameters()}


def _sheet(
    module: DistillationModule, data: TrainingData, seed: int, path: Path, device: torch.device
) -> None:
    """The teacher's pictures above the student's, from the same noise; an upsampler's input above both."""
    size, count = module.teacher.image_size, 6
    noise = NoiseSource(tuple(range(seed, seed + count)), 0, 0, (3, size, size), device)
    rows = []
    with torch.no_grad():
        if module.teacher.text_encoder is not None:
            condition = Conditioning(text=module.teacher.text_encoder.encode(list(data.prompts[:count])))
        else:
            rng = np.random.default_rng(seed)
            truth = to_images([data.source.draw(rng).image for _ in range(count)]).to(device)
            small = shrink(truth, size // module.low_res_factor)
            condition = Conditioning(low_res=small)
            rows.append(F.interpolate(small, (size, size), mode="bicubic"))
        for student in (False, True):
            preset = module.preset if student else module.taught
            denoiser = module.drawing(condition, student=student)
            times = sampling_times(module.schedule, preset)
            rows.append(sampled(SampleTask(denoiser, preset.sampler, times, noise.start(), noise)))
    write_sheet(np.concatenate([np.concatenate(to_uint8(row), axis=1) for row in rows]), path)


def _export(
    settings: TrainSettings, module: DistillationModule, averaged: dict[str, Tensor], progress: Progress
) -> Path:
    """Write the teacher's model with the averaged weights as a student."""
    assert settings.teacher is not None
    return write_with_student(
        settings.out / "model",
        resolve(settings.teacher),
        settings.teacher_stage,
        strip_prefix(averaged, "network."),
        module.preset,
        settings.preset,
        settings.public_recipe() | asdict(progress),
    )

"""A student, distilled from a stage of a model, beside that stage in a copy of the model's folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load
from torch import Tensor

from glide_edit.models import tensors as weights
from glide_edit.models.folder import Writer, blank_network, named_pieces, write_bytes, write_files
from glide_edit.models.presets import StagePreset
from glide_edit.models.spec import ModelSpec, StageSpec, read_spec


def write_with_student(
    out: Path | str,
    folder: Path | str,
    taught: str,
    tensors: Mapping[str, Tensor],
    sampled: StagePreset,
    preset: str,
    provenance: Mapping[str, Any],
    *,
    largest_file: int | None = None,
) -> Path:
    """Write the model in ``folder`` with a student of its stage ``taught``, and return ``out``.

    The student takes the stage's place in the preset ``preset``, where it is ``sampled`` so, and that becomes
    the model's usual one. A student that the preset had there before is left out. ``tensors`` are its weights
    by state-dict name; ``provenance`` says how it was trained.

    Raises:
        ModelError: the folder cannot be used, has no such stage, or ``out`` cannot be written.
    """
    out, folder = Path(out), Path(folder)
    spec = read_spec(folder)
    teacher = next(stage for stage in spec.stages if stage.name == taught)
    place = teacher.distils or teacher.name
    name = f"{place}_{preset}"
    data = weights.to_bytes(tensors, blank_network(teacher), torch.bfloat16, f"the stage {name}")
    pieces = _pieces(name, data, largest_file)
    student = replace(
        teacher,
        name=name,
        weights=next(iter(pieces)),
        more_weights=tuple(pieces)[1:],
        preset=sampled,
        more_presets=dict.fromkeys((*teacher.more_presets, preset), sampled),
        distils=place,
        in_presets=(preset,),
    )
    others = [_with_preset(stage, preset) for stage in spec.stages if stage.name != name]
    training = {**spec.provenance.get("training", {}), name: dict(provenance)}
    whole = replace(
        spec,
        stages=tuple(sorted((*others, student), key=lambda stage: stage.config.image_size)),
        usual_preset=preset,
        provenance={**spec.provenance, "training": training},
        files={},
    )
    kept: dict[str, Writer] = {}
    for each in _files_of(others, whole):
        weights.check_digest(folder / each, weights.sha256(folder / each), spec.files[each])
        kept[each] = partial(shutil.copyfile, folder / each)
    return write_files(out, whole, {**kept, **pieces})


def _pieces(name: str, data: bytes, largest: int | None) -> dict[str, Writer]:
    """File names for a stage's weights, and what writes each."""
    parts = [data]
    if largest is not None and len(data) > largest:
        parts = weights.split_tensors(load(data), largest, name)
    return named_pieces(name, [partial(write_bytes, part) for part in parts])


def _with_preset(stage: StageSpec, name: str) -> StageSpec:
    """The stage with a preset of that name: its default one where it had none."""
    others = dict(stage.more_presets)
    return replace(stage, more_presets={**others, name: others.get(name, stage.preset)})


def _files_of(stages: list[StageSpec], spec: ModelSpec) -> list[str]:
    """The files of a model that are there already: all but those of the new student."""
    own = {name for stage in stages for name in stage.weight_files}
    students = {name for stage in spec.stages for name in stage.weight_files} - own
    return [name for name in spec.file_names if name not in students]

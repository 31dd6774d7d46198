"""Students beside the stages that they were distilled from: writing, choosing between them, refusing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glide_edit.errors import ModelError, ModelFormatError
from glide_edit.models import choose_runtime, load_model, read_spec
from glide_edit.models.presets import BASE_PRESET, StagePreset
from glide_edit.models.spec import ModelSpec, StageSpec
from glide_edit.models.students import write_with_student
from tests.glide_edit.models.conftest import Parts

FAST = StagePreset(steps=4, sampler="ddim", respacing="trailing4")


def weights(parts: Parts, factor: float) -> dict[str, Tensor]:
    return {name: value * factor for name, value in parts.base.state_dict().items()}


@pytest.fixture
def distilled(parts: Parts, folder: Path, tmp_path: Path) -> Path:
    return write_with_student(
        tmp_path / "both", folder, "base", weights(parts, 0.5), FAST, "fast", {"views": 9}
    )


def labels(spec: ModelSpec, preset: str) -> list[str]:
    return [stage.name for stage in spec.cascade(False, preset)]


def test_the_student_takes_its_place_in_its_preset_alone(distilled: Path, folder: Path, parts: Parts) -> None:
    spec = read_spec(distilled)
    assert spec.format == 3
    assert spec.usual_preset == "fast"
    assert labels(spec, "fast") == ["base_fast", "upsampler"]
    assert labels(spec, "default") == ["base", "upsampler"]
    assert [stage.label for stage in spec.cascade(True, "fast")] == ["base", "upsampler"]
    assert spec.provenance["training"] == {"base_fast": {"views": 9}}
    assert spec.identity != read_spec(folder).identity
    model = load_model(distilled, choose_runtime("cpu", "float32"))
    student, teacher = model.load_stage["base_fast"](), model.load_stage["base"]()
    assert student.preset == FAST
    assert teacher.preset == BASE_PRESET
    ours, theirs = (dict(stage.network.state_dict())["stem.weight"] for stage in (student, teacher))  # type: ignore[attr-defined]
    assert torch.equal(ours, (parts.base.stem.weight * 0.5).bfloat16().float())
    assert not torch.equal(ours, theirs)
    assert student.text_encoder is teacher.text_encoder


def test_a_student_replaces_the_one_before_it(distilled: Path, parts: Parts, tmp_path: Path) -> None:
    again = write_with_student(
        tmp_path / "again",
        distilled,
        "base_fast",
        weights(parts, 0.25),
        replace(FAST, steps=2, respacing="trailing2"),
        "fast",
        {},
    )
    spec = read_spec(again)
    assert labels(spec, "fast") == ["base_fast", "upsampler"]
    assert [stage.name for stage in spec.stages] == ["base", "base_fast", "upsampler"]
    assert spec.cascade(False, "fast")[0].presets["fast"].steps == 2


def test_several_presets_may_have_students(distilled: Path, parts: Parts, tmp_path: Path) -> None:
    live = replace(FAST, steps=1, respacing="trailing1")
    both = write_with_student(
        tmp_path / "live", distilled, "base_fast", weights(parts, 0.1), live, "live", {}
    )
    spec = read_spec(both)
    assert spec.preset_names == ("default", "fast", "live")
    assert labels(spec, "fast") == ["base_fast", "upsampler"]
    assert labels(spec, "live") == ["base_live", "upsampler"]
    assert spec.cascade(False, "live")[0].distils == "base"


def test_large_weights_are_split(parts: Parts, folder: Path, tmp_path: Path) -> None:
    tensors = weights(parts, 0.5)
    out = write_with_student(
        tmp_path / "both", folder, "base", tensors, FAST, "fast", {}, largest_file=40_000
    )
    (stage,) = [stage for stage in read_spec(out).stages if stage.name == "base_fast"]
    assert len(stage.more_weights) > 1
    assert all((out / name).stat().st_size <= 41_000 for name in stage.weight_files)
    load_model(out, choose_runtime("cpu", "float32"))


def test_a_damaged_model_is_not_copied(parts: Parts, folder: Path, tmp_path: Path) -> None:
    path = folder / "upsampler.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"upsampler\.safetensors"):
        write_with_student(tmp_path / "both", folder, "base", weights(parts, 0.5), FAST, "fast", {})
    assert not (tmp_path / "both").exists()


def test_a_model_without_students_is_described_as_before(folder: Path) -> None:
    record = json.loads((folder / "model.json").read_text())
    assert record["format"] == 2
    assert "usual_preset" not in record
    assert all("distils" not in stage and "in_presets" not in stage for stage in record["stages"])


def changed(spec: ModelSpec, **student: Any) -> ModelSpec:
    stages = [replace(stage, **student) if stage.distils else stage for stage in spec.stages]
    return replace(spec, stages=tuple(stages))


@pytest.mark.parametrize(
    ("student", "said"),
    [
        ({"distils": "roof"}, "distils roof, which is not there"),
        ({"distils": "upsampler"}, "takes other inputs than upsampler"),
        ({"distils": None}, "must name both"),
        ({"in_presets": ()}, "must name both"),
        ({"in_presets": ("slow",)}, "must name both"),
    ],
)
def test_students_of_nothing_are_refused(distilled: Path, student: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelFormatError, match=said):
        changed(read_spec(distilled), **student)


def test_two_students_in_one_place_are_refused(distilled: Path) -> None:
    spec = read_spec(distilled)
    student = next(stage for stage in spec.stages if stage.distils)
    twin: StageSpec = replace(student, name="twin", weights="twin.safetensors")
    with pytest.raises(ModelFormatError, match="same place in a preset"):
        replace(spec, stages=(*spec.stages[:2], twin, *spec.stages[2:]))


def test_a_usual_preset_that_is_not_there_is_refused(distilled: Path) -> None:
    model = load_model(distilled, choose_runtime("cpu", "float32"))
    assert model.with_usual_preset("default").spec.usual_preset == "default"
    with pytest.raises(ModelFormatError, match="no preset 'slow'; there are default, fast"):
        model.with_usual_preset("slow")

"""Distillation: what the student must learn, that it learns it, and the model that comes out."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from glide_edit import Editor
from glide_edit.diffusion.schedule import Schedule, timesteps
from glide_edit.errors import ModelNotFound, TrainingError
from glide_edit.models import choose_runtime, glide, load_model
from glide_edit.models.folder import write_model
from glide_edit.models.model import Stage
from glide_edit.models.parts import StageSpec, TextSpec
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET, StagePreset
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.sampling import SampleTask, sample
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training import distil
from glide_edit.training import run as run_module
from glide_edit.training.batches import Batch, BatchPlan
from glide_edit.training.distil import DistillationModule, segments_of, student_preset
from glide_edit.training.log import LOG_NAME
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings
from glide_edit.training.views import Mixture
from tests.glide_edit import tiny_glide

COSINE = Schedule.cosine()


@pytest.fixture(autouse=True)
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "loss_plot", lambda *arguments: None)


def filled(module: nn.Module, seed: int = 0) -> Any:
    """The module with random numbers where it starts at zero, small enough to stay in range."""
    torch.manual_seed(seed)
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return module.eval()


@pytest.fixture
def teacher(base_config: EfficientUNetConfig, upsampler_config: EfficientUNetConfig, tmp_path: Path) -> Path:
    """A model of two stages, 16 to 32 px, in float32."""
    tokenizer = BytePairTokenizer.train(["a square on grey", "some colours, number 1"] * 3, 290, context=12)
    text = filled(TextTransformer(TextTransformerConfig(300, width=24, layers=1, heads=2, context=12)))
    specs = [
        StageSpec("base", base_config, COSINE, replace(BASE_PRESET, steps=8)),
        StageSpec("upsampler", upsampler_config, COSINE, UPSAMPLER_PRESET),
    ]
    stages = [(spec, filled(EfficientUNet(spec.config, COSINE)).state_dict()) for spec in specs]  # type: ignore[arg-type]
    return write_model(
        tmp_path / "teacher",
        name="tiny",
        licence="MIT",
        provenance={},
        stages=stages,
        text=(TextSpec(text.config), text.state_dict(), tokenizer),
        dtype=torch.float32,
    )


def loaded(folder: Path, name: str = "base") -> Stage:
    return load_model(folder, choose_runtime("cpu", "float32", 1)).load_stage[name]()


def student(taught: StagePreset, steps: int) -> StagePreset:
    return student_preset(taught, steps, f"trailing{steps}")


def module_of(stage: Stage, taught: StagePreset, steps: int, factor: int = 1) -> DistillationModule:
    network: Any = copy.deepcopy(stage.network)
    return DistillationModule(network, stage, taught, student(taught, steps), factor)


def batch_of(squares: Any, known: float = 0.5) -> Batch:
    mixture = Mixture(known=known, drawing=0.5, caption=0.7)
    return BatchPlan([(squares(16), 1.0, mixture)], batch_size=8, seed=1).make(0)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- what is to be learned ------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("sampler", ["dpm-solver++", "ddim"])
def test_the_segments_join_up_and_cover_the_axis(steps: int, sampler: str) -> None:
    taught = replace(BASE_PRESET, steps=20, sampler=sampler)
    begins = timesteps(COSINE, f"trailing{steps}")
    segments = segments_of(COSINE, begins, taught)
    assert [segment[0] for segment in segments] == begins
    assert [segment[-1] for segment in segments[:-1]] == begins[1:]
    assert segments[-1][-1] == 0
    for segment in segments:
        assert all(t > after for t, after in pairwise(segment))
    calls = sum(len(segment) - 1 for segment in segments[:-1]) + len(segments[-1])
    assert 20 <= calls <= 20 + steps


def test_a_student_that_is_distilled_again_is_called_at_the_times_that_it_knows() -> None:
    taught = student(BASE_PRESET, 4)
    assert segments_of(COSINE, timesteps(COSINE, "trailing2"), taught) == [(995, 749, 499), (499, 249)]


def test_whoever_draws_as_the_teacher_does_has_nothing_to_learn(
    teacher: Path, squares: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a teacher says is brought into range, and known pixels are put back; a student learns both.
    monkeypatch.setattr(distil, "threshold_of", lambda preset: lambda x0: x0)
    stage = loaded(teacher)
    module = module_of(stage, student(stage.preset, 4), 4)
    for seed, known in ((0, 0.0), (1, 0.0), (2, 1.0)):
        terms: list[Any] = module.terms(batch_of(squares, known), random(seed), 1)
        losses = [float(term()) for term in terms if term.args[0].segment < 3]
        assert len(losses) == 3
        assert all(loss > 1e-4 if known else loss < 1e-9 for loss in losses)


def test_guidance_is_part_of_what_is_learned(teacher: Path, squares: Any) -> None:
    stage = loaded(teacher)
    plain = module_of(stage, student(stage.preset, 4), 4)
    guided = module_of(stage, replace(student(stage.preset, 4), guidance=3.0), 4)
    batch = batch_of(squares)
    unguided = replace(batch, captions=("",) * len(batch.captions))
    assert float(guided.loss(batch, random())) != pytest.approx(float(plain.loss(batch, random())), rel=1e-4)
    # Without words guidance has nothing to say.
    assert float(guided.loss(unguided, random())) == pytest.approx(
        float(plain.loss(unguided, random())), rel=1e-4
    )


def test_the_target_leads_where_the_teacher_goes(teacher: Path, squares: Any) -> None:
    """One DDIM step with the target as the clean picture ends at the teacher's own noisy picture."""
    stage = loaded(teacher)
    taught = replace(stage.preset, steps=12, sampler="ddim")
    module = module_of(stage, taught, 3)
    terms: list[Any] = module.terms(batch_of(squares), random(), 1)
    (part,) = [term.args[0] for term in terms if term.args[0].segment == 1]
    with torch.no_grad():
        condition = module._condition(part)
        x_t = module._start(part, condition)
        target = module._target(part, condition, x_t, module.segments[1])
        begin, end = module.segments[1][0], module.segments[1][-1]
        denoiser = module.drawing(condition, student=False)
        task = SampleTask(denoiser, "ddim", module.segments[1], x_t, lambda index: x_t)
        reached = [step.latents for step in sample(task)]
    alpha = COSINE.alpha_bar(torch.tensor([begin, end]))
    (a_t, a_s), (s_t, s_s) = alpha.sqrt().tolist(), (1 - alpha).sqrt().tolist()
    eps = (x_t - a_t * target) / s_t
    assert torch.allclose(a_s * target + s_s * eps, reached[-2], atol=1e-4)


def test_the_terms_are_of_all_segments_and_their_sum_is_the_loss(teacher: Path, squares: Any) -> None:
    stage = loaded(teacher)
    module = module_of(stage, stage.preset, 4)
    batch = batch_of(squares)
    terms: list[Any] = module.terms(batch, random(), 2)
    assert sorted(term.args[0].segment for term in terms) == [0, 1, 2, 3]
    whole = float(module.loss(batch, random()))
    assert whole == pytest.approx(float(sum(term() for term in terms)))
    assert whole != pytest.approx(float(module.loss(batch, random(1))))


def test_the_teacher_is_no_part_of_what_is_trained(teacher: Path, squares: Any) -> None:
    stage = loaded(teacher)
    module = module_of(stage, stage.preset, 2)
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"network"}
    module.network.requires_grad_(True)
    module.loss(batch_of(squares), random()).backward()
    assert all(parameter.grad is None for parameter in stage.network.parameters())  # type: ignore[attr-defined]
    assert any(parameter.grad is not None for parameter in module.network.parameters())


# -- runs -----------------------------------------------------------------------------------------------


def settings_for(teacher: Path, pictures: Path, out: Path, **values: Any) -> TrainSettings:
    given = {"steps": 3, "batch_size": 4, "device": "cpu", "precision": "float32", "log_every": 1}
    return TrainSettings(
        stage="distil", teacher=str(teacher), out=out, data=str(pictures), **{**given, **values}
    )


def test_a_student_comes_nearer_to_its_teacher(teacher: Path, pictures: Path, tmp_path: Path) -> None:
    learning = {"steps": 120, "learning_rate": 4e-3, "warmup_steps": 1}
    run(settings_for(teacher, pictures, tmp_path / "run", student_steps=2, **learning))
    lines = (tmp_path / "run" / LOG_NAME).read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert np.mean(losses[-20:]) < 0.9 * np.mean(losses[:20])


def test_the_model_that_comes_out_draws_with_the_student_unless_told_otherwise(
    teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    outcome = run(settings_for(teacher, pictures, tmp_path / "run", student_steps=2))
    assert (tmp_path / "run" / "samples").is_dir()
    editor = Editor.load(str(outcome.model), device="cpu", precision="float32")
    spec = editor.model.spec
    assert spec.usual_preset == "fast"
    assert [stage.name for stage in spec.cascade(False, "fast")] == ["base_fast", "upsampler"]
    assert [stage.name for stage in spec.cascade(False)] == ["base", "upsampler"]
    assert spec.provenance["training"]["base_fast"]["student_times"] == [995, 499]
    fast, full = editor.generate("a square", seed=1), editor.generate("a square", seed=1, preset="default")
    assert not np.array_equal(fast.images[0], full.images[0])
    before = Editor.load(str(teacher), device="cpu", precision="float32").generate("a square", seed=1)
    assert np.array_equal(full.images[0], before.images[0])


def test_an_upsampler_can_be_distilled_into_the_same_preset(
    teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    first = run(settings_for(teacher, pictures, tmp_path / "one", student_steps=2)).model
    both = run(
        settings_for(first, pictures, tmp_path / "two", teacher_stage="upsampler", student_steps=1, steps=2)
    ).model
    spec = load_model(both, choose_runtime("cpu", "float32")).spec
    assert [stage.name for stage in spec.cascade(True, "fast")] == ["base_fast", "upsampler_fast"]
    assert [stage.presets["fast"].steps for stage in spec.cascade(True, "fast")] == [2, 1]


def test_a_student_may_have_times_of_its_own_and_begin_as_another(
    teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    first = run(settings_for(teacher, pictures, tmp_path / "one", student_steps=2)).model
    still = {"learning_rate": 1e-12, "student_times": "990,800,300"}
    second = run(settings_for(teacher, pictures, tmp_path / "two", start=str(first), **still)).model
    spec = load_model(second, choose_runtime("cpu", "float32")).spec
    assert spec.cascade(False, "fast")[0].preset.respacing == "at 990,800,300"
    assert spec.cascade(False, "fast")[0].preset.steps == 3
    ours, theirs = (loaded(model, "base_fast").network.state_dict() for model in (second, first))  # type: ignore[attr-defined]
    assert all(torch.allclose(value, theirs[name], atol=1e-2) for name, value in ours.items())
    taught = loaded(teacher).network.state_dict()  # type: ignore[attr-defined]
    assert not all(torch.equal(value, taught[name]) for name, value in ours.items())


def test_a_run_goes_on_from_its_checkpoint_as_if_it_had_not_stopped(
    teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = run(settings_for(teacher, pictures, tmp_path / "whole", steps=4)).model
    run(settings_for(teacher, pictures, tmp_path / "parts", steps=2))
    parts = run(settings_for(teacher, pictures, tmp_path / "parts", steps=4)).model
    assert (whole / "base_fast.safetensors").read_bytes() == (parts / "base_fast.safetensors").read_bytes()


def test_a_teacher_that_is_sampled_with_noise_is_followed_without(
    teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    record = json.loads((teacher / "model.json").read_text())
    record["presets"]["default"]["base"]["sampler"] = "ddpm"
    (teacher / "model.json").write_text(json.dumps(record))
    model = run(settings_for(teacher, pictures, tmp_path / "run", student_steps=2, steps=1)).model
    assert (
        load_model(model, choose_runtime("cpu", "float32")).spec.cascade(False, "fast")[0].preset.sampler
        == "ddim"
    )


def test_glide_can_be_distilled_with_its_published_guidance(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_glide.shrink(monkeypatch, tmp_path / "home")
    released = tiny_glide.write(tmp_path / "released")
    for part in glide.PARTS:
        glide.fetch_part(part, source=released)
    folder = tmp_path / "home/models/glide"
    long = {"student_steps": 20, "teacher_steps": 40, "steps": 1, "batch_size": 20}
    model = run(settings_for(folder, pictures, tmp_path / "run", **long)).model
    spec = load_model(model, choose_runtime("cpu", "float32")).spec
    assert [stage.name for stage in spec.cascade(False, "fast")] == ["base_fast", "upsampler"]
    # The stage for inpainting is another network, which keeps its place.
    assert [stage.name for stage in spec.cascade(True, "fast")] == ["base_inpaint", "upsampler_inpaint"]
    image = Editor.load(str(model), device="cpu", precision="float32").generate("a corgi", upsampler_steps=1)
    assert image.images[0].size == (64, 64)


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"teacher": None}, "which model to distil"),
        ({"teacher_stage": "roof"}, "no stage roof: name one of base, upsampler"),
        ({"student_steps": 9}, "between 1 and the teacher's 8, not 9"),
        ({"student_steps": 0}, "between 1 and the teacher's 8, not 0"),
        ({"student_times": "249,749"}, "Steps must fall from at most 999, not 249, 749"),
        ({"student_times": "many"}, "Cannot read the steps"),
        ({"student_times": "9,8,7,6,5,4,3,2,1"}, "between 1 and the teacher's 8, not 9"),
        ({"guidance": float("nan")}, "guidance must be a number"),
        ({"text_encoder": "t5"}, "teacher's text encoder"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    values: dict[str, Any], said: str, teacher: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=said):
        TrainSettings(
            **{
                "stage": "distil",
                "teacher": str(teacher),
                "out": tmp_path / "run",
                "data": str(pictures),
                "steps": 1,
                **values,
            }
        )


def test_only_students_have_teachers(teacher: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="stage base has no teacher"):
        TrainSettings(stage="base", out=tmp_path / "run", steps=1, teacher=str(teacher))


def test_a_teacher_that_is_not_there_is_refused(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        settings_for(tmp_path / "nobody", pictures, tmp_path / "run")


def test_a_run_is_not_continued_with_another_teacher(teacher: Path, pictures: Path, tmp_path: Path) -> None:
    model = run(settings_for(teacher, pictures, tmp_path / "run", steps=1)).model
    with pytest.raises(TrainingError, match="other settings"):
        run(settings_for(model, pictures, tmp_path / "run", steps=2))


def test_a_start_with_another_network_is_refused(
    teacher: Path, pictures: Path, tmp_path: Path, upsampler_config: EfficientUNetConfig
) -> None:
    stage = StageSpec("upsampler", upsampler_config, COSINE, UPSAMPLER_PRESET)
    network = filled(EfficientUNet(upsampler_config, COSINE))
    folder = write_model(
        tmp_path / "other", name="", licence="", provenance={}, stages=[(stage, network.state_dict())]
    )
    settings = settings_for(teacher, pictures, tmp_path / "run", start=str(folder))
    with pytest.raises(TrainingError, match="no stage base like the teacher's"):
        run(settings)

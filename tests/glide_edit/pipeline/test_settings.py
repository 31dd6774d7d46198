"""What presets and requests make of a cascade: what each stage is told, and when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.schedule import Schedule, timesteps
from glide_edit.editor import Editor
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.images import open_picture
from glide_edit.models import Model, StagePreset
from glide_edit.pipeline.stage_settings import begin_at
from glide_edit.requests import Generate, Inpaint, Outpaint, Request, Vary
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, told


def with_presets(editor: Editor, *presets: StagePreset, **others: tuple[StagePreset, ...]) -> Editor:
    """The editor with these presets, one a stage; ``others`` by name."""
    stages = [
        replace(
            stage,
            spec=replace(
                stage.spec,
                preset=preset,
                more_presets={name: each[index] for name, each in others.items()},
            ),
        )
        for index, (stage, preset) in enumerate(zip(editor.model.stages, presets, strict=True))
    ]
    spec = replace(editor.model.spec, stages=tuple(stage.spec for stage in stages))
    return Editor(Model.of(spec, editor.model.runtime, stages))


PLAIN = StagePreset(steps=2, sampler="ddim", threshold="static")


def cascade(upsampler: StagePreset, **others: tuple[StagePreset, ...]) -> Editor:
    """Networks that see a tenth of what they are given."""
    return with_presets(stand_in_editor(lambda x_t: x_t / 10, upsampler=True), PLAIN, upsampler, **others)


def inpainting(**settings: Any) -> Inpaint:
    selected = np.zeros((90, 100), bool)
    selected[31:50, 37:60] = True
    mask = Mask.from_array(selected, means="change")
    return Inpaint(image=open_picture(noise(90, 100)), mask=mask, prompt="x", **settings)


def test_the_low_resolution_picture_is_rounded_where_the_preset_says_so() -> None:
    for rounded in (False, True):
        editor = cascade(replace(PLAIN, round_low_res=rounded))
        editor.run(Generate(prompt="x"))
        low_res = told(editor, 1)[0][0].low_res
        assert low_res is not None
        levels = (low_res + 1) * 127.5
        assert bool(torch.isclose(levels, levels.round(), atol=1e-3).all()) == rounded


def test_the_base_networks_keep_mask_is_enlarged_where_the_preset_says_so() -> None:
    masks = {}
    for enlarged in (False, True):
        editor = cascade(replace(PLAIN, enlarge_keep_mask=enlarged))
        editor.run(inpainting())
        (base,), (upsampler,) = told(editor, 0)[0], told(editor, 1)[0]
        assert base.keep_mask is not None
        assert upsampler.keep_mask is not None
        assert upsampler.known is not None
        assert not (upsampler.known * (1 - upsampler.keep_mask)).any()
        masks[enlarged] = upsampler.keep_mask
        coarse = base.keep_mask.repeat_interleave(4, 2).repeat_interleave(4, 3)
        assert torch.equal(upsampler.keep_mask, coarse) == enlarged
    assert (masks[True] <= masks[False]).all()


def test_temperature_multiplies_the_first_noise() -> None:
    seen: list[torch.Tensor] = []

    def look(x_t: torch.Tensor) -> torch.Tensor:
        seen.append(x_t)
        return x_t

    editor = with_presets(stand_in_editor(look), replace(PLAIN, temperature=0.5))
    editor.run(Generate(prompt="x", seed=4))
    assert torch.allclose(seen[0], NoiseSource((4,), 0, 0, (3, 16, 16)).start() * 0.5)


def test_a_named_preset_is_used_and_the_request_goes_before_it() -> None:
    slow = (replace(PLAIN, steps=5), replace(PLAIN, steps=4))
    editor = cascade(PLAIN, slow=slow)
    for settings, calls in (
        ({}, [2, 2]),
        ({"preset": "slow"}, [5, 4]),
        ({"preset": "slow", "steps": 3}, [3, 4]),
        ({"preset": "slow", "upsampler_steps": 1}, [5, 1]),
    ):
        for stage in (0, 1):
            told(editor, stage).clear()
        editor.run(Generate(prompt="x", **settings))
        assert [len(told(editor, stage)) for stage in (0, 1)] == calls
    with pytest.raises(InputError, match=r"no preset 'quick'; it has default, slow"):
        editor.run(Generate(prompt="x", preset="quick"))


def test_respacing_holds_until_the_request_asks_for_other_steps() -> None:
    editor = with_presets(stand_in_editor(lambda x_t: x_t), StagePreset(27, "ddim", respacing="9,6,6,4,2"))
    schedule = editor.model.stages[0].schedule
    visited: list[float] = []
    network: Any = editor.model.stages[0].network
    answer = network.predict

    def predict(x_t: Any, t: Any, branches: Any) -> Any:
        visited.append(float(t[0]))
        return answer(x_t, t, branches)

    network.predict = predict
    for settings, expected in (
        ({}, timesteps(schedule, "9,6,6,4,2")),
        ({"steps": 27}, timesteps(schedule, "9,6,6,4,2")),
        ({"steps": 5}, timesteps(schedule, 5)),
    ):
        visited.clear()
        editor.run(Generate(prompt="x", **settings))
        assert visited == expected


def test_guidance_by_clip_needs_a_clip() -> None:
    with pytest.raises(InputError, match="has no CLIP of its own"):
        stand_in_editor(lambda x_t: x_t).run(Generate(prompt="x", clip_guidance=2))


def test_clip_settings_are_checked_and_come_back_from_json() -> None:
    request = Generate(prompt="x", clip_guidance=2, clip_cuts=4, clip_interval=(0.1, 0.5), preset="p")
    record = request.to_json()
    assert (record["clip_interval"], record["clip_cuts"], record["preset"]) == ([0.1, 0.5], 4, "p")
    assert Generate(**{k: v for k, v in record.items() if k != "operation"}).clip_interval == (0.1, 0.5)
    for bad in (
        {"clip_guidance": -1},
        {"clip_guidance": float("nan")},
        {"clip_cuts": 0},
        {"clip_cuts": 1000},
        {"clip_interval": (0.5, 0.1)},
        {"clip_interval": (0, 1, 2)},
        {"clip_interval": "all"},
        {"preset": 3},
    ):
        with pytest.raises(InputError, match=next(iter(bad))):
            Generate(prompt="x", **bad)


# -- which preset ---------------------------------------------------------------------------------------

LARGE = np.full((90, 100, 3), 128, np.uint8)


@pytest.fixture(scope="module")
def distilled() -> Editor:
    """A model with a student of its first stage in the preset fast, its usual one."""
    editor = cascade(PLAIN, fast=(PLAIN, PLAIN))
    base, upsampler = editor.model.stages
    quick = StagePreset(steps=2, sampler="ddim", respacing="trailing2", threshold="static")
    spec = replace(
        base.spec,
        name="base_fast",
        weights="",
        preset=quick,
        more_presets={"fast": quick},
        distils="base",
        in_presets=("fast",),
    )
    student = replace(base, spec=spec)
    whole = replace(editor.model.spec, stages=(base.spec, spec, upsampler.spec), usual_preset="fast")
    return Editor(Model.of(whole, editor.model.runtime, [base, student, upsampler]))


@pytest.mark.parametrize(
    ("request_", "first"),
    [
        (Generate(prompt="a ball"), "base_fast"),
        (Generate(prompt="a ball", upsampler_steps=1, n=3), "base_fast"),
        (Generate(prompt="a ball", candidates=4), "base_fast"),
        (inpainting(), "base_fast"),
        (Outpaint(image=open_picture(LARGE), left=20), "base_fast"),
        (Generate(prompt="a ball", preset="default"), "base"),
        (Generate(prompt="a ball", preset="fast"), "base_fast"),
        (Generate(prompt="a ball", steps=3), "base"),
        (Generate(prompt="a ball", stage_steps=(3,)), "base"),
        (Generate(prompt="a ball", guidance=2.0), "base"),
        (Generate(prompt="a ball", sampler="ddpm"), "base"),
        (Generate(prompt="a ball", negative_prompt="a cube"), "base"),
        (Generate(prompt="a (red:1.3) ball"), "base"),
        (inpainting(context_guidance=2.0), "base"),
        (inpainting(mask_fill="surroundings"), "base"),
        (Vary(image=open_picture(LARGE), prompt="a ball"), "base"),
    ],
)
def test_a_student_draws_where_the_request_leaves_sampling_to_the_model(
    request_: Request, first: str, distilled: Editor
) -> None:
    planned = distilled.plan(request_)
    assert [settings.stage for settings in planned.stages] == [first, "upsampler"]
    assert planned.stages[0].label == "base"
    (picture, *_) = distilled.run(request_).images
    assert picture.size[0] > 0


def test_edits_may_have_a_usual_preset_of_their_own(distilled: Editor) -> None:
    spec = replace(distilled.model.spec, usual_preset="default", edit_preset="fast")
    editor = Editor(replace(distilled.model, spec=spec))
    assert editor.plan(Generate(prompt="a ball")).stages[0].stage == "base"
    assert editor.plan(inpainting()).stages[0].stage == "base_fast"
    assert editor.plan(inpainting(preset="default")).stages[0].stage == "base"
    assert spec.to_json()["edit_preset"] == "fast"
    assert spec.identity != distilled.model.spec.identity
    with pytest.raises(ModelFormatError, match="no preset 'slow'"):
        replace(spec, edit_preset="slow")


def test_a_student_is_called_at_its_own_times_and_once_a_step(distilled: Editor) -> None:
    planned = distilled.plan(Generate(prompt="a ball"))
    times = timesteps(distilled.model.stages[1].schedule, "trailing2")
    assert list(planned.stages[0].timesteps) == times
    assert "base_fast" in str(planned)
    assert "1 branch" in str(planned).splitlines()[1]


@pytest.mark.parametrize(
    "asked",
    [{"steps": 3}, {"stage_steps": (3,)}, {"sampler": "ddpm"}, {"guidance": 2.0}, {"clip_guidance": 1.0}],
)
def test_what_is_built_into_a_student_cannot_be_asked_for(asked: dict[str, Any], distilled: Editor) -> None:
    with pytest.raises(InputError, match="distilled to 2 steps, with guidance built in") as caught:
        distilled.plan(Generate(prompt="a ball", preset="fast", **asked))
    assert caught.value.field == next(iter(asked))


def test_a_run_from_a_picture_begins_no_later_than_its_strength() -> None:
    """Also where a preset has no step near the clean picture: a student's first one would draw it anew."""
    schedule = Schedule.cosine()
    times = [999.0, 500.0, 0.0]
    assert begin_at(times, 0.6, schedule) == [500.0, 0.0]
    assert begin_at(times[:2], 0.125, schedule) == [0.125 * 999]
    assert begin_at(times[:2], 0.8, schedule, rescale=True) == [0.8 * 999, 400.0]

"""Batches of many prompts hold the pictures that an editor draws one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.evaluation import drawing
from glide_edit.evaluation.drawing import Settings, draw, draw_plans
from glide_edit.images import open_picture
from glide_edit.operations.postprocess import to_pixels
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Generate, Inpaint
from masks import Mask
from tests.glide_edit.clips import model_with_clip
from tests.glide_edit.operations.stand_ins import draw_steps, noise, tiny_model

PROMPTS = ("a red ball", "a blue cube on grass", "grass", "a red ball")
SEEDS = (5, 0, 9, 6)


def one_by_one(settings: dict[str, object]) -> np.ndarray:
    editor = Editor(tiny_model())
    results = [
        editor.run(Generate(prompt=prompt, seed=seed, **settings))  # type: ignore[arg-type]
        for prompt, seed in zip(PROMPTS, SEEDS, strict=True)
    ]
    return np.stack([result.pictures[0].pixels for result in results])


@pytest.mark.parametrize(
    "settings", [{}, {"guidance": 1.0}, {"steps": 2, "sampler": "ddpm"}, {"steps": 4, "sampler": "ddim"}]
)
def test_a_picture_is_the_one_an_editor_draws(settings: dict[str, object]) -> None:
    (together,) = draw(tiny_model(), PROMPTS, SEEDS, Settings(**settings))  # type: ignore[arg-type]
    apart = one_by_one(settings)
    assert np.abs(together.astype(int) - apart).max() <= 1
    assert np.abs(together[0].astype(int) - together[3]).max() > 8  # another seed, another picture


def test_batches_follow_each_other_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = draw(tiny_model(), PROMPTS, SEEDS)
    monkeypatch.setattr(drawing, "MOST_TOGETHER", 3)
    parts = list(draw(tiny_model(), PROMPTS, SEEDS))
    assert [len(part) for part in parts] == [3, 1]
    assert np.abs(np.concatenate(parts).astype(int) - whole).max() <= 1


def test_an_upsampler_takes_fewer_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = draw(tiny_model(), PROMPTS, SEEDS)
    monkeypatch.setattr(drawing, "_PIXELS_TOGETHER", 3 * 64**2)
    (again,) = draw(tiny_model(), PROMPTS, SEEDS)
    assert np.abs(again.astype(int) - whole).max() <= 1


def test_the_base_alone_draws_its_own_size() -> None:
    (pictures,) = draw(tiny_model(), PROMPTS, SEEDS, size="base")
    assert pictures.shape == (4, 16, 16, 3)
    alone = Editor(tiny_model(upsampler=False)).run(Generate(prompt=PROMPTS[1], seed=SEEDS[1]))
    assert np.abs(pictures[1].astype(int) - alone.pictures[0].pixels).max() <= 1


def test_a_model_that_reads_no_text_draws_all_the_same() -> None:
    (pictures,) = draw(tiny_model(text=False), PROMPTS, SEEDS)
    assert len(pictures) == 4


def test_a_clip_guides_each_picture_to_its_own_prompt() -> None:
    model = model_with_clip()
    guided = Settings(clip_guidance=30.0)
    (together,) = draw(model, PROMPTS, SEEDS, guided, "base")
    apart = [next(draw(model, [p], [s], guided, "base"))[0] for p, s in zip(PROMPTS, SEEDS, strict=True)]
    assert np.abs(together.astype(int) - np.stack(apart)).max() <= 1
    (plain,) = draw(model, PROMPTS, SEEDS, size="base")
    assert np.abs(together.astype(int) - plain).max() > 4
    edited = Editor(model).run(Generate(prompt=PROMPTS[1], seed=SEEDS[1], clip_guidance=30.0)).pictures[0]
    (whole,) = draw(model, PROMPTS, SEEDS, guided)
    assert np.abs(whole[1].astype(int) - edited.pixels).max() <= 1


@pytest.mark.parametrize(
    "dial", [{"context_guidance": 3.0}, {"context_guidance": 0.0, "context_interval": (0.5, 1.0)}]
)
def test_the_dial_acts_on_a_batch_as_on_one_edit(dial: dict[str, Any]) -> None:
    selected = np.zeros((64, 64), bool)
    selected[20:44, 16:40] = True
    asked = [
        Inpaint(
            image=open_picture(noise(64, 64, seed=seed)),
            mask=Mask(selected),
            prompt=prompt,
            seed=seed,
            **dial,
        )
        for prompt, seed in zip(PROMPTS, SEEDS, strict=True)
    ]
    plans = [plan(request, tiny_model()) for request in asked]
    (together,) = draw_plans(tiny_model(), plans)
    for made, drawn in zip(plans, together, strict=True):
        last = draw_steps(tiny_model(), made)[-1]
        assert np.abs(drawn - to_pixels(last.picture())[0]).max() < 1
    plain = [plan(request.replace(context_guidance=None), tiny_model()) for request in asked]
    (without,) = draw_plans(tiny_model(), plain)
    assert np.abs(together - without).max() > 8


def test_guidance_by_a_clip_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="no CLIP"):
        next(draw(tiny_model(), PROMPTS, SEEDS, Settings(clip_guidance=1.0)))

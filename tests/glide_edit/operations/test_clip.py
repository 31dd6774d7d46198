"""Guidance by CLIP in an edit: which CLIP, where it acts, and what the recipe says of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import InputError, ModelNotFound
from glide_edit.images import open_picture
from glide_edit.operations.clip import OpenClip, clip_score, load_open_clip
from glide_edit.requests import Generate, Inpaint, Upscale
from masks import Mask
from tests.glide_edit.clips import write_open_clip
from tests.glide_edit.operations.stand_ins import SCHEDULE, noise, tiny_model

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> OpenClip:
    folder = write_open_clip(tmp_path_factory.mktemp("clips") / "tiny")
    return load_open_clip(f"local-dir:{folder}", CPU)


def test_what_it_is_called_tells_no_path(guide: OpenClip) -> None:
    assert guide.name == "local-dir:tiny"


def test_an_edit_is_guided_and_its_recipe_says_by_what(guide: OpenClip) -> None:
    editor = Editor(tiny_model(), guide)
    selected = np.zeros((64, 64), bool)
    selected[20:44, 20:44] = True
    request = Inpaint(
        image=open_picture(noise(64, 64)), mask=Mask.from_array(selected, means="change"), prompt="a red ball"
    )
    plain = editor.run(request)
    guided = editor.run(request.replace(clip_guidance=200, clip_cuts=2))
    again = editor.run(request.replace(clip_guidance=200, clip_cuts=2))
    outside = editor.run(request.replace(clip_guidance=200, clip_cuts=2, clip_interval=(0.0, 0.0)))
    assert not np.array_equal(guided.pictures[0].pixels, plain.pictures[0].pixels)
    assert np.array_equal(guided.pictures[0].pixels, again.pictures[0].pixels)
    assert np.array_equal(guided.pictures[0].pixels[~selected], plain.pictures[0].pixels[~selected])
    assert outside.pictures[0].sha256 != guided.pictures[0].sha256
    assert guided.model == f"{editor.model.label}, guided by local-dir:tiny"
    assert plain.model == editor.model.label


def test_guidance_that_a_preset_asks_for_is_in_the_recipe_too(guide: OpenClip) -> None:
    model = tiny_model()
    base, *others = model.spec.stages
    base = replace(base, preset=replace(base.preset, clip_guidance=5.0))
    spec = replace(model.spec, stages=(base, *others))
    editor = Editor(replace(model, spec=spec), guide)
    guided = f"{editor.model.label}, guided by local-dir:tiny"
    assert editor.label(Generate(prompt="a ball")) == guided
    assert editor.label(Generate(prompt="a ball", clip_guidance=0)) == editor.model.label
    assert editor.label(Upscale(image=open_picture(noise(8, 8)), clip_guidance=5)) == editor.model.label


def test_without_words_there_is_nothing_to_guide_to(guide: OpenClip) -> None:
    editor = Editor(tiny_model(), guide)
    mask = Mask.from_array(np.ones((30, 30), bool), means="change")
    request = Inpaint(image=open_picture(noise(30, 30)), mask=mask)
    plain, guided = editor.run(request), editor.run(request.replace(clip_guidance=200))
    assert np.array_equal(plain.pictures[0].pixels, guided.pictures[0].pixels)


@pytest.mark.parametrize(
    ("prompt", "flips"),
    [("a red ball", True), ("a ball left, a cube right.", False), ("a ball to the LEFT of it", False)],
)
def test_cuts_are_not_mirrored_where_the_words_tell_sides(guide: OpenClip, prompt: str, flips: bool) -> None:
    score = clip_score(guide, Generate(prompt=prompt), [prompt], 1.0, (0,), SCHEDULE)
    assert getattr(score, "flips") == flips  # noqa: B009 - a ScoreFn is any callable


def test_a_clip_that_cannot_be_had_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="knows no model 'ViT'"):
        load_open_clip("ViT/openai", CPU)
    with pytest.raises((InputError, ModelNotFound)):
        load_open_clip(f"local-dir:{tmp_path / 'nothing'}", CPU)

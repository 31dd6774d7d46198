"""Removing: it begins from patches of the surroundings, in every stage, and the model only joins them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.frame import Prepared
from glide_edit.operations.inpaint import FILL_CONTEXT, prepare
from glide_edit.operations.mask_fill import init_image_for
from glide_edit.operations.repaint import FINE_SHARE
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Inpaint, Remove
from masks import AUTOMATIC_CONTEXT, Mask
from tests.glide_edit.operations.stand_ins import draw_steps, inputs_of, tiny_editor

SIDE = 120


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


def striped() -> NDArray[np.uint8]:
    """Stripes of the ground, with a thing on them."""
    y, x = np.indices((SIDE, SIDE))
    picture = np.where(((x + y) // 6 % 2)[..., None] == 1, (200, 160, 90), (60, 110, 150)).astype(np.uint8)
    picture[50:66, 50:66] = (255, 0, 0)
    return picture


def thing() -> Mask:
    selected = np.zeros((SIDE, SIDE), bool)
    selected[48:68, 48:68] = True
    return Mask(selected)


def removal(**changes: Any) -> Remove:
    """By patches, unless told otherwise."""
    return Remove(image=open_picture(striped()), mask=thing(), **{"mask_fill": "patches", **changes})


@pytest.mark.parametrize(
    ("changes", "strength"),
    [
        ({}, 0.25),
        ({"strength": 0.6}, 0.6),
        ({"mask_fill": "surroundings"}, 0.8),
        ({"mask_fill": "noise"}, 1.0),
    ],
)
def test_patches_get_little_noise_unless_told(changes: dict[str, Any], strength: float) -> None:
    request = removal(**changes)
    assert request.start_strength == strength
    prepared = prepare(request)
    assert prepared.strength == (None if request.mask_fill == "noise" else strength)
    patches = request.mask_fill == "patches"
    assert prepared.fine_strength == (FINE_SHARE * strength if patches else None)


def test_an_inpainting_from_patches_gets_as_much_noise_as_other_content() -> None:
    request = Inpaint(image=open_picture(striped()), mask=thing(), mask_fill="patches")
    assert request.start_strength == 0.8
    assert prepare(request.replace(strength=1.0)).fine_strength is None


def side_of(prepared: Prepared) -> int:
    crop = prepared.frames[0].crop
    assert crop is not None
    return crop.side


def test_patches_see_more_of_the_picture() -> None:
    grown = 20 + 2 * 8 + 2 * 2
    assert side_of(prepare(removal(grow=8))) == pytest.approx(FILL_CONTEXT * grown, abs=2)
    assert side_of(prepare(removal(grow=8, mask_fill="surroundings"))) == pytest.approx(
        max(64, AUTOMATIC_CONTEXT * grown), abs=2
    )
    assert side_of(prepare(removal(grow=8, context=1.5))) == pytest.approx(max(64, 1.5 * grown), abs=2)


def test_it_begins_from_the_surroundings_and_never_from_what_goes() -> None:
    image = striped().astype(np.float32) / 127.5 - 1
    stays = ~thing().selected
    for hidden in (image, np.where(stays[..., None], image, np.float32(np.nan))):
        init_image = init_image_for("patches", hidden, stays)
        assert init_image is not None
        start = init_image(SIDE)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(start[stays], image[stays], atol=1e-6)
        ground = {tuple(colour) for colour in np.unique(image[stays], axis=0).round(4).tolist()}
        assert {tuple(colour) for colour in start[~stays].round(4).tolist()} <= ground
        assert start[~stays].std(axis=0).min() > 0.1


def test_where_hardly_anything_is_known_the_colours_around_it_serve() -> None:
    image = striped().astype(np.float32) / 127.5 - 1
    stays = np.zeros((SIDE, SIDE), bool)
    stays[:4] = True
    init_image = init_image_for("patches", image, stays)
    assert init_image is not None
    start = init_image(16)
    assert torch.isfinite(start).all()
    assert start.abs().max() <= 1


def off(editor: Editor, made: Plan, stage: str) -> float:
    """How far the last picture of a stage is from what its init image would be."""
    inputs = inputs_of(made.request)
    assert inputs.init_image is not None
    last = [step for step in draw_steps(editor.model, made, inputs) if step.sample.stage == stage][-1]
    picture = last.picture()
    return float((picture - inputs.init_image(picture.shape[-1])).abs().mean())


def test_every_stage_begins_from_it(editor: Editor) -> None:
    """With hardly any noise a network that knows nothing cannot do much harm."""
    made = plan(removal(strength=0.02, detail=False), editor.model)
    noise = replace(made, stages=(made.stages[0], replace(made.stages[1], from_init=False)))
    assert off(editor, made, "base") < 0.1
    assert off(editor, made, "upsampler") < 0.1
    assert off(editor, noise, "upsampler") > 2 * off(editor, made, "upsampler")


def test_detail_begins_from_it_too(editor: Editor) -> None:
    made = plan(removal(grow=8, strength=0.02, context=3.0, detail=True), editor.model)
    assert made.frames[0].passes[-1].size[0] > 80
    fresh = [replace(each, from_init=False) for each in made.frames[0].passes]
    other = replace(made, frames=(replace(made.frames[0], passes=tuple(fresh)),))
    assert off(editor, made, "detail") < 0.5 * off(editor, other, "detail")


def test_a_removal_is_a_repair_that_no_network_of_the_model_draws(editor: Editor) -> None:
    request = removal(mask_fill="repair")
    made = editor.plan(request)
    assert made.stages == ()
    assert made.network_calls == 1
    result = editor.run(made)
    assert result.receipts[0].kept
    inside = result.pictures[0].pixels[thing().selected].astype(int)
    assert (np.abs(inside - (255, 0, 0)).sum(1) > 100).all(), "nothing of the thing is left"
    again = editor.run(Plan.from_json(made.to_json(), request.image))
    assert np.array_equal(again.pictures[0].pixels, result.pictures[0].pixels)


def test_with_a_strength_the_model_draws_from_the_repair(editor: Editor) -> None:
    made = editor.plan(removal(mask_fill="repair", strength=0.3))
    assert [settings.from_init for settings in made.stages] == [True, True]
    assert made.stages[0].timesteps[0] <= 0.3 * 1000


@pytest.mark.parametrize("grow", [0, 3])
@pytest.mark.parametrize("feather", [None, 30.0])
def test_nothing_of_the_thing_shows_through_whatever_the_feather(
    editor: Editor, grow: int, feather: float | None
) -> None:
    """The striped ground is removed from under itself: what was there does not count."""
    one, other = striped(), striped()
    other[thing().selected] = (0, 255, 0)
    pictures = [
        editor.run(
            Remove(image=open_picture(pixels), mask=thing(), grow=grow, feather=feather, match_grain=False)
        ).pictures[0]
        for pixels in (one, other)
    ]
    assert np.array_equal(pictures[0].pixels, pictures[1].pixels)


def test_what_a_repair_does_not_heed_is_said(editor: Editor) -> None:
    made = editor.plan(removal(mask_fill="repair", steps=3))
    assert "steps" in made.notes[-1]
    assert "strength" in made.notes[-1]
    with pytest.raises(InputError, match="candidates"):
        editor.plan(removal(mask_fill="repair", candidates=4))


def test_a_selection_grows_as_far_as_the_thing_shows(editor: Editor) -> None:
    flat = np.full((SIDE, SIDE, 3), (90, 120, 150), np.uint8)
    flat[50:66, 50:66] = (255, 0, 0)
    exact = np.zeros((SIDE, SIDE), bool)
    exact[50:66, 50:66] = True
    soft = cv2.GaussianBlur(flat, (0, 0), 1.2)
    sharp = editor.plan(Remove(image=open_picture(flat), mask=Mask(exact)))
    grown = editor.plan(Remove(image=open_picture(soft), mask=Mask(exact)))
    assert sharp.allowed == Mask(exact)
    assert grown.allowed is not None
    assert 1.3 * exact.sum() < grown.allowed.count < 4 * exact.sum()
    assert any("grown" in note for note in grown.notes)


def test_thin_selections_are_no_matter_for_a_repair(editor: Editor) -> None:
    thin = np.zeros((SIDE, SIDE), bool)
    thin[60:62, 10:110] = True
    codes = [
        {
            each.code
            for each in editor.diagnose(Remove(image=open_picture(striped()), mask=Mask(thin), **more))
        }
        for more in ({}, {"strength": 0.5})
    ]
    assert "thin" not in codes[0]
    assert "thin" in codes[1]

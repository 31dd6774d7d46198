"""Removing: it begins from patches of the surroundings, in every stage, and the model only joins them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.images import open_picture
from glide_edit.operations.cascade import Job, run_cascade
from glide_edit.operations.detail import draw as draw_with_detail
from glide_edit.operations.frames import FINE_SHARE, job_of
from glide_edit.operations.inpaint import PATCHES_CONTEXT, InpaintWork
from glide_edit.requests import Inpaint, Remove
from masks import AUTOMATIC_CONTEXT, Mask
from tests.glide_edit.operations.stand_ins import tiny_editor

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
    return Remove(image=open_picture(striped()), mask=thing(), **changes)


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
    job = InpaintWork.of(request).job()
    assert job.strength == strength
    patches = request.mask_fill == "patches"
    assert job.fine_strength == (FINE_SHARE * strength if patches else None)


def test_an_inpainting_from_patches_gets_as_much_noise_as_other_content() -> None:
    request = Inpaint(image=open_picture(striped()), mask=thing(), mask_fill="patches")
    assert request.start_strength == 0.8
    all_noise = InpaintWork.of(request.replace(strength=1.0)).job()
    assert all_noise.fine_strength is None


def test_patches_see_more_of_the_picture() -> None:
    grown = 20 + 2 * 8 + 2 * 2
    assert InpaintWork.of(removal()).crop.side == pytest.approx(PATCHES_CONTEXT * grown, abs=2)
    assert InpaintWork.of(removal(mask_fill="surroundings")).crop.side == pytest.approx(
        max(64, AUTOMATIC_CONTEXT * grown), abs=2
    )
    assert InpaintWork.of(removal(context=1.5)).crop.side == pytest.approx(max(64, 1.5 * grown), abs=2)


def test_it_begins_from_the_surroundings_and_never_from_what_goes() -> None:
    request = removal()
    image = striped().astype(np.float32) / 127.5 - 1
    stays = ~thing().selected
    for hidden in (image, np.where(stays[..., None], image, np.float32(np.nan))):
        job = job_of(request, hidden, stays)
        assert job.start is not None
        start = job.start(SIDE)[0].permute(1, 2, 0).numpy()
        np.testing.assert_allclose(start[stays], image[stays], atol=1e-6)
        ground = {tuple(colour) for colour in np.unique(image[stays], axis=0).round(4).tolist()}
        assert {tuple(colour) for colour in start[~stays].round(4).tolist()} <= ground
        assert start[~stays].std(axis=0).min() > 0.1


def test_where_hardly_anything_is_known_the_colours_around_it_serve() -> None:
    image = striped().astype(np.float32) / 127.5 - 1
    stays = np.zeros((SIDE, SIDE), bool)
    stays[:4] = True
    job = job_of(removal(), image, stays)
    assert job.start is not None
    start = job.start(16)
    assert torch.isfinite(start).all()
    assert start.abs().max() <= 1


def test_every_stage_begins_from_it(editor: Editor) -> None:
    """With hardly any noise a network that knows nothing cannot do much harm."""
    job = InpaintWork.of(removal(strength=0.02, detail=False)).job()

    def off(job: Job, stage: str, size: int) -> float:
        assert job.start is not None
        steps = [step for step in run_cascade(editor.model, job) if step.stage == stage]
        return float((steps[-1].x0 - job.start(size)).abs().mean())

    noise = replace(job, fine_strength=None)
    assert off(job, "base", 16) < 0.1
    assert off(job, "upsampler", 64) < 0.1
    assert off(noise, "upsampler", 64) > 2 * off(job, "upsampler", 64)


def test_detail_begins_from_it_too(editor: Editor) -> None:
    job = InpaintWork.of(removal(strength=0.02, context=3.0)).job()
    assert job.start is not None
    *_, last = draw_with_detail(editor.model, replace(job, grain=True))
    assert last.stage == "detail"
    side = last.x0.shape[-1]
    assert side > 80
    off = (last.x0 - job.start(side)).abs().mean()
    *_, other = draw_with_detail(editor.model, replace(job, grain=True, fine_strength=None))
    assert float(off) < 0.5 * float((other.x0 - job.start(side)).abs().mean())

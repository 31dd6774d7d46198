"""A codec between pictures and what a network denoises: everything that touches pixels goes through it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.codecs import PIXELS, shape_of
from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.models import Model
from glide_edit.requests import Generate, Inpaint, Outpaint, Request, Sketch, Upscale, Vary
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, told


class Folded:
    """An exact autoencoder: 2 x 2 pixels become one cell of 12 values, scaled as latents are."""

    channels = 12
    factor = 2
    bounded = False

    def encode(self, pictures: Tensor) -> Tensor:
        return F.pixel_unshuffle(pictures, 2) * 3

    def decode(self, values: Tensor) -> Tensor:
        return F.pixel_shuffle(values / 3, 2)

    def keep(self, keep_mask: Tensor) -> Tensor:
        return -F.max_pool2d(-keep_mask, 2)


def latent_editor(answer: Any, *, upsampler: bool = False) -> Editor:
    """16 px pictures, denoised as (12, 8, 8); with the upsampler 64 px, as (12, 32, 32)."""
    editor = stand_in_editor(answer, upsampler=upsampler)
    stages = [replace(stage, codec=Folded()) for stage in editor.model.stages]
    return Editor(Model.of(editor.model.spec, editor.model.runtime, stages))


@pytest.fixture
def source() -> np.ndarray:
    return noise(64, 64, seed=1)


def test_pixels_need_no_codec() -> None:
    pictures = torch.rand(1, 3, 4, 4)
    assert PIXELS.encode(pictures) is PIXELS.decode(pictures) is PIXELS.keep(pictures) is pictures
    assert shape_of(PIXELS, 64) == (3, 64, 64)
    assert shape_of(Folded(), 64) == (12, 32, 32)


def test_networks_denoise_latents_and_pictures_come_out(source: np.ndarray) -> None:
    picture = torch.linspace(-1, 1, 16).expand(1, 3, 16, 16)
    latents = Folded().encode(picture)
    editor = latent_editor(lambda x_t: latents.expand_as(x_t))
    seen: list[Any] = []
    result = editor.run(Generate(prompt="a ball"), on_step=seen.append)
    assert seen[0].latents.shape == (1, 12, 8, 8)
    expected = np.rint((picture[0].permute(1, 2, 0).numpy() + 1) * 127.5)
    assert np.abs(result.pictures[0].pixels - expected).max() <= 1


def test_values_beyond_pixels_are_not_clipped_on_the_way() -> None:
    """Latents have no range: a threshold for pixels would ruin them."""
    editor = latent_editor(lambda x_t: torch.full_like(x_t, 2.7))
    result = editor.run(Generate(prompt="a ball"))
    assert np.abs(result.pictures[0].pixels - (2.7 / 3 + 1) * 127.5).max() <= 1


def test_known_cells_are_pasted_and_told(source: np.ndarray) -> None:
    selected = np.zeros((64, 64), bool)
    selected[24:40, 24:40] = True
    editor = latent_editor(torch.zeros_like)
    request = Inpaint(image=open_picture(source), mask=Mask(selected), finish="hard", context=4)
    seen: list[Any] = []
    result = editor.run(request, on_step=seen.append)
    condition = told(editor)[0][0]
    assert condition.known is not None
    assert condition.keep_mask is not None
    assert condition.known.shape == (1, 12, 8, 8)
    assert condition.keep_mask.shape == (1, 1, 8, 8)
    assert 0 < condition.keep_mask.mean() < 1
    kept = condition.keep_mask.expand_as(seen[-1].x0) == 1
    assert torch.equal(seen[-1].x0[kept], condition.known[kept])
    assert (seen[-1].x0[~kept] == 0).all()
    assert result.receipts[0].kept
    assert np.abs(result.pictures[0].pixels[selected].astype(int) - 128).max() <= 1


def test_an_init_image_is_encoded(source: np.ndarray) -> None:
    """A network that gives x_t back leaves the source, hardly noised, as it was."""
    editor = latent_editor(lambda x_t: x_t)
    flat = open_picture(np.full((16, 16, 3), 200, np.uint8))
    result = editor.run(Vary(image=flat, strength=0.01, steps=50))
    assert np.abs(result.pictures[0].pixels.astype(int) - 200).max() < 40


def drawing() -> np.ndarray:
    sheet = np.full((32, 32, 3), 255, np.uint8)
    sheet[8:24, 8:10] = sheet[8:24, 22:24] = sheet[8:10, 8:24] = sheet[22:24, 8:24] = 0
    sheet[12:20, 12:20] = (200, 30, 30)
    return sheet


@pytest.mark.parametrize("mode", ["lines", "tone", "both"])
def test_drawings_and_their_strengths_are_of_the_size_of_the_cells(mode: Any) -> None:
    editor = latent_editor(torch.zeros_like)
    editor.run(Sketch(drawing=open_picture(drawing()), mode=mode))
    told_of = told(editor)[0][0].drawing
    assert (None if told_of is None else told_of.shape) == (None if mode == "tone" else (1, 1, 8, 8))


def test_a_strength_map_holds_the_cells_of_what_is_filled() -> None:
    """With hardly any strength the red square is held until the end, whatever the network says."""
    seen: list[Any] = []
    request = Sketch(drawing=open_picture(drawing()), mode="tone", strength=0.01)
    latent_editor(torch.zeros_like).run(request, on_step=seen.append)
    red, green, blue = Folded().decode(seen[0].x0)[0, :, 8, 8].tolist()
    assert red > 0.4 > 0 > max(green, blue)


def selection(side: int, start: int, end: int) -> Mask:
    selected = np.zeros((side, side), bool)
    selected[start:end, start:end] = True
    return Mask(selected)


ENLARGED: dict[str, Request] = {
    "detail": Inpaint(
        image=open_picture(noise(200, 200)), mask=selection(200, 40, 160), finish="hard", match_grain=False
    ),
    "upscale": Upscale(image=open_picture(noise(40, 30)), factor=2),
    "outpaint": Outpaint(image=open_picture(noise(80, 80)), right=90, match_grain=False),
    "generate": Generate(prompt="a ball"),
}


@pytest.mark.parametrize("name", ENLARGED)
def test_tiles_are_denoised_as_latents_too(name: str) -> None:
    """A network that always answers grey makes the same picture of latents as of pixels."""
    editor = latent_editor(torch.zeros_like, upsampler=True)
    seen: list[Any] = []
    made = editor.run(ENLARGED[name], on_step=seen.append)
    assert {step.latents.shape[1] for step in seen} == {12}
    condition = told(editor, 1)[-1][0]
    assert condition.low_res is not None
    assert condition.low_res.shape == (1, 3, 16, 16)
    if condition.known is not None and condition.keep_mask is not None:
        assert condition.known.shape == (1, 12, 32, 32)
        assert condition.keep_mask.shape == (1, 1, 32, 32)
    expected = stand_in_editor(torch.zeros_like, upsampler=True).run(ENLARGED[name])
    apart = made.pictures[0].pixels.astype(int) - expected.pictures[0].pixels
    # A cell is known only where all its pixels are: the edge of what is drawn may differ.
    assert np.median(np.abs(apart)) <= 1
    assert all(receipt.kept for receipt in made.receipts)


def test_a_stage_is_given_the_picture_before_within_its_bounds() -> None:
    editor = latent_editor(lambda x_t: torch.full_like(x_t, 6.0), upsampler=True)
    editor.run(Generate(prompt="a ball"))
    low_res = told(editor, 1)[0][0].low_res
    assert low_res is not None
    assert low_res.max() == 1


def test_a_draft_that_is_the_result_is_told_as_latents() -> None:
    seen: list[Any] = []
    latent_editor(torch.zeros_like).run(Generate(prompt="a ball", candidates=2), on_step=seen.append)
    assert {step.latents.shape[1:] for step in seen} == {(12, 8, 8)}


def test_no_clip_can_look_at_latents() -> None:
    editor = latent_editor(torch.zeros_like)
    with pytest.raises(InputError, match="denoises latents") as caught:
        editor.plan(Generate(prompt="a ball", clip_guidance=1.0))
    assert (caught.value.code, caught.value.field) == ("clip_guidance_of_latents", "clip_guidance")

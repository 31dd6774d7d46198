"""Variations: where they begin, what they keep, and what shape they have."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.frame import FrameInputs
from glide_edit.operations.letterbox import crop_letterbox, letterbox
from glide_edit.operations.postprocess import to_pixels
from glide_edit.requests import Vary
from tests.glide_edit.operations.stand_ins import draw_steps, noise, stand_in_editor, tiny_editor

SIZE = (48, 70)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


def times_asked(editor: Editor, **changes: Any) -> list[float]:
    """The times at which the base network is asked."""
    asked: list[float] = []
    network: Any = editor.model.stages[0].network
    answer = type(network).predict

    def predict(x_t: Any, t: Any, branches: Any) -> Any:
        asked.append(float(t[0]))
        return answer(network, x_t, t, branches)

    network.predict = predict
    editor.run(Vary(image=open_picture(noise(20, 20)), **{"steps": 50, "sampler": "ddim"} | changes))
    return asked


@pytest.mark.parametrize("strength", [0.1, 0.5, 0.9])
def test_the_base_begins_where_that_share_of_the_noise_axis_remains(strength: float) -> None:
    asked = times_asked(stand_in_editor(torch.zeros_like), strength=strength)
    whole = times_asked(stand_in_editor(torch.zeros_like), strength=1.0)
    assert asked == [t for t in whole if t <= strength * 99]
    assert len(whole) == 50


def test_the_least_strength_still_takes_a_step() -> None:
    assert times_asked(stand_in_editor(torch.zeros_like), strength=1e-6) == [0.0]


def test_it_begins_from_the_picture_noised() -> None:
    seen: list[torch.Tensor] = []
    editor = stand_in_editor(lambda x_t: seen.append(x_t) or x_t)  # type: ignore[func-returns-value]
    picture = open_picture(np.full((20, 20, 3), 255, np.uint8))
    for strength in (0.2, 0.9):
        seen.clear()
        editor.run(Vary(image=picture, strength=strength, steps=50))
        schedule = editor.model.stages[0].schedule
        t = max(t for t in range(100) if t <= strength * 99)
        signal = schedule.alpha_bar(torch.tensor(float(t))).sqrt()
        assert float(seen[0].mean()) == pytest.approx(float(signal), abs=0.15)


def test_a_network_that_sees_the_picture_gives_it_back() -> None:
    """What believes in x_t as it is leaves less of the source the stronger it is noised."""
    editor = stand_in_editor(lambda x_t: x_t)
    source = open_picture(np.kron(noise(4, 4), np.ones((8, 8, 1), np.uint8)))
    small = to_pixels(letterbox(source.pixels, 16))[0]
    apart = [
        np.abs(editor.run(Vary(image=source, strength=s, steps=50)).pictures[0].pixels - small).mean()
        for s in (0.05, 0.3, 0.9)
    ]
    assert apart[0] < apart[1] < apart[2]
    assert apart[0] < 12


def test_a_strength_of_0_for_a_pixel_keeps_it_and_1_frees_it(editor: Editor) -> None:
    start = letterbox(noise(16, 16), 16)
    levels = torch.ones(1, 1, 16, 16)
    levels[..., :8] = 0.0

    def drawn(strength_map: torch.Tensor | None) -> torch.Tensor:
        inputs = FrameInputs(
            init_image=lambda size: start,
            strength_map=None if strength_map is None else lambda size: strength_map,
        )
        made = editor.plan(Vary(image=open_picture(noise(16, 16)), prompt="a ball", strength=1.0))
        steps = draw_steps(editor.model, made, inputs)
        return [step for step in steps if step.sample.stage == "base"][-1].picture()

    assert torch.allclose(drawn(levels)[..., :8], start[..., :8], atol=1e-5)
    assert not torch.allclose(drawn(levels)[..., 8:], start[..., 8:], atol=0.1)
    assert torch.allclose(drawn(torch.ones_like(levels)), drawn(None))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.sampled_from([16, 64]), st.booleans())
def test_any_shape_goes_into_the_square_and_out_again(height: int, width: int, size: int, deep: bool) -> None:
    pixels = noise(height, width, bits=16 if deep else 8)
    square = letterbox(pixels, size)
    assert square.shape == (1, 3, size, size)
    assert square.abs().max() <= 1
    cut = crop_letterbox(to_pixels(square)[0], height, width).picture
    assert max(cut.width, cut.height) == size
    assert min(cut.width, cut.height) == max(1, round(size * min(height, width) / max(height, width)))


def test_a_picture_of_the_models_size_goes_through_unchanged() -> None:
    pixels = noise(64, 40)
    assert np.array_equal(crop_letterbox(to_pixels(letterbox(pixels, 64))[0], 64, 40).picture.pixels, pixels)


def test_a_variation_has_no_receipt_and_says_what_it_left_out(editor: Editor) -> None:
    result = editor.vary(noise(*SIZE, channels=4), "a ball", n=2, strength=0.5)
    assert result.receipts == ()
    assert [picture.alpha for picture in result.pictures] == [None, None]
    assert [(p.width, p.height) for p in result.pictures] == [(64, 44), (64, 44)]
    assert any("transparency was left out" in note for note in result.notes)
    assert editor.vary(noise(*SIZE), "a ball").notes == ()


def test_the_strength_is_heard(editor: Editor) -> None:
    one, other = (editor.vary(noise(*SIZE), strength=s).pictures[0].pixels for s in (0.3, 1.0))
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("strength", [0, -0.1, 1.1, float("nan"), "0.5", None, True])
def test_a_strength_that_cannot_be_is_refused(strength: Any) -> None:
    with pytest.raises(InputError, match="strength must be"):
        Vary(image=open_picture(noise(4, 4)), strength=strength)

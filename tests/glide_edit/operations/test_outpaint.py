"""Outpainting: the picture stays where it belongs, everything around it is drawn, outward."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.outpaint import frames_of
from glide_edit.requests import Outpaint, request_from_json
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor, told

sides = st.integers(1, 400)
added = st.integers(0, 300)


@given(height=sides, width=sides, left=added, right=added, top=added, bottom=added)
@settings(max_examples=60, deadline=None)
def test_frames_cover_all_that_is_new_and_each_knows_something(
    height: int, width: int, left: int, right: int, top: int, bottom: int
) -> None:
    if not left + right + top + bottom:
        return
    image = open_picture(np.zeros((height, width, 3), np.uint8))
    request = Outpaint(image=image, left=left, right=right, top=top, bottom=bottom)
    known = np.zeros(request.size, bool)
    known[request.place] = True
    assert known.sum() == height * width
    for frame in frames_of(request):
        assert frame.crop is not None
        assert frame.allowed is not None
        x0, y0, x1, y1 = frame.crop.box
        assert frame.allowed.size == (y1 - y0, x1 - x0)
        part = known[y0:y1, x0:x1]
        new = frame.allowed.selected & ~part
        assert part.any(), "a frame without anything known would draw another picture"
        part |= new
    assert known.all()


def test_the_picture_stays_and_the_receipt_says_so(tmp_path: Path) -> None:
    pixels = noise(40, 60, channels=4)
    result = tiny_editor().outpaint(pixels, left=30, bottom=25, seed=3, detail=False)
    made = result.pictures[0]
    assert made.pixels.shape == (65, 90, 3)
    assert np.array_equal(made.pixels[:40, 30:], pixels[..., :3])
    assert made.alpha is not None
    assert np.array_equal(made.alpha[:40, 30:], pixels[..., 3])
    assert (made.alpha[:, :30] == 255).all()
    assert str(result.receipts[0]) == "0 of 2,400 pixels outside changed"
    receipt = result.save(tmp_path / "larger.png")
    assert receipt is not None
    assert receipt.kept
    assert receipt.preservation == result.receipts[0].preservation


def test_the_dial_shows_the_base_nothing_of_the_picture_where_it_acts() -> None:
    def shown(**dial: Any) -> list[list[bool]]:
        editor = stand_in_editor(lambda x: x, upsampler=True)
        editor.outpaint(noise(64, 64), right=20, detail=False, **dial)
        assert [len(call) for call in told(editor, 1)] == [1, 1], "an upsampler would only lose the picture"
        return [[branch.known is not None for branch in call] for call in told(editor)]

    assert shown() == shown(context_guidance=1.0) == [[True], [True]]
    assert shown(context_guidance=2.0) == [[True, False]] * 2
    assert shown(context_guidance=2.0, context_interval=(0.75, 1.0)) == [[True, False], [True]]


def test_the_dial_changes_what_is_drawn_and_nothing_else() -> None:
    plain, dialled = (
        tiny_editor().outpaint(noise(40, 40), "a ball", right=20, context_guidance=scale) for scale in (1, 4)
    )
    before, after = plain.pictures[0].pixels, dialled.pictures[0].pixels
    assert np.array_equal(before[:, :40], after[:, :40])
    assert np.abs(before[:, 40:].astype(int) - after[:, 40:]).max() > 8
    assert dialled.receipts[0].kept
    again = request_from_json(dialled.recipe()["request"], open_picture(noise(40, 40)))
    assert isinstance(again, Outpaint)
    assert again.context_guidance == 4


def test_aspect_adds_what_is_missing_on_both_sides() -> None:
    def of(height: int, width: int, aspect: str, **fields: Any) -> Outpaint:
        return Outpaint(image=open_picture(noise(height, width)), aspect=aspect, **fields)

    assert of(90, 120, "16:9").size == (90, 160)
    assert of(90, 120, "16:9").place == (slice(0, 90), slice(20, 140))
    assert of(90, 120, "1:1").size == (120, 120)
    assert of(90, 120, "16:9", left=40).size == (90, 160)
    assert of(90, 120, "16:9", left=40).place == (slice(0, 90), slice(40, 160))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Nothing would be added"),
        ({"aspect": "3:2"}, "Nothing would be added"),
        ({"left": -1}, "left must be a whole number"),
        ({"top": 1.5}, "top must be a whole number"),
        ({"left": 9, "context_guidance": -1}, "context_guidance must be a number between 0 and 100"),
        ({"left": 9, "context_interval": (1, 0)}, "context_interval must be two numbers"),
        ({"aspect": "wide"}, "aspect must be two whole numbers such as 16:9, not 'wide'"),
        ({"aspect": "0:3"}, "aspect must be two whole numbers"),
        ({"left": 60_000, "bottom": 60_000}, "megapixels: add less"),
        ({"left": 1, "detail": "yes"}, "detail must be true, false or left out"),
    ],
)
def test_bad_input_gets_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Outpaint(image=open_picture(noise(40, 60)), **fields)


def test_more_frames_than_are_sensible_are_refused() -> None:
    with pytest.raises(InputError, match="more than 256 frames"):
        tiny_editor().outpaint(np.zeros((10, 10, 3), np.uint8), left=60_000)


def test_every_frame_has_noise_of_its_own_and_seeds_decide() -> None:
    editor = stand_in_editor(lambda x: x, upsampler=True)
    image = np.full((64, 64, 3), 128, np.uint8)
    made = editor.outpaint(image, right=500, n=2, detail=False)
    first, second = (each.pixels[:, 64:].astype(int) for each in made.pictures)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 128:192], first[:, 256:320])
    again = editor.outpaint(image, right=500, seed=1, detail=False).pictures[0]
    assert np.array_equal(again.pixels[:, 64:], second)


def test_a_recipe_repeats_it() -> None:
    image = open_picture(noise(40, 60))
    request = Outpaint(image=image, aspect="2:1", top=3, prompt="grass")
    again = request_from_json(request.to_json(), image)
    assert isinstance(again, Outpaint)
    assert again.size == request.size
    assert again.to_json() == request.to_json()


def test_it_can_be_stopped_between_frames() -> None:
    editor = stand_in_editor(torch.zeros_like, upsampler=True)
    stream = editor.stream(Outpaint(image=open_picture(noise(64, 64)), left=100, right=100))
    for _ in range(5):
        next(stream)
    stream.close()
    assert editor.outpaint(noise(64, 64), left=10).pictures

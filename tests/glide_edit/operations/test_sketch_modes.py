"""The ways of following a drawing: by its lines, by its tones, by both."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.frame import FrameInputs
from glide_edit.pipeline.planner import plan_frames
from glide_edit.requests import Sketch
from tests.glide_edit.operations.stand_ins import inputs_of, tiny_editor


def drawing(coloured: bool = True, inverted: bool = False) -> np.ndarray:
    paper = np.full((90, 120, 3), 255, np.uint8)
    cv2.circle(paper, (60, 45), 30, (0, 0, 0), 3)
    if coloured:
        cv2.line(paper, (50, 45), (70, 45), (220, 20, 20), 5)
    return 255 - paper if inverted else paper


def asked(mode: Any, **changes: Any) -> Sketch:
    return Sketch(drawing=open_picture(drawing(**changes)), mode=mode)


def given(mode: Any, **changes: Any) -> FrameInputs:
    return inputs_of(asked(mode, **changes))


def notes_of(mode: Any, **changes: Any) -> tuple[str, ...]:
    return plan_frames(asked(mode, **changes)).notes


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.mark.parametrize(
    ("mode", "coloured", "channel", "start"),
    [
        ("lines", True, True, False),
        ("lines", False, True, False),
        ("tone", True, False, True),
        ("both", True, True, True),
        ("both", False, True, True),
        ("auto", True, True, True),
        ("auto", False, True, False),
    ],
)
def test_what_the_model_is_given(mode: str, coloured: bool, channel: bool, start: bool) -> None:
    inputs = given(mode, coloured=coloured)
    assert (inputs.drawing is not None, inputs.init_image is not None) == (channel, start)
    assert (inputs.strength_map is not None) == start


def test_a_stroke_that_says_a_colour_is_no_line() -> None:
    both, lines = given("both").drawing, given("lines").drawing
    assert both is not None
    assert lines is not None
    middle = np.s_[0, 0, 60:68, 60:68]
    assert lines(128)[middle].max() == 1
    assert both(128)[middle].max() == -1
    # The outline is there in both.
    assert both(128).max() == 1


def test_colours_on_a_dark_ground_are_left_out_and_said() -> None:
    notes = notes_of("both", inverted=True)
    assert any("Colours are read from light paper alone" in note for note in notes)
    assert notes_of("lines", inverted=True) == notes_of("lines", coloured=False, inverted=True)


def test_what_was_done_with_colours_is_said() -> None:
    assert any("spread between its lines" in note for note in notes_of("auto"))
    assert notes_of("auto", coloured=False) == ()


def test_modes_and_strengths_are_heard(editor: Editor) -> None:
    pictures = [
        editor.sketch(drawing(), "a ball", mode=mode, strength=strength).pictures[0].pixels.tobytes()
        for mode, strength in (("lines", 0.8), ("tone", 0.8), ("both", 0.8), ("tone", 0.4))
    ]
    assert len(set(pictures)) == 4
    assert editor.sketch(drawing(), "a ball", strength=0.8).pictures[0].pixels.tobytes() == pictures[2]


def test_a_model_without_a_drawing_channel_follows_tones() -> None:
    blind = tiny_editor(drawing=False, upsampler=False)
    assert blind.sketch(drawing(), "a ball", mode="tone").pictures[0].width == 16
    with pytest.raises(InputError, match=r"by its tones alone \(mode tone\)"):
        blind.sketch(drawing(), "a ball")


@pytest.mark.parametrize("changes", [{"mode": "ink"}, {"mode": None}, {"strength": 0}, {"strength": 1.5}])
def test_what_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"mode|strength"):
        Sketch(drawing=open_picture(drawing()), **changes)

"""Line drawings with colour strokes: what is filled with which colour, and how firmly it is held."""

from __future__ import annotations

from typing import Any

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.scribble import clean_colours, scribble_lines
from glide_edit.operations.scribble_fill import STROKES_HOLD, ScribbleFill, fill_scribble

RED, BLUE = (200, 30, 30), (40, 60, 200)
Pixels = NDArray[Any]


def paper() -> Pixels:
    return np.full((256, 256, 3), 255, np.uint8)


def two_boxes(gap: int = 0) -> Pixels:
    """Two outlined boxes, left and right, with red in the left and blue in the right one."""
    sheet = paper()
    for x, colour in ((30, RED), (150, BLUE)):
        cv2.rectangle(sheet, (x, 80), (x + 76, 180), (20, 20, 20), 3)
        cv2.line(sheet, (x + 25, 130), (x + 50, 130), colour, 6)
    if gap:
        sheet[78:84, 66 : 66 + gap] = 255
    return sheet


def photographed(
    pixels: Pixels, tint: tuple[float, float, float] = (1, 1, 1), darkest: float = 0.5
) -> Pixels:
    """On tinted paper in uneven light, with grain and JPEG."""
    y, x = np.mgrid[0:256, 0:256] / 256
    light = darkest + (1 - darkest) * (0.5 + 0.5 * np.cos(np.pi * (0.6 * x + 0.4 * y)))
    seen = pixels * light[..., None] * np.array(tint) * 0.9
    seen = (seen + np.random.default_rng(0).normal(0, 3, seen.shape)).clip(0, 255).astype(np.uint8)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], 1))


def toned(pixels: Pixels) -> ScribbleFill:
    drawing = open_picture(pixels)
    ink, _ = scribble_lines(drawing)
    colours = clean_colours(drawing, ink)
    assert colours is not None
    return fill_scribble(ink, colours)


def colour_at(tone: ScribbleFill, x: int, y: int) -> Pixels:
    return (tone.colours[y, x] * 255).round().astype(int)


def close(colour: Pixels, wanted: tuple[int, int, int], within: int = 50) -> bool:
    return bool(np.abs(colour - np.array(wanted)).max() <= within)


@pytest.mark.parametrize(
    "pixels",
    [
        two_boxes(),
        two_boxes(gap=4),
        photographed(two_boxes()),
        photographed(two_boxes(), tint=(1.0, 0.9, 0.7), darkest=0.4),
        photographed(two_boxes(), tint=(0.75, 0.85, 1.0)),
    ],
    ids=["clean", "with a gap", "uneven light", "cream paper", "blue paper"],
)
def test_a_stroke_fills_what_lines_close_and_no_more(pixels: Pixels) -> None:
    tone = toned(pixels)
    for x, colour in ((40, RED), (95, RED), (160, BLUE), (215, BLUE)):
        for y in (90, 170):
            assert close(colour_at(tone, x, y), colour), (x, y, colour_at(tone, x, y))
            assert tone.filled[y, x]
    for x, y in ((10, 10), (128, 130), (250, 250)):
        assert close(colour_at(tone, x, y), (255, 255, 255), 1)
        assert not tone.filled[y, x]


def test_two_colours_in_one_box_blend() -> None:
    sheet = paper()
    cv2.rectangle(sheet, (30, 80), (226, 180), (20, 20, 20), 3)
    cv2.line(sheet, (40, 100), (40, 160), RED, 6)
    cv2.line(sheet, (216, 100), (216, 160), BLUE, 6)
    tone = toned(sheet)
    reds = [colour_at(tone, x, 130)[0] for x in (50, 90, 128, 166, 206)]
    assert reds == sorted(reds, reverse=True)
    assert close(colour_at(tone, 128, 130), (120, 45, 115), 25)


def test_a_stroke_on_the_open_sheet_fills_what_is_around() -> None:
    sheet = two_boxes()
    cv2.line(sheet, (60, 30), (200, 30), (60, 160, 220), 5)
    tone = toned(sheet)
    assert close(colour_at(tone, 128, 220), (60, 160, 220))
    assert close(colour_at(tone, 40, 90), RED)


def test_a_coloured_outline_fills_what_it_surrounds() -> None:
    sheet = paper()
    cv2.circle(sheet, (128, 128), 60, BLUE, 4)
    tone = toned(sheet)
    assert close(colour_at(tone, 128, 128), BLUE)
    assert close(colour_at(tone, 10, 10), (255, 255, 255), 1)
    assert not tone.scribbles.any()


def test_a_patch_of_colour_is_a_shape_of_its_own() -> None:
    sheet = paper()
    cv2.circle(sheet, (128, 128), 50, RED, -1)
    tone = toned(sheet)
    assert close(colour_at(tone, 128, 128), RED)
    assert not tone.filled[10, 10]


def test_grey_lines_are_no_colours() -> None:
    tone = toned(photographed(np.where(two_boxes().min(2, keepdims=True) < 250, 90, 255).repeat(3, 2)))
    assert not tone.is_coloured
    assert tone.filled.mean() < 0.1


def test_strokes_hold_and_blank_paper_is_free() -> None:
    levels = toned(two_boxes()).levels(256, 0.8)[0, 0].numpy()
    assert levels[130, 60] == pytest.approx(STROKES_HOLD * 0.8)
    assert levels[90, 40] == pytest.approx(0.8)
    assert levels[10, 10] == 1.0


def test_lines_become_shades_of_what_they_border() -> None:
    tone = toned(two_boxes())
    line = tone.colours[130, 31] * 255
    assert line[0] > 2 * line[2]
    assert line.max() < 180


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 9), st.sampled_from([16, 64]))
def test_any_picture_can_be_filled(height: int, width: int, seed: int, size: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    try:
        tone = toned(pixels)
    except (InputError, AssertionError):
        return
    start, levels = tone.start(size), tone.levels(size, 0.7)
    assert start.shape == (1, 3, size, size)
    assert levels.shape == (1, 1, size, size)
    assert bool(start.isfinite().all())
    assert float(start.abs().max()) <= 1
    assert 0.5 <= float(levels.min()) <= float(levels.max()) <= 1

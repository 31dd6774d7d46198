"""Drawings: what is taken for ink, and what the network is told of it."""

from __future__ import annotations

from typing import Any

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from numpy.typing import NDArray
from skimage import data

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.scribble import LARGEST, scribble_lines
from glide_edit.toybox import render, sample_scene
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, told

Pixels = NDArray[Any]
SIDE = 480


def lines(thickness: int = 7) -> NDArray[np.bool_]:
    """A house with a door, drawn in the middle of the sheet."""
    sheet = np.zeros((SIDE, SIDE), np.uint8)
    walls = [(120, 240), (120, 400), (350, 400), (350, 240), (90, 240), (235, 110), (380, 240), (120, 240)]
    cv2.polylines(sheet, [np.array(walls)], False, 255, thickness)
    cv2.rectangle(sheet, (210, 310), (265, 400), 255, thickness)
    return sheet > 0


def sheet(
    ink: tuple[int, int, int] = (25, 25, 25),
    paper: tuple[int, int, int] = (255, 255, 255),
    thickness: int = 7,
) -> Pixels:
    pixels = np.full((SIDE, SIDE, 3), paper, np.uint8)
    pixels[lines(thickness)] = ink
    return pixels


def photographed(pixels: Pixels, darkest: float, grain: float, exposure: float = 0.85) -> Pixels:
    """Lit from one corner, falling to ``darkest`` in the other, with a camera's grain."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    light = darkest + (1 - darkest) * (0.5 + 0.5 * np.cos(np.pi * (0.6 * x + 0.4 * y)))
    seen = pixels * light[:, :, None] * exposure
    return (seen + np.random.default_rng(0).normal(0, grain, seen.shape)).clip(0, 255).astype(np.uint8)


def agreement(pixels: Pixels, truth: NDArray[np.bool_]) -> float:
    """Intersection over union of what is taken for ink and what is."""
    ink, _ = scribble_lines(open_picture(pixels))
    found = ink > 0.5
    return float((found & truth).sum() / (found | truth).sum())


# What is ink -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("ink", sheet()),
        ("pencil", sheet(ink=(190, 190, 190))),
        ("red", sheet(ink=(230, 40, 30))),
        ("yellow", sheet(ink=(255, 255, 0))),
        ("pale blue", sheet(ink=(150, 200, 255))),
        ("on coloured paper", sheet(ink=(60, 60, 120), paper=(240, 220, 170))),
        ("on grey paper", sheet(paper=(110, 110, 110))),
        ("16 bits", sheet().astype(np.uint16) * 257),
        ("photographed", photographed(sheet(), 0.4, 4)),
        ("in bad light", photographed(sheet(), 0.3, 8)),
        ("too dark", photographed(sheet(), 0.4, 3, exposure=0.4)),
        ("pencil, photographed", photographed(sheet(ink=(150, 150, 150)), 0.5, 3)),
    ],
)
def test_lines_are_found_on_any_paper_in_any_light(name: str, pixels: Pixels) -> None:
    assert agreement(pixels, lines()) > 0.9
    assert scribble_lines(open_picture(pixels))[1] == ()


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("white on black", 255 - sheet()),
        ("yellow on navy", sheet(ink=(255, 240, 0), paper=(10, 10, 60))),
        ("white on grey", sheet(ink=(255, 255, 255), paper=(120, 120, 120))),
        ("chalk, photographed", photographed(sheet(ink=(220, 220, 220), paper=(50, 60, 50)), 0.5, 4)),
    ],
)
def test_light_lines_on_a_dark_ground_are_noticed_and_said(name: str, pixels: Pixels) -> None:
    assert agreement(pixels, lines()) > 0.9
    (note,) = scribble_lines(open_picture(pixels))[1]
    assert "light lines on a dark ground" in note


def test_grain_is_not_ink() -> None:
    small = cv2.resize(sheet(ink=(120, 120, 120), thickness=9), (128, 128), interpolation=cv2.INTER_AREA)
    truth = cv2.resize(lines(9).astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA) > 0
    grain = np.random.default_rng(0).normal(0, 10, small.shape)
    ink, _ = scribble_lines(open_picture((small * 0.8 + grain).clip(0, 255).astype(np.uint8)))
    paper = cv2.erode((~truth).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert ink[paper].mean() < 0.02
    assert ink[truth].mean() > 0.7


def test_lines_of_different_colours_all_count() -> None:
    pixels = sheet()
    pixels[:, 200:][lines()[:, 200:]] = (255, 255, 0)
    assert agreement(pixels, lines()) > 0.95


def test_a_drawing_without_a_sheet_lies_on_paper() -> None:
    """Strokes on a transparent layer, whatever colour the transparent pixels have."""
    for ink, beneath in (((0, 0, 0), 0), ((0, 0, 0), 255), ((20, 30, 160), 0)):
        layer = np.full((SIDE, SIDE, 4), beneath, np.uint8)
        layer[..., 3] = 255 * lines()
        layer[lines(), :3] = ink
        assert agreement(layer, lines()) > 0.95
    layer[lines(), :3] = 255  # white strokes: drawn on something dark
    assert agreement(layer, lines()) > 0.95


def test_filled_shapes_are_ink_too() -> None:
    pixels = sheet()
    disc = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(disc, (240, 240), 150, 255, -1)
    for colour in ((20, 20, 20), (210, 30, 20)):
        pixels = np.full((SIDE, SIDE, 3), 245, np.uint8)
        pixels[disc > 0] = colour
        assert agreement(pixels, disc > 0) > 0.95


def test_of_a_pale_shape_the_rim_is_drawn() -> None:
    pixels = np.full((SIDE, SIDE, 3), 240, np.uint8)
    cv2.circle(pixels, (240, 240), 150, (180, 180, 180), -1)
    ink, _ = scribble_lines(open_picture(pixels))
    y, x = np.nonzero(ink > 0.5)
    away = np.hypot(y - 240, x - 240)
    assert 140 < away.min() < away.max() < 160
    assert len(y) > 300


def test_a_page_photographed_in_a_gradient_of_light() -> None:
    """scikit-image's own: dark on the left, bright in the middle."""
    ink, notes = scribble_lines(open_picture(data.page()))
    assert notes == ()
    assert 0.05 < ink.mean() < 0.15
    # Where nothing is written there is paper, also on the left, where it is nearly as dark as ink.
    for margin in (ink[137:147, 3:120], ink[130:180, 300:380], ink[40:48, 100:300]):
        assert margin.mean() < 0.01
    # Letters in the dark and in the bright.
    for text in (ink[50:90, 5:60], ink[50:90, 180:300]):
        assert text.max() == 1


@pytest.mark.parametrize(
    "pixels",
    [
        np.full((SIDE, SIDE, 3), 255, np.uint8),
        np.full((SIDE, SIDE, 3), 128, np.uint8),
        np.zeros((SIDE, SIDE, 3), np.uint8),
        np.zeros((SIDE, SIDE, 4), np.uint8),
        np.full((1, 1, 3), 77, np.uint8),
        np.full((1, 700, 3), 200, np.uint8),
        photographed(np.full((SIDE, SIDE, 3), 240, np.uint8), 0.3, 8),
        photographed(np.full((SIDE, SIDE, 3), 240, np.uint8), 0.5, 2),
        photographed(np.full((SIDE, SIDE, 3), 30, np.uint8), 0.5, 3),
        np.random.default_rng(0).integers(225, 240, (SIDE, SIDE, 3)).astype(np.uint8),
    ],
    ids=["white", "grey", "black", "transparent", "a pixel", "a row", "dim", "lit", "slate", "grain"],
)
def test_an_empty_sheet_is_refused(pixels: Pixels) -> None:
    with pytest.raises(InputError, match="empty sheet: draw dark lines on light paper"):
        scribble_lines(open_picture(pixels))


def test_large_drawings_are_read_at_a_sensible_size() -> None:
    large = cv2.resize(sheet(thickness=3), (4000, 3000), interpolation=cv2.INTER_NEAREST)
    ink, _ = scribble_lines(open_picture(large))
    assert ink.shape == (LARGEST * 3 // 4, LARGEST)
    truth = cv2.resize(lines(3).astype(np.uint8), (1024, 768), interpolation=cv2.INTER_NEAREST) > 0
    assert ((ink > 0.5) & truth).sum() / truth.sum() > 0.9


@example(height=2, width=12, seed=1, channels=1, kind="scribble")  # hardly any paper
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    seed=st.integers(0, 999),
    channels=st.sampled_from([1, 3, 4]),
    kind=st.sampled_from(["noise", "scribble", "speck", "halves", "pale halves"]),
)
@settings(max_examples=60, deadline=None)
def test_any_picture_has_ink_or_is_empty(
    height: int, width: int, seed: int, channels: int, kind: str
) -> None:
    rng = np.random.default_rng(seed)
    pixels = noise(height, width, channels, seed=seed)
    if kind != "noise":
        pixels[..., :3] = 250
    if kind == "scribble":
        ends = rng.integers(0, (width, height), (4, 2)).astype(np.int32)
        canvas = np.zeros((height, width), np.uint8)
        pixels[cv2.polylines(canvas, [ends], False, 1, int(rng.integers(1, 9))) > 0] = 10
    elif kind == "speck":
        pixels[rng.integers(height), rng.integers(width)] = 0
    elif kind == "halves":
        pixels[: height // 2] = 0
    elif kind == "pale halves":
        pixels[: height // 2, :, :3] = 210
    try:
        ink, _ = scribble_lines(open_picture(pixels))
    except InputError:
        return  # nothing to be seen on it
    assert ink.shape == (height, width)
    assert ink.dtype == np.float32
    assert 0 <= ink.min() <= ink.max() <= 1
    assert ink.max() > 0


# What the network is told ----------------------------------------------------------------------------------


def drawn(editor: Editor, pixels: Pixels) -> NDArray[np.float32]:
    """The drawing channel, 16 px square."""
    editor.sketch(pixels)
    channel = told(editor)[-1][0].drawing
    assert channel is not None
    return channel[0, 0].numpy()


@pytest.fixture
def editor() -> Editor:
    return stand_in_editor(torch.zeros_like, upsampler=True)


def test_ink_is_1_and_paper_is_minus_1(editor: Editor) -> None:
    channel = drawn(editor, sheet())
    assert channel.shape == (16, 16)
    assert channel[0].max() == -1
    assert channel.max() == 1
    assert channel[13, 5:11].min() > 0  # the floor of the house
    assert told(editor, 1)[-1][0].drawing is None  # the upsampler has no such channel


@pytest.mark.parametrize("thickness", [1, 3, 15])
def test_thin_lines_are_not_washed_out(editor: Editor, thickness: int) -> None:
    large = cv2.resize(sheet(thickness=thickness), (2000, 2000), interpolation=cv2.INTER_LINEAR)
    channel = drawn(editor, large)
    assert (channel > 0.5).mean() > 0.1
    assert (channel < -0.99).mean() > 0.3


def test_a_drawing_of_the_toybox_is_told_as_it_is_trained() -> None:
    """A clean drawing through a person's route comes out as the drawing itself."""
    clean = render(sample_scene(3), 64).drawing
    photo = cv2.cvtColor(cv2.resize(clean, (640, 640), interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    editor = stand_in_editor(torch.zeros_like)
    channel = drawn(editor, photo)
    wanted = cv2.resize(1 - clean / 255, (16, 16), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(channel.ravel(), wanted.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("shape", "result"),
    [
        ((60, 90), (43, 64)),
        ((90, 60), (64, 43)),
        ((50, 50), (64, 64)),
        ((1, 700), (1, 64)),
        ((300, 2), (64, 1)),
    ],
)
def test_the_picture_has_the_shape_of_the_drawing(
    editor: Editor, shape: tuple[int, int], result: tuple[int, int]
) -> None:
    paper = np.full((*shape, 3), 255, np.uint8)
    paper[: -(-shape[0] // 4), : -(-shape[1] // 4)] = 0
    assert editor.sketch(paper).pictures[0].pixels.shape == (*result, 3)


def test_padding_is_paper_and_is_cut_off_again() -> None:
    """What was drawn into the padding does not come back."""

    def stripes(x: torch.Tensor) -> torch.Tensor:
        x = torch.full_like(x, -1.0)
        x[:, :, 4:12] = 1.0  # where the sheet is
        return x

    editor = stand_in_editor(stripes)
    paper = np.full((100, 200, 3), 255, np.uint8)
    paper[:, 90:110] = 0
    channel = drawn(editor, paper)
    assert channel[:4].max() == channel[12:].max() == -1
    assert channel[4:12].max() == 1
    assert editor.sketch(paper).pictures[0].pixels.min() == 255


def test_a_tiny_dot_on_a_large_sheet_does_not_break(editor: Editor) -> None:
    paper = np.full((3000, 3000, 3), 255, np.uint8)
    paper[1500:1504, 700:704] = 0
    with pytest.raises(InputError, match="empty sheet"):  # dust, as far as anybody can tell
        editor.sketch(paper)
    paper[1500:1530, 700:730] = 0
    assert drawn(editor, paper).max() == 1

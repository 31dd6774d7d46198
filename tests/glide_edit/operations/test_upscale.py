"""Upscaling: any size and depth, colours that do not drift, blocks that do not show, bad input."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations import upscale
from glide_edit.requests import Upscale
from glide_edit.results import Progress
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor
from tests.glide_edit.pipeline.test_detail import enlarging_editor

PHOTO = cv2.resize(data.astronaut(), (61, 45), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_picture_of_any_size_becomes_so_many_times_as_large(factor: int) -> None:
    editor = tiny_editor()
    for height, width in ((1, 1), (3, 20)):
        result = editor.upscale(noise(height, width), factor)
        assert result.pictures[0].pixels.shape == (factor * height, factor * width, 3)
        assert result.receipts == ()
        assert result.allowed is None


def test_shrunk_again_it_is_the_picture_it_was_whatever_the_network_drew() -> None:
    for editor in (tiny_editor(), enlarging_editor(torch.zeros(3, 16, 16), grain=0.2)):
        large = editor.upscale(PHOTO, 4).pictures[0].pixels
        again = cv2.resize(large, PHOTO.shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
        assert np.abs(again - PHOTO).mean() < 6


def test_detail_is_drawn_where_the_source_has_some_and_nowhere_else() -> None:
    source = np.full((40, 60, 3), 150, np.uint8)
    source[:, 30:] = np.random.default_rng(0).integers(90, 210, (40, 30, 3))
    plain, grainy = (
        enlarging_editor(torch.zeros(3, 16, 16), grain=grain)
        .upscale(source, 4)
        .pictures[0]
        .pixels.astype(int)
        for grain in (0, 0.2)
    )
    assert np.unique(grainy[:, :88]).tolist() == [150]
    assert np.abs(grainy - plain)[:, 150:].mean() > 8


def test_an_upsampler_that_only_enlarges_gives_a_plain_enlargement() -> None:
    large = enlarging_editor(torch.zeros(3, 16, 16)).upscale(PHOTO, 4).pictures[0].pixels.astype(int)
    plain = cv2.resize(PHOTO, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC).astype(int)
    assert np.abs(large - plain).mean() < 4


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = enlarging_editor(torch.zeros(3, 16, 16))
    whole = editor.upscale(PHOTO, 4).pictures[0].pixels.astype(int)
    monkeypatch.setattr(upscale, "BLOCK", 128)
    monkeypatch.setattr(upscale, "OVERLAP", 32)
    blocks = editor.upscale(PHOTO, 4).pictures[0].pixels.astype(int)
    assert np.abs(whole - blocks).max() <= 8
    assert np.abs(whole - blocks).mean() < 0.5


def test_alpha_depth_profile_and_notes_stay(tmp_path: Path) -> None:
    pixels = noise(20, 30, channels=4, bits=16)
    source = open_picture(pixels)
    made = tiny_editor().upscale(source, 2).pictures[0]
    assert made.pixels.dtype == np.uint16
    assert made.alpha is not None
    assert made.alpha.shape == (40, 60)
    assert made.alpha.dtype == np.uint16
    assert made.icc_profile == source.icc_profile


def test_seeds_count_and_the_same_seed_draws_the_same() -> None:
    editor = tiny_editor()
    one, other = editor.upscale(PHOTO, 2, n=2, seed=4).pictures
    assert not np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(editor.upscale(PHOTO, 2, seed=5).pictures[0].pixels, other.pixels)


def test_it_streams_previews_and_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscale, "BLOCK", 128)
    editor = tiny_editor()
    stream = editor.stream(Upscale(image=open_picture(PHOTO)))
    event = next(stream)
    assert isinstance(event, Progress)
    assert event.stage == "upscale"
    assert event.preview.ndim == 3
    stream.close()
    assert editor.upscale(PHOTO, 2).pictures


def test_what_is_not_finite_is_said() -> None:
    result = stand_in_editor(lambda x: torch.full_like(x, torch.nan), upsampler=True).upscale(PHOTO, 2)
    assert "not finite" in result.notes[0]


def test_bad_input_gets_a_sentence() -> None:
    with pytest.raises(InputError, match="factor must be 2 or 4, not 3"):
        Upscale(image=open_picture(PHOTO), factor=3)
    with pytest.raises(InputError, match="megapixels, above 100"):
        Upscale(image=open_picture(np.zeros((2600, 2600, 3), np.uint8)), factor=4)
    with pytest.raises(InputError, match="has no upsampler"):
        tiny_editor(upsampler=False).upscale(PHOTO)
    with pytest.raises(InputError, match="leave candidates out"):
        tiny_editor().upscale(PHOTO, candidates=4)

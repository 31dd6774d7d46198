"""Edits get the grain of their photographs: in inpainting, removing and outpainting, repeatably, or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.requests import Inpaint, Outpaint, request_from_json
from masks import Mask, draw
from tests.glide_edit.operations.stand_ins import stand_in_editor

SIZE = (200, 240)
LEVEL = 3.0
MASK = draw.box((60, 60, 140, 140), SIZE)
INNER = np.s_[75:125, 75:125]


def photograph(bits: int = 8) -> NDArray[Any]:
    grain = np.random.default_rng(0).normal(0, LEVEL, (*SIZE, 3))
    levels = (127.5 + grain) * (2**bits - 1) / 255
    return np.rint(levels).astype(np.uint8 if bits == 8 else np.uint16)


def grey(x_t: Tensor) -> Tensor:
    return torch.zeros_like(x_t)


@pytest.fixture(scope="module")
def editor() -> Editor:
    """Draws flat grey, as the photographs' mean."""
    return stand_in_editor(grey)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("operation", ["inpaint", "remove"])
def test_a_flat_repaint_gets_the_photographs_grain(editor: Editor, operation: str, bits: int) -> None:
    result = getattr(editor, operation)(photograph(bits), MASK, seed=1)
    made = result.pictures[0].pixels / (2**bits - 1) * 255
    assert made[INNER].std() == pytest.approx(LEVEL, rel=0.2)
    assert result.receipts[0].kept


def test_without_it_a_repaint_is_as_it_was_drawn(editor: Editor) -> None:
    photo = photograph()
    for settings in ({"match_grain": False}, {"finish": "hard"}, {"detail": True}):
        assert editor.inpaint(photo, MASK, **settings).pictures[0].pixels[INNER].std() < 1
    hard = editor.inpaint(photo, MASK, finish="hard", match_grain=True).pictures[0].pixels
    assert hard[INNER].std() == pytest.approx(LEVEL, rel=0.2)


def test_new_borders_get_it_too(editor: Editor) -> None:
    made = editor.outpaint(photograph(), right=120, bottom=40, seed=1).pictures[0].pixels
    assert made[40:160, 280:340].std() == pytest.approx(LEVEL, rel=0.25)
    assert editor.outpaint(photograph(), right=120, match_grain=False).pictures[0].pixels[:, 280:].std() < 1


def test_noise_that_the_photograph_lacks_goes() -> None:
    generator = torch.Generator().manual_seed(0)

    def noisy(x_t: Tensor) -> Tensor:
        return 0.06 * torch.randn(x_t.shape, generator=generator)

    editor = stand_in_editor(noisy, upsampler=True)
    smooth, mask = np.full((64, 64, 3), 128, np.uint8), draw.box((16, 16, 48, 48), (64, 64))
    with_it, without = (
        editor.inpaint(smooth, mask, match_grain=wanted).pictures[0].pixels[22:42, 22:42].std()
        for wanted in (None, False)
    )
    assert without > 4
    assert with_it < 0.4 * without


def test_every_seed_has_grain_of_its_own_and_a_replay_the_same(editor: Editor, tmp_path: Path) -> None:
    result = editor.inpaint(photograph(), MASK, n=2, seed=4)
    one, two = (each.pixels for each in result.pictures)
    assert (one[INNER] != two[INNER]).mean() > 0.5
    result.save(tmp_path / "second.png", 1)
    again = editor.replay(tmp_path / "second.png", photograph())
    assert np.array_equal(again.pictures[0].pixels, two)


def test_parts_far_apart_have_grain_of_their_own(editor: Editor) -> None:
    photo = np.pad(photograph(), ((0, 0), (0, 800), (0, 0)), mode="wrap")
    size = photo.shape[:2]
    mask = draw.box((60, 60, 140, 140), size) | draw.box((860, 60, 940, 140), size)
    made = editor.inpaint(photo, mask).pictures[0].pixels
    left, right = made[75:125, 75:125].astype(float), made[75:125, 875:925].astype(float)
    assert left.std() == pytest.approx(LEVEL, rel=0.2)
    assert right.std() == pytest.approx(LEVEL, rel=0.2)
    assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.1


def test_the_choice_is_checked_and_recorded() -> None:
    image = open_picture(photograph())
    with pytest.raises(InputError, match="match_grain must be true, false or left out"):
        Inpaint(image=image, mask=MASK, match_grain="no")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="match_grain"):
        Outpaint(image=image, left=10, match_grain=1)  # type: ignore[arg-type]
    chosen = Outpaint(image=image, left=10, match_grain=False)
    assert request_from_json(chosen.to_json(), image).match_grain is False  # type: ignore[attr-defined]
    assert "match_grain" not in Inpaint(image=image, mask=MASK).to_json()


def test_a_selection_of_everything_has_nothing_to_match(editor: Editor) -> None:
    everything = Mask(np.ones(SIZE, bool))
    assert editor.inpaint(photograph(), everything).pictures[0].pixels.std() < 1

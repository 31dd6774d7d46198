"""What comes back from an edit: pictures, receipts, recipes and files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glide_edit.editor import Editor
from glide_edit.errors import ImageError, InputError, OutputExists
from glide_edit.images import open_picture, read_text
from glide_edit.recipes import RECIPE_KEY
from glide_edit.requests import Generate, request_from_json
from glide_edit.results import EditResult, Receipt
from masks import Mask, compare_outside
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor

SIZE = (40, 50)
SELECTED = np.s_[10:25, 20:35]
OUTSIDE = 40 * 50 - 15 * 15


def box() -> Mask:
    selected = np.zeros(SIZE, bool)
    selected[SELECTED] = True
    return Mask(selected)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return stand_in_editor(torch.ones_like)


def edited(editor: Editor, *, channels: int = 3, bits: int = 8, **settings: Any) -> EditResult:
    return editor.inpaint(noise(*SIZE, channels=channels, bits=bits), box(), "a ball", **settings)


# Receipts --------------------------------------------------------------------------------------------------


def test_a_receipt_reads_as_a_sentence_and_counts() -> None:
    before = noise(1000, 1500)
    after = before.copy()
    allowed = np.zeros((1000, 1500), bool)
    allowed[:10] = True
    assert str(Receipt(compare_outside(before, after, allowed))) == "0 of 1,485,000 pixels outside changed"
    after[500, 3, 1] ^= 16
    after[20, 700] = before[20, 700] ^ 1
    spoilt = Receipt(compare_outside(before, after, allowed), "edit.jpg")
    assert not spoilt.kept
    assert str(spoilt) == "2 of 1,485,000 pixels outside changed, by up to 16"
    written = spoilt.to_json()
    assert json.loads(json.dumps(written)) == written
    assert (written["outside"], written["changed"], written["where"]) == (1_485_000, 2, "edit.jpg")
    assert written["before_sha256"] != written["after_sha256"]


def test_every_picture_of_a_selection_has_a_receipt_and_others_have_none(editor: Editor) -> None:
    result = edited(editor, n=3)
    assert len(result.pictures) == len(result.receipts) == 3
    assert all(receipt.kept and receipt.where == "memory" for receipt in result.receipts)
    assert tiny_editor().generate("a ball").receipts == ()


# Saving ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_saved_file_is_read_back_and_vouched_for(
    editor: Editor, tmp_path: Path, bits: int, channels: int, suffix: str
) -> None:
    result = edited(editor, bits=bits, channels=channels)
    path = tmp_path / f"edit{suffix}"
    receipt = result.save(path)
    assert receipt is not None
    assert str(receipt) == f"0 of {OUTSIDE:,} pixels outside changed"
    assert receipt.where == path.name
    written = open_picture(path)
    assert written.bit_depth == bits
    assert np.array_equal(written.pixels, result.pictures[0].pixels)
    assert (written.alpha is None) == (channels == 3)
    if written.alpha is not None:
        assert np.array_equal(written.alpha, noise(*SIZE, channels=4, bits=bits)[..., 3])


@pytest.mark.parametrize("bits", [8, 16])
def test_a_lossy_file_says_what_it_cost(editor: Editor, tmp_path: Path, bits: int) -> None:
    result = edited(editor, bits=bits)
    receipt = result.save(tmp_path / "edit.jpg")
    assert receipt is not None
    assert not receipt.kept
    assert receipt.preservation.outside == OUTSIDE
    assert 0 < receipt.preservation.largest_change < 256  # of 8 bits, which is what the file has
    assert result.receipts[0].kept


def test_what_is_there_is_left_alone(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "edit.png"
    path.write_bytes(b"precious")
    result = edited(editor)
    with pytest.raises(OutputExists, match=r"edit\.png exists already"):
        result.save(path)
    assert path.read_bytes() == b"precious"
    assert [entry.name for entry in tmp_path.iterdir()] == ["edit.png"]
    receipt = result.save(path, force=True)
    assert receipt is not None
    assert receipt.kept


def test_a_file_that_cannot_be_written_leaves_nothing(editor: Editor, tmp_path: Path) -> None:
    result = edited(editor, channels=4)
    with pytest.raises(ImageError, match="pictures are saved as"):
        result.save(tmp_path / "edit.psd")
    with pytest.raises(ImageError, match="partly transparent"):
        result.save(tmp_path / "edit.jpg")
    with pytest.raises(InputError, match="does not exist"):
        result.save(tmp_path / "nowhere" / "edit.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("index", [3, -1, 99])
def test_a_picture_that_is_not_there_is_refused(editor: Editor, tmp_path: Path, index: int) -> None:
    result = edited(editor, n=3)
    with pytest.raises(InputError, match=f"No picture {index}: there are 3"):
        result.save(tmp_path / "edit.png", index)
    with pytest.raises(InputError, match=f"No picture {index}"):
        result.recipe(index)
    assert list(tmp_path.iterdir()) == []


def test_each_picture_is_saved_as_itself(tmp_path: Path) -> None:
    result = tiny_editor().generate("a ball", n=2, seed=4)
    for index in (0, 1):
        assert result.save(tmp_path / f"{index}.png", index) is None
        assert np.array_equal(open_picture(tmp_path / f"{index}.png").pixels, result.pictures[index].pixels)
    assert not np.array_equal(result.pictures[0].pixels, result.pictures[1].pixels)


# Recipes ---------------------------------------------------------------------------------------------------


def test_a_saved_png_carries_the_recipe_of_its_own_picture(tmp_path: Path) -> None:
    editor = tiny_editor()
    source = open_picture(noise(*SIZE))
    result = editor.inpaint(source, box(), 'a "red" ball ☃', n=3, seed=10, grow=2)
    result.save(tmp_path / "edit.png", 2)
    recipe = json.loads(read_text(tmp_path / "edit.png")[RECIPE_KEY])
    assert recipe == result.recipe(2)
    assert recipe["glide-edit"] == 1
    assert recipe["model"] == f"tiny {editor.model.identity}"
    request = request_from_json(recipe["request"], source)
    assert (request.n, request.seed, request.prompt) == (1, 12, 'a "red" ball ☃')
    again = editor.run(request).pictures[0].pixels.astype(int)
    assert np.abs(again - result.pictures[2].pixels).max() <= 1


def test_a_recipe_gives_nothing_away_but_the_request(editor: Editor, tmp_path: Path) -> None:
    photo = tmp_path / "holiday with Ann.png"
    Image.fromarray(noise(*SIZE)).save(photo)
    result = editor.inpaint(photo, box())
    text = json.dumps(result.recipe())
    assert "Ann" not in text
    assert str(tmp_path) not in text
    assert len(text) < 1000


# Looking ---------------------------------------------------------------------------------------------------


def test_images_are_pil_pictures_of_8_bits(editor: Editor, tmp_path: Path) -> None:
    result = edited(editor, bits=16, channels=4, n=2)
    assert [image.mode for image in result.images] == ["RGBA", "RGBA"]
    assert result.images[0].size == (50, 40)
    assert result.images[0] is result.images[0]
    result.images[0].save(tmp_path / "look.png")
    shown = np.asarray(Image.open(tmp_path / "look.png"))
    exact = result.pictures[0].pixels / 257
    assert np.abs(shown[..., :3] - exact).max() <= 0.5


@pytest.mark.parametrize("shape", [(1, 20_000), (20_000, 1), (3, 7)])
def test_a_notebook_shows_pictures_of_any_shape_small(shape: tuple[int, int]) -> None:
    result = EditResult(
        request=Generate(prompt="a ball"), pictures=(open_picture(noise(*shape)),), receipts=(), model="x"
    )
    shown = open_picture(result._repr_png_())
    assert shown.width <= 1100
    assert shown.height <= 400
    nothing = dataclasses.replace(result, pictures=())
    assert open_picture(nothing._repr_png_()).height > 32

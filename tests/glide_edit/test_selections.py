"""Masks from files and into files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from glide_edit.errors import ImageError, InputError, OutputExists
from glide_edit.images import open_picture, save_picture
from glide_edit.selections import check_mask_output, examine, mended, open_mask, save_mask, save_weights
from masks import Mask, MaskError, draw

SIZE = (30, 40)
DISC = draw.ellipse((5, 6, 30, 25), SIZE)


def noise(dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (*SIZE, 3), dtype, endpoint=True)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1), st.sampled_from(["change", "keep"]))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".json"])
def test_every_kind_of_file_comes_back(
    tmp_path: Path, suffix: str, height: int, width: int, seed: int, means: Any
) -> None:
    mask = Mask(np.random.default_rng(seed).random((height, width)) < 0.4)
    path = save_mask(mask, tmp_path / f"mask{suffix}", means=means, force=True)
    assert open_mask(path, means=means) == mask
    assert open_mask(path, means="keep" if means == "change" else "change") == ~mask


def test_a_png_has_one_channel_of_black_and_white(tmp_path: Path) -> None:
    with Image.open(save_mask(DISC, tmp_path / "mask.png")) as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), DISC.to_array())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_a_mask_goes_into_the_alpha_of_a_picture(tmp_path: Path, suffix: str, dtype: Any) -> None:
    photo = open_picture(noise(dtype))
    path = save_mask(DISC, tmp_path / f"cut{suffix}", into=photo)
    written = open_picture(path)
    assert np.array_equal(written.pixels, photo.pixels)
    assert open_mask(path) == open_mask(path, channel="alpha") == DISC
    hole = save_mask(DISC, tmp_path / f"hole{suffix}", into=photo, means="keep")
    assert open_mask(hole, channel="alpha", means="keep") == DISC
    assert open_picture(hole).alpha is not None
    assert (open_picture(hole).alpha[DISC.selected] == 0).all()  # type: ignore[index]


def test_the_brightness_can_be_read_where_there_is_alpha(tmp_path: Path) -> None:
    rgba = np.dstack([np.repeat(DISC.to_array()[:, :, None], 3, axis=2), (~DISC).to_array()])
    path = save_picture(rgba, tmp_path / "both.png")
    assert open_mask(path, channel="luma") == DISC
    assert open_mask(path, channel="alpha") == open_mask(path) == ~DISC
    with pytest.raises(ImageError, match="no alpha channel"):
        open_mask(save_picture(noise(), tmp_path / "photo.png"), channel="alpha")


def test_weights_are_written_as_they_are(tmp_path: Path) -> None:
    weights = np.arange(200, dtype=np.uint8).reshape(10, 20)
    for name in ("grey.png", "grey.tif"):
        assert np.array_equal(open_picture(save_weights(weights, tmp_path / name)).pixels[:, :, 0], weights)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\x00\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "run-length mask is"),
        ('{"size": [2, 2], "counts": [5], "order": "row"}', "5 pixels"),
    ],
)
def test_broken_run_lengths(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mask.json"
    path.write_text(text)
    with pytest.raises((InputError, MaskError), match=message):
        open_mask(path)


def test_run_lengths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        open_mask(tmp_path / "mask.json")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        open_mask(tmp_path / "folder.json")


@pytest.mark.parametrize(
    ("name", "into", "message"),
    [
        ("mask.jpg", False, r"ends in \.jpg: masks are saved as .*\.json, which keep every pixel"),
        ("mask", False, "has no ending"),
        ("mask.json", True, r"ends in \.json: masks are saved as \.png, \.tif, \.tiff, \.webp,"),
        ("missing/mask.png", False, "does not exist"),
        ("missing/mask.json", False, "does not exist"),
    ],
)
def test_where_masks_do_not_go(tmp_path: Path, name: str, into: bool, message: str) -> None:
    with pytest.raises(InputError, match=message):
        save_mask(DISC, tmp_path / name, into=open_picture(noise()) if into else None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".png", ".json"])
def test_a_file_that_is_there_is_left_alone(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mask{suffix}"
    path.write_text("precious")
    with pytest.raises(OutputExists):
        save_mask(DISC, path)
    with pytest.raises(OutputExists):
        check_mask_output(path)
    assert path.read_text() == "precious"
    assert open_mask(save_mask(DISC, path, force=True)) == DISC


def test_a_picture_of_another_size_takes_no_mask(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="9 wide and 9 high but the picture is 40 wide and 30 high"):
        save_mask(Mask.full((9, 9)), tmp_path / "cut.png", into=open_picture(noise()))


@pytest.mark.parametrize("orientation", [1, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_a_mask_made_from_the_stored_pixels_is_turned_upright(
    tmp_path: Path, suffix: str, orientation: int
) -> None:
    """What another program painted on a photograph that it did not turn."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(noise()).save(tmp_path / f"photo{suffix}", exif=exif)
    stored = Image.fromarray(DISC.to_array())
    stored.save(tmp_path / f"right{suffix}", exif=exif)
    photo = open_picture(tmp_path / f"photo{suffix}")
    assert photo.orientation == orientation
    upright = open_mask(tmp_path / f"right{suffix}")
    codes = [each.code for each in examine(DISC, photo)]
    if orientation in (5, 6, 7, 8):
        assert codes == ["turned"]
        assert mended(DISC, photo)[0] == upright
    else:
        assert codes == (["orientation"] if orientation == 3 else [])
    assert "turned" not in [each.code for each in examine(upright, photo)]
    assert [each.code for each in examine(DISC, size=(60, 80))] == ["scaled"]


def test_run_lengths_are_compact_json(tmp_path: Path) -> None:
    text = save_mask(DISC, tmp_path / "mask.json").read_text()
    assert json.loads(text) == DISC.to_rle()
    assert " " not in text


def test_tensors_and_open_files_are_masks(tmp_path: Path) -> None:
    mask = draw.box((2, 1, 5, 4), (6, 8))
    for tensor in (
        torch.from_numpy(mask.selected.copy()),
        torch.from_numpy(mask.to_array()),
        torch.from_numpy(mask.selected.astype(np.float32))[None, None],
        torch.from_numpy(mask.to_array()).expand(3, 6, 8),
    ):
        assert open_mask(tensor) == mask
        assert open_mask(tensor, means="keep") == ~mask
    with open(save_mask(mask, tmp_path / "mask.png"), "rb") as file:
        assert open_mask(file) == mask

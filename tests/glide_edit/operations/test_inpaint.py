"""Inpainting: selections in every form, and real photographs from file to file."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from skimage import data

from glide_edit.editor import Editor
from glide_edit.images import open_picture
from glide_edit.requests import FINISHES, Inpaint
from glide_edit.results import EditResult
from glide_edit.selections import open_mask
from masks import Mask, MaskError, draw, seen_by_network
from masks.show import HATCH
from tests.glide_edit.operations.stand_ins import inputs_of, noise, stand_in_editor, tiny_editor, told

SIZE = (48, 70)


def box() -> Mask:
    selected = np.zeros(SIZE, bool)
    selected[12:24, 17:35] = True
    return Mask(selected)


def pixels(result: EditResult) -> np.ndarray:
    return result.pictures[0].pixels


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


def test_every_finish_is_its_own(editor: Editor) -> None:
    results = [pixels(editor.inpaint(noise(*SIZE), box(), finish=finish)) for finish in FINISHES]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not np.array_equal(results[one], results[other])


@pytest.mark.parametrize("corners", [[(100, 100)], [(10, 10), (340, 330)]])
def test_a_feather_fades_over_as_many_pixels_as_asked(corners: list[tuple[int, int]]) -> None:
    """White drawn into black, in one frame and in two: beside a hard edge, what is darker is the fade."""
    selected = np.zeros((400, 400), bool)
    for y, x in corners:
        selected[y : y + 50, x : x + 50] = True
    black, mask, editor = np.zeros((400, 400, 3), np.uint8), Mask(selected), stand_in_editor(torch.ones_like)
    hard = pixels(editor.inpaint(black, mask, finish="hard"))
    for feather, width in ((0, 0), (2, 2), (None, 8), (12, 12)):
        made = pixels(editor.inpaint(black, mask, finish="feather", feather=feather))
        assert not made[~selected].any()
        same = (made[selected] == hard[selected]).all(axis=1)
        assert same.sum() == len(corners) * (50 - 2 * width) ** 2


def test_protected_pixels_are_kept_where_growing_reaches(editor: Editor) -> None:
    protect = Mask.full(SIZE) - box()
    pixels_ = noise(*SIZE)
    for given in (protect, protect.to_array(), Image.fromarray(protect.to_array())):
        result = editor.inpaint(pixels_, box(), grow=10, protect=given)
        assert result.allowed == box()
        assert result.receipts[0].preservation.outside == protect.count
    with pytest.raises(MaskError, match="protected area covers the whole selection"):
        editor.inpaint(pixels_, box(), grow=3, protect=Mask.full(SIZE))


def test_the_doctor_shows_what_the_model_is_told() -> None:
    """Colours and hidden cells are those of the edit's own conditions, at the edge of a picture too."""
    photo = data.coffee()
    mask = draw.ellipse((420, 250, 640, 380), photo.shape[:2])
    request = Inpaint(image=open_picture(photo), mask=mask, grow=3, context=1.7)
    known = inputs_of(request).known
    assert known is not None
    colours, keep = (tensor[0].permute(1, 2, 0).numpy() for tensor in known(64))
    seen = seen_by_network(photo, mask, 1.7, 64, grow=3)[4::8, 4::8]
    told_ = np.rint((colours + 1) / 2 * 255)
    kept = keep[:, :, 0] > 0
    assert 0.2 < kept.mean() < 0.9
    assert np.abs(seen[kept] - told_[kept]).max() <= 1
    assert np.isin(seen[~kept], HATCH).all()


def test_what_is_known_stays_known_on_the_way() -> None:
    """It is pasted into every step: the previews show it, and so the upsampler is told."""
    source = np.full((64, 64, 3), (200, 30, 90), np.uint8)
    mask = draw.box((24, 24, 40, 40), (64, 64))
    editor = stand_in_editor(lambda x: torch.full_like(x, 9.0), upsampler=True)
    for event in editor.stream(Inpaint(image=open_picture(source), mask=mask, finish="hard")):
        assert tuple(event.preview[1, 1]) == (200, 30, 90)
        assert event.preview[len(event.preview) // 2, len(event.preview) // 2].min() > 240
    low_res = told(editor, 1)[0][0].low_res
    assert low_res is not None
    corner = (low_res[0, :, 0, 0] + 1) * 127.5
    assert torch.allclose(corner, torch.tensor([200.0, 30.0, 90.0]), atol=0.01)
    assert low_res.max() == 1


# Masks -----------------------------------------------------------------------------------------------------


def test_a_mask_may_be_a_picture_in_many_forms(tmp_path: Path) -> None:
    white = box().to_array()
    Image.fromarray(white).save(tmp_path / "grey.png")
    Image.fromarray(white).convert("RGB").save(tmp_path / "rgb.png")
    Image.fromarray(white).convert("1").save(tmp_path / "one bit.png")
    Image.fromarray(white).convert("P").save(tmp_path / "palette.gif")
    layer = np.dstack([np.zeros((*SIZE, 3), np.uint8), white])  # black paint on a transparent layer
    Image.fromarray(layer).save(tmp_path / "layer.png")
    cv2.imwrite(str(tmp_path / "deep.png"), white.astype(np.uint16) * 257)
    for path in sorted(tmp_path.iterdir()):
        assert open_mask(path) == box(), path.name
        assert open_mask(str(path)) == box()
        assert open_mask(path.read_bytes()) == box()
    assert open_mask(white) == open_mask(box().selected) == open_mask(box()) == box()
    assert open_mask(Image.fromarray(white)) == box()


def test_128_is_on_and_127_is_off() -> None:
    grey = np.full(SIZE, 127, np.uint8)
    grey[3, 4] = 128
    assert open_mask(grey).bounding_box() == (4, 3, 5, 4)
    result = stand_in_editor(torch.ones_like).inpaint(np.zeros((*SIZE, 3), np.uint8), grey, finish="hard")
    changed = np.argwhere(pixels(result).any(axis=2))
    assert changed.tolist() == [[3, 4]]


# A real photograph -----------------------------------------------------------------------------------------


def test_a_photograph_keeps_its_size_profile_and_resolution(editor: Editor, tmp_path: Path) -> None:
    photo = cv2.resize(data.coffee(), (1500, 1000), interpolation=cv2.INTER_CUBIC)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(photo).save(
        tmp_path / "photo.jpg", quality=95, icc_profile=profile, dpi=(300, 240), exif=_camera(orientation=1)
    )
    source = open_picture(tmp_path / "photo.jpg")
    mask = draw.ellipse((600, 300, 1100, 800), (1000, 1500))
    Image.fromarray(mask.to_array()).save(tmp_path / "mask.png")

    result = editor.inpaint(tmp_path / "photo.jpg", tmp_path / "mask.png", "a red ball", seed=7)
    outside = 1_500_000 - mask.count
    assert str(result.receipts[0]) == f"0 of {outside:,} pixels outside changed"
    receipt = result.save(tmp_path / "edit.png")
    assert receipt is not None
    assert str(receipt) == f"0 of {outside:,} pixels outside changed"

    with Image.open(tmp_path / "edit.png") as written:
        assert written.size == (1500, 1000)
        assert written.info["icc_profile"] == profile
        assert [round(value) for value in written.info["dpi"]] == [300, 240]
        assert written.getexif()[271] == "A camera"
        shown = np.asarray(written)
    assert np.array_equal(shown[~mask.selected], source.pixels[~mask.selected])
    assert (shown[mask.selected] != source.pixels[mask.selected]).any(axis=1).mean() > 0.9


def test_no_seam_shows_in_a_photograph() -> None:
    """A repaint that is off in colour all over: the membrane meets the photograph, a hard edge does not."""
    photo = data.astronaut()
    mask = draw.ellipse((40, 20, 160, 140), photo.shape[:2])
    inside = mask.selected & ~np.roll(mask.selected, 1, axis=1)  # the first pixel inside, going right
    outside = np.roll(inside, -1, axis=1)
    steps = {}
    for finish in ("hard", "membrane"):
        result = stand_in_editor(torch.zeros_like).inpaint(photo, mask, finish=finish)
        after = pixels(result).astype(int)
        steps[finish] = np.abs(after[inside] - after[outside]).mean()
    before = photo.astype(int)
    natural = np.abs(before[inside] - before[outside]).mean()
    assert steps["membrane"] < 2 * natural + 2
    assert steps["hard"] > 2 * steps["membrane"]


def _camera(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[271] = "A camera"
    exif[274] = orientation
    return exif.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_is_edited_upright(tmp_path: Path, orientation: int) -> None:
    """Selections are in the coordinates of what is seen, and what is saved needs no turning."""
    upright = noise(20, 30)
    turned = Image.fromarray(upright)
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's transpositions that EXIF has a reader undo
    if orientation in undo:
        turned = turned.transpose(Image.Transpose(undo[orientation]))
    turned.save(tmp_path / "photo.png", exif=_camera(orientation))
    selected = np.zeros((20, 30), bool)
    selected[2:5, 20:29] = True
    result = stand_in_editor(torch.ones_like).inpaint(tmp_path / "photo.png", Mask(selected), finish="hard")
    assert np.array_equal(pixels(result)[~selected], upright[~selected])
    assert pixels(result)[selected].min() > 240
    receipt = result.save(tmp_path / "edit.png")
    assert receipt is not None
    assert receipt.kept
    with Image.open(tmp_path / "edit.png") as written:
        assert written.size == (30, 20)
        assert written.getexif()[274] == 1
        assert np.array_equal(np.asarray(written), pixels(result))

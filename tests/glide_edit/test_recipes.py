"""Recipes come out of files as they went in, and an edit can be repeated from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from glide_edit.editor import Editor
from glide_edit.errors import ImageError, InputError
from glide_edit.images import Picture, open_picture, read_text, save_picture
from glide_edit.recipes import RECIPE_KEY, Recipe, compare_with_file, read_recipe, rebuild
from glide_edit.requests import Inpaint, Request
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, tiny_editor

SIZE = (40, 50)
SUFFIXES = (".png", ".jpg", ".webp", ".tif")


def box(height: int = 40, width: int = 50) -> Mask:
    selected = np.zeros((height, width), bool)
    selected[height // 4 : height // 2, width // 4 : width // 2] = True
    return Mask(selected)


def intricate(height: int, width: int) -> Mask:
    """Half of the pixels, at random: the longest run lengths there are."""
    return Mask(np.random.default_rng(3).integers(0, 2, (height, width)).astype(bool))


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor(upsampler=False)


# Files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_carries_the_recipe(editor: Editor, tmp_path: Path, suffix: str) -> None:
    prompt = 'a "red" ball → 🔴 כדור\n'
    result = editor.inpaint(noise(*SIZE), box(), prompt, seeds=[4, 2])
    for index in (0, 1):
        path = tmp_path / f"{index}{suffix}"
        result.save(path, index)
        assert read_recipe(path).to_json() == result.recipe(index)
        assert result.missing_from(path, index) is None
    assert result.recipe(1)["request"]["seed"] == 2
    assert result.recipe(1)["request"]["prompt"] == prompt
    assert result.recipe(1)["picture"] == {"sha256": result.pictures[1].sha256}


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_intricate_mask_is_left_out_only_where_there_is_no_room(
    editor: Editor, tmp_path: Path, suffix: str
) -> None:
    mask = intricate(500, 600)
    result = editor.inpaint(noise(500, 600), mask, "a ball")
    path = tmp_path / f"edit{suffix}"
    result.save(path)
    recipe, said = read_recipe(path), result.missing_from(path)
    assert open_picture(path).width == 600
    if suffix == ".jpg":
        assert said == f"{path} has no room for the mask in its recipe: save as .png to keep it whole."
        assert recipe.request["mask"]["size"] == [500, 600]
        with pytest.raises(InputError, match=r"The mask is not in the recipe \(too long for a \.jpg"):
            rebuild(recipe, [open_picture(noise(500, 600))])
        request, _ = rebuild(recipe, [open_picture(noise(500, 600))], mask=mask)
    else:
        assert said is None
        request, _ = rebuild(recipe, [open_picture(noise(500, 600))])
    assert isinstance(request, Inpaint)
    assert request.mask == mask


def test_a_photographer_s_own_comment_stays(editor: Editor, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0Ann's birthday"
    photo = Picture(noise(*SIZE), exif=exif.tobytes())
    result = editor.inpaint(photo, box(), "a ball")
    for suffix in (".jpg", ".webp", ".tif"):
        path = tmp_path / f"edit{suffix}"
        result.save(path)
        with Image.open(path) as image:
            details = image.getexif().get_ifd(ExifTags.IFD.Exif)
        assert details[ExifTags.Base.UserComment] == b"ASCII\0\0\0Ann's birthday"
        assert read_recipe(path).to_json() == result.recipe()


def test_an_edit_of_an_edit_carries_its_own_recipe_alone(editor: Editor, tmp_path: Path) -> None:
    first = tmp_path / "first.webp"
    editor.inpaint(noise(*SIZE), box(), "the first secret").save(first)
    assert open_picture(first).exif is None
    for suffix in SUFFIXES:
        path = tmp_path / f"second{suffix}"
        editor.inpaint(first, box(), "a second").save(path)
        assert read_recipe(path).request["prompt"] == "a second"
        assert b"first secret" not in path.read_bytes()
        save_picture(open_picture(path), tmp_path / f"third{suffix}")
        assert read_text(tmp_path / f"third{suffix}") == {}


def test_the_comment_is_of_the_type_that_exif_asks_for(editor: Editor, tmp_path: Path) -> None:
    """UNDEFINED, 7. Of an entry PIL tells only the value: the directory is read here."""
    for suffix in (".jpg", ".webp", ".tif"):
        path = tmp_path / f"a{suffix}"
        editor.inpaint(noise(*SIZE), box()).save(path)
        data = path.read_bytes()
        kinds = {order: data.count(tag + kind) for order, tag, kind in _USER_COMMENT}
        assert sorted(kinds.values()) == [0, 1]


_USER_COMMENT = (("little", b"\x86\x92", b"\x07\x00"), ("big", b"\x92\x86", b"\x00\x07"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "damaged: it is not JSON"),
        ("[" * 100_000, "damaged: it is not JSON"),
        ("7", "Not a recipe"),
        ('{"glide-edit": "one"}', "Not a recipe"),
        ('{"glide-edit": 1, "model": 3, "request": {}}', "must say the model and the request"),
        ('{"glide-edit": 2, "model": "m", "request": {}}', "a newer glide-edit"),
    ],
)
@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_recipes_that_cannot_be_read(tmp_path: Path, text: str, says: str, suffix: str) -> None:
    path = save_picture(noise(4, 4), tmp_path / f"a{suffix}", text={RECIPE_KEY: text})
    with pytest.raises(InputError) as caught:
        read_recipe(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_without_a_recipe(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = save_picture(noise(4, 4), tmp_path / f"a{suffix}")
        with pytest.raises(InputError, match="carries no recipe"):
            read_recipe(path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match="is empty"):
        read_recipe(tmp_path / "empty.png")


def test_a_comment_that_unfolds_without_end_is_not_followed(tmp_path: Path) -> None:
    import base64
    import zlib

    vast = zlib.compress(b'{"glide-edit": "' + b" " * 70_000_000 + b'"}')
    exif = Image.Exif()
    comment = b"ASCII\0\0\0glide-edit zlib " + base64.b64encode(vast)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = comment
    path = save_picture(Picture(noise(4, 4), exif=exif.tobytes()), tmp_path / "a.webp")
    assert len(path.read_bytes()) < 200_000
    assert read_text(path) == {}


# Again -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_replay_gives_the_same_bytes(editor: Editor, tmp_path: Path, suffix: str) -> None:
    source, saved = open_picture(noise(*SIZE)), tmp_path / f"edit{suffix}"
    editor.inpaint(source, box(), "a ball", seed=9, grow=2, protect=box() - box()).save(saved)
    again = editor.replay(saved, source)
    assert again.notes == ()
    again.save(tmp_path / f"again{suffix}")
    assert (tmp_path / f"again{suffix}").read_bytes() == saved.read_bytes()
    compared = compare_with_file(again.pictures[0], open_picture(saved), read_recipe(saved), saved.name)
    assert compared is not None
    assert compared.same
    assert (compared.differing == 0) == (suffix != ".jpg")


def test_a_replay_of_words_alone_needs_no_picture(editor: Editor, tmp_path: Path) -> None:
    first = editor.generate("a ball", seed=5)
    first.save(tmp_path / "a.png")
    assert editor.replay(tmp_path / "a.png").pictures[0].sha256 == first.pictures[0].sha256
    other = editor.replay(tmp_path / "a.png", prompt="a cube", seeds=range(1, 3))
    assert other.request.prompt == "a cube"
    assert other.request.seeds == (1, 2)
    assert other.pictures[0].sha256 != first.pictures[0].sha256


def test_a_changed_seed_changes_the_picture_and_the_comparison_says_so(
    editor: Editor, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    editor.inpaint(noise(*SIZE), box()).save(path)
    made = editor.replay(path, noise(*SIZE), seed=1).pictures[0]
    compared = compare_with_file(made, open_picture(path), read_recipe(path), "a.png")
    assert compared is not None
    assert not compared.same
    assert 0 < compared.differing <= box().count
    assert str(compared).startswith(f"{compared.differing:,} of 2,000 pixels differ from a.png, by up to")


def test_another_picture_needs_to_be_asked_for(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    editor.inpaint(noise(*SIZE), box()).save(path)
    with pytest.raises(InputError, match="its pixels differ"):
        editor.replay(path, noise(*SIZE, seed=1))
    with pytest.raises(InputError, match="starts from a picture: give it as well"):
        editor.replay(path)
    result = editor.replay(path, on=noise(*SIZE, seed=1))
    assert result.receipts[0].kept
    assert not any("scaled" in note for note in result.notes)


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ((80, 100), "The mask was scaled from 50 x 40 to 100 x 80 pixels."),
        ((20, 100), "The mask was scaled from 50 x 40 to 100 x 20 pixels, stretched to other proportions."),
    ],
)
def test_masks_are_scaled_to_another_picture(
    editor: Editor, tmp_path: Path, size: tuple[int, int], says: str
) -> None:
    path = tmp_path / "a.png"
    editor.inpaint(noise(*SIZE), box()).save(path)
    result = editor.replay(path, on=noise(*size))
    assert says in result.notes
    assert result.receipts[0].kept
    rows = box().selected.repeat(2, axis=0) if size[0] == 80 else box().selected[::2]
    assert result.allowed == Mask(rows.repeat(2, axis=1))


def test_another_model_is_told(editor: Editor, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    editor.inpaint(noise(*SIZE), box()).save(path)
    other = tiny_editor(upsampler=True)
    said = other.replay(path, noise(*SIZE)).notes
    assert said[0] == (
        f"The recipe was made with {editor.model.label}, this picture with {other.model.label}: "
        "they will differ."
    )


def test_a_recipe_with_a_vast_mask_is_refused_before_it_unfolds(editor: Editor) -> None:
    record: dict[str, Any] = editor.inpaint(noise(*SIZE), box()).recipe()
    record["request"]["mask"] = {"size": [2**15, 2**15], "counts": [1, 2**30 - 1], "order": "row"}
    with pytest.raises(InputError, match="recorded mask has more than 100 megapixels"):
        rebuild(Recipe.from_json(record), [open_picture(noise(*SIZE))], other=True)


def test_all_operations_come_back_from_their_recipes(editor: Editor, tmp_path: Path) -> None:
    drawing = np.full((30, 40, 3), 255, np.uint8)
    drawing[10, 5:30] = 0
    results = [
        editor.generate("a ball"),
        editor.inpaint(noise(*SIZE), box(), "a ball"),
        editor.sketch(drawing, "a ball"),
    ]
    for index, result in enumerate(results):
        path = tmp_path / f"{index}.webp"
        result.save(path)
        source = result.request.source
        request, notes = rebuild(read_recipe(path), [] if source is None else [source])
        assert notes == ()
        assert _plain(request) == _plain(result.request)


def _plain(request: Request) -> str:
    return json.dumps(request.to_json(), sort_keys=True)

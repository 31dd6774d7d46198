"""Whatever is given, there is a sentence that says what is wrong, and no file is changed."""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from glide_edit.editor import Editor
from glide_edit.errors import GlideEditError, ImageError, InputError, ModelFormatError, ModelNotFound
from glide_edit.models import Model
from glide_edit.requests import Generate
from masks import Mask, MaskError
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor, told, write_tiny

SIZE = (30, 40)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return stand_in_editor(torch.ones_like)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A photograph, masks, and files that are not what they say."""
    Image.fromarray(noise(*SIZE)).save(tmp_path / "photo.png")
    Image.fromarray(noise(*SIZE)).save(tmp_path / "photo.jpg")
    for name, (height, width), value in (
        ("full", SIZE, 255),
        ("empty", SIZE, 0),
        ("almost", SIZE, 127),
        ("small", (20, 30), 255),
        ("turned", SIZE[::-1], 255),
    ):
        Image.fromarray(np.full((height, width), value, np.uint8)).save(tmp_path / f"{name}.png")
    (tmp_path / "text.png").write_text("a red ball")
    (tmp_path / "nothing.png").touch()
    whole = (tmp_path / "photo.png").read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "half.jpg").write_bytes((tmp_path / "photo.jpg").read_bytes()[:400])
    (tmp_path / "flipped.png").write_bytes(whole[:60] + bytes([whole[60] ^ 255]) + whole[61:])
    (tmp_path / "vast.png").write_bytes(_vast())
    (tmp_path / "folder.png").mkdir()
    return tmp_path


def _vast() -> bytes:
    """The header of a picture of 20000 x 20000, and next to nothing behind it."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0"))
        + chunk(b"IEND", b"")
    )


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(work: Callable[[], Any], kind: type[Exception] | tuple[type[Exception], ...], *says: str) -> None:
    """The work fails with one line that says all this, and is of a kind that users are told to catch."""
    with pytest.raises((GlideEditError, MaskError)) as caught:
        work()
    assert isinstance(caught.value, kind)
    message = str(caught.value)
    assert "\n" not in message
    assert 20 < len(message) < 400
    for part in says:
        assert part in message, message


# Pictures --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing.png", "does not exist"),
        ("text.png", "is not a PNG, JPEG"),
        ("nothing.png", "is empty"),
        ("half.png", "damaged"),
        ("half.jpg", "damaged"),
        ("flipped.png", "damaged"),
        ("vast.png", "20000 x 20000, 400 megapixels"),
        ("folder.png", "is a folder"),
        ("", "path is empty"),
        ("a\0b.png", "cannot be read"),
    ],
)
@pytest.mark.parametrize("role", ["photo", "mask", "protect", "drawing"])
def test_files_that_are_no_pictures(editor: Editor, files: Path, name: str, says: str, role: str) -> None:
    before, calls = contents(files), len(told(editor))
    bad = str(files / name) if name else ""
    photo, mask = files / "photo.png", files / "full.png"
    work: dict[str, Callable[[], Any]] = {
        "photo": lambda: editor.inpaint(bad, mask, "a ball"),
        "mask": lambda: editor.inpaint(photo, bad, "a ball"),
        "protect": lambda: editor.inpaint(photo, mask, "a ball", protect=bad),
        "drawing": lambda: editor.sketch(bad, "a ball"),
    }
    refused(work[role], ImageError, says)
    assert contents(files) == before
    assert len(told(editor)) == calls, "time was spent on it"


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 2), np.uint8),
        np.zeros((2, 5, 5, 3), np.uint8),
        np.zeros((5, 5, 3), np.int64),
        np.full((5, 5, 3), np.nan),
        np.full((5, 5, 3), 255.0),
        None,
        7,
    ],
    ids=["no pixels", "two channels", "a batch", "int64", "NaN", "255.0", "None", "a number"],
)
def test_arrays_that_are_no_pictures(editor: Editor, array: Any) -> None:
    refused(lambda: editor.inpaint(array, Mask.full((5, 5))), ImageError)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 700), (700, 1), (2, 3)])
def test_very_small_and_thin_pictures_are_pictures(editor: Editor, height: int, width: int) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    assert editor.inpaint(pixels, Mask.full((height, width))).pictures[0].pixels.min() == 255


# Masks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        ("small.png", ("30 wide and 20 high", "40 wide and 30 high")),
        ("turned.png", ("30 wide and 40 high", "40 wide and 30 high", "turn the mask")),
        ("empty.png", ("selects nothing",)),
        ("almost.png", ("selects nothing",)),
    ],
)
def test_masks_that_do_not_fit(editor: Editor, files: Path, mask: str, says: tuple[str, ...]) -> None:
    before = contents(files)
    refused(lambda: editor.inpaint(files / "photo.png", files / mask, "a ball"), MaskError, *says)
    assert contents(files) == before


def test_a_mask_of_zeros_and_ones_is_explained(editor: Editor) -> None:
    ones = np.zeros(SIZE, np.uint8)
    ones[3:9] = 1
    refused(lambda: editor.inpaint(noise(*SIZE), ones), MaskError, "the largest value", "is 1")


def test_a_full_mask_works(editor: Editor, files: Path) -> None:
    result = editor.inpaint(files / "photo.png", files / "full.png", "a ball")
    assert result.pictures[0].pixels.min() == 255
    assert str(result.receipts[0]) == "0 of 0 pixels outside changed"


# Requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"n": 0}, "n must be a whole number between 1 and 64, not 0"),
        ({"steps": 0}, "steps must be a whole number between 1 and 1000, not 0"),
        ({"steps": 500}, "between 1 and 100, not 500"),  # more than the schedule has
        ({"upsampler_steps": -3}, "not -3"),
        ({"sampler": "euler"}, "known are ddpm, ddim, dpm-solver++"),
        ({"seed": "seven"}, "not 'seven'"),
        ({"guidance": 1e9}, "between 0 and 100"),
    ],
)
def test_settings_that_cannot_be(editor: Editor, settings: dict[str, Any], says: str) -> None:
    calls = len(told(editor))
    refused(lambda: editor.inpaint(noise(*SIZE), Mask.full(SIZE), **settings), InputError, says)
    refused(lambda: editor.generate("a ball", **settings), InputError, says)
    assert len(told(editor)) == calls


def test_an_empty_prompt_is_enough_for_a_hole_but_not_for_a_picture() -> None:
    editor = tiny_editor()
    assert editor.inpaint(noise(*SIZE), Mask.full(SIZE), "").receipts[0].kept
    refused(lambda: editor.generate(" \n "), InputError, "say what to draw")


def test_an_empty_sheet_is_no_drawing(editor: Editor, files: Path) -> None:
    refused(lambda: editor.sketch(files / "full.png", "a ball"), InputError, "empty sheet")


# Models ----------------------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny(tmp_path / "model")


@pytest.fixture(autouse=True)
def _threads() -> Any:
    """Loading sets the number of threads for the whole process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def _edit_json(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    record = json.loads((folder / "model.json").read_text())
    change(record)
    (folder / "model.json").write_text(json.dumps(record))


def _rewrite(folder: Path, change: Callable[[dict[str, torch.Tensor]], Any]) -> None:
    """Change the base network's tensors, and the hash with them."""
    path = folder / "base.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _edit_json(folder, lambda record: record["files"].update({path.name: digest}))


def _flip_a_bit(folder: Path) -> None:
    path = folder / "base.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another byte": (_flip_a_bit, "sha256 differs"),
    "a key too few": (lambda f: _rewrite(f, lambda t: t.pop("stem.weight")), "lacks stem.weight"),
    "a key too many": (lambda f: _rewrite(f, lambda t: t.update(extra=torch.ones(1))), "has unknown extra"),
    "another shape": (
        lambda f: _rewrite(f, lambda t: t.update({"stem.bias": torch.ones(3)})),
        "stem.bias of shape [3], not [16]",
    ),
    "a newer format": (lambda f: _edit_json(f, lambda r: r.update(format=99)), "install a newer glide-edit"),
    "an unknown field": (lambda f: _edit_json(f, lambda r: r.update(colour="red")), "unknown keys: colour"),
    "a missing field": (lambda f: _edit_json(f, lambda r: r.pop("licence")), "lacks licence"),
    "no JSON": (lambda f: (f / "model.json").write_text("{"), "not valid JSON"),
    "no model.json": (lambda f: (f / "model.json").unlink(), "has no model.json"),
    "no weights": (lambda f: (f / "upsampler.safetensors").unlink(), "upsampler.safetensors is missing"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "a pickle": (lambda f: _pickled(f), "damaged"),
    "a path": (
        lambda f: _edit_json(f, lambda r: r["stages"][0].update(weights="../base.safetensors")),
        "not a plain file name",
    ),
}


def _pickled(folder: Path) -> None:
    path = folder / "base.safetensors"
    torch.save({"stem.weight": torch.ones(1)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    _edit_json(folder, lambda record: record["files"].update({path.name: digest}))


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_models_are_not_loaded(model: Path, damage: str) -> None:
    change, says = DAMAGE[damage]
    change(model)
    refused(lambda: Editor.load(model, "cpu"), (ModelFormatError, ModelNotFound), says)


@pytest.mark.parametrize("name", ["toybx", "no such folder", "glide", ""])
def test_unknown_models_are_not_found(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(lambda: Editor.load(name, "cpu"), ModelNotFound)


def test_unknown_devices_and_precisions_are_refused(model: Path) -> None:
    refused(lambda: Editor.load(model, "tpu"), InputError, "No device 'tpu'", "cpu")
    refused(lambda: Editor.load(model, "cpu", "int4"), InputError, "Unknown precision 'int4'")


def test_an_upsampler_alone_cannot_edit() -> None:
    whole = tiny_editor().model
    stages = whole.stages[1:]
    lone = Editor(Model.of(replace(whole.spec, stages=(stages[0].spec,)), whole.runtime, stages))
    refused(lambda: lone.run(Generate(prompt="a ball")), InputError, "only upsampler")

"""Any folder of captioned pictures as training data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from glide_edit.errors import TrainingError
from glide_edit.toybox import write_folder
from glide_edit.training.batches import BatchPlan
from glide_edit.training.folder import ImageFolder
from glide_edit.training.sources import Item
from glide_edit.training.views import Mixture


def write(folder: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def draws(folder: Path, size: int, count: int = 20) -> list[Item]:
    source = ImageFolder(folder, size)
    return [source.draw(np.random.default_rng(k)) for k in range(count)]


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A red block on white with its mask and its drawing, and a small blue one at the very edge."""
    pixels = np.full((60, 90, 3), 255, np.uint8)
    pixels[20:40, 35:60] = (255, 0, 0)
    pixels[0:2, 0:2] = (0, 0, 255)
    red, blue = (pixels == (255, 0, 0)).all(axis=2), (pixels == (0, 0, 255)).all(axis=2)
    drawing = np.where(red & ~cv2.erode(red.astype(np.uint8), np.ones((3, 3))).astype(bool), 0, 255)
    for name, array in {"picture": pixels, "red": red * 255, "blue": blue * 255, "drawing": drawing}.items():
        Image.fromarray(array.astype(np.uint8)).save(tmp_path / f"{name}.png")
    toys = [
        {"kind": "block", "colour": "red", "material": "shiny", "whole": "red.png"},
        {"kind": "anvil", "whole": "blue.png"},
    ]
    row = {"file_name": "picture.png", "text": "a block", "drawing": "drawing.png", "toys": toys}
    return write(tmp_path, row)


@pytest.mark.parametrize("size", [16, 48, 96])
def test_masks_and_drawings_are_cut_with_the_picture(scene: Path, size: int) -> None:
    for item in draws(scene, size):
        assert item.image.shape == (size, size, 3)
        red = (item.image[:, :, 0] > 150) & (item.image[:, :, 1] < 100)
        mask = item.objects[0]
        assert red.any()
        assert not (red & ~mask).any(), "a pixel of the object is outside its mask"
        near = cv2.dilate(red.astype(np.uint8), np.ones((3, 3), np.uint8), iterations=1 + size // 40)
        assert not (mask & ~near.astype(bool)).any(), "the mask is much larger than its object"
        assert item.drawing is not None
        ink = item.drawing < 128
        around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        assert ink.any()
        assert not (ink & ~around).any()
        assert item.foreground is not None
        assert item.foreground[mask].all()


def test_an_object_outside_the_square_is_no_object(scene: Path) -> None:
    counts = set()
    for item in draws(scene, 32, 60):
        counts.add(len(item.objects))
        assert all(mask.any() for mask in item.objects)
        assert {item.describe(0, seed) for seed in range(4)} == {
            "a block",
            "a red block",
            "a shiny block",
            "a shiny red block",
        }
        if len(item.objects) == 2:
            assert item.describe(1, 9) == "an anvil"
            assert not (item.objects[0] & item.objects[1]).any()
    assert counts == {1, 2}


def test_thin_lines_survive_being_made_small(scene: Path) -> None:
    darkest = [int(item.drawing.min()) for item in draws(scene, 16) if item.drawing is not None]
    assert max(darkest) < 128


def test_a_folder_of_toys_is_training_data(tmp_path: Path) -> None:
    write_folder(tmp_path / "toys", 2, seed=3, size=48)
    source = ImageFolder(tmp_path / "toys", 32)
    assert len(source) == 2
    for k in range(6):
        item = source.draw(np.random.default_rng(k))
        assert item.objects
        assert item.drawing is not None
        assert len({item.caption(seed) for seed in range(4)}) > 1
        assert item.caption(0) in set(source.captions())
        assert item.describe(0, 1) in set(source.captions())
    plan = BatchPlan([(source, 1.0, Mixture(known=1, object_mask=1, drawing=1))], 8, seed=0)
    batch = plan.make(0)
    assert (batch.keep_mask == 0).any(dim=(1, 2, 3)).all()
    assert (batch.drawing != 0).any(dim=(1, 2, 3)).all()


def test_captions_are_chosen_from(pictures: Path) -> None:
    row = {"file_name": "0.png", "text": "one", "captions": ["one", "two", "three"]}
    (item,) = draws(write(pictures, row), 16, 1)
    assert {item.caption(seed) for seed in range(9)} == {"one", "two", "three"}
    (item,) = draws(write(pictures, {"file_name": "0.png", "text": "only", "captions": []}), 16, 1)
    assert item.caption(5) == "only"


def test_squares_come_from_all_over_the_picture_and_are_never_mirrored(tmp_path: Path) -> None:
    ramp = np.zeros((40, 80, 3), np.uint8)
    ramp[:, :, 0] = np.arange(80) * 3
    ramp[:, :, 1] = np.arange(40)[:, None] * 6
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    made = draws(write(tmp_path, {"file_name": "ramp.png", "text": "a ramp"}), 16, 60)
    left = np.array([int(item.image[8, 0, 0]) for item in made])
    assert left.min() < 30
    assert left.max() > 80
    for item in made:
        assert (np.diff(item.image[8, :, 0].astype(int)) > 0).all()
        assert (np.diff(item.image[:, 8, 1].astype(int)) > 0).all()


def sixteen_bits(value: int) -> NDArray[np.uint16]:
    return np.full((9, 12), value, np.uint16)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("L", (12, 9), 77), (77, 77, 77)),
        (Image.fromarray(sixteen_bits(77 * 257)), (77, 77, 77)),
        (Image.new("RGBA", (12, 9), (200, 10, 30, 255)), (200, 10, 30)),
        (Image.new("RGBA", (12, 9), (0, 0, 0, 0)), (255, 255, 255)),
        (Image.new("RGBA", (12, 9), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("LA", (12, 9), (77, 255)), (77, 77, 77)),
        (Image.new("RGB", (12, 9), (5, 6, 7)).quantize(), (5, 6, 7)),
        (Image.new("RGB", (1, 1), (5, 6, 7)), (5, 6, 7)),
    ],
    ids=["grey", "16 bits", "opaque", "transparent", "translucent", "grey and alpha", "palette", "one pixel"],
)
def test_every_kind_of_picture_becomes_rgb(
    tmp_path: Path, picture: Image.Image, expected: tuple[int, int, int]
) -> None:
    picture.save(tmp_path / "x.png")
    for item in draws(write(tmp_path, {"file_name": "x.png", "text": "flat"}), 8, 3):
        assert item.image.dtype == np.uint8
        assert (item.image == expected).all()


GOOD = {"file_name": "0.png", "text": "fine"}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "not a JSON object"),
        ({"text": "no file"}, "file_name must be"),
        ({"file_name": 3, "text": "x"}, "file_name must be"),
        ({"file_name": "0.png"}, "text must be"),
        ({"file_name": "0.png", "text": 5}, "text must be"),
        ({"file_name": "0.png", "text": "x", "captions": "y"}, "captions"),
        ({"file_name": "0.png", "text": "x", "captions": [1]}, "captions"),
        ({"file_name": "none.png", "text": "x"}, r"no file .*none\.png"),
        ({"file_name": ".", "text": "x"}, "no file"),
        ({"file_name": "../pictures/0.png", "text": "x"}, "leaves the folder"),
        ({"file_name": "/etc/hostname", "text": "x"}, "leaves the folder"),
        ({"file_name": "0\0.png", "text": "x"}, "file_name must be"),
        (GOOD | {"drawing": "none.png"}, r"no file .*none\.png"),
        (GOOD | {"drawing": 3}, "drawing must be"),
        (GOOD | {"toys": {}, "captions": 3}, "captions"),
        (GOOD | {"toys": "ball"}, "toys must be"),
        (GOOD | {"toys": [3]}, "toys must be"),
        (GOOD | {"toys": [{"kind": "ball"}]}, "whole must be"),
        (GOOD | {"toys": [{"kind": "ball", "whole": "../1.png"}]}, "leaves the folder"),
        (GOOD | {"toys": [{"whole": "1.png"}]}, "needs a kind"),
        (GOOD | {"toys": [{"kind": "ball", "whole": "1.png", "colour": 3}]}, "needs a kind"),
    ],
)
def test_a_bad_line_is_named(pictures: Path, line: dict[str, Any] | str, problem: str) -> None:
    write(pictures, GOOD, "", line, GOOD)
    with pytest.raises(TrainingError, match=rf"metadata\.jsonl, line 3: .*{problem}"):
        ImageFolder(pictures, 16)


def test_a_folder_without_metadata_is_refused(tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(TrainingError, match=r"nowhere has no readable metadata\.jsonl"):
        ImageFolder(tmp_path / "nowhere", 16)
    with pytest.raises(TrainingError, match="no lines"):
        ImageFolder(write(pictures, ""), 16)
    (pictures / "metadata.jsonl").write_bytes(b'{"file_name": "0.png", "text": "\xff"}')
    with pytest.raises(TrainingError, match="not UTF-8"):
        ImageFolder(pictures, 16)


def test_an_unreadable_picture_is_named_when_it_is_drawn(pictures: Path) -> None:
    write(pictures, GOOD)
    source = ImageFolder(pictures, 16)
    data = (pictures / "0.png").read_bytes()
    (pictures / "0.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(TrainingError, match=r"line 1: .*0\.png"):
        source.draw(np.random.default_rng(0))
    (pictures / "0.png").unlink()
    with pytest.raises(TrainingError, match=r"line 1: .*0\.png"):
        source.draw(np.random.default_rng(0))


def test_a_mask_of_another_size_is_named_when_it_is_drawn(pictures: Path) -> None:
    write(pictures, GOOD | {"toys": [{"kind": "ball", "whole": "1.png"}]})
    with pytest.raises(TrainingError, match=r"line 1: 1\.png is 41 x 36 and its picture 40 x 36"):
        ImageFolder(pictures, 16).draw(np.random.default_rng(0))

"""`glide-edit mask`: every tool by its command, what is said, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from glide_edit.images import open_picture, save_picture
from glide_edit.selections import open_mask, save_mask
from masks import Mask, draw, select, shape

HEIGHT, WIDTH = 45, 60
SIZE = (HEIGHT, WIDTH)
BOX = draw.box((20, 15, 40, 30), SIZE)
"""What mask.png holds."""


@pytest.fixture
def made(cli, here: Path):
    """Calls a command of ``mask`` that writes made.png, and reads what it wrote."""

    def run(*arguments: object) -> Mask:
        result = cli("mask", *arguments, "-o", "made.png", "--force")
        assert result.exit_code == 0, result.output
        mask = open_mask(here / "made.png")
        total = f"{mask.count:,} of {mask.height * mask.width:,} pixels selected"
        assert result.stdout.startswith(f"made.png: {total} (")
        return mask

    return run


@pytest.fixture
def scene(here: Path) -> np.ndarray:
    """scene.png: a red disc on blue."""
    disc = draw.ellipse((15, 10, 45, 35), SIZE)
    image = np.where(disc.selected[:, :, None], (200, 40, 40), (30, 60, 160)).astype(np.uint8)
    save_picture(image, "scene.png")
    return image


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


# -- drawing -------------------------------------------------------------------------------------------


def test_drawing(made) -> None:
    assert made("box", "60x45", "20,15,40,30") == BOX
    assert made("box", "photo.png", "20,15,40,30") == BOX
    assert made("box", "mask.png", "-5,-5,9,9") == draw.box((-5, -5, 9, 9), SIZE)
    assert made("ellipse", "photo.png", "5,5,50,40") == draw.ellipse((5, 5, 50, 40), SIZE)
    corners = [(2, 3), (50, 3.5), (20, 40), (-4, 20)]
    words = ["2,3", "50,3.5", "20,40", "-4,20"]
    assert made("polygon", "photo.png", *words) == draw.polygon(corners, SIZE)
    assert made("lasso", "photo.png", " ".join(words)) == draw.lasso(corners, SIZE)
    strokes = [[(5, 5), (30, 9)], [(-3, 40)]]
    drawn = made("stroke", "photo.png", "5,5", "30,9", "/", "-3,40", "--radius", 4)
    assert drawn == draw.strokes(strokes, 4, SIZE)


def test_selecting_by_what_the_picture_shows(made, scene: np.ndarray) -> None:
    disc = Mask((scene == (200, 40, 40)).all(axis=2))
    assert made("wand", "scene.png", "30,20", "--tolerance", 5) == disc
    assert made("wand", "scene.png", "0,0", "59,44", "--everywhere") == ~disc
    assert made("colour", "scene.png", "--colour", "#c82828", "--tolerance", 2) == disc
    assert made("colour", "scene.png", "--colour", "30,60,160", "--at", "30,20") == Mask.full(SIZE)
    assert made("grabcut", "scene.png", "--box", "10,6,50,40") == disc
    save_mask(draw.box((25, 20, 35, 25), SIZE), "in.png")
    scribbled = made(
        *("grabcut", "scene.png", "--inside", "30,20 32,20", "--inside-mask", "in.png"),
        *("--outside", "3,3 55,3", "--radius", 2),
    )
    assert scribbled == disc
    corners = [(30, 10), (44, 22), (30, 34), (15, 22)]
    words = [f"{x},{y}" for x, y in corners]
    assert made("scissors", "scene.png", *words) == select.scissors(scene, corners)


# -- changing ------------------------------------------------------------------------------------------


def test_changing(made) -> None:
    assert made("grow", "mask.png", 3) == shape.grow(BOX, 3)
    assert made("shrink", "mask.png", 2.5) == shape.shrink(BOX, 2.5)
    assert made("outline", "mask.png", "--inside", 2, "--outside", 1) == shape.outline(BOX, 2, 1)
    assert made("invert", "mask.png") == ~BOX
    assert made("grow", "mask.png", 3, "--mask-means", "keep") == shape.grow(~BOX, 3)
    save_mask(draw.box((0, 0, 30, 20), SIZE), "other.json")
    other = open_mask("other.json")
    assert made("union", "mask.png", "other.json") == BOX | other
    assert made("intersect", "mask.png", "other.json") == BOX & other
    assert made("subtract", "mask.png", "other.json") == BOX - other
    ring = BOX - draw.box((25, 20, 27, 22), SIZE) - draw.box((30, 18, 36, 26), SIZE)
    save_mask(ring | draw.box((2, 2, 4, 4), SIZE), "ring.png")
    assert made("fill-holes", "ring.png") == BOX | draw.box((2, 2, 4, 4), SIZE)
    assert made("fill-holes", "ring.png", "--max-area", 4) == ring | draw.box((2, 2, 4, 4), SIZE) | draw.box(
        (25, 20, 27, 22), SIZE
    )
    assert made("drop-specks", "ring.png", 5) == ring


def test_feather_writes_grey(cli, here: Path) -> None:
    result = cli("mask", "feather", "mask.png", 6)
    assert result.stdout == f"mask-feathered.png: {WIDTH} x {HEIGHT} pixels, grey\n"
    with Image.open(here / "mask-feathered.png") as image:
        assert image.mode == "L"
        assert np.array_equal(np.asarray(image), np.rint(shape.feather(BOX, 6) * 255))
    refused(cli("mask", "feather", "mask.png", 6, "-o", "grey.json"), "grey.json ends in .json")


def test_an_empty_mask_is_written_and_said(cli) -> None:
    result = cli("mask", "subtract", "mask.png", "mask.png")
    assert result.exit_code == 0
    assert result.stdout == "mask-difference.png: 0 of 2,700 pixels selected (0 %)\n"
    assert result.stderr == "note: nothing is selected\n"
    assert cli("mask", "invert", "mask-difference.png", "-o", "all.png").stdout.endswith("(100 %)\n")


# -- names, JSON, conversion ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (("box", "60x45", "1,1,9,9"), "mask.png"),
        (("box", "photo.jpg", "1,1,9,9"), "photo-mask.png"),
        (("wand", "photo.jpg", "1,1"), "photo-mask.png"),
        (("grow", "runs.json", 2), "runs-grown.json"),
        (("invert", "photo.jpg"), "photo-inverted.png"),
    ],
)
def test_default_names(cli, here: Path, arguments: tuple, written: str) -> None:
    save_mask(BOX, "runs.json")
    (here / "mask.png").unlink()
    result = cli("mask", *arguments)
    assert result.stdout.startswith(f"{written}: ")
    assert open_mask(written).size == SIZE


def test_json_is_all_there_is_on_stdout(cli) -> None:
    result = cli("mask", "box", "60x45", "20,15,40,30", "-o", "box.json", "--json")
    assert json.loads(result.stdout) == {
        "file": "box.json",
        "size": [HEIGHT, WIDTH],
        "selected": 300,
        "share": round(300 / 2700, 6),
        "box": [20, 15, 40, 30],
        "sha256": BOX.sha256,
    }
    assert result.stderr == ""
    assert json.loads(cli("mask", "subtract", "box.json", "box.json", "--json").stdout)["box"] is None


def test_conversion_every_way(cli) -> None:
    assert cli("mask", "convert", "mask.png", "-o", "runs.json").exit_code == 0
    assert json.loads(Path("runs.json").read_text()) == BOX.to_rle()
    assert cli("mask", "convert", "runs.json", "-o", "cut.png", "--into", "photo.png").exit_code == 0
    cut = open_picture("cut.png")
    assert np.array_equal(cut.pixels, open_picture("photo.png").pixels)
    assert cli("mask", "convert", "cut.png", "--channel", "alpha", "-o", "back.png").exit_code == 0
    assert open_mask("back.png") == BOX
    hole = ("mask", "convert", "mask.png", "--into", "photo.png", "--out-means", "keep", "-o", "hole.png")
    assert cli(*hole).exit_code == 0
    assert np.array_equal(open_picture("hole.png").alpha == 0, BOX.selected)
    refused(cli("mask", "convert", "photo.png", "--channel", "alpha", "-o", "x.png"), "no alpha channel")
    refused(cli("mask", "convert", "mask.png"), "-o mask.png")


# -- the doctor ----------------------------------------------------------------------------------------


@pytest.fixture
def dirty(here: Path) -> Mask:
    """dirty.png for big.png of 400 x 300: an ellipse, a speck and a pinhole."""
    size = (300, 400)
    save_picture(np.full((*size, 3), (90, 120, 200), np.uint8), "big.png")
    good = draw.ellipse((120, 90, 260, 210), size)
    save_mask((good | draw.box((3, 3, 5, 5), size)) - draw.box((180, 150, 182, 151), size), "dirty.png")
    return good


def test_the_doctor_says_mends_and_shows(cli, dirty: Mask) -> None:
    result = cli("mask", "doctor", "dirty.png", "big.png")
    assert result.exit_code == 0
    assert "warning: the mask has 1 speck beside its main part (4 pixels in all)" in result.stdout
    assert "warning: the mask has 1 small hole (2 pixels in all)" in result.stdout
    assert "  --mend would drop islands of fewer than" in result.stdout
    assert not Path("dirty-mended.png").exists()
    result = cli("mask", "doctor", "dirty.png", "big.png", "--mend", "--show", "seen.png")
    assert "mended: drop islands of fewer than" in result.stdout
    assert "--mend would" not in result.stdout
    assert open_mask("dirty-mended.png") == dirty
    assert open_picture("seen.png").pixels.shape == (512, 512, 3)
    assert "nothing is wrong, " in cli("mask", "doctor", "dirty-mended.png").stdout


def test_the_doctor_in_json(cli, dirty: Mask) -> None:
    record = json.loads(
        cli("mask", "doctor", "dirty.png", "big.png", "--mend", "-o", "m.json", "--json").stdout
    )
    assert [each["code"] for each in record["findings"]] == ["specks", "holes"]
    assert record["mended"] == ["specks", "holes"]
    assert record["file"] == "m.json"
    assert record["sha256"] == dirty.sha256 == open_mask("m.json").sha256


def test_the_doctor_ends_with_3_where_a_mask_cannot_be_used(cli, dirty: Mask) -> None:
    result = cli("mask", "doctor", "mask.png", "big.png", "--show", "seen.png")
    assert result.exit_code == 3
    assert result.stdout.startswith(
        "error: the mask is 60 wide and 45 high but the picture is 400 wide and 300"
    )
    assert result.stderr == "note: seen.png was not written, since the mask cannot be used\n"
    assert not Path("seen.png").exists()
    assert cli("mask", "doctor", "mask.png", "45x60").exit_code == 3
    result = cli("mask", "doctor", "mask.png", "45x60", "--mend")
    assert result.exit_code == 3
    assert result.stderr == "note: mask-mended.png was not written, since the mask cannot be used\n"
    assert not Path("mask-mended.png").exists()
    assert cli("mask", "doctor", "mask.png", "120x90").exit_code == 3
    assert cli("mask", "doctor", "mask.png", "120x90", "--mend").exit_code == 0
    assert open_mask("mask-mended.png") == shape.resize(BOX, (90, 120))


def test_a_photo_stored_on_its_side(cli, here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(here / "side.jpg", exif=exif)
    result = cli("mask", "doctor", "mask.png", "side.jpg", "--mend")
    assert "its file is stored on its side, EXIF orientation 6" in result.stdout
    assert open_mask("mask-mended.png") == shape.turn_upright(BOX, 6)


def test_context_growth_and_the_models_size_reach_the_doctor(cli, here: Path) -> None:
    save_mask(draw.box((200, 400, 328, 411), (1000, 1000)), "bar.png")
    twice = ("--context", 2)
    assert "  --mend would grow it by 1 px" in cli("mask", "doctor", "bar.png", *twice).stdout
    for settings in ((*twice, "--grow", 3), ("--context", 1.5), (), (*twice, "--model-size", 128)):
        assert "nothing is wrong" in cli("mask", "doctor", "bar.png", *settings).stdout


def test_a_preview(cli) -> None:
    result = cli("mask", "preview", "mask.png", "photo.png")
    assert result.stdout.startswith("photo-preview.png: 300 of 2,700 pixels selected")
    shown, photo = open_picture("photo-preview.png").pixels, open_picture("photo.png").pixels
    far = ~shape.grow(BOX, 2).selected
    assert np.array_equal(shown[far], photo[far])
    assert (shown[20, 30] == photo[20, 30] // 2 + np.array((115, 20, 20))).all()
    save_picture(np.zeros((9, 9, 3), np.uint8), "small.png")
    refused(cli("mask", "preview", "mask.png", "small.png"), "same size")


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("box", "60x45", "1,1,9"), ("'1,1,9' is not a box",)),
        (("box", "60x45", "1,1,9.5,9"), ("'1,1,9.5,9' is not a box",)),
        (("box", "60x45", "9,9,1,1"), ("exclusive",)),
        (("box", "0x45", "1,1,9,9"), ("at least 1x1",)),
        (("box", "99999x99999", "1,1,9,9"), ("at most 100,000,000 pixels",)),
        (("box", "missing.png", "1,1,9,9"), ("missing.png does not exist",)),
        (("box", "60x45", "1,1,9,9", "-o", "m.jpg"), ("m.jpg ends in .jpg",)),
        (("box", "60x45", "1,1,9,9", "-o", "mask.png"), ("mask.png exists already", "--force")),
        (("box", "60x45", "1,1,9,9", "-o", "no/m.png"), ("the folder no does not exist",)),
        (("polygon", "60x45", "1,1", "2,2"), ("2 points: at least 3",)),
        (("polygon", "60x45", "1,1", "2,2", "3"), ("'3' is not a point",)),
        (("polygon", "60x45", "1,1", "2,2", "nan,3"), ("'nan,3' is not a point",)),
        (("polygon", "60x45", "1,1", "2,2", "--radios", "3"), ("'--radios' is not a point",)),
        (("stroke", "60x45", "1,1", "/"), ("a stroke has no point",)),
        (("stroke", "60x45", "1,1", "--radius", -1), ("-1",)),
        (("scissors", "photo.png", "1,1", "2,2", "99,9"), ("the point 99,9 lies beyond",)),
        (("grabcut", "photo.png"), ("a box around the thing",)),
        (("grabcut", "photo.png", "--box", "0,0,60,45"), ("nothing is outside",)),
        (("wand", "photo.png", "60,0"), ("the point 60,0 lies beyond",)),
        (("wand", "photo.png", "1,1", "--tolerance", 300), ("tolerance of 300",)),
        (("colour", "photo.png"), ("no colour was given",)),
        (("colour", "photo.png", "--colour", "red"), ("'red' is not a colour",)),
        (("colour", "photo.png", "--colour", "1,2,256"), ("'1,2,256' is not a colour",)),
        (("grow", "mask.png", -1), ("-1",)),
        (("grow", "mask.png", "nan"), ("nan px",)),
        (("grow", "broken.json", 1), ("broken.json is not JSON",)),
        (("grow", "wrong.json", 1), ("wrong.json: a run-length mask is",)),
        (("drop-specks", "mask.png", -4), ("-4 px",)),
        (("union", "mask.png", "small.png"), ("masks of different sizes",)),
        (("doctor", "mask.png", "--show", "s.png"), ("--show needs the picture",)),
        (("doctor", "mask.png", "60x45", "--show", "s.png"), ("--show needs the picture",)),
        (("doctor", "mask.png", "-o", "s.png"), ("give --mend",)),
        (("doctor", "mask.png", "--context", 0.5), ("at least 1",)),
        (("doctor", "mask.png", "--model-size", 0), ("network of 0 px",)),
    ],
)
def test_values_that_will_not_do(cli, here: Path, arguments: tuple, words: tuple[str, ...]) -> None:
    (here / "broken.json").write_text("{")
    (here / "wrong.json").write_text("[]")
    save_mask(Mask.full((9, 9)), "small.png")
    files = {path: path.read_bytes() for path in here.iterdir()}
    out = () if "-o" in arguments or arguments[0] == "doctor" else ("-o", "new.png")
    refused(cli("mask", *arguments, *out), *words)
    assert {path: path.read_bytes() for path in here.iterdir()} == files

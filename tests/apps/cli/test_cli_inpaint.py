"""`glide-edit inpaint`: what it writes, what it says, and what it refuses before the work starts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from glide_edit.images import open_picture, read_text, save_picture

HEIGHT, WIDTH = 45, 60
SELECTED = (slice(15, 30), slice(20, 40))
OUTSIDE = HEIGHT * WIDTH - 15 * 20
PRESERVED = f"0 of {OUTSIDE:,} pixels outside the selection changed"


@pytest.fixture
def inpaint(cli, tiny: Path):
    """Calls ``inpaint`` with a tiny model, the mask and a prompt."""

    def run(
        photo: str = "photo.png", *arguments: object, mask: str = "mask.png", model: object = None
    ) -> Result:
        chosen = model or tiny / "both"
        return cli("inpaint", photo, "--mask", mask, "--prompt", "a red ball", "--model", chosen, *arguments)

    return run


def refused(result: Result, *words: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr with these words."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_writes_beside_the_photo_and_prints_the_receipt(inpaint, here: Path, tmp_path: Path) -> None:
    elsewhere = here / "album"
    elsewhere.mkdir()
    (here / "photo.png").rename(elsewhere / "photo.png")
    before = (elsewhere / "photo.png").read_bytes()
    result = inpaint("album/photo.png")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"album/photo-edit.png: {PRESERVED}\n".replace("/", str(Path("/")))
    old, new = open_picture(elsewhere / "photo.png").pixels, open_picture(elsewhere / "photo-edit.png").pixels
    changed = (old != new).any(axis=2)
    assert changed[SELECTED].mean() > 0.9
    assert np.count_nonzero(changed) == np.count_nonzero(changed[SELECTED])
    assert (elsewhere / "photo.png").read_bytes() == before


def test_a_mask_may_be_run_lengths(inpaint, cli, here: Path) -> None:
    assert cli("mask", "convert", "mask.png", "-o", "mask.json").exit_code == 0
    pictures = [inpaint(mask=mask, photo="photo.png") for mask in ("mask.png",)]
    first = open_picture(here / "photo-edit.png").pixels
    pictures.append(inpaint("photo.png", "-o", "again.png", mask="mask.json"))
    assert [result.exit_code for result in pictures] == [0, 0], pictures[-1].output
    assert np.array_equal(open_picture(here / "again.png").pixels, first)


def test_png_carries_the_recipe(inpaint, cli, tiny: Path) -> None:
    assert inpaint("photo.png", "--seed", 5, "--n", 2, "--steps", 3).exit_code == 0
    recipe = json.loads(read_text("photo-edit-2.png")["glide-edit"])
    assert recipe["request"]["seed"] == 6
    assert recipe["request"]["n"] == 1
    assert recipe["request"]["steps"] == 3
    assert recipe["request"]["image"]["sha256"] == open_picture("photo.png").sha256
    shown = cli("info", "photo-edit-2.png").stdout
    assert "seed: 6\n" in shown
    assert f"model: {recipe['model']}\n" in shown
    assert f"mask: 300 pixels of {WIDTH} x {HEIGHT}\n" in shown
    assert json.loads(cli("info", "photo-edit-2.png", "--json").stdout) == recipe


def test_info_of_a_picture_without_recipe(cli) -> None:
    refused(cli("info", "photo.png"), "photo.png carries no recipe")
    refused(cli("info", "photo.jpg"), "photo.jpg carries no recipe")


def test_several_pictures_are_numbered_and_differ(inpaint) -> None:
    result = inpaint("photo.png", "--n", 3, "--out", "new.tif")
    assert result.stdout.splitlines() == [f"new-{k}.tif: {PRESERVED}" for k in (1, 2, 3)]
    first, second = open_picture("new-1.tif"), open_picture("new-2.tif")
    assert first.format == "TIFF"
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(
    ("photo", "written", "says_why"),
    [
        ("photo.jpg", "photo-edit.png", True),
        ("photo.webp", "photo-edit.png", True),
        ("photo.TIF", "photo-edit.TIF", False),
        ("photo.gif", "photo-edit.png", False),
        ("really-a-png.jpg", "really-a-png-edit.png", False),
    ],
)
def test_default_ending(inpaint, photo: str, written: str, says_why: bool) -> None:
    source = open_picture("photo.png")
    match photo:
        case "photo.gif":
            source.to_pil().save(photo)
        case "really-a-png.jpg":
            Path(photo).write_bytes(Path("photo.png").read_bytes())
        case "photo.webp" | "photo.TIF":
            save_picture(source, photo)
    result = inpaint(photo)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{written}: {PRESERVED}\n"
    assert Path(written).exists()
    assert (f"note: {photo} is a" in result.stderr and "saved as PNG" in result.stderr) == says_why


def test_lossy_output_is_possible_and_its_receipt_honest(inpaint) -> None:
    result = inpaint("photo.png", "--out", "edit.jpg")
    assert "may change everywhere" in result.stderr
    assert f"of {OUTSIDE:,} pixels outside the selection changed, by up to" in result.stdout
    assert not result.stdout.startswith("edit.jpg: 0 of")


def test_the_mask_doctor_s_warnings_come_before_the_work_and_once(inpaint) -> None:
    thin = np.zeros((HEIGHT, WIDTH), np.uint8)
    thin[20, 20:40] = 255
    save_picture(thin, "thin.png")
    result = inpaint("photo.png", mask="thin.png")
    assert result.exit_code == 0
    assert result.stderr.count("note: the selection is nowhere thicker than 3 px") == 1
    record = json.loads(inpaint("photo.png", "--json", "--force", mask="thin.png").stdout)
    assert sum("nowhere thicker" in note for note in record["notes"]) == 1


def test_a_mask_of_the_stored_picture_is_refused_with_the_reason(inpaint, here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(here / "side.jpg", exif=exif)
    refused(inpaint("side.jpg"), "stored on its side, EXIF orientation 6")


def test_json_is_all_there_is_on_stdout(inpaint, tiny: Path) -> None:
    result = inpaint("photo.jpg", "--n", 2, "--seed", 7, "--json")
    record = json.loads(result.stdout)
    assert record["files"] == ["photo-edit-1.png", "photo-edit-2.png"]
    assert record["seeds"] == [7, 8]
    assert [(r["where"], r["changed"], r["outside"]) for r in record["receipts"]] == [
        (name, 0, OUTSIDE) for name in record["files"]
    ]
    assert record["recipe"]["request"]["prompt"] == "a red ball"
    assert record["recipe"]["request"]["n"] == 2
    assert record["model"] == record["recipe"]["model"]
    assert record["model"].startswith("tiny ")
    assert record["complete"] is True
    assert record["seconds"] > 0
    assert any("JPEG" in note for note in record["notes"])
    assert "note" not in result.stderr
    assert str(tiny) not in result.stdout


def test_grow_protect_and_mask_means(inpaint) -> None:
    """The receipts count what was left out of reach."""

    def outside(*arguments: object) -> int:
        result = inpaint("photo.png", "--force", "--json", *arguments)
        assert result.exit_code == 0, result.output
        receipt = json.loads(result.stdout)["receipts"][0]
        assert receipt["changed"] == 0
        return receipt["outside"]

    left = np.zeros((HEIGHT, WIDTH), np.uint8)
    left[:, :30] = 255
    save_picture(left, "left.png")
    grown = outside("--grow", 4)
    assert grown < OUTSIDE
    assert outside("--protect", "left.png") == OUTSIDE + 15 * 10
    assert outside("--mask-means", "keep") == HEIGHT * WIDTH - OUTSIDE
    assert "outside the grown selection" in inpaint("photo.png", "--force", "--grow", 4).stdout


def test_a_layer_with_alpha_is_a_mask(inpaint) -> None:
    layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    layer[(*SELECTED, 3)] = 255
    save_picture(layer, "layer.png")
    assert inpaint("photo.png", mask="layer.png").stdout == f"photo-edit.png: {PRESERVED}\n"


def test_settings_reach_the_request(inpaint) -> None:
    result = inpaint(
        "photo.png",
        "--json",
        *("--steps", 3, "--guidance", 1.5, "--sampler", "ddim", "--upsampler-steps", 1),
        *("--context", 3.0, "--finish", "hard", "--device", "cpu", "--precision", "float32"),
        "--no-match-grain",
    )
    request = json.loads(result.stdout)["recipe"]["request"]
    asked = {
        "steps": 3,
        "guidance": 1.5,
        "sampler": "ddim",
        "upsampler_steps": 1,
        "context": 3.0,
        "finish": "hard",
        "match_grain": False,
    }
    assert asked.items() <= request.items()


def test_the_old_name_of_mask_fill_works_and_says_so(inpaint) -> None:
    record = json.loads(inpaint("photo.png", "--content", "surroundings", "--json").stdout)
    request = record["recipe"]["request"]
    assert request["mask_fill"] == "surroundings"
    assert "content" not in request
    assert any("--content is called --mask-fill now" in note for note in record["notes"])


def test_both_names_of_mask_fill_must_agree(inpaint) -> None:
    result = inpaint("photo.png", "--content", "surroundings", "--mask-fill", "opencv")
    assert result.exit_code != 0
    assert "give mask_fill alone" in result.stderr


def test_steps_of_every_stage_reach_the_request(inpaint) -> None:
    request = json.loads(inpaint("photo.png", "--stage-steps", "2,1", "--json").stdout)["recipe"]["request"]
    assert request["stage_steps"] == [2, 1]
    refused(inpaint("photo.png", "--stage-steps", "2;1"), "stage_steps are written as 20,8,4, not '2;1'")
    refused(inpaint("photo.png", "--stage-steps", "2", "--steps", 3), "Give either steps or stage_steps")


# -- refusals -----------------------------------------------------------------------------------------


def test_photo_that_is_no_picture(inpaint, here: Path) -> None:
    refused(inpaint("missing.png"), "missing.png does not exist")
    (here / "text.png").write_text("not a picture")
    refused(inpaint("text.png"), "text.png is not a")
    refused(inpaint("."), "is a folder")
    refused(inpaint("photo.png", mask="text.png"), "text.png is not a")


def test_mask_of_another_size(inpaint) -> None:
    save_picture(np.full((10, 12), 255, np.uint8), "small.png")
    refused(inpaint("photo.png", mask="small.png"), "12 wide and 10 high", f"{WIDTH} wide and {HEIGHT} high")
    protected = inpaint("photo.png", "--protect", "small.png")
    refused(protected, "12 wide and 10 high", f"{WIDTH} wide and {HEIGHT} high")


def test_empty_mask(inpaint) -> None:
    save_picture(np.zeros((HEIGHT, WIDTH), np.uint8), "black.png")
    refused(inpaint("photo.png", mask="black.png"), "black.png: the mask selects nothing", "--mask-means")
    save_picture(np.full((HEIGHT, WIDTH), 255, np.uint8), "white.png")
    refused(
        inpaint("photo.png", "--mask-means", "keep", mask="white.png"), "white.png: the mask selects nothing"
    )
    save_picture(np.eye(HEIGHT, WIDTH, dtype=np.uint8), "ones.png")
    refused(inpaint("photo.png", mask="ones.png"), "ones.png: the largest value")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--n", 0), ("n must be", "0")),
        (("--n", 1_000_000_000), ("n must be", "1000000000")),
        (("--steps", 0), ("steps must be", "0")),
        (("--steps", 101), ("101",)),
        (("--upsampler-steps", -1), ("upsampler_steps must be", "-1")),
        (("--seed", -1), ("seed must be", "-1")),
        (("--guidance", "nan"), ("guidance must be", "nan")),
        (("--sampler", "surprise"), ("surprise", "ddpm, ddim, dpm-solver++")),
        (("--grow", -1), ("grow must be", "-1")),
        (("--context", 0), ("context must be", "0")),
        (("--device", "toaster"), ("toaster",)),
        (("--precision", "float8"), ("float8",)),
        (("--out", "edit.bmp"), ("edit.bmp ends in .bmp",)),
        (("--out", "edit"), ("has no ending",)),
        (("--out", "missing/edit.png"), ("the folder missing does not exist",)),
    ],
)
def test_values_that_will_not_do(inpaint, here: Path, arguments: tuple, words: tuple[str, ...]) -> None:
    files = sorted(here.iterdir())
    refused(inpaint("photo.png", *arguments), *words)
    assert sorted(here.iterdir()) == files


def test_unknown_model(inpaint, here: Path) -> None:
    refused(inpaint(model="surprise"), "No model 'surprise'", "toybox")
    refused(inpaint(model=here), "not a model folder")


def test_model_that_cannot_inpaint(inpaint, tiny: Path) -> None:
    refused(inpaint(model=tiny / "upsampler"), "only upsampler")


def test_existing_output_is_left_alone_before_any_work(inpaint, here: Path) -> None:
    """Of three outputs the last is there. The model is unknown: had the work begun, that were the error."""
    there = here / "photo-edit-3.png"
    there.write_text("precious")
    refused(
        inpaint("photo.png", "--n", 3, model="surprise"), "photo-edit-3.png exists already", "with --force"
    )
    assert there.read_text() == "precious"
    assert inpaint("photo.png", "--n", 3, "--force").exit_code == 0
    assert open_picture(there).format == "PNG"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder in which nobody can write")
def test_unwritable_folder_is_noticed_before_any_work(inpaint) -> None:
    refused(
        inpaint("photo.png", "--out", "/proc/edit.png", model="surprise"), "nothing can be written", "/proc"
    )


def test_transparency_and_jpeg_is_noticed_before_any_work(inpaint) -> None:
    rgba = np.full((HEIGHT, WIDTH, 4), 100, np.uint8)
    save_picture(rgba, "glass.png")
    refused(inpaint("glass.png", "--out", "glass-edit.jpg", model="surprise"), "transparent")

"""GLIDE on the command line, from the published files to an edited photograph."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import sklearn.datasets

from glide_edit.images import open_picture, save_picture
from tests.glide_edit import tiny_glide

PHOTOGRAPH = Path(sklearn.datasets.__file__).parent / "images" / "china.jpg"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_glide.write(tmp_path_factory.mktemp("released") / "files")


@pytest.fixture
def mask(cli, here: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """GLIDE is fetched; an ellipse in the middle of the photograph is what to change."""
    tiny_glide.shrink(monkeypatch, here / "home")
    assert cli("models", "fetch", "glide", "--from", released).exit_code == 0
    picture = open_picture(PHOTOGRAPH)
    white = np.zeros((picture.height, picture.width), np.uint8)
    cv2.ellipse(white, (320, 200), (90, 60), 20, 0, 360, 255, -1)
    save_picture(white, here / "ellipse.png")
    return here / "ellipse.png"


def edit(cli, mask: Path, out: str, *arguments: object):
    words = ("--mask", mask, "-p", "a corgi in a field", "--model", "glide", "--device", "cpu", "--json")
    result = cli("inpaint", PHOTOGRAPH, *words, "-o", out, *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_photograph_is_inpainted_by_both_presets(cli, mask: Path, here: Path) -> None:
    source, selected = open_picture(PHOTOGRAPH).pixels, open_picture(mask).pixels[..., 0] >= 128
    made = {}
    for preset in ("default", "published"):
        record = edit(cli, mask, f"{preset}.png", "--preset", preset)
        assert record["model"].startswith("glide ")
        assert record["recipe"]["request"]["preset"] == preset
        assert record["receipts"][0]["changed"] == 0
        made[preset] = open_picture(here / f"{preset}.png").pixels
        assert np.array_equal(made[preset][~selected], source[~selected])
        assert (made[preset][selected] != source[selected]).mean() > 0.5
    assert not np.array_equal(made["default"], made["published"])


def test_clip_guides_and_its_scale_counts(cli, mask: Path, here: Path) -> None:
    pictures = []
    for scale in (0, 3, 30):
        edit(cli, mask, f"{scale}.png", "--clip-guidance", scale, "--seed", 5)
        pictures.append(open_picture(here / f"{scale}.png").pixels.astype(int))
    plain, guided, more = pictures
    assert np.abs(guided - plain).sum() > 0
    assert np.abs(more - plain).sum() > np.abs(guided - plain).sum()


def test_generating_uses_the_networks_that_were_not_trained_to_inpaint(cli, mask: Path, here: Path) -> None:
    for stage in ("base_inpaint", "upsampler_inpaint"):
        (here / "home/models/glide" / f"{stage}.safetensors").write_bytes(b"not read")
    result = cli("generate", "a corgi", "--model", "glide", "-o", "corgi.png", "--steps", "2")
    assert result.exit_code == 0, result.output
    assert open_picture(here / "corgi.png").pixels.shape == (64, 64, 3)
    refused = cli("inpaint", PHOTOGRAPH, "--mask", mask, "-p", "a corgi", "--model", "glide")
    assert refused.exit_code == 2
    assert "base_inpaint.safetensors" in refused.stderr


def test_a_missing_part_is_named(cli, here: Path, released: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_glide.shrink(monkeypatch, here / "home")
    assert cli("models", "fetch", "glide", "--from", released, "--part", "base").exit_code == 0
    for command, words in (
        (
            ("inpaint", "photo.png", "--mask", "mask.png", "-p", "x"),
            "no network that was trained to inpaint, only base",
        ),
        (("generate", "x", "--clip-guidance", "3"), "no CLIP of its own"),
        (("sketch", "drawing.png", "-p", "x"), "no drawing channel"),
        (("generate", "x", "--preset", "best"), "no preset 'best'; it has default, published"),
    ):
        result = cli(*command, "--model", "glide")
        assert result.exit_code == 2
        assert words in result.stderr
    assert cli("models", "fetch", "glide", "--from", released, "--part", "clip").exit_code == 0
    assert cli("generate", "x", "--model", "glide", "--clip-guidance", "3", "--steps", "2").exit_code == 0

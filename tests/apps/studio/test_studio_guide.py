"""What the guide tells programs to write is run as it stands there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from glide_edit.images import open_picture, save_picture
from tests.apps.studio.conftest import ROOT, Server

pytestmark = pytest.mark.browser  # it starts a server, as those of the browser do

GUIDE = ROOT / "docs" / "guide" / "studio.md"


def example(language: str, server: Server) -> str:
    """The guide's code in that language that talks to the studio, which listens elsewhere here."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```", GUIDE.read_text("utf-8"), re.M | re.S)
    (block,) = [each for each in blocks if ":7860" in each]
    return block.replace("http://127.0.0.1:7860", server.url.rstrip("/"))


@pytest.fixture
def here(tmp_path: Path, photo: Path) -> Path:
    """A folder with the two files that the examples name."""
    pixels = open_picture(photo).pixels
    save_picture(pixels, tmp_path / "photo.jpg")
    white = np.zeros(pixels.shape[:2], np.uint8)
    white[50:90, 60:120] = 255
    save_picture(white, tmp_path / "mask.png")
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example(server: Server, here: Path) -> None:
    pytest.importorskip("gradio_client")
    said = run([sys.executable, "-c", example("python", server)], here)
    file = re.search(r"^(/.*\.png) \{", said, re.M)
    assert file
    assert "'changed': 0" in said
    assert open_picture(file[1]).pixels.shape == (140, 200, 3)


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="there is no curl here")
def test_the_curl_example(server: Server, here: Path) -> None:
    said = run(["sh", "-e", "-c", example("sh", server)], here)
    assert said.count("event: complete") == 2
    assert '"changed": 0' in said
    urls = re.findall(r'"url": "([^"]+inpaint\.png)"', said)
    assert len(urls) == 1
    run(["curl", "-sf", urls[0], "-o", "edited.png"], here)
    before, after = (open_picture(here / name).pixels for name in ("photo.jpg", "edited.png"))
    changed = (before != after).any(axis=2)
    assert changed[50:90, 60:120].any()
    changed[50:90, 60:120] = False
    assert not changed.any()

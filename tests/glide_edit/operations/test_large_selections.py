"""Long and large selections: pieces without seams, windows without borders, and cost by the area."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glide_edit import Inpaint, Remove, open_picture
from glide_edit.operations import composite_windows, repaint
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.planner import plan_frames
from masks import draw


def ramp(height: int, width: int) -> NDArray[np.uint8]:
    """A smooth picture."""
    y, x = np.mgrid[:height, :width]
    planes = [60 + 100 * x / width, 80 + 60 * y / height, 150 - 60 * x / width]
    return np.stack(planes, axis=2).round().astype(np.uint8)


def drawn_for(
    request: Inpaint, picture: NDArray[np.uint8], offsets: list[float]
) -> list[NDArray[np.float32]]:
    """What a model would draw that knows the picture, but is off by so many levels in each frame."""
    frames = plan_frames(request).frames
    found = []
    for frame, offset in zip(frames, offsets, strict=False):
        assert frame.crop is not None
        shown = frame.crop.extract(picture).astype(np.float32) + offset
        found.append(np.asarray(cv2.resize(shown, (256, 256), interpolation=cv2.INTER_AREA), np.float32))
    return found


@pytest.mark.parametrize("kind", [Inpaint, Remove])
def test_no_seam_shows_between_the_pieces_of_a_strip_and_nothing_of_the_old(kind: type[Inpaint]) -> None:
    clean = ramp(300, 2400)
    picture = clean.copy()
    picture[142:158] = (255, 0, 0)
    request = kind(image=open_picture(picture), mask=draw.box((0, 140, 2400, 160), (300, 2400)))
    plan = plan_frames(request)
    assert len(plan.frames) > 6
    offsets = [6.0 * (-1) ** number for number in range(len(plan.frames))]
    result = finish(plan, drawn_for(request, clean, offsets))
    assert result.receipt is not None
    assert result.receipt.kept
    strip = result.picture.pixels[146:154].astype(int)
    assert np.abs(strip - clean[146:154]).max() < 40, "the red line is gone"
    steps = np.abs(np.diff(strip.mean(axis=0), axis=0)).max(axis=1)
    assert steps.max() < 3, "pieces that are 12 levels apart meet without a step"


@pytest.mark.parametrize("name", ["membrane", "feather", "hard", "clone", "auto"])
def test_windows_give_what_the_whole_frame_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masks.windows.CORE", 160)
    clean = ramp(700, 800)
    request = Inpaint(
        image=open_picture(clean), mask=draw.ellipse((150, 120, 650, 580), (700, 800)), finish=name
    )
    plan = plan_frames(request)
    drawn = drawn_for(request, clean, [9.0])
    whole = finish(plan, drawn)
    monkeypatch.setattr(repaint, "LARGEST_BOX", 100)
    windows = finish(plan, drawn)
    assert windows.receipt is not None
    assert windows.receipt.kept
    apart = np.abs(whole.picture.pixels.astype(int) - windows.picture.pixels)
    assert apart.max() <= 4
    assert apart.mean() < 0.7


def test_an_enlarged_window_is_what_opencv_enlarges() -> None:
    drawn = np.random.default_rng(0).uniform(0, 255, (64, 64, 3)).astype(np.float32)
    patch = composite_windows._Patch(drawn, 333, (10, 20))
    wanted = cv2.resize(drawn, (333, 333), interpolation=cv2.INTER_CUBIC)
    found = patch.at((slice(30, 120), slice(5, 300)))
    np.testing.assert_allclose(found, wanted[40:130, 25:320], atol=0.05)


def test_each_window_is_enlarged_for_its_own_pixels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    at = composite_windows._Patch.at

    def counted(self: composite_windows._Patch, window: tuple[slice, slice]) -> NDArray[np.float32]:
        asked.append((window[0].stop - window[0].start) * (window[1].stop - window[1].start))
        return at(self, window)

    monkeypatch.setattr(composite_windows._Patch, "at", counted)
    mask = draw.box((300, 300, 2300, 2300), (2600, 2600))
    request = Inpaint(image=open_picture(ramp(2600, 2600)), mask=mask)
    finish(plan_frames(request), [np.full((256, 256, 3), 90, np.float32)])
    assert max(asked) < 1.4e6
    assert sum(asked) < 8 * mask.count


_CHILD = """
import resource, sys
import numpy as np
from glide_edit import Editor, Inpaint, open_picture
from masks import Mask
editor = Editor.load(sys.argv[1], "cpu")
height, width = 4000, 6000
pixels = np.full((height, width, 3), 90, np.uint8)
pixels[::7, ::5] = 120
selected = np.zeros((height, width), bool)
selected[:, : width // 2] = True
request = Inpaint(image=open_picture(pixels), mask=Mask(selected))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = editor.run(request)
assert result.receipts[0].kept
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_half_of_a_large_photograph_takes_little_more_memory_than_the_photograph(tmp_path: Path) -> None:
    from tests.glide_edit.operations import stand_ins

    stand_ins.write_tiny(tmp_path / "tiny")
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "tiny")]
    child = subprocess.run(command, check=True, capture_output=True, text=True)
    assert float(child.stdout) < 0.75, "GiB; it was several before"

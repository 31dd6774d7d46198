"""A finished picture that cannot be saved under its name is kept in another file."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import ImageError, InputError, OutputExists, SaveFailed
from glide_edit.images import Picture, check_output, open_picture, rescuing, save_picture, saving
from glide_edit.recipes import read_recipe
from glide_edit.requests import LARGEST_SEED, Generate
from glide_edit.results import EditResult

ROOT = Path(__file__).resolve().parents[2]
NOISE = np.random.default_rng(0).integers(0, 256, (9, 14, 4), np.uint8)


def full(*_: object, **__: object) -> bytes:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pictures go; the system's temporary folder is ``tmp`` beside it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def result() -> EditResult:
    pictures = tuple(Picture(np.full((6, 8, 3), value, np.uint8)) for value in (10, 20))
    request = Generate(prompt="a ball", seed=LARGEST_SEED - 1, n=2)
    return EditResult(request, pictures, (), "tiny abc")


def fill(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every writing into ``folder`` find the disk full, once it has made its file."""
    fsync = os.fsync

    def full_there(number: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{number}")).parent == folder.resolve():
            full()
        fsync(number)

    monkeypatch.setattr(os, "fsync", full_there)


def test_an_encoder_that_fails(result: EditResult, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "_encode_jpeg", full)
    for name in ("a-rescued.png", "a-rescued-2.png"):
        with pytest.raises(SaveFailed, match=r"a\.jpg cannot be written: No space left") as caught:
            result.save(folder / "a.jpg", 1)
        assert caught.value.rescued == folder / name
        assert str(caught.value).endswith(f"The finished picture was kept as {folder / name}.")
        np.testing.assert_array_equal(open_picture(folder / name).pixels, result.pictures[1].pixels)
        assert read_recipe(folder / name).request["seed"] == LARGEST_SEED
    assert sorted(each.name for each in folder.iterdir()) == ["a-rescued-2.png", "a-rescued.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc names the files that are open")
def test_a_full_disk(result: EditResult, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder, monkeypatch)
    with pytest.raises(SaveFailed, match="No space left on device") as caught:
        result.save(folder / "a.png")
    kept = caught.value.rescued
    assert kept is not None
    assert kept.parent.parent == folder.parent / "tmp"
    assert kept.name == "a-rescued.png"
    np.testing.assert_array_equal(open_picture(kept).pixels, result.pictures[0].pixels)
    assert not list(folder.iterdir())


def test_disks_that_are_full_everywhere(
    result: EditResult, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SaveFailed, match="could not be kept in another file either") as caught:
        result.save(folder / "a.png")
    assert caught.value.rescued is None
    assert not list(folder.iterdir())
    assert not list((folder.parent / "tmp").iterdir())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_a_png_encoder_that_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, dtype: type, with_alpha: bool
) -> None:
    array = NOISE.astype(dtype) * (1 if dtype is np.uint8 else 257) - 3
    picture = Picture(np.ascontiguousarray(array[..., :3]), alpha=array[..., 3] if with_alpha else None)
    monkeypatch.setattr(saving, "_encode_png", full)
    with pytest.raises(SaveFailed) as caught, rescuing(picture, folder / "a.png"):
        save_picture(picture, folder / "a.png")
    assert caught.value.rescued == folder / "a-rescued.png"
    kept = open_picture(folder / "a-rescued.png")
    np.testing.assert_array_equal(kept.pixels, picture.pixels)
    assert kept.pixels.dtype == dtype
    if with_alpha:
        np.testing.assert_array_equal(kept.alpha, picture.alpha)


def test_a_file_that_cannot_be_read_back(
    result: EditResult, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The receipt needs the file; here everything after the writing fails with no error of ours."""

    def broken(*_: object, **__: object) -> Path:
        raise RuntimeError("surprise")

    monkeypatch.setattr("glide_edit.results.save_picture", broken)
    with pytest.raises(SaveFailed, match=r"a\.png cannot be saved: surprise\. The finished picture was kept"):
        result.save(folder / "a.png")


def test_names_that_are_refused_write_nothing_unless_asked(result: EditResult, folder: Path) -> None:
    (folder / "a.png").write_bytes(b"precious")
    with pytest.raises(OutputExists):
        result.save(folder / "a.png")
    with pytest.raises(ImageError, match="pictures are saved as"):
        result.save(folder / "a.gif")
    with pytest.raises(InputError, match="does not exist"):
        result.save(folder / "nowhere" / "a.png")
    assert [each.name for each in folder.iterdir()] == ["a.png"]
    with pytest.raises(SaveFailed, match=r"a\.png exists already .* kept as .*a-rescued\.png\.$"):
        result.save(folder / "a.png", rescue="always")
    with pytest.raises(SaveFailed, match="does not exist") as caught:
        result.save(folder / "nowhere" / "b.png", rescue="always")
    assert caught.value.rescued is not None
    assert caught.value.rescued.is_relative_to(folder.parent / "tmp")
    assert (folder / "a.png").read_bytes() == b"precious"


def test_without_rescue_nothing_is_written(
    result: EditResult, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_encode_png", full)
    with pytest.raises(InputError) as caught:
        result.save(folder / "a.png", rescue="never")
    assert not isinstance(caught.value, SaveFailed)
    assert not list(folder.iterdir())


def test_one_of_several_fails(result: EditResult, folder: Path) -> None:
    (folder / "1.png").write_bytes(b"precious")
    with pytest.raises(SaveFailed, match=r"1\.png exists already"):
        result.save_all([folder / "1.png", folder / "2.png"])
    for name, picture in zip(("1-rescued.png", "2.png"), result.pictures, strict=True):
        np.testing.assert_array_equal(open_picture(folder / name).pixels, picture.pixels)


LIMITED = """
import resource, sys
import numpy as np
from glide_edit.errors import SaveFailed
from glide_edit.images import Picture, rescuing, save_picture
picture = Picture(np.full((3000, 3000, 3), 90, np.uint8))
folder = sys.argv[1]
large = save_picture(picture, folder + "/large.jpg").stat().st_size
small = save_picture(picture, folder + "/small.png").stat().st_size
assert small < 0.8 * large, (small, large)
resource.setrlimit(resource.RLIMIT_FSIZE, ((small + large) // 2,) * 2)
try:
    with rescuing(picture, folder + "/a.jpg"):
        save_picture(picture, folder + "/a.jpg")
except SaveFailed as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of a process")
def test_a_limit_of_the_system(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "a.jpg cannot be written: File too large." in done.stdout
    assert f"kept as {tmp_path / 'a-rescued.png'}." in done.stdout
    assert (open_picture(tmp_path / "a-rescued.png").pixels == 90).all()
    assert not (tmp_path / "a.jpg").exists()


# -- told before the work -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "longest"), [("a.webp", 16_383), ("a.jpg", 65_535)])
def test_the_size_of_the_result_is_checked(tmp_path: Path, name: str, longest: int) -> None:
    small = Picture(np.zeros((4, 5, 3), np.uint8))
    check_output(tmp_path / name, like=small, size=(4, longest))
    with pytest.raises(ImageError, match=f"the picture is {longest + 1} x 4: save it as"):
        check_output(tmp_path / name, like=small, size=(4, longest + 1))
    check_output(tmp_path / "a.png", like=small, size=(4, longest + 1))


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is a folder in which nobody can write")
def test_a_folder_in_which_nobody_can_write() -> None:
    with pytest.raises(InputError, match="nothing can be written in the folder /proc"):
        check_output("/proc/a.png")

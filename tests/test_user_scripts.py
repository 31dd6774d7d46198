"""Scripts as users write them, in tests/user_scripts: fully typed for mypy and pyright, and they work."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from glide_edit.recipes import read_recipe
from tests.glide_edit.operations.stand_ins import noise, write_tiny

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "tests/user_scripts"
NAMES = ("arrays_in", "batch_remove", "callback", "cancel", "grid")


# -- types ----------------------------------------------------------------------------------------------


def check(command: list[str], folder: Path, **environment: str) -> str:
    """What a type checker prints; run in ``folder``, where no configuration of ours is found."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode in (0, 1), done.stderr  # 1: there are errors to show
    assert done.stdout, done.stderr
    return done.stdout


def mypy(folder: Path, *scripts: Path) -> str:
    """``mypy --strict``: the packages are read as installed ones are, whose own errors are not shown."""
    configuration = folder / "mypy.ini"
    configuration.write_text(
        f"[mypy]\nmypy_path = {ROOT}\n[mypy-glide_edit.*,masks.*]\nfollow_imports = silent\n",
        encoding="utf-8",
    )
    cache = ROOT / ".mypy_cache/user_scripts"
    command = ["mypy", "--strict", "--config-file", str(configuration), "--cache-dir", str(cache)]
    return check([*command, *map(str, scripts)], folder)


def pyright(folder: Path) -> dict[str, Any]:
    """Its report in strict mode on the scripts in ``folder``, by the node of a wheel: nothing is fetched."""
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)], "include": ["*.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = ["pyright", "--project", str(folder), "--pythonpath", sys.executable, "--outputjson"]
    said = check(command, folder, PYRIGHT_PYTHON_GLOBAL_NODE="0", PYRIGHT_PYTHON_IGNORE_WARNINGS="1")
    report: dict[str, Any] = json.loads(said)
    return report


@pytest.mark.slow
def test_mypy_strict_finds_nothing(tmp_path: Path) -> None:
    said = mypy(tmp_path, *(SCRIPTS / f"{name}.py" for name in NAMES))
    assert said == f"Success: no issues found in {len(NAMES)} source files\n"


@pytest.mark.slow
def test_pyright_strict_finds_nothing(tmp_path: Path) -> None:
    for name in NAMES:
        shutil.copy(SCRIPTS / f"{name}.py", tmp_path)
    report = pyright(tmp_path)
    assert report["generalDiagnostics"] == []
    assert report["summary"]["filesAnalyzed"] == len(NAMES)


WRONG = """from glide_edit import Editor

editor = Editor.load()
editor.generate("a ball", stpes=3)
editor.inpaint("a.png", "b.png", finish="nice")
editor.remove("a.png", "b.png", on_step=lambda step: step.nothing)
"""


@pytest.mark.slow
def test_both_see_a_wrong_name_and_a_wrong_value(tmp_path: Path) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(WRONG, encoding="utf-8")
    said = mypy(tmp_path, script)
    assert "Found 3 errors" in said
    assert all(f"wrong.py:{line}: error" in said for line in (4, 5, 6))
    lines = {each["range"]["start"]["line"] + 1 for each in pyright(tmp_path)["generalDiagnostics"]}
    assert lines == {4, 5, 6}


def test_no_script_suppresses_an_error() -> None:
    assert sorted(path.stem for path in SCRIPTS.glob("*.py")) == sorted(NAMES)
    for path in SCRIPTS.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("type: ignore", "pyright:", "mypy:", "noqa", "Any", "cast("))


# -- what they do ---------------------------------------------------------------------------------------


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"user_script_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(name: str, *arguments: str | Path) -> int:
    """The script's exit status with these arguments, on a tiny model."""
    status: int = load(name).main([str(each) for each in arguments])
    return status


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(noise(64, 80)).save(path)
    return path


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    path = tmp_path / "mask.png"
    Image.fromarray(selected().astype(np.uint8) * 255).save(path)
    return path


def selected() -> np.ndarray[Any, np.dtype[np.bool_]]:
    inside = np.zeros((64, 80), bool)
    inside[20:40, 30:60] = True
    return inside


def read(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.asarray(Image.open(path))


def assert_only_the_selection_changed(edited: np.ndarray[Any, Any], grown: int = 0) -> None:
    changed = (edited != noise(64, 80)).any(-1)
    inside = np.zeros_like(changed)
    inside[20 - grown : 40 + grown, 30 - grown : 60 + grown] = True
    assert changed[selected()].mean() > 0.9
    assert not changed[~inside].any()


def test_batch_remove_goes_on_after_a_bad_one_and_does_nothing_twice(
    tmp_path: Path, model: Path, mask: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, masks, out = (tmp_path / name for name in ("photos", "masks", "out"))
    for folder in (photos, masks):
        folder.mkdir()
    for name in ("a", "b", "c"):
        Image.fromarray(noise(64, 80)).save(photos / f"{name}.png")
    (photos / "notes.txt").write_text("no picture", encoding="utf-8")
    for name in ("a", "c"):
        (masks / f"{name}.png").write_bytes(mask.read_bytes())
    assert run("batch_remove", photos, masks, out, "--model", model) == 1
    said = capsys.readouterr()
    assert said.err.startswith("b.png: ")
    assert said.out.count("0 of ") == 2
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "c.png"]
    assert_only_the_selection_changed(read(out / "a.png"), grown=5)
    assert read_recipe(out / "a.png").request["operation"] == "remove"
    before = (out / "a.png").stat().st_mtime_ns
    (masks / "b.png").write_bytes(mask.read_bytes())
    assert run("batch_remove", photos, masks, out, "--model", model) == 0
    assert (out / "b.png").exists()
    assert (out / "a.png").stat().st_mtime_ns == before


def test_grid_has_a_row_for_each_prompt_and_a_column_for_each_seed(tmp_path: Path, model: Path) -> None:
    sheet = tmp_path / "sheet.png"
    assert run("grid", sheet, "a red ball", "a cube", "--seeds", "4", "1", "4000", "--model", model) == 0
    pixels = read(sheet)
    assert pixels.shape == (2 * (64 + 14), 3 * 64, 3)
    cells = [pixels[top + 14 : top + 78, left : left + 64] for top in (0, 78) for left in (0, 64, 128)]
    assert len({cell.tobytes() for cell in cells}) == 6
    alone = tmp_path / "alone.png"
    assert run("grid", alone, "a cube", "--seeds", "1", "--model", model) == 0
    assert (read(alone)[14:] == cells[4]).mean() > 0.99  # of its own seed, up to rounding


def test_callback_gets_every_step_and_its_latents(
    tmp_path: Path, model: Path, photo: Path, mask: Path
) -> None:
    out = tmp_path / "out"
    assert run("callback", photo, mask, "a red ball", out, "--model", model) == 0
    latents = np.load(out / "latents.npz")
    stages = {name.rpartition("-")[0] for name in latents.files}
    assert len(stages) == 2
    shapes = [latents[name].shape for name in latents.files]
    assert shapes.count((1, 3, 16, 16)) == 6
    assert shapes.count((1, 3, 64, 64)) == len(shapes) - 6 == 2
    assert all(latents[name].dtype == np.float32 for name in latents.files)
    lines = (out / "steps.txt").read_text(encoding="utf-8").splitlines()
    progress = [line for line in lines if line.endswith("finished")]
    steps = [line for line in lines if line.startswith("t = ")]
    assert len(progress) == len(steps) == 8
    assert progress[-1].endswith("1 finished")
    times = [float(line.split()[2].rstrip(",")) for line in steps[:6]]
    assert times == sorted(times, reverse=True)
    assert read(out / "preview.png").shape == (64, 64, 3)
    assert_only_the_selection_changed(read(out / "edit.png"))


def test_arrays_images_and_tensors_give_the_same_picture(
    tmp_path: Path, model: Path, photo: Path, mask: Path
) -> None:
    out = tmp_path / "out"
    assert run("arrays_in", photo, mask, out, "--model", model) == 0
    pixels = np.load(out / "numpy.npy")
    assert_only_the_selection_changed(pixels)
    assert (read(out / "pil.png") == pixels).all()
    tensor = torch.load(out / "torch.pt", weights_only=True)
    assert tensor.shape == (3, 64, 80)
    assert ((tensor.permute(1, 2, 0) * 255).round().numpy() == pixels).all()
    seed = read_recipe(out / "drawn.png").request["seed"]
    assert seed == int(torch.randint(2**53, (), generator=torch.Generator().manual_seed(3)))


def test_cancelling_keeps_what_was_finished(
    tmp_path: Path, model: Path, photo: Path, mask: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("cancel", photo, mask, "a ball", out, "--n", "64", "--keep", "2", "--model", model) == 0
    said = capsys.readouterr().out
    for name in ("thread", "stream"):
        made = sorted(int(path.stem) for path in (out / name).iterdir())
        assert made == list(range(len(made)))  # the first seeds, whole
        assert 0 < len(made) < 64
        assert_only_the_selection_changed(read(out / name / "0.png"))
        assert f"{name}: {len(made)} of 64 pictures were finished" in said

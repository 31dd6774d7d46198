"""Other programs of the repair bench: they fill, one that is missing is said, and so is one that fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation.repair_programs import OTHERS, choose

HIGH, WIDE = 40, 50
SELECTED = np.zeros((HIGH, WIDE), bool)
SELECTED[15:25, 20:30] = True

FAKE_GMIC = """#!/bin/sh
{does}
"""
COPY = 'for last; do :; done; cp "$3" "$last"'


def slope() -> np.ndarray:
    """uint8 (HIGH, WIDE, 3): colours that change evenly."""
    y, x = np.mgrid[:HIGH, :WIDE]
    return np.stack([60 + 3 * x, 200 - 3 * y, 80 + x + y], 2).astype(np.uint8)


def fake_gmic(folder: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    program = folder / "gmic"
    program.write_text(FAKE_GMIC.format(does=does))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize("name", OTHERS)
def test_a_program_fills_from_around_the_selection_and_ignores_what_covers_it(name: str) -> None:
    if name.startswith("gmic") and not shutil.which("gmic"):
        pytest.skip("gmic is not installed")
    truth = slope()
    filled = []
    for colour in (0, 255):
        covered = truth.copy()
        covered[SELECTED] = colour
        filled.append(OTHERS[name](covered, SELECTED))
        assert (filled[-1].shape, filled[-1].dtype) == (truth.shape, np.uint8)
        assert np.array_equal(filled[-1][:8], truth[:8]), "far from the selection"
        # Patches of a slope do not continue it; they stay within its colours.
        assert np.abs(filled[-1][SELECTED].astype(int) - truth[SELECTED]).mean() < 30
    if not name.startswith("gmic"):
        assert np.array_equal(*filled)


def test_all_that_are_installed_are_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gmic(tmp_path, monkeypatch, COPY)
    chosen, left_out = choose()
    assert chosen == OTHERS
    assert left_out == {}
    assert list(choose(("biharmonic", "telea", "biharmonic"))[0]) == ["biharmonic", "telea"]
    assert choose(()) == ({}, {})


def test_a_missing_gmic_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    chosen, left_out = choose()
    assert list(chosen) == ["telea", "navier-stokes", "biharmonic"]
    assert set(left_out) == set(OTHERS) - set(chosen)
    assert all("gmic is not installed" in why for why in left_out.values())
    with pytest.raises(InputError, match="gmic-pde cannot be measured: the program gmic is not installed"):
        choose(("telea", "gmic-pde"))


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(InputError, match="No program 'photoshop': choose of telea, "):
        choose(("telea", "photoshop"))


def test_gmic_gets_the_picture_and_the_mask_and_its_result_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_gmic(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/asked; {COPY}')
    assert np.array_equal(OTHERS["gmic-matchpatch"](slope(), SELECTED), slope())
    words = (tmp_path / "asked").read_text().split()
    assert [Path(word).name for word in words[2:4]] == ["picture.png", "mask.png"]
    assert words[4:6] == ["inpaint_matchpatch[0]", "[1]"]
    assert not Path(words[2]).exists(), "the folder is gone"


def test_a_gmic_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_gmic(tmp_path, monkeypatch, "echo first >&2; echo 'out of memory' >&2; exit 3")
    with pytest.raises(InputError, match=r"G'MIC failed at inpaint_pde.*: out of memory"):
        OTHERS["gmic-pde"](slope(), SELECTED)

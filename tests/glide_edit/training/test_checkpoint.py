"""Checkpoints: whole or not at all."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Any

import pytest
import torch

from glide_edit.errors import TrainingError
from glide_edit.training import checkpoint
from glide_edit.training.checkpoint import FILE_NAME, Progress

RECIPE = {"seed": 0, "batch_size": 4, "network": {"channels": [16, 32]}}
OLD = {"a": torch.arange(20.0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    checkpoint.save(tmp_path, OLD, Progress(3, 12, 1.5), RECIPE)
    return tmp_path


def assert_old_one_is_usable(folder: Path) -> None:
    found = checkpoint.load(folder, RECIPE)
    assert found is not None
    tensors, progress = found
    assert torch.equal(tensors["a"], OLD["a"])
    assert progress == Progress(3, 12, 1.5)
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_what_is_saved_comes_back(folder: Path) -> None:
    assert checkpoint.exists(folder, RECIPE)
    assert_old_one_is_usable(folder)
    checkpoint.save(folder, {"a": torch.zeros(2)}, Progress(4, 16, 2.0), RECIPE)
    found = checkpoint.load(folder, RECIPE)
    assert found is not None
    assert found[1] == Progress(4, 16, 2.0)


def test_an_empty_folder_has_none(tmp_path: Path) -> None:
    assert not checkpoint.exists(tmp_path, RECIPE)
    assert checkpoint.load(tmp_path, RECIPE) is None


class Killed(BaseException):
    """Like a kill, it is not handled by anyone."""


def test_a_kill_before_the_renaming_leaves_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*arguments: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", kill)
        with pytest.raises(Killed):
            checkpoint.save(folder, {"a": torch.zeros(20)}, Progress(9), RECIPE)
    assert len(list(folder.iterdir())) == 2, "the kill came too early to mean anything"
    assert_old_one_is_usable(folder)


def test_a_kill_half_way_through_the_file_leaves_the_old_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(number: int) -> None:
        os.truncate(next(folder.glob(f".{FILE_NAME}.*")), 40)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", kill)
        with pytest.raises(Killed):
            checkpoint.save(folder, {"a": torch.zeros(20)}, Progress(9), RECIPE)
    assert len(list(folder.iterdir())) == 2
    assert_old_one_is_usable(folder)


def test_a_full_disk_leaves_the_old_one_and_says_so(folder: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
    try:
        with pytest.raises(TrainingError, match="cannot be written"):
            checkpoint.save(folder, {"a": torch.zeros(10_000)}, Progress(9), RECIPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_old_one_is_usable(folder)


@pytest.mark.parametrize(
    ("key", "value"), [("batch_size", 8), ("seed", 1), ("network", {"channels": [16]}), ("start", "x")]
)
def test_other_settings_are_named(folder: Path, key: str, value: object) -> None:
    for look in (checkpoint.exists, checkpoint.load):
        with pytest.raises(TrainingError, match=rf"other settings \({key}\)"):
            look(folder, RECIPE | {key: value})


@pytest.mark.parametrize("data", [b"", b"not at all", b"\x10\0\0\0\0\0\0\0{}"])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(data)
    with pytest.raises(TrainingError, match="not a checkpoint"):
        checkpoint.load(tmp_path, RECIPE)

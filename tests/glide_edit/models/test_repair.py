"""Folders of a repair network: written, read back, and refused where they are damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound
from glide_edit.models import choose_runtime
from glide_edit.models.repair import (
    ABOUT_NAME,
    SHIPPED,
    WEIGHTS_NAME,
    load_repair,
    repair_folder,
    write_repair,
)
from glide_edit.networks.repair import RepairConfig, RepairNetwork

CONFIG = RepairConfig(image_size=16, channels=(16,), blocks=(1,), middle=(2,))
FLOAT32 = choose_runtime("cpu", "float32")


def written(folder: Path) -> RepairNetwork:
    torch.manual_seed(0)
    network = RepairNetwork(CONFIG)
    write_repair(folder, CONFIG, network.state_dict(), {"training": {"steps": 1}})
    return network


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    network = written(tmp_path / "repair")
    read = load_repair(tmp_path / "repair", FLOAT32)
    assert read.config == CONFIG
    for name, value in network.state_dict().items():
        assert torch.equal(read.state_dict()[name], value.bfloat16().float()), name


def test_what_ships_is_used_unless_the_user_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIDE_EDIT_HOME", str(tmp_path))
    assert repair_folder() == SHIPPED
    assert load_repair(SHIPPED, FLOAT32).config == RepairConfig()
    written(tmp_path / "repair")
    assert repair_folder() == tmp_path / "repair"


def test_a_folder_that_holds_none_or_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=ABOUT_NAME):
        load_repair(tmp_path, FLOAT32)
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="cannot be written"):
        written(tmp_path / "file")


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"sha256": "0" * 64},
        {"config": {"channels": [16]}},
        {"config": None},
        {"more": 1},
        {"provenance": []},
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    written(tmp_path)
    about = json.loads((tmp_path / ABOUT_NAME).read_text())
    (tmp_path / ABOUT_NAME).write_text(json.dumps(about | change))
    with pytest.raises(ModelFormatError):
        load_repair(tmp_path, FLOAT32)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    written(tmp_path)
    data = bytearray((tmp_path / WEIGHTS_NAME).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS_NAME).write_bytes(data)
    with pytest.raises(ModelFormatError, match="sha256"):
        load_repair(tmp_path, FLOAT32)

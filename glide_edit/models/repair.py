"""Folders of a repair network: ``repair.json`` says what ``repair.safetensors`` beside it is.

{"format": 1, "licence": "MIT", "config": {...}, "provenance": {...}, "sha256": "<of the weights>"}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound
from glide_edit.images import write_atomically
from glide_edit.models import records
from glide_edit.models import tensors as weights
from glide_edit.models.fetch import home_folder
from glide_edit.models.parts import plain
from glide_edit.models.runtime import Runtime
from glide_edit.networks.repair import RepairConfig, RepairNetwork

NAME = "repair"
"""The folder in the user's data folder whose network is used in place of the one that ships."""

SHIPPED = Path(__file__).parent / "weights" / "repair"
ABOUT_NAME, WEIGHTS_NAME = "repair.json", "repair.safetensors"
FORMAT = 1
LICENCE = "MIT"


def repair_folder() -> Path:
    """Where the repair network is: in the user's data folder, or what ships."""
    own = home_folder() / NAME
    return own if (own / ABOUT_NAME).is_file() else SHIPPED


def write_repair(
    folder: Path, config: RepairConfig, tensors: Mapping[str, Tensor], provenance: Mapping[str, Any]
) -> Path:
    """Write a repair network's folder, weights in bfloat16, and return it; one that is there is replaced.

    ``repair.json`` is deleted first and written last: a folder left by a kill loads whole or is refused.

    Raises:
        ModelFormatError: the tensors are not those of the configuration, or not finite.
        ModelError: the folder cannot be written.
    """
    data = weights.to_bytes(tensors, _blank(config), torch.bfloat16, "the repair network")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ABOUT_NAME).unlink(missing_ok=True)
        write_atomically(folder / WEIGHTS_NAME, data, force=True)
        record = {
            "format": FORMAT,
            "licence": LICENCE,
            "config": plain(config),
            "provenance": dict(provenance),
            "sha256": weights.sha256(folder / WEIGHTS_NAME),
        }
        write_atomically(folder / ABOUT_NAME, f"{json.dumps(record, indent=2)}\n".encode(), force=True)
    except OSError as error:
        raise ModelError(f"The folder {folder} cannot be written: {error}.") from error
    return folder


def load_repair(folder: Path, runtime: Runtime) -> RepairNetwork:
    """The repair network of a folder, on the device and in the precision of ``runtime``.

    Raises:
        ModelNotFound: there is none.
        ModelFormatError: its files are damaged, unknown, or do not belong together.
    """
    data, config = _read(folder)
    network = _blank(config)
    files = {folder / WEIGHTS_NAME: data["sha256"]}
    weights.fill(network, files, runtime.device, runtime.dtype, channels_last=runtime.channels_last)
    return network


def provenance_of(folder: Path) -> dict[str, Any]:
    """Where a folder's network comes from; raises what ``load_repair`` raises of the description."""
    return dict(_read(folder)[0]["provenance"])


def _read(folder: Path) -> tuple[dict[str, Any], RepairConfig]:
    path = folder / ABOUT_NAME
    if not path.is_file():
        raise ModelNotFound(f"{folder} holds no repair network: it has no {ABOUT_NAME}.")
    try:
        data = records.fields(records.parse(path.read_text(encoding="utf-8")), "", _ABOUT)
        if data["format"] != FORMAT:
            raise ModelFormatError(f"it has format {data['format']!r}, and this glide-edit reads {FORMAT}.")
        return data, records.network(RepairConfig, data["config"], "config")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"{path} cannot be read: {error}.") from error
    except ModelFormatError as error:
        raise ModelFormatError(f"{path} cannot be used: {error}") from error


_ABOUT: records.Fields = {
    "format": records.anything,
    "licence": records.text,
    "config": records.anything,
    "provenance": records.mapping,
    "sha256": records.text,
}


def _blank(config: RepairConfig) -> RepairNetwork:
    return weights.blank(lambda: RepairNetwork(config), "the repair network")

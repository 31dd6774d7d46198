"""Checkpoints: one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from glide_edit.errors import TrainingError

FILE_NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Progress:
    """How far a run has come: optimizer steps, views shown, seconds of training (not of the wall clock)."""

    step: int = 0
    views: int = 0
    seconds: float = 0.0


def save(folder: Path, tensors: dict[str, Tensor], progress: Progress, recipe: dict) -> None:
    """Replace the folder's checkpoint. A kill at any moment leaves the old one or the new one."""
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    metadata = {"progress": json.dumps(asdict(progress)), "recipe": json.dumps(recipe)}
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, folder / FILE_NAME)


def load(folder: Path) -> tuple[dict[str, Tensor], Progress, dict] | None:
    """The folder's checkpoint, or None where there is none.

    Raises:
        TrainingError: the file is there but cannot be read.
    """
    for leftover in folder.glob(f".{FILE_NAME}.*"):
        leftover.unlink(missing_ok=True)
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        return tensors, Progress(**json.loads(metadata["progress"])), json.loads(metadata["recipe"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise TrainingError(
            f"{path} is not a checkpoint of this program: delete it to begin anew ({error})."
        ) from error

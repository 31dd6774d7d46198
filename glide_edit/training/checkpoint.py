"""Checkpoints: one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from glide_edit.errors import TrainingError

FILE_NAME = "checkpoint.safetensors"


@dataclass(frozen=True)
class Progress:
    """How far a run is: optimizer steps, views shown, seconds of training (not of the wall clock)."""

    step: int = 0
    views: int = 0
    seconds: float = 0.0


def save(folder: Path, tensors: Mapping[str, Tensor], progress: Progress, recipe: Mapping[str, Any]) -> None:
    """Replace the folder's checkpoint. A kill at any moment leaves the old one or the new one.

    Raises:
        TrainingError: it cannot be written; the old one is as it was.
    """
    metadata = {"progress": json.dumps(asdict(progress)), "recipe": json.dumps(recipe)}
    # As bytes: save_file goes through a temporary file of its own, and leaves it behind when it is killed.
    data = to_bytes({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata)
    temporary = folder / f".{FILE_NAME}.{os.getpid()}"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, folder / FILE_NAME)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise TrainingError(
            f"The checkpoint in {folder} cannot be written ({error.strerror}): make room and repeat the "
            "command, which resumes from the checkpoint before."
        ) from error


def exists(folder: Path, recipe: Mapping[str, Any]) -> bool:
    """Whether there is a checkpoint to continue from.

    Raises:
        TrainingError: there is one, but it cannot be read or is of a run with another recipe.
    """
    return _read(folder, recipe, with_tensors=False) is not None


def load(folder: Path, recipe: Mapping[str, Any]) -> tuple[dict[str, Tensor], Progress] | None:
    """The folder's checkpoint, or None where there is none. What a killed ``save`` left is removed.

    Raises:
        TrainingError: as ``exists``.
    """
    for leftover in folder.glob(f".{FILE_NAME}.*"):
        leftover.unlink(missing_ok=True)
    return _read(folder, recipe, with_tensors=True)


def _read(
    folder: Path, recipe: Mapping[str, Any], with_tensors: bool
) -> tuple[dict[str, Tensor], Progress] | None:
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            old = json.loads(file.metadata()["recipe"])
            progress = Progress(**json.loads(file.metadata()["progress"]))
            names = file.keys() if with_tensors else ()
            changed = sorted(key for key in {*old, *recipe} if old.get(key) != recipe.get(key))
            tensors = {} if changed else {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainingError(
            f"{path} is not a checkpoint of this program: delete it to begin again ({error})."
        ) from error
    if changed:
        raise TrainingError(
            f"{folder} holds a run with other settings ({', '.join(changed)}): "
            "repeat its command to go on with it, or name another --out folder."
        )
    return tensors, progress

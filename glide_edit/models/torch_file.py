"""State dicts in the files of ``torch.save``, as OpenAI publishes them: for converting, never for running.

Such files are pickles. They are read by torch's restricted reader only, which makes tensors and plain
containers and calls nothing else that a file may name.
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import torch
from torch import Tensor

from glide_edit.errors import ModelFormatError


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU and as stored.

    They are the mapped file itself, and cost no memory until they are looked at; those of files older than
    torch 1.6 are read whole. The file must stay as it is while they are in use.

    Raises:
        ModelFormatError: the file is missing, damaged, or holds anything but floating-point tensors by name.
    """
    if not path.is_file():
        raise ModelFormatError(f"{path} is missing.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # pickle, zip and torch have many for bytes that are not theirs
        raise _foreign(path) from error
    if not isinstance(state, dict) or not state:
        raise _foreign(path)
    for name, value in state.items():
        dense = isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()
        if not isinstance(name, str) or not dense:
            raise _foreign(path)
    return dict(state)


def check(path: Path) -> None:
    """Read a file whole and compare it with the checksums inside it.

    Raises:
        ModelFormatError: as ``read`` does, and where a checksum differs.
    """
    read(path)
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6 has none
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError) as error:
        raise _foreign(path) from error
    if damaged is not None:
        raise _foreign(path)


def _foreign(path: Path) -> ModelFormatError:
    return ModelFormatError(
        f"{path} is damaged or not a checkpoint of tensors: fetch it again, or copy it from elsewhere."
    )

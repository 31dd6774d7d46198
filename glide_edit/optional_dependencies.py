"""Packages of the optional sets: imported where they are used, with a clear error where they are missing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from types import ModuleType

from glide_edit.errors import InputError

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_kept: list[object] = []
"""Keeps the declared operators alive: PyTorch drops them with their last reference."""
_lock = threading.Lock()


def open_clip() -> ModuleType:
    """The package open_clip. Raises InputError if it is not installed, or cannot be imported."""
    return _imported("open_clip", "clip")


def transformers() -> ModuleType:
    """The package transformers. Raises InputError if it is not installed, or cannot be imported."""
    return _imported("transformers", "clip")


def torchmetrics() -> ModuleType:
    """The package torchmetrics. Raises InputError if it is not installed, or cannot be imported."""
    return _imported("torchmetrics", "fid")


def skimage(module: str) -> ModuleType:
    """A module of scikit-image, as "metrics". Raises InputError if it cannot be imported."""
    return _imported(f"skimage.{module}", "repairs", needs_torchvision=False)


def _imported(name: str, extra: str, *, needs_torchvision: bool = True) -> ModuleType:
    try:
        if needs_torchvision:
            # The packages import it, and fail where it fails.
            _mend_torchvision()
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"This needs the package {name}, which cannot be imported ({' '.join(str(error).split())}): "
            f"pip install 'glide-edit[{extra}]'."
        ) from error


def _mend_torchvision() -> None:
    """Make torchvision importable beside a PyTorch that its compiled operators were not built for.

    Package indexes serve a torchvision built for CUDA. Beside a PyTorch for the CPU its operators are
    missing, and importing it fails at the description of one that this project never calls. Declaring their
    names is enough.
    """
    with _lock:
        if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is None:
            return
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::nms" not in str(error):
                raise
            # What the attempt left behind would be taken for the package.
            for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
                del sys.modules[name]
            _kept.append(_define_operators())


def _define_operators() -> object:
    from torch.library import Library

    library = Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    return library

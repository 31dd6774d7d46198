"""glide-edit: text-guided image editing by diffusion.

    from glide_edit import Editor

    editor = Editor.load("toybox")
    result = editor.inpaint("photo.jpg", "mask.png", "a red ball")

The public API and nothing else. Names are imported when they are first used, so that ``import glide_edit``
costs nothing and a command line can answer before torch is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glide_edit.comparing import Verification, verify
    from glide_edit.editor import Editor
    from glide_edit.errors import (
        Cancelled,
        GlideEditError,
        ImageError,
        InputError,
        ModelError,
        ModelFormatError,
        ModelNotFound,
        OutputExists,
        TrainingError,
    )
    from glide_edit.images import Picture, open_picture, save_picture
    from glide_edit.requests import Generate, Inpaint, Outpaint, Remove, Sketch, Upscale, Vary
    from glide_edit.results import EditResult, Progress, Receipt
    from glide_edit.selections import open_mask, save_mask

__version__ = "0.1.0.dev0"

_HOMES = {
    "Editor": "editor",
    "Cancelled": "errors",
    "GlideEditError": "errors",
    "ImageError": "errors",
    "InputError": "errors",
    "ModelError": "errors",
    "ModelFormatError": "errors",
    "ModelNotFound": "errors",
    "OutputExists": "errors",
    "TrainingError": "errors",
    "Picture": "images",
    "open_picture": "images",
    "save_picture": "images",
    "Generate": "requests",
    "Inpaint": "requests",
    "Outpaint": "requests",
    "Remove": "requests",
    "Sketch": "requests",
    "Upscale": "requests",
    "Vary": "requests",
    "EditResult": "results",
    "Progress": "results",
    "Receipt": "results",
    "Verification": "comparing",
    "open_mask": "selections",
    "save_mask": "selections",
    "verify": "comparing",
}

__all__ = [
    "Cancelled",
    "EditResult",
    "Editor",
    "Generate",
    "GlideEditError",
    "ImageError",
    "Inpaint",
    "InputError",
    "ModelError",
    "ModelFormatError",
    "ModelNotFound",
    "Outpaint",
    "OutputExists",
    "Picture",
    "Progress",
    "Receipt",
    "Remove",
    "Sketch",
    "TrainingError",
    "Upscale",
    "Vary",
    "Verification",
    "__version__",
    "open_mask",
    "open_picture",
    "save_mask",
    "save_picture",
    "verify",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'glide_edit' has no attribute {name!r}")
    value: object = getattr(import_module(f"glide_edit.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""glide-edit: text-guided image editing by diffusion.

    from glide_edit import Editor

    editor = Editor.load("toybox")
    result = editor.inpaint("photo.jpg", "mask.png", "a red ball")
    result.save("edit.png")

The public API and nothing else. Names are imported when they are first used, so that ``import glide_edit``
costs nothing and a command line can answer before torch is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # "as" says to type checkers that the name is public
    from glide_edit.comparing import Verification as Verification
    from glide_edit.comparing import verify as verify
    from glide_edit.editor import Editor as Editor
    from glide_edit.errors import Cancelled as Cancelled
    from glide_edit.errors import DeviceBusy as DeviceBusy
    from glide_edit.errors import GlideEditError as GlideEditError
    from glide_edit.errors import ImageError as ImageError
    from glide_edit.errors import InputError as InputError
    from glide_edit.errors import ModelError as ModelError
    from glide_edit.errors import ModelFormatError as ModelFormatError
    from glide_edit.errors import ModelNotFound as ModelNotFound
    from glide_edit.errors import OutputExists as OutputExists
    from glide_edit.errors import SaveFailed as SaveFailed
    from glide_edit.errors import TrainingError as TrainingError
    from glide_edit.images import Picture as Picture
    from glide_edit.images import open_picture as open_picture
    from glide_edit.images import save_picture as save_picture
    from glide_edit.models import list_models as list_models
    from glide_edit.pipeline.plan import Plan as Plan
    from glide_edit.requests import Generate as Generate
    from glide_edit.requests import Inpaint as Inpaint
    from glide_edit.requests import Outpaint as Outpaint
    from glide_edit.requests import Remove as Remove
    from glide_edit.requests import Request as Request
    from glide_edit.requests import Sketch as Sketch
    from glide_edit.requests import Upscale as Upscale
    from glide_edit.requests import Vary as Vary
    from glide_edit.results import Candidate as Candidate
    from glide_edit.results import EditResult as EditResult
    from glide_edit.results import Progress as Progress
    from glide_edit.results import Receipt as Receipt
    from glide_edit.sampling import SampleStep as SampleStep
    from glide_edit.selections import open_mask as open_mask
    from glide_edit.selections import save_mask as save_mask
    from masks import Mask as Mask
    from masks import MaskError as MaskError

__version__ = "0.1.0.dev0"

_NAMES = {
    "glide_edit.comparing": ("Verification", "verify"),
    "glide_edit.editor": ("Editor",),
    "glide_edit.errors": (
        "Cancelled",
        "DeviceBusy",
        "GlideEditError",
        "ImageError",
        "InputError",
        "ModelError",
        "ModelFormatError",
        "ModelNotFound",
        "OutputExists",
        "SaveFailed",
        "TrainingError",
    ),
    "glide_edit.images": ("Picture", "open_picture", "save_picture"),
    "glide_edit.models": ("list_models",),
    "glide_edit.pipeline.plan": ("Plan",),
    "glide_edit.requests": (
        "Generate",
        "Inpaint",
        "Outpaint",
        "Remove",
        "Request",
        "Sketch",
        "Upscale",
        "Vary",
    ),
    "glide_edit.results": ("Candidate", "EditResult", "Progress", "Receipt"),
    "glide_edit.sampling": ("SampleStep",),
    "glide_edit.selections": ("open_mask", "save_mask"),
    "masks": ("Mask", "MaskError"),
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'glide_edit' has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

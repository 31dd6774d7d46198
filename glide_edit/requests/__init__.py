"""What can be asked of an editor: frozen, validated when made, and JSON both ways.

Each field is defined once, where it is declared (``settings``). Nothing heavy is imported.

JSON never holds pixels or paths: a picture is its size and hash, a mask its run lengths. To get a request
back from JSON, hand ``request_from_json`` the picture.
"""

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

from glide_edit.requests.records import OPERATIONS, checked_fields, fields_of, kind_of, request_from_json
from glide_edit.requests.repaint import FINISHES, MASK_FILLS, Inpaint, Outpaint, Remove, Repaint
from glide_edit.requests.request import MOST_STEPS, Request
from glide_edit.requests.seeds import LARGEST_SEED, MOST_IMAGES, parse_seeds, parse_steps
from glide_edit.requests.settings import Setting, fields_schema, request_schema, setting, settings_of
from glide_edit.requests.whole import FACTORS, SKETCH_MODES, Generate, Sketch, Upscale, Vary

__all__ = [
    "FACTORS",
    "FINISHES",
    "LARGEST_SEED",
    "MASK_FILLS",
    "MOST_IMAGES",
    "MOST_STEPS",
    "OPERATIONS",
    "SKETCH_MODES",
    "Generate",
    "Inpaint",
    "Outpaint",
    "Remove",
    "Repaint",
    "Request",
    "Setting",
    "Sketch",
    "Upscale",
    "Vary",
    "checked_fields",
    "fields_of",
    "fields_schema",
    "kind_of",
    "parse_seeds",
    "parse_steps",
    "request_from_json",
    "request_schema",
    "setting",
    "settings_of",
]

_MOVED = {
    "CONTENTS": "repaint.MASK_FILLS",
    "LONGEST_SIDE": "repaint.LONGEST_SIDE",
    "MOST_CUTS": "request.MOST_CUTS",
    "SketchMode": "whole.SketchMode",
    "checked_seeds": "seeds.checked_seeds",
}

if not TYPE_CHECKING:  # type checkers should still report names that do not exist

    def __getattr__(name: str) -> object:
        if name not in _MOVED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        said = f"{__name__}.{name} is {__name__}.{_MOVED[name]} now: the old name goes with the next release."
        warnings.warn(said, DeprecationWarning, stacklevel=2)
        module, _, attribute = _MOVED[name].partition(".")
        return getattr(import_module(f"{__name__}.{module}"), attribute)

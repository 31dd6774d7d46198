"""What can be asked of an editor: frozen, validated when made, and JSON both ways.

JSON never holds pixels or paths: a picture is its size and hash, a mask its run lengths. To get a request
back from JSON, hand ``request_from_json`` the picture.
"""

from glide_edit.requests.records import OPERATIONS, fields_of, kind_of, request_from_json
from glide_edit.requests.repaint import (
    CONTENTS,
    FINISHES,
    LONGEST_SIDE,
    Inpaint,
    Outpaint,
    Remove,
    Repaint,
)
from glide_edit.requests.request import MOST_CUTS, MOST_STEPS, Request
from glide_edit.requests.seeds import LARGEST_SEED, MOST_IMAGES, checked_seeds, parse_seeds
from glide_edit.requests.whole import FACTORS, SKETCH_MODES, Generate, Sketch, SketchMode, Upscale, Vary

__all__ = [
    "CONTENTS",
    "FACTORS",
    "FINISHES",
    "LARGEST_SEED",
    "LONGEST_SIDE",
    "MOST_CUTS",
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
    "Sketch",
    "SketchMode",
    "Upscale",
    "Vary",
    "checked_seeds",
    "fields_of",
    "kind_of",
    "parse_seeds",
    "request_from_json",
]

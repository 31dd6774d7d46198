"""What may change in a picture: selections, their areas, compositing a repaint. NumPy and OpenCV only."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from masks import draw, rough, select, shape
from masks.areas import Areas, allowed_area, derive_areas, scale_to, shrink_keep, shrink_known
from masks.bleeding import MOST_BLEED, bleed
from masks.blend import FEATHER_RADIUS, Finish, best_finish, mismatch, put_back
from masks.crop import AUTOMATIC_CONTEXT, Crop, solve_crop, solve_crop_around
from masks.doctor import diagnose, mend
from masks.film import Film
from masks.grain import (
    add_grain,
    excess_noise,
    extend_edges,
    grain_levels,
    lay_grain,
    make_grain,
    remove_excess_noise,
)
from masks.mask import BoolArray, Finding, FloatArray, Mask, MaskError, Means, Size, require_usable
from masks.membrane import RING_WIDTH, harmonic
from masks.parts import Part, follow, split_selection
from masks.patches import patch_fill, telea
from masks.reduce import reduce_keep, reduce_known
from masks.show import change_map, preview, seen_by_network
from masks.verify import Preservation, changed_outside, compare_outside
from masks.windows import HALO, Window, windows_of

__all__ = [
    "AUTOMATIC_CONTEXT",
    "FEATHER_RADIUS",
    "HALO",
    "MOST_BLEED",
    "RING_WIDTH",
    "Areas",
    "BoolArray",
    "Crop",
    "Film",
    "Finding",
    "Finish",
    "FloatArray",
    "Mask",
    "MaskError",
    "Means",
    "Part",
    "Preservation",
    "Size",
    "Window",
    "add_grain",
    "allowed_area",
    "best_finish",
    "bleed",
    "change_map",
    "changed_outside",
    "compare_outside",
    "derive_areas",
    "diagnose",
    "draw",
    "excess_noise",
    "extend_edges",
    "follow",
    "grain_levels",
    "harmonic",
    "lay_grain",
    "make_grain",
    "mend",
    "mismatch",
    "patch_fill",
    "preview",
    "put_back",
    "reduce_keep",
    "reduce_known",
    "remove_excess_noise",
    "require_usable",
    "rough",
    "scale_to",
    "seen_by_network",
    "select",
    "shape",
    "shrink_keep",
    "shrink_known",
    "solve_crop",
    "solve_crop_around",
    "split_selection",
    "telea",
    "windows_of",
]

_RENAMED = {
    "calmed": "remove_excess_noise",
    "continued": "extend_edges",
    "grained": "add_grain",
    "patched": "patch_fill",
}

if not TYPE_CHECKING:  # type checkers should still report names that do not exist

    def __getattr__(name: str) -> Any:
        if name not in _RENAMED:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        warnings.warn(f"masks.{name} is now masks.{_RENAMED[name]}", DeprecationWarning, stacklevel=2)
        return globals()[_RENAMED[name]]

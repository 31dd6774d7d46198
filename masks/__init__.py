"""What may change in a picture: selections, their areas, putting a repaint back. NumPy and OpenCV only."""

from masks import draw, rough, select, shape
from masks.areas import Areas, derive_areas, shrink_keep, shrink_known
from masks.blend import FEATHER_RADIUS, Finish, put_back
from masks.crop import AUTOMATIC_CONTEXT, Crop, solve_crop, split_selection
from masks.doctor import diagnose, mend
from masks.finishes import best_finish, mismatch
from masks.grain import add_grain, extend_edges, remove_excess_noise
from masks.mask import Finding, Mask, MaskError, Means, Size, require_usable
from masks.membrane import RING_WIDTH, harmonic
from masks.patches import patch_fill, telea
from masks.show import change_map, preview, seen_by_network
from masks.verify import Preservation, changed_outside, compare_outside

__all__ = [
    "AUTOMATIC_CONTEXT",
    "FEATHER_RADIUS",
    "RING_WIDTH",
    "Areas",
    "Crop",
    "Finding",
    "Finish",
    "Mask",
    "MaskError",
    "Means",
    "Preservation",
    "Size",
    "add_grain",
    "best_finish",
    "change_map",
    "changed_outside",
    "compare_outside",
    "derive_areas",
    "diagnose",
    "draw",
    "extend_edges",
    "harmonic",
    "mend",
    "mismatch",
    "patch_fill",
    "preview",
    "put_back",
    "remove_excess_noise",
    "require_usable",
    "rough",
    "seen_by_network",
    "select",
    "shape",
    "shrink_keep",
    "shrink_known",
    "solve_crop",
    "split_selection",
    "telea",
]

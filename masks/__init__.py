"""What may change in a picture: selections, their areas, putting a repaint back. NumPy and OpenCV only."""

from masks import draw, shape
from masks.areas import Areas, derive_areas, shrink_keep, shrink_known
from masks.blend import Finish, put_back
from masks.crop import AUTOMATIC_CONTEXT, Crop, solve_crop, split_selection
from masks.finishes import best_finish, mismatch
from masks.mask import Mask, MaskError, Means, Size, check, require_usable
from masks.membrane import RING_WIDTH, harmonic
from masks.verify import Preservation, compare_outside

__all__ = [
    "AUTOMATIC_CONTEXT",
    "RING_WIDTH",
    "Areas",
    "Crop",
    "Finish",
    "Mask",
    "MaskError",
    "Means",
    "Preservation",
    "Size",
    "best_finish",
    "check",
    "compare_outside",
    "derive_areas",
    "draw",
    "harmonic",
    "mismatch",
    "put_back",
    "require_usable",
    "shape",
    "shrink_keep",
    "shrink_known",
    "solve_crop",
    "split_selection",
]

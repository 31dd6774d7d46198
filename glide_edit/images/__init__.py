"""Pictures at the edge: open, check, turn upright, convert; and save with what the file said about itself.

Outside the networks a picture is RGB, (height, width, 3), uint8 or uint16, upright; inside it is a float32
tensor, (batch, channels, height, width) in [-1, 1]. ``open_picture`` takes whatever a person has and gives
a ``Picture``; ``save_picture`` writes one with its ICC profile, resolution, EXIF and alpha. What had to be
converted on the way in is said in ``Picture.notes``. Nothing here changes its arguments.

Not carried over, on purpose: thumbnails, maker notes, XMP, the text of a PNG and a recipe in EXIF. They
describe (or show) the picture as it was before it was edited.
"""

from glide_edit.images.opening import PictureLike, count_frames, open_picture, read_text
from glide_edit.images.picture import (
    MAX_PIXELS,
    Picture,
    from_tensor,
    pixels_sha256,
    to_depth,
    to_tensor,
    to_uint8,
)
from glide_edit.images.rescue import rescuing
from glide_edit.images.saving import (
    check_output,
    check_place,
    default_output_suffix,
    has_room,
    losses,
    put_in_place,
    save_picture,
    write_atomically,
)

__all__ = [
    "MAX_PIXELS",
    "Picture",
    "PictureLike",
    "check_output",
    "check_place",
    "count_frames",
    "default_output_suffix",
    "from_tensor",
    "has_room",
    "losses",
    "open_picture",
    "pixels_sha256",
    "put_in_place",
    "read_text",
    "rescuing",
    "save_picture",
    "to_depth",
    "to_tensor",
    "to_uint8",
    "write_atomically",
]

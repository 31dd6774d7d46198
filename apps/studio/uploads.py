"""Files that a page sends: read into memory, checked, and deleted from the disk at once."""

from __future__ import annotations

from pathlib import Path

from glide_edit.errors import ImageError
from glide_edit.images import Picture, open_picture

MAX_BYTES = 64 * 2**20
"""Of one uploaded file."""


def read_upload(path: str | None) -> tuple[Picture, str]:
    """The picture of an uploaded file, which is deleted, and the file's own name.

    Raises:
        ImageError: there is no file, it is too large, or not a picture; the sentence has the file's own name.
    """
    if path is None:
        raise ImageError("there is no file: choose a picture.")
    file = Path(path)
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ImageError(f"the picture has more than {MAX_BYTES // 2**20} MB: save a smaller one.")
        picture = open_picture(file.read_bytes())
    except ImageError as error:
        raise ImageError(str(error).replace("the picture", file.name, 1)) from error
    finally:
        file.unlink(missing_ok=True)
    return picture, file.name

"""Keeping a finished picture in another file where saving it fails."""

from __future__ import annotations

import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from glide_edit.errors import GlideEditError, OutputExists, SaveFailed
from glide_edit.images.picture import Picture
from glide_edit.images.saving import encode_png_plainly, save_picture, write_atomically

_MOST_NAMES = 1000


@contextlib.contextmanager
def rescuing(
    picture: Picture, path: str | os.PathLike[str], text: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Around the saving of a picture as ``path``: where that fails, the picture is kept in a PNG.

    The PNG is NAME-rescued.png beside ``path`` (-rescued-2 where that is taken), or else in a new folder in
    the system's temporary one. It has ``text`` and the picture's metadata as long as these can be encoded.

    Raises:
        SaveFailed: saving failed; the message says why, and where the picture is now.
    """
    try:
        yield
    except SaveFailed:  # which says where the picture is
        raise
    except Exception as error:
        path = Path(path)
        rescued = _rescue(picture, path, text or {})
        kept = "could not be kept in another file either" if rescued is None else f"was kept as {rescued}"
        failed = SaveFailed(f"{_sentence(error, path)} The finished picture {kept}.")
        failed.rescued = rescued
        raise failed from error


def _sentence(error: Exception, path: Path) -> str:
    if isinstance(error, GlideEditError):
        return str(error)
    said = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return f"{path} cannot be saved: {said.rstrip('.')}."


def _rescue(picture: Picture, path: Path, text: Mapping[str, str]) -> Path | None:
    """The PNG that holds the picture now, None where none could be written."""
    stem = f"{path.stem}-rescued"
    if (beside := _saved_in(path.parent, stem, picture, text)) is not None:
        return beside
    try:
        folder = Path(tempfile.mkdtemp(prefix="glide-edit-"))
    except OSError:
        return None
    # The name may be what failed: too long, or of characters that no file has.
    for name in (stem, "rescued"):
        if (kept := _saved_in(folder, name, picture, text)) is not None:
            return kept
    with contextlib.suppress(OSError):
        folder.rmdir()
    return None


def _saved_in(folder: Path, stem: str, picture: Picture, text: Mapping[str, str]) -> Path | None:
    """The PNG in ``folder`` under the first name that is free, None where it cannot be written."""
    for number in itertools.islice(itertools.count(1), _MOST_NAMES):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            return _saved(picture, path, text)
        except OutputExists:
            continue
        except Exception:  # whatever it is, the caller reports the first error and tries another place
            return None
    return None


def _saved(picture: Picture, path: Path, text: Mapping[str, str]) -> Path:
    try:
        return save_picture(picture, path, text=text)
    except OutputExists:
        raise
    except Exception:
        return write_atomically(path, encode_png_plainly(picture))

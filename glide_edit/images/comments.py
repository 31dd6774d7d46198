"""Text in EXIF, for formats without text chunks: JPEG, WebP and TIFF.

It is stored in UserComment as one JSON object, deflated if it is long, after the eight bytes with which EXIF
2.32 (4.6.5) names a character code. A comment that already exists is kept; the text is then stored in
MakerNote, which is dropped when a picture is opened.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

from PIL import ExifTags, Image

MOST_EXIF = 65_500
"""The largest EXIF of a JPEG, in bytes."""

_HEAD = b"ASCII\0\0\0"
_PLAIN = b"glide-edit text "
_DEFLATED = b"glide-edit zlib "
_LONG = 1024
"""Characters above which text is deflated."""

_LARGEST_TEXT = 2**26
"""The largest inflated text, in bytes: a few bytes of a hostile file could inflate to gigabytes."""

_PLACES = (ExifTags.Base.UserComment, ExifTags.Base.MakerNote)


def is_text(value: object) -> bool:
    """Whether ``with_text`` wrote this EXIF value."""
    return isinstance(value, bytes) and value.startswith((_HEAD + _PLAIN, _HEAD + _DEFLATED))


def with_text(exif: bytes | None, text: Mapping[str, str]) -> bytes | None:
    """EXIF data, as in ``Picture.exif``, with ``text`` added; unchanged if there is no text."""
    if not text:
        return exif
    whole = Image.Exif()
    if exif:
        whole.load(exif)
    details = whole.get_ifd(ExifTags.IFD.Exif)
    place, value = text_entry(details, text)
    details[place] = value
    return as_undefined(whole.tobytes(), place, value)


def text_entry(details: Mapping[int, Any], text: Mapping[str, str]) -> tuple[int, bytes]:
    """The tag of the EXIF directory ``details`` that is free for text, and the value to store in it."""
    theirs = details.get(ExifTags.Base.UserComment)
    taken = theirs is not None and not is_text(theirs) and not _is_blank(theirs)
    return _PLACES[taken], _packed(text)


def as_undefined(data: bytes, tag: int, value: bytes) -> bytes:
    """Give an entry of a written directory the type UNDEFINED, as EXIF wants it; PIL writes BYTE."""
    for order in "<>":
        written, wanted = (struct.pack(f"{order}HHI", tag, kind, len(value)) for kind in (1, 7))
        data = data.replace(written, wanted, 1)
    return data


def read_comment(exif: Image.Exif) -> dict[str, str]:
    """The text that ``with_text`` added; empty if there is none or it cannot be read."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for place in _PLACES:
        value = details.get(place)
        if isinstance(value, bytes) and is_text(value):
            return _unpacked(value)
    return {}


def _is_blank(value: object) -> bool:
    """Cameras fill the comment with spaces or NULs."""
    body = value[8:] if isinstance(value, bytes) else str(value).encode(errors="replace")
    return not body.strip(b"\0 ")


def _packed(text: Mapping[str, str]) -> bytes:
    plain = json.dumps(dict(text)).encode()
    if len(plain) <= _LONG:
        return _HEAD + _PLAIN + plain
    return _HEAD + _DEFLATED + base64.b64encode(zlib.compress(plain))


def _unpacked(value: bytes) -> dict[str, str]:
    body = value[len(_HEAD) + len(_PLAIN) :]
    try:
        if value.startswith(_HEAD + _DEFLATED):
            body = zlib.decompressobj().decompress(base64.b64decode(body.rstrip(b"\0 ")), _LARGEST_TEXT)
        text = json.loads(body.rstrip(b"\0 "))
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return {}
    if not isinstance(text, dict):
        return {}
    return {key: value for key, value in text.items() if isinstance(value, str)}

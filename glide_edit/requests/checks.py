"""What requests of several families check alike. Each raises InputError with a sentence for the user."""

from __future__ import annotations

from collections.abc import Sequence

from glide_edit.errors import InputError
from glide_edit.images import Picture
from masks import Mask


def check_unicode(what: str, text: str) -> None:
    """Refuse halves of characters, which is what bytes that are not UTF-8 become on a command line."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} holds bytes that are not UTF-8: type it anew.")


def check_picture(name: str, value: object) -> None:
    if not isinstance(value, Picture):
        raise InputError(f"{name} must be a Picture, not {type(value).__name__}: open_picture makes one.")


def check_mask(name: str, value: object) -> None:
    if not isinstance(value, Mask):
        raise InputError(f"{name} must be a Mask, not {type(value).__name__}: Mask.from_array makes one.")


def check_size(what: str, size: Sequence[object], picture: Picture) -> None:
    if list(size) != [picture.height, picture.width]:
        high, wide = size
        raise InputError(
            f"{what} is {wide} wide and {high} high but the picture is {picture.width} wide and "
            f"{picture.height} high: both must have the same size."
        )

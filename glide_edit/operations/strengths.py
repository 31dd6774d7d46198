"""The same sketch or variation at several strengths, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

from glide_edit.errors import InputError
from glide_edit.images import Picture, open_picture, to_uint8
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.requests import Request, Sketch, Vary
from glide_edit.results import EditResult

MOST_STRENGTHS = 32

_THUMBNAIL = 192  # px


def read_strengths(text: str) -> tuple[float, ...]:
    """Strengths from "LOW:HIGH" (six, evenly spaced) or "LOW:HIGH:COUNT".

    Raises:
        InputError: not such a range, or not within 0 and 1.
    """
    parts = text.split(":")
    try:
        low, high = float(parts[0]), float(parts[1])
        count = int(parts[2]) if len(parts) > 2 else 6
    except (ValueError, IndexError):
        count = 0
    if len(parts) > 3 or not 1 <= count <= MOST_STRENGTHS or not 0 < low <= high <= 1:
        raise InputError(
            f"Strengths are given as LOW:HIGH or LOW:HIGH:COUNT, with 0 < LOW <= HIGH <= 1 and a COUNT of at "
            f"most {MOST_STRENGTHS}, as 0.4:0.9, not {text!r}.",
            code="strengths_malformed",
            field="strengths",
        )
    return tuple(round(low + (high - low) * k / max(1, count - 1), 4) for k in range(count))


def over_strengths(request: Request, strengths: Sequence[float]) -> tuple[Request, ...]:
    """The request at each strength.

    Raises:
        InputError: the request has no strength, or one that is not used, or a strength is out of range.
    """
    if not isinstance(request, Sketch | Vary):
        said = f"{request.operation} has no strength: sketch and vary have."
        raise InputError(said, code="strength_unused", field="strength")
    if isinstance(request, Sketch) and request.mode == "lines":
        said = "By its lines alone (mode lines) a sketch has no strength: take tone or both."
        raise InputError(said, code="strength_unused", field="mode")
    return tuple(request.replace(strength=strength) for strength in strengths)


def strengths_sheet(results: Sequence[EditResult]) -> Picture:
    """The pictures of requests that ``over_strengths`` made, each with its strength and seed."""
    tiles = []
    for result in results:
        assert isinstance(result.request, Sketch | Vary)
        strength = result.request.strength
        for picture, seed in zip(result.pictures, result.seeds, strict=True):
            tiles.append(Tile((to_uint8(picture.pixels),), f"strength {strength:g}, seed {seed}"))
    across = len(results[0].pictures) if len(results[0].pictures) > 1 else math.ceil(math.sqrt(len(tiles)))
    return open_picture(contact_sheet(tiles, across=across, size=_THUMBNAIL))

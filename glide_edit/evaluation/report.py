"""The output of a bench: a report as JSON with the fingerprint of its protocol, tables, contact sheets."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.images import write_atomically
from glide_edit.images.sheet import Tile, contact_sheet

__all__ = ["Report", "Table", "Tile", "against_real", "contact_sheet", "fingerprint", "ranked_sheet"]

FORMAT = 1

THUMBNAIL = 128
"""px; a bench keeps pictures at this size only, or hundreds of items would fill the memory."""

_SHOWN = 8


@dataclass(frozen=True)
class Table:
    """A table of words and numbers; ``rows`` are as long as ``header``."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]

    def to_markdown(self) -> str:
        """As Markdown, with three digits after the point."""
        lines = [self.header, ("---",) * len(self.header), *(tuple(map(_cell, row)) for row in self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass(frozen=True)
class Report:
    """What a bench found.

    ``protocol`` is everything but the model that the numbers depend on, as plain JSON values: two reports
    compare where their fingerprints are equal. ``model`` is the label of what was measured. ``complete`` is
    False where the bench was stopped; the measures are then of what was finished.
    """

    bench: str
    model: str
    protocol: Mapping[str, Any]
    measures: Mapping[str, float]
    tables: tuple[Table, ...] = ()
    seconds: float = 0.0
    complete: bool = True
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a number that is not finite becomes null."""
        return _finite(
            {
                "format": FORMAT,
                "bench": self.bench,
                "model": self.model,
                "complete": self.complete,
                "fingerprint": fingerprint(self.protocol),
                "protocol": self.protocol,
                "measures": self.measures,
                "tables": [vars(table) for table in self.tables],
                "seconds": round(self.seconds, 1),
                "details": self.details,
            }
        )

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write ``to_json`` to a file.

        Raises:
            OutputExists: it is there already, and ``force`` is False.
            InputError: it cannot be written.
        """
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(path, f"{text}\n".encode(), force=force)


def fingerprint(protocol: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that follow from a protocol's JSON values, whatever the order of its names."""
    text = json.dumps(protocol, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def against_real(raw: Mapping[str, float], real: Mapping[str, float]) -> dict[str, float]:
    """Flat measures: NAME_raw, NAME_real, and NAME, the raw score divided by the real renders' score; NaN
    where that is 0, since the verifier then cannot judge."""
    measures: dict[str, float] = {}
    for name, score in raw.items():
        measures[name] = score / real[name] if real[name] else math.nan
        measures[f"{name}_raw"] = score
        measures[f"{name}_real"] = real[name]
    return measures


def thumbnails(*pictures: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Square pictures, uint8 (S, S, 3), shrunk to THUMBNAIL where they are larger."""
    sides = [(min(THUMBNAIL, len(each)),) * 2 for each in pictures]
    shrunk = (
        cv2.resize(each, side, None, 0, 0, cv2.INTER_AREA) for each, side in zip(pictures, sides, strict=True)
    )
    return tuple(np.asarray(each, np.uint8) for each in shrunk)


def ranked_sheet(tiles: Sequence[Tile], across: int) -> NDArray[np.uint8]:
    """A contact sheet of up to eight tiles each from the beginning, the middle and the end of ``tiles``,
    which are given the best first; no tile is shown twice. Raises InputError without tiles."""
    shown = min(_SHOWN, len(tiles) // 3)
    if not shown:
        return contact_sheet(tiles, across=across, size=THUMBNAIL)
    middle = (len(tiles) - shown) // 2
    starts = {"best": 0, "median": middle, "worst": len(tiles) - shown}
    chosen = [
        Tile(tile.pictures, f"{name}: {tile.text}")
        for name, start in starts.items()
        for tile in tiles[start : start + shown]
    ]
    return contact_sheet(chosen, across=across, size=THUMBNAIL)


def _cell(value: str | float) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if math.isfinite(value) else "–"


def _finite(value: Any) -> Any:
    """The same with None for numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value

"""What a bench hands out: a report as JSON with the fingerprint of its protocol, tables, contact sheets."""

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
from PIL import Image, ImageDraw, ImageFont

from glide_edit.errors import InputError
from glide_edit.images import write_atomically

FORMAT = 1

_GAP, _LINE, _FONT_SIZE = 4, 15, 12


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

    ``bench`` is its name, ``model`` the label of what was measured. ``protocol`` is everything that the
    numbers depend on but the model, as plain JSON values: two reports compare where their fingerprints are
    equal. ``measures`` is flat. ``complete`` is False where the bench was stopped; the measures are then of
    what was finished.
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
        value = {
            "format": FORMAT,
            "bench": self.bench,
            "model": self.model,
            "complete": self.complete,
            "fingerprint": fingerprint(self.protocol),
            "protocol": dict(self.protocol),
            "measures": dict(self.measures),
            "tables": [
                {
                    "title": table.title,
                    "header": list(table.header),
                    "rows": [list(row) for row in table.rows],
                }
                for table in self.tables
            ],
            "seconds": round(self.seconds, 1),
            "details": dict(self.details),
        }
        finite: dict[str, Any] = _finite(value)
        return finite

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
    """Flat measures: NAME is the raw score divided by what real renders get, beside NAME_raw and NAME_real.

    NAME is NaN where real renders get nothing: the verifier then cannot judge.
    """
    measures: dict[str, float] = {}
    for name, score in raw.items():
        measures[name] = score / real[name] if real[name] else math.nan
        measures[f"{name}_raw"] = score
        measures[f"{name}_real"] = real[name]
    return measures


@dataclass(frozen=True, eq=False)
class Tile:
    """Pictures (H, W, 3) uint8 side by side on a contact sheet, and the words under them."""

    pictures: tuple[NDArray[np.uint8], ...]
    text: str = ""


def contact_sheet(tiles: Sequence[Tile], *, across: int = 4, size: int = 128) -> NDArray[np.uint8]:
    """The tiles from left to right and downwards, ``across`` a row, each picture ``size`` pixels high.

    Words are broken into as many lines as they need.

    Raises:
        InputError: no tiles, or one without pictures.
    """
    if not tiles or not all(tile.pictures for tile in tiles):
        raise InputError("A contact sheet needs one tile or more, and each a picture.")
    font = ImageFont.load_default(_FONT_SIZE)
    strips = [_strip(tile, size) for tile in tiles]
    width = max(strip.shape[1] for strip in strips)
    words = [_lines(tile.text, font, width) for tile in tiles]
    height = size + _LINE * max(map(len, words)) + _GAP
    rows = -(-len(tiles) // across)
    shape = (across * (width + _GAP) + _GAP, rows * (height + _GAP) + _GAP)
    sheet = Image.new("RGB", shape, "white")
    draw = ImageDraw.Draw(sheet)
    for k, (strip, lines) in enumerate(zip(strips, words, strict=True)):
        x, y = _GAP + k % across * (width + _GAP), _GAP + k // across * (height + _GAP)
        sheet.paste(Image.fromarray(strip), (x, y))
        for n, line in enumerate(lines):
            draw.text((x, y + size + n * _LINE), line, fill="black", font=font)
    return np.asarray(sheet)


def _strip(tile: Tile, size: int) -> NDArray[np.uint8]:
    """The tile's pictures, brought to one height, beside each other."""
    parts = []
    for picture in tile.pictures:
        height, width = picture.shape[:2]
        way = cv2.INTER_AREA if height > size else cv2.INTER_CUBIC
        scaled = (max(1, round(width * size / height)), size)
        parts += [cv2.resize(picture, scaled, interpolation=way), np.full((size, 2, 3), 255, np.uint8)]
    return np.asarray(np.concatenate(parts[:-1], axis=1), np.uint8)


def _lines(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The text broken between words where a line would become wider; a wide word stays whole."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


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

"""Contact sheets: many small pictures with words under them, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from glide_edit.errors import InputError

_GAP, _LINE, _FONT_SIZE = 4, 15, 12


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

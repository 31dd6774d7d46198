"""Any folder of captioned pictures as training data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import ImageError, TrainingError
from glide_edit.images import open_picture, to_uint8
from glide_edit.training.metadata import METADATA, Line, read_metadata
from glide_edit.training.sources import Item


@dataclass(frozen=True)
class _Row:
    """A picture. ``objects`` are mask files, each with the phrasings of what it shows."""

    line: Line
    picture: Path
    captions: tuple[str, ...]
    drawing: Path | None
    objects: tuple[tuple[Path, tuple[str, ...]], ...]


class ImageFolder:
    """Any folder with ``metadata.jsonl``, laid out like Hugging Face's imagefolder and ``glide-edit toybox``.

    A line is a JSON object with ``file_name`` and ``text``, and may have ``captions`` (a list to choose
    from), ``drawing`` (the file of a line drawing, dark on light) and ``toys``: objects with ``kind``,
    ``whole`` (the file of a mask, white on the object) and perhaps ``colour`` and ``material``. Drawings and
    masks are as large as the picture; all paths are relative to the folder. Pictures are cut to a random
    square, at least 80 % of the shorter side, and resized to ``size``; transparent pixels become white.

    Raises:
        TrainingError: no metadata, a line that is not like that, or a file that is missing.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._rows = [_row(line) for line in read_metadata(folder)]
        if not self._rows:
            raise TrainingError(f"{folder / METADATA} has no lines.")

    def __len__(self) -> int:
        return len(self._rows)

    def captions(self) -> Iterable[str]:
        """Every phrasing there is, of pictures and of objects."""
        for row in self._rows:
            yield from row.captions
            for _, words in row.objects:
                yield from words

    def draw(self, rng: np.random.Generator) -> Item:
        """Raises TrainingError, naming file and line, where a picture cannot be read."""
        row = self._rows[int(rng.integers(len(self._rows)))]
        pixels = _open(row, row.picture)
        height, width = pixels.shape[:2]
        side = max(1, int(min(height, width) * rng.uniform(0.8, 1.0)))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        window = (slice(top, top + side), slice(left, left + side))
        masks = [_open(row, path, (height, width)).max(axis=2)[window] >= 128 for path, _ in row.objects]
        resized = [resize(mask.astype(np.float32), self.size) > 0 for mask in masks]
        # An object outside the square is not an object of this view.
        seen = [k for k, mask in enumerate(resized) if mask.any()]
        words = [row.objects[k][1] for k in seen]
        drawing = None
        if row.drawing is not None:
            lines = cv2.cvtColor(_open(row, row.drawing, (height, width)), cv2.COLOR_RGB2GRAY)
            drawing = _shrink_drawing(np.asarray(lines, np.uint8)[window], self.size)
        return Item(
            image=np.asarray(resize(pixels[window], self.size), np.uint8),
            caption=lambda number: row.captions[number % len(row.captions)],
            objects=tuple(resized[k] for k in seen),
            describe=lambda index, number: words[index][number % len(words[index])],
            foreground=np.any(resized, axis=0) if seen else None,
            drawing=drawing,
        )


def _open(row: _Row, path: Path, shape: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """(H, W, 3), which must be of the ``shape`` (H, W) if one is given."""
    try:
        picture = open_picture(path)
    except ImageError as error:
        raise row.line.error(str(error)) from error
    if shape is not None and (picture.height, picture.width) != shape:
        raise row.line.error(
            f"{path.name} is {picture.width} x {picture.height} and its picture {shape[1]} x {shape[0]}: "
            "they must be of one size."
        )
    pixels = to_uint8(picture.pixels)
    if picture.alpha is None:
        return pixels
    opacity = to_uint8(picture.alpha)[:, :, None].astype(np.float32) / 255
    return np.round(pixels * opacity + 255 * (1 - opacity)).astype(np.uint8)


def _row(line: Line) -> _Row:
    entry = line.entry
    captions = entry.get("captions") or [entry.get("text")]
    if not isinstance(captions, list) or not all(isinstance(item, str) for item in captions):
        raise line.error("text must be a string, and captions, if any, a list of strings.")
    toys = entry.get("toys") or []
    if not isinstance(toys, list) or not all(isinstance(toy, dict) for toy in toys):
        raise line.error("toys must be a list of objects.")
    return _Row(
        line=line,
        picture=line.path("file_name", entry.get("file_name")),
        captions=tuple(captions),
        drawing=None if entry.get("drawing") is None else line.path("drawing", entry["drawing"]),
        objects=tuple((line.path("whole", toy.get("whole")), _phrasings(line, toy)) for toy in toys),
    )


def _phrasings(line: Line, toy: dict[str, Any]) -> tuple[str, ...]:
    """A ball, a red ball, a shiny ball, a shiny red ball: as far as the metadata says."""
    known = [toy.get(key) or "" for key in ("material", "colour", "kind")]
    if not all(isinstance(word, str) for word in known) or not known[2]:
        raise line.error("a toy needs a kind, and colour and material must be strings.")
    material, colour, kind = known
    choices = [(kind,), (colour, kind), (material, kind), (material, colour, kind)]
    return tuple(dict.fromkeys(_with_article([word for word in words if word]) for words in choices))


def _with_article(words: Sequence[str]) -> str:
    text = " ".join(words)
    return ("an " if text[0].lower() in "aeiou" else "a ") + text


def resize(square: NDArray[Any], size: int) -> NDArray[Any]:
    """To size x size: areas are averaged on the way down; on the way up colours are bicubic, masks linear."""
    upwards = cv2.INTER_CUBIC if square.dtype == np.uint8 else cv2.INTER_LINEAR
    interpolation = cv2.INTER_AREA if len(square) > size else upwards
    return cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=interpolation)


def _shrink_drawing(square: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a drawing. Lines are thickened first, so that those one pixel wide do not fade away."""
    breadth = round(len(square) / size / 2) + 1
    broad = cv2.erode(np.ascontiguousarray(square), np.ones((breadth, breadth), np.uint8))
    return np.asarray(resize(np.asarray(broad), size), np.uint8)

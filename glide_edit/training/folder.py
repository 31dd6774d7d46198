"""Any folder of captioned pictures as training data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import ImageError, TrainingError
from glide_edit.images import open_picture, to_uint8
from glide_edit.training.sources import Item

METADATA = "metadata.jsonl"


@dataclass(frozen=True)
class _Row:
    """A line of the metadata. ``objects`` are mask files, each with the ways to word what it shows."""

    line: int
    picture: Path
    captions: tuple[str, ...]
    drawing: Path | None
    objects: tuple[tuple[Path, tuple[str, ...]], ...]


class ImageFolder:
    """Any folder with ``metadata.jsonl``, as Hugging Face's imagefolder and ``glide-edit toybox`` lay it out.

    A line is a JSON object with ``file_name`` and ``text``, and may have ``captions`` (a list to choose
    from), ``drawing`` (the file of a line drawing, dark on light) and ``toys``: objects with ``kind``,
    ``whole`` (the file of a mask, white on the object) and perhaps ``colour`` and ``material``. Drawings and
    masks are as large as the picture; all paths are relative to the folder. Pictures are cut to a random
    square, at least 80 % of the shorter side, and resized to ``size``; what is transparent becomes white.

    Raises:
        TrainingError: no metadata, a line that is not like that, or a file that is missing.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._metadata = folder / METADATA
        try:
            # Not splitlines(): captions may hold other signs that it takes for the end of a line.
            lines = self._metadata.read_text(encoding="utf-8-sig").split("\n")
        except OSError as error:
            raise TrainingError(f"{folder} has no readable {METADATA} ({error.strerror}).") from error
        except UnicodeDecodeError as error:
            raise TrainingError(f"{self._metadata} is not UTF-8 text.") from error
        self._rows = [self._row(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not self._rows:
            raise TrainingError(f"{self._metadata} has no lines.")

    def __len__(self) -> int:
        return len(self._rows)

    def captions(self) -> Iterable[str]:
        """Every wording there is, of pictures and of objects."""
        for row in self._rows:
            yield from row.captions
            for _, words in row.objects:
                yield from words

    def draw(self, rng: np.random.Generator) -> Item:
        """Raises TrainingError, naming file and line, where a picture cannot be read."""
        row = self._rows[int(rng.integers(len(self._rows)))]
        pixels = self._open(row, row.picture)
        height, width = pixels.shape[:2]
        side = max(1, int(min(height, width) * rng.uniform(0.8, 1.0)))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        window = (slice(top, top + side), slice(left, left + side))
        masks = [self._mask(row, path, (height, width))[window] for path, _ in row.objects]
        resized = [_resize(mask.astype(np.float32), self.size) > 0 for mask in masks]
        # What lies outside the square is no object of this view.
        seen = [k for k, mask in enumerate(resized) if mask.any()]
        words = [row.objects[k][1] for k in seen]
        drawing = None
        if row.drawing is not None:
            lines = cv2.cvtColor(self._open(row, row.drawing, (height, width)), cv2.COLOR_RGB2GRAY)
            drawing = _shrink_drawing(np.asarray(lines, np.uint8)[window], self.size)
        return Item(
            image=np.asarray(_resize(pixels[window], self.size), np.uint8),
            caption=lambda seed: row.captions[seed % len(row.captions)],
            objects=tuple(resized[k] for k in seen),
            describe=lambda index, seed: words[index][seed % len(words[index])],
            foreground=np.any(resized, axis=0) if seen else None,
            drawing=drawing,
        )

    # -- the files ----------------------------------------------------------------------------------

    def _mask(self, row: _Row, path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
        return self._open(row, path, shape).max(axis=2) >= 128

    def _open(self, row: _Row, path: Path, shape: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        try:
            picture = open_picture(path)
        except ImageError as error:
            self._refuse(row.line, str(error), error)
        if shape is not None and (picture.height, picture.width) != shape:
            self._refuse(
                row.line,
                f"{path.name} is {picture.width} x {picture.height} and its picture {shape[1]} x {shape[0]}: "
                "they must be of one size.",
            )
        pixels = to_uint8(picture.pixels)
        if picture.alpha is None:
            return pixels
        opacity = to_uint8(picture.alpha)[:, :, None].astype(np.float32) / 255
        return np.round(pixels * opacity + 255 * (1 - opacity)).astype(np.uint8)

    # -- the lines ----------------------------------------------------------------------------------

    def _row(self, line: int, text: str) -> _Row:
        try:
            entry = json.loads(text)
        except (ValueError, RecursionError) as error:
            self._refuse(line, f"it is not JSON ({error}).", error)
        if not isinstance(entry, dict):
            self._refuse(line, "it is not a JSON object.")
        captions = entry.get("captions") or [entry.get("text")]
        if not isinstance(captions, list) or not all(isinstance(item, str) for item in captions):
            self._refuse(line, "text must be a string, and captions, if any, a list of strings.")
        toys = entry.get("toys") or []
        if not isinstance(toys, list) or not all(isinstance(toy, dict) for toy in toys):
            self._refuse(line, "toys must be a list of objects.")
        return _Row(
            line=line,
            picture=self._path(line, "file_name", entry.get("file_name")),
            captions=tuple(captions),
            drawing=None if entry.get("drawing") is None else self._path(line, "drawing", entry["drawing"]),
            objects=tuple(
                (self._path(line, "whole", toy.get("whole")), self._words(line, toy)) for toy in toys
            ),
        )

    def _path(self, line: int, key: str, name: object) -> Path:
        """The file of that name. Lexically inside the folder: a data set may be made of symbolic links."""
        if not isinstance(name, str) or not name or "\0" in name:
            self._refuse(line, f"{key} must be the name of a file.")
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            self._refuse(line, f"{key} leaves the folder: {name}.")
        path = self._metadata.parent / name
        if not path.is_file():
            self._refuse(line, f"there is no file {path}.")
        return path

    def _words(self, line: int, toy: dict[str, Any]) -> tuple[str, ...]:
        """A ball, a red ball, a shiny ball, a shiny red ball: as far as it is known."""
        known = [toy.get(key) or "" for key in ("material", "colour", "kind")]
        if not all(isinstance(word, str) for word in known) or not known[2]:
            self._refuse(line, "a toy needs a kind, and colour and material must be strings.")
        material, colour, kind = known
        choices = [(kind,), (colour, kind), (material, kind), (material, colour, kind)]
        return tuple(dict.fromkeys(_with_article([word for word in words if word]) for words in choices))

    def _refuse(self, line: int, problem: str, cause: Exception | None = None) -> NoReturn:
        raise TrainingError(f"{self._metadata}, line {line}: {problem}") from cause


def _with_article(words: Sequence[str]) -> str:
    text = " ".join(words)
    return ("an " if text[0].lower() in "aeiou" else "a ") + text


def _resize(square: NDArray[Any], size: int) -> NDArray[Any]:
    """To size x size: areas are averaged on the way down; on the way up colours are bicubic, masks linear."""
    upwards = cv2.INTER_CUBIC if square.dtype == np.uint8 else cv2.INTER_LINEAR
    interpolation = cv2.INTER_AREA if len(square) > size else upwards
    return cv2.resize(np.ascontiguousarray(square), (size, size), interpolation=interpolation)


def _shrink_drawing(square: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize a drawing; lines are made broader first, so that those a pixel wide do not fade away."""
    breadth = round(len(square) / size / 2) + 1
    broad = cv2.erode(np.ascontiguousarray(square), np.ones((breadth, breadth), np.uint8))
    return np.asarray(_resize(np.asarray(broad), size), np.uint8)

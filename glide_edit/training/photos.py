"""Photographs to train on: whole ones with their captions, and toys composited onto them.

They are decoded once into a cache of two files: ``photos-<side>-<key>.bin``, the uint8 RGB pixels of one
photograph after another, and the same with ``.json``, their heights and widths. The key stands for the files
that they were read from, so that other photographs never meet an old cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import ImageError, TrainingError
from glide_edit.images import open_picture, to_uint8
from glide_edit.training.compositing import alone, photographed, placed, put_onto, relit, shadowed
from glide_edit.training.folder import resize
from glide_edit.training.metadata import METADATA, Line, read_metadata
from glide_edit.training.sources import Item, Source
from glide_edit.training.views import Mixture

HELD_OUT = ("validation", "test")
"""What ``split`` says of photographs that are not trained on."""

WHOLE_MIXTURE = Mixture(known=0.6, drawing=0.0, known_caption=0.65, object_mask=0.4)
"""A hole that comes without a caption is filled with photograph: this is how things are taken out."""

TOYS_MIXTURE = Mixture(known=0.8, drawing=0.0, known_caption=1.0, object_mask=0.8, object_caption=0.6)
"""A hidden toy is always asked for in words: without them no toy is to appear."""

_WHOLE, BACKDROP = 0.8, 2 / 3
"""The least of a photograph's shorter side that a square of it has."""


@dataclass(frozen=True)
class Photo:
    """A photograph's file, its caption, and the line of the metadata that names them."""

    path: Path
    text: str
    line: int


def read_photos(folder: Path, *, held_out: bool = False) -> tuple[Photo, ...]:
    """The photographs to train on: those of ``metadata.jsonl`` that its ``split`` does not hold out.

    With ``held_out`` the others, to measure with. A line is a JSON object with ``file_name`` (relative to the
    folder), ``text`` and perhaps ``split``.

    Raises:
        TrainingError: no metadata, a line that is not like that, a missing file, or no such photographs.
    """
    photos = [_photo(line, held_out) for line in read_metadata(folder)]
    kept = tuple(photo for photo in photos if photo is not None)
    if not kept:
        purpose = 'that are held out (with "split": "test")' if held_out else "to train on"
        raise TrainingError(f"{folder / METADATA} names no photographs {purpose}.")
    return kept


def _photo(line: Line, held_out: bool) -> Photo | None:
    """The photograph of a line, or None where it is of the other part."""
    name, text = line.entry.get("file_name"), line.entry.get("text")
    if not isinstance(name, str) or not isinstance(text, str) or not name or "\0" in name:
        raise line.error("file_name must be the name of a file, and text a string.")
    if (line.entry.get("split") in HELD_OUT) != held_out:
        return None
    return Photo(line.path("file_name", name), text, line.number)


# -- the cache ------------------------------------------------------------------------------------------


class PhotoCache:
    """Photographs for views of ``size`` pixels, memory-mapped from a cache in ``folder``, made if need be.

    They are kept with a shorter side of at most one and a half times ``size``, so that a part of one has
    real detail at ``size`` pixels.

    Raises:
        TrainingError: a photograph cannot be read.
        OSError: the cache cannot be written.
    """

    def __init__(self, photos: Sequence[Photo], size: int, folder: Path) -> None:
        self.size = size
        self._made_of = (photos, size, folder)
        side = size * 3 // 2
        stem = folder / f"photos-{side}-{_key(photos)}"
        self._shapes = _cached_shapes(stem) or _decode(photos, side, stem)
        self._texts = tuple(photo.text for photo in photos)
        self._pixels = np.memmap(_pixel_file(stem), np.uint8, "r")
        self._starts = np.cumsum([0, *(3 * height * width for height, width in self._shapes)])

    def __reduce__(self) -> tuple[type[PhotoCache], tuple[Sequence[Photo], int, Path]]:
        """Another process maps the same files."""
        return PhotoCache, self._made_of

    def __len__(self) -> int:
        return len(self._texts)

    def captions(self) -> Iterable[str]:
        return self._texts

    def cut(self, rng: np.random.Generator, least: float) -> tuple[NDArray[np.uint8], str]:
        """A random square, uint8 (size, size, 3), of a random photograph, and the photograph's caption.

        It is at least ``least`` of the shorter side wide. Where the photograph has the pixels, the square is
        not enlarged.
        """
        index = int(rng.integers(len(self)))
        pixels = self._pixels[self._starts[index] : self._starts[index + 1]]
        return cut_square(pixels.reshape(*self._shapes[index], 3), self.size, least, rng), self._texts[index]


def cut_square(
    pixels: NDArray[np.uint8], size: int, least: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A random square, uint8 (size, size, 3), of a picture; see ``PhotoCache.cut``."""
    height, width = pixels.shape[:2]
    shorter = min(height, width)
    side = int(rng.integers(min(shorter, max(size, round(least * shorter))), shorter + 1))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    return np.asarray(resize(pixels[top : top + side, left : left + side], size), np.uint8)


def _key(photos: Sequence[Photo]) -> str:
    """Eight hexadecimal digits that stand for these files, in this order, as they are now."""
    about = [(photo.path.name, os.stat(photo.path)) for photo in photos]
    names = json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in about])
    return hashlib.sha256(names.encode()).hexdigest()[:8]


def _pixel_file(stem: Path) -> Path:
    return stem.with_name(stem.name + ".bin")


def _shape_file(stem: Path) -> Path:
    return stem.with_name(stem.name + ".json")


def _cached_shapes(stem: Path) -> list[tuple[int, int]] | None:
    """(height, width) of each cached photograph; None where there is no whole cache."""
    try:
        shapes = [(int(height), int(width)) for height, width in json.loads(_shape_file(stem).read_text())]
        whole = _pixel_file(stem).stat().st_size == sum(3 * height * width for height, width in shapes)
    except (OSError, ValueError, TypeError):
        return None
    return shapes if whole else None


def _decode(photos: Sequence[Photo], side: int, stem: Path) -> list[tuple[int, int]]:
    """Write the cache; the shapes come last, so that a cache which was not finished is none."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    temporary = stem.with_name(f".{stem.name}.{os.getpid()}")
    shapes = []
    try:
        with open(temporary, "wb") as file:
            for photo in photos:
                pixels = shrunk(photo, side)
                file.write(pixels.tobytes())
                shapes.append((pixels.shape[0], pixels.shape[1]))
        temporary.replace(_pixel_file(stem))
        temporary.write_text(json.dumps(shapes))
        temporary.replace(_shape_file(stem))
    finally:
        temporary.unlink(missing_ok=True)
    return shapes


def shrunk(photo: Photo, side: int) -> NDArray[np.uint8]:
    """(H, W, 3): the photograph, its shorter side at most ``side``.

    Raises:
        TrainingError: it cannot be read.
    """
    try:
        pixels = to_uint8(open_picture(photo.path).pixels)
    except ImageError as error:
        raise TrainingError(f"{photo.path.parent / METADATA}, line {photo.line}: {error}") from error
    height, width = pixels.shape[:2]
    scale = side / min(height, width)
    if scale >= 1:
        return pixels
    shape = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)


# -- the sources ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WholePhotographs:
    """Photographs alone, in the light and by the camera of ``photographed``.

    Their objects are only the outlines of ``toys``, to be hidden: what a person paints over to put a toy
    there may also be meant to be taken out.
    """

    photos: PhotoCache
    toys: Source

    def draw(self, rng: np.random.Generator) -> Item:
        outlines = self.toys.draw(rng).objects
        image, text = self.photos.cut(rng, _WHOLE)
        image = photographed(image, rng)
        return Item(image, lambda seed: text, objects=outlines, describe=lambda index, seed: text)

    def captions(self) -> Iterable[str]:
        return self.photos.captions()


@dataclass(frozen=True)
class ToysOnPhotographs:
    """The toys of a scene of ``toys``, or one of them, composited onto a part of a photograph.

    Their place, size, light, shadow and sharpness vary, and the whole goes through ``photographed``. The
    caption of the whole names the backdrop too, so that a toy alone in words stays a toy of the toybox; a
    hidden object's names the toy alone.
    """

    photos: PhotoCache
    toys: Source

    def draw(self, rng: np.random.Generator) -> Item:
        toys = placed(alone(self._by_day(rng), rng), rng)
        backdrop, text = self.photos.cut(rng, BACKDROP)
        toys, shadow = shadowed(toys, rng)
        toys = replace(toys, image=relit(toys, backdrop, rng))

        def caption(seed: int) -> str:
            names = " and ".join(toys.describe(k, seed) for k in range(len(toys.objects)))
            return f"{names} in front of {text}"

        around = np.ones((2 * round(2 * shadow.softness) + 1,) * 2, np.uint8)
        return Item(
            image=photographed(put_onto(toys, backdrop, shadow), rng),
            caption=caption,
            objects=tuple(cv2.dilate(k.astype(np.uint8), around).astype(bool) for k in toys.objects),
            describe=toys.describe,
            foreground=toys.foreground,
            scene=toys.scene,
        )

    def captions(self) -> Iterable[str]:
        return self.photos.captions()

    def _by_day(self, rng: np.random.Generator) -> Item:
        """A scene in daylight, if one comes soon: photographs are not in the light of evening or night."""
        for _ in range(8):
            toys = self.toys.draw(rng)
            if toys.scene is None or toys.scene.light == "day":
                break
        return toys

"""Photographs to train on: whole ones with their captions, and toys composited onto them.

They are decoded once into a cache of two files: ``photos-<side>-<key>.bin``, the uint8 RGB pixels of one
photograph after another, and the same with ``.json``, their heights and widths. The key stands for the files
that they were read from, so that other photographs never meet an old cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import ImageError, TrainingError
from glide_edit.images import open_picture, to_uint8
from glide_edit.training.folder import METADATA
from glide_edit.training.sources import Item, Source
from glide_edit.training.views import Mixture

HELD_OUT = ("validation", "test")
"""What ``split`` says of photographs that are not trained on."""

WHOLE_MIXTURE = Mixture(known=0.6, drawing=0.0, known_caption=0.65, object_mask=0.4)
"""A hole that comes without a caption is filled with photograph: this is how things are taken out."""

TOYS_MIXTURE = Mixture(known=0.8, drawing=0.0, known_caption=1.0, object_mask=0.8, object_caption=0.6)
"""A hidden toy is always asked for in words: without them no toy is to appear."""

_WHOLE, _BACKDROP = 0.8, 2 / 3
"""The least of a photograph's shorter side that a square of it has."""


@dataclass(frozen=True)
class Photo:
    """A photograph's file, its caption, and the line of the metadata that names them."""

    path: Path
    text: str
    line: int


def read_photos(folder: Path) -> tuple[Photo, ...]:
    """The photographs to train on: those of ``metadata.jsonl`` that its ``split`` does not hold out.

    A line is a JSON object with ``file_name`` (relative to the folder), ``text`` and perhaps ``split``.

    Raises:
        TrainingError: no metadata, a line that is not like that, a missing file, or nothing to train on.
    """
    metadata = folder / METADATA
    try:
        lines = metadata.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise TrainingError(f"{folder} has no readable {METADATA} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{metadata} is not UTF-8 text.") from error
    photos = [_photo(metadata, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    kept = tuple(photo for photo in photos if photo is not None)
    if not kept:
        raise TrainingError(f"{metadata} names no photographs to train on.")
    return kept


def _photo(metadata: Path, number: int, line: str) -> Photo | None:
    """What a line says, or None where it is held out."""
    where = f"{metadata}, line {number}"
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise TrainingError(f"{where}: it is not JSON ({error}).") from error
    if not isinstance(entry, dict):
        raise TrainingError(f"{where}: it is not a JSON object.")
    name, text = entry.get("file_name"), entry.get("text")
    if not isinstance(name, str) or not isinstance(text, str) or not name or "\0" in name:
        raise TrainingError(f"{where}: file_name must be the name of a file, and text a string.")
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise TrainingError(f"{where}: file_name leaves the folder: {name}.")
    if entry.get("split") in HELD_OUT:
        return None
    path = metadata.parent / name
    if not path.is_file():
        raise TrainingError(f"{where}: there is no file {path}.")
    return Photo(path, text, number)


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
        height, width = self._shapes[index]
        shorter = min(height, width)
        lowest = min(shorter, max(self.size, round(least * shorter)))
        side = int(rng.integers(lowest, shorter + 1))
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        pixels = self._pixels[self._starts[index] : self._starts[index + 1]].reshape(height, width, 3)
        square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        if side != self.size:
            way = cv2.INTER_AREA if side > self.size else cv2.INTER_CUBIC
            square = np.asarray(cv2.resize(square, (self.size, self.size), interpolation=way), np.uint8)
        return square, self._texts[index]


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
                pixels = _shrunk(photo, side)
                file.write(pixels.tobytes())
                shapes.append((pixels.shape[0], pixels.shape[1]))
        temporary.replace(_pixel_file(stem))
        temporary.write_text(json.dumps(shapes))
        temporary.replace(_shape_file(stem))
    finally:
        temporary.unlink(missing_ok=True)
    return shapes


def _shrunk(photo: Photo, side: int) -> NDArray[np.uint8]:
    """(H, W, 3): the photograph, its shorter side at most ``side``."""
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
        backdrop, text = self.photos.cut(rng, _BACKDROP)
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


# -- compositing ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shadow:
    """``light`` is the share of it that is left in the shadow, ``softness`` the blur of its edge: the
    standard deviation in pixels."""

    light: float
    softness: float


def alone(toys: Item, rng: np.random.Generator) -> Item:
    """Half of the time only one of the toys, if one touches no other: people ask for one thing at a time."""
    count = len(toys.objects)
    apart = [
        k
        for k in range(count)
        if not any((toys.objects[k] & toys.objects[j]).any() for j in range(count) if j != k)
    ]
    if count < 2 or not apart or rng.random() < 0.5:
        return toys
    chosen = int(rng.choice(apart))
    scene = toys.scene and replace(toys.scene, toys=(toys.scene.toys[chosen],))
    return replace(
        toys,
        objects=(toys.objects[chosen],),
        describe=lambda index, seed: toys.describe(chosen, seed),
        foreground=_seen(toys) & toys.objects[chosen],
        scene=scene,
    )


def placed(toys: Item, rng: np.random.Generator) -> Item:
    """The toys half of the time mirrored; three times in four of another size, and anywhere in the picture.

    They are 0.5 to 1.7 times as large, and always whole.
    """
    if rng.random() < 0.5:
        toys = _mapped(toys, _mirrored, _mirrored)
    size, shown = len(toys.image), np.any(toys.objects, axis=0)
    if not shown.any() or rng.random() < 0.25:
        return toys
    left, top, width, height = cv2.boundingRect(shown.astype(np.uint8))
    largest = max(1.0, min(1.7, 0.95 * size / max(width, height)))
    side = round(size * float(np.exp(rng.uniform(np.log(0.5), np.log(largest)))))
    free = [max(0, size - -(-extent * side // size)) for extent in (height, width)]
    to_top, to_left = (int(rng.integers(room + 1)) for room in free)
    y, x = (size + low * side // size - target for low, target in ((top, to_top), (left, to_left)))

    def moved(pixels: NDArray[Any], interpolation: int, border: int) -> NDArray[Any]:
        pixels = cv2.resize(pixels, (side, side), interpolation=interpolation)
        return cv2.copyMakeBorder(pixels, size, size, size, size, border)[y : y + size, x : x + size]

    def moved_area(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return moved(area.astype(np.float32), cv2.INTER_AREA, cv2.BORDER_CONSTANT) > 0.5

    way = cv2.INTER_AREA if side < size else cv2.INTER_CUBIC
    return _mapped(toys, lambda image: moved(image, way, cv2.BORDER_REPLICATE), moved_area)


def _mirrored(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(pixels[:, ::-1])


def _mapped(
    toys: Item,
    image: Callable[[NDArray[np.uint8]], NDArray[Any]],
    area: Callable[[NDArray[np.bool_]], NDArray[np.bool_]],
) -> Item:
    """The item with its picture and its areas changed alike, and no drawing."""
    assert toys.foreground is not None
    return replace(
        toys,
        image=image(toys.image),
        objects=tuple(area(each) for each in toys.objects),
        foreground=area(toys.foreground),
        drawing=None,
    )


def shadowed(toys: Item, rng: np.random.Generator) -> tuple[Item, Shadow]:
    """The toys with shadows as rendered, or half of the time cast from another side, and how dark and soft.

    A cast shadow is the toy's silhouette laid down from its foot: leaning to either side, away from the
    camera or towards it, and long or short.
    """
    softness = _softness(len(toys.image)) * float(rng.uniform(0.5, 1.5))
    if rng.random() < 0.5:
        rendered = np.any(toys.objects, axis=0) & ~_seen(toys)
        return toys, Shadow(_light_left(toys, rendered) * float(rng.uniform(0.8, 1.2)), softness)
    lean, length = float(rng.uniform(-1.2, 1.2)), float(rng.uniform(0.15, 0.6))
    if rng.random() < 0.3:
        length = -length / 2
    shapes = [each & _seen(toys) for each in toys.objects]
    objects = tuple(shape | _cast(shape, lean, length) for shape in shapes)
    return replace(toys, objects=objects), Shadow(float(rng.uniform(0.35, 0.85)), softness)


def _cast(shape: NDArray[np.bool_], lean: float, length: float) -> NDArray[np.bool_]:
    """The shadow of a silhouette: ``length`` times its height, its top moved aside by ``lean`` of it."""
    left, top, width, height = cv2.boundingRect(shape.astype(np.uint8))
    foot = top + 0.93 * height
    matrix = np.array([[1, -lean, lean * foot], [0, length, (1 - length) * foot]], np.float64)
    laid = cv2.warpAffine(shape.astype(np.uint8), matrix, shape.shape[::-1])
    if width:
        middle = (round(left + (width - 1) / 2), round(foot))
        cv2.ellipse(laid, middle, (round(0.48 * width), round(0.07 * height)), 0, 0, 360, 1, -1)
    return laid.astype(bool)


def relit(toys: Item, backdrop: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """The toys' picture, uint8 (S, S, 3), nearer to the backdrop in colour, brightness and sharpness.

    One side, by chance, gets more light than the other.
    """
    mean = backdrop.mean(axis=(0, 1)) + 1.0
    cast = (mean / mean.mean()) ** rng.uniform(0, 0.2)
    gain = np.clip((mean.mean() / 128) ** rng.uniform(0, 0.4), 0.7, 1.1)
    rows, columns = np.mgrid[-1 : 1 : 1j * len(backdrop), -1 : 1 : 1j * len(backdrop)]
    angle, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.25)
    slope = 1 + depth * (np.cos(angle) * columns + np.sin(angle) * rows)
    image = toys.image * (cast * gain * slope[..., None])
    sharpest = _steepest(backdrop)
    for sigma in (0.0, 0.4, 0.6, 0.8):
        soft = cv2.GaussianBlur(image, (0, 0), sigma * max(1, len(backdrop) / 64)) if sigma else image
        if _steepest(soft) <= 1.2 * sharpest:
            break
    return _uint8(soft)


def _steepest(image: NDArray[Any]) -> float:
    """The steepest edges of a picture, in levels a pixel."""
    grey = np.asarray(image, np.float32).mean(axis=2)
    across, down = (cv2.Scharr(grey, cv2.CV_32F, *d) / 32 for d in ((1, 0), (0, 1)))
    return float(np.percentile(np.hypot(across, down), 98))


def put_onto(toys: Item, backdrop: NDArray[np.uint8], shadow: Shadow | None = None) -> NDArray[np.uint8]:
    """The item's objects and shadows on another ground: uint8 (S, S, 3), as ``backdrop``.

    Without ``shadow`` they darken it as much as they darken their own ground on average.
    """
    seen = _seen(toys).astype(np.float32)
    size = len(backdrop)
    alpha = np.clip((cv2.GaussianBlur(seen, (0, 0), 0.6) - 0.35) / 0.6, 0, 1)
    dark = np.any(toys.objects, axis=0) & ~_seen(toys)
    shadow = shadow or Shadow(_light_left(toys, dark), _softness(size) / 2)
    # Blurred over the ground alone, so that shadows do not fade where they meet their toys.
    blurred, ground = (
        cv2.GaussianBlur(k, (0, 0), shadow.softness) for k in (dark.astype(np.float32), 1 - seen)
    )
    light = 1 - (1 - shadow.light) * blurred / np.maximum(ground, 0.02)
    mixed = alpha[..., None] * toys.image + ((1 - alpha) * light)[..., None] * backdrop
    return _uint8(mixed)


def _seen(toys: Item) -> NDArray[np.bool_]:
    assert toys.foreground is not None, "toys are cut out by where they are seen"
    return toys.foreground


def _softness(size: int) -> int:
    """How far a shadow's soft edge reaches beyond it, in pixels."""
    return max(1, size // 64)


def _light_left(toys: Item, shadow: NDArray[np.bool_]) -> float:
    """How bright the ground is in the shadow, compared with the ground around it: 0.4 ... 0.8.

    Marble in its reflections is as bright as around them; its toys too are to stand in a shadow.
    """
    size = len(shadow)
    near = cv2.dilate(shadow.astype(np.uint8), np.ones((size // 5 + 1,) * 2, np.uint8)).astype(bool)
    around = near & ~np.any(toys.objects, axis=0)
    if not shadow.any() or not around.any():
        return 1.0
    ratio = toys.image[shadow].mean() / max(1.0, float(toys.image[around].mean()))
    return float(np.clip(ratio, 0.4, 0.8))


# -- the camera -----------------------------------------------------------------------------------------


def photographed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """What another camera makes of a picture, uint8 (S, S, 3); a quarter of them stay as they are.

    By chance another exposure, contrast and white balance, out of focus, the noise of a sensor (more in
    bright parts than in dark ones, as photons arrive), and the blocks of a JPEG.
    """
    if rng.random() < 0.25:
        return image
    scale = len(image) / 64
    values = np.asarray(image / np.float32(255), np.float32)
    if rng.random() < 0.6:
        cast = 1 + rng.normal(0, 0.04, 3)
        values = np.clip(values ** rng.uniform(0.85, 1.2) * (rng.uniform(0.8, 1.12) * cast), 0, 1)
    if rng.random() < 0.2:
        values = cv2.GaussianBlur(values, (0, 0), scale * rng.uniform(0.3, 0.7))
    if rng.random() < 0.4:
        spread = rng.uniform(0.004, 0.022) * np.sqrt(0.2 + values)
        values = values + spread * rng.standard_normal(values.shape)
    picture = _uint8(255 * values)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(50, 95))]
        done, data = cv2.imencode(".jpg", picture, quality)
        assert done
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

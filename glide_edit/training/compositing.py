"""Toys composited onto photographs: placed, lit, shadowed and sharp as the photograph is, by chance.

Everything that is drawn by chance comes from the generator given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.training.sources import Item


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
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), scale * rng.uniform(0.3, 0.7)), np.float32)
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

"""From an item to what the network is shown: hidden regions, drawings as people draw them, captions.

Training shows every mixture of caption, known picture and drawing, so that one network can generate, inpaint
and follow sketches: any of the three may be left out when the model is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.training.sources import Item

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Mixture:
    """The probability of each condition, per view.

    ``object_mask``: the hidden region is an object. ``object_caption``: the caption then names it alone.
    ``known_caption`` replaces ``caption`` for views with known pixels.
    """

    known: float = 0.3
    drawing: float = 0.25
    caption: float = 0.88
    object_mask: float = 0.5
    object_caption: float = 0.5
    known_caption: float | None = None


@dataclass(frozen=True, eq=False)
class View:
    """``image`` uint8 (S, S, 3); ``keep`` bool (S, S), all False where nothing is known; ``drawing`` float32
    (S, S), ink +1 and paper -1, all 0 for none; ``foreground`` bool (S, S), where an object is seen."""

    image: NDArray[np.uint8]
    caption: str
    keep: BoolArray
    drawing: NDArray[np.float32]
    foreground: NDArray[np.bool_]


def make_view(item: Item, mixture: Mixture, rng: np.random.Generator, phrasings: int | None = None) -> View:
    """Choose the conditions of one view; everything follows from the item and the generator's state.

    Captions are one of the item's first ``phrasings``, or any of them if None.
    """
    size = item.image.shape[0]
    number = int(rng.integers(2**31)) % (phrasings or 2**31)
    caption = item.caption(number)
    keep = np.zeros((size, size), bool)
    if rng.random() < mixture.known:
        if item.objects and rng.random() < mixture.object_mask:
            index = int(rng.integers(len(item.objects)))
            keep = ~_around_object(item.objects[index], rng)
            if rng.random() < mixture.object_caption:
                caption = item.describe(index, number)
        else:
            keep = ~(_boxes(size, rng) if rng.random() < 0.5 else _strokes(size, rng))
    drawing = np.zeros((size, size), np.float32)
    if item.drawing is not None and rng.random() < mixture.drawing:
        drawing = vary_drawing(item.drawing, rng)
    with_caption = mixture.caption
    if mixture.known_caption is not None and keep.any():
        with_caption = mixture.known_caption
    if rng.random() >= with_caption:
        caption = ""
    foreground = np.zeros((size, size), bool) if item.foreground is None else np.array(item.foreground)
    return View(np.array(item.image), caption, keep, drawing, foreground)


def vary_drawing(drawing: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.float32]:
    """A clean line drawing (255 paper, 0 ink) as a hand might have drawn it: (S, S), ink +1, paper -1.

    Wobble, stroke width, gaps and strength vary over a range that includes what people draw.
    """
    size = drawing.shape[0]
    ink: NDArray[Any] = 1.0 - drawing.astype(np.float32) / 255.0
    if rng.random() < 0.7:
        ink = _wobble(ink, rng.uniform(0.2, 1.2) * size / 64, rng)
    if rng.random() < 0.4:
        ink = cv2.dilate(ink, np.ones((2, 2) if rng.random() < 0.6 else (3, 3), np.uint8))
    if rng.random() < 0.3:
        ink = cv2.GaussianBlur(ink, (0, 0), rng.uniform(0.3, 0.8) * size / 64)
    if rng.random() < 0.35:
        ink *= _gaps(size, rng)
    return np.clip(ink * rng.uniform(0.7, 2.0), 0, 1).astype(np.float32) * 2 - 1


def _smooth_noise(size: int, cells: int, rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = rng.standard_normal((cells, cells)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), np.float32)


def _wobble(ink: NDArray[Any], amount: float, rng: np.random.Generator) -> NDArray[Any]:
    size = ink.shape[0]
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32)
    shifts = [_smooth_noise(size, int(rng.integers(4, 9)), rng) * amount for _ in range(2)]
    return cv2.remap(ink, columns + shifts[0], rows + shifts[1], cv2.INTER_LINEAR, borderValue=0)


def _gaps(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    return (_smooth_noise(size, int(rng.integers(8, 17)), rng) > -1.1).astype(np.float32)


def _around_object(whole: BoolArray, rng: np.random.Generator) -> BoolArray:
    """What a person would paint to replace this object: its shape grown, a loose outline, or a box."""
    size = whole.shape[0]
    grown: NDArray[Any] = whole.astype(np.uint8)
    radius = int(rng.integers(0, max(2, size // 10)))
    if radius:
        grown = cv2.dilate(grown, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2))
    kind = rng.random()
    if kind < 0.5 or not grown.any():
        return grown.astype(bool)
    x, y, width, height = cv2.boundingRect(grown)
    if kind < 0.75:
        grown[y : y + height, x : x + width] = 1
    else:
        centre, axes = (x + width // 2, y + height // 2), (int(width * 0.6) + 1, int(height * 0.6) + 1)
        cv2.ellipse(grown, centre, axes, 0, 0, 360, 1, -1)
    return grown.astype(bool)


def _boxes(size: int, rng: np.random.Generator) -> BoolArray:
    hidden = np.zeros((size, size), bool)
    for _ in range(int(rng.integers(1, 3))):
        width, height = rng.integers(size // 5, (3 * size) // 4, 2)
        x, y = rng.integers(-size // 10, size - size // 10, 2)
        hidden[max(y, 0) : y + height, max(x, 0) : x + width] = True
    return hidden


def _strokes(size: int, rng: np.random.Generator) -> BoolArray:
    hidden = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        point = rng.uniform(0.1, 0.9, 2) * size
        thickness = int(rng.integers(max(2, size // 12), size // 3))
        for _ in range(int(rng.integers(1, 7))):
            target = np.clip(point + rng.normal(0, size / 5, 2), 0, size - 1)
            start, end = (tuple(int(v) for v in p) for p in (point, target))
            cv2.line(hidden, start, end, 1, thickness)
            point = target
    return hidden.astype(bool)

"""What covers parts of photographs in the repair bench: scratches, a wire, lettering, blobs, a hole.

A cover is its coverage, float32 (H, W) in [0, 1]: drawn eight times as large and averaged, so that the edge
is anti-aliased.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Coverage = NDArray[np.float32]
Size = tuple[int, int]
Cover = Callable[[Size, np.random.Generator], Coverage]

SCRATCH, WIRE, SPOTS, HOLE = 4, 9, (20, 50), 150
"""px: how wide a scratch and a wire are, and between what a blob's extent lies, and that of a hole."""

SMALLEST = 128
"""px: the least that a side of a photograph has."""

_FINE = 8
_LETTERS = (28, 44)  # px, the font's size
_WORDS = ("light", "river", "stone", "paper", "garden", "summer", "window", "morning", "harbour", "copper")
_HOLE_SHARE = 0.6  # of the shorter side, where a hole has no room
_HARMONICS = 5
_STEPS = 96


def scratches(size: Size, rng: np.random.Generator) -> Coverage:
    """Three to five curved strokes."""
    canvas = _canvas(size)
    for _ in range(int(rng.integers(3, 6))):
        corners = np.array(size[::-1]) * rng.uniform(0.03, 0.97, (4, 2))
        _stroke(canvas, _bezier(corners), SCRATCH)
    return _averaged(canvas)


def wire(size: Size, rng: np.random.Generator) -> Coverage:
    """One line from edge to edge that sags a little; every other one runs from top to bottom."""
    upright = bool(rng.integers(2))
    high, wide = size[::-1] if upright else size
    along = np.linspace(0, 1, _STEPS)
    start, end = rng.uniform(0.15, 0.75, 2)
    sag = 4 * along * (1 - along) * rng.uniform(0, 0.08)
    points = np.stack([(1.2 * along - 0.1) * wide, (start + (end - start) * along + sag) * high], 1)
    canvas = _canvas(size)
    _stroke(canvas, points[:, ::-1] if upright else points, WIRE)
    return _averaged(canvas)


def lettering(size: Size, rng: np.random.Generator) -> Coverage:
    """Two to four lines of words, each most of the picture's width."""
    high, wide = size
    picture = Image.new("L", (wide * _FINE, high * _FINE))
    draw = ImageDraw.Draw(picture)
    pixels = int(rng.integers(*_LETTERS))
    font = ImageFont.load_default(pixels * _FINE)
    lines = int(rng.integers(2, 5))
    top = rng.uniform(0.05, 0.25) * high
    spacing = max(1.2 * pixels, rng.uniform(0.15, 0.22) * high)
    for k in range(lines):
        text = _line_of_words(font, rng.uniform(0.6, 0.9) * wide * _FINE, rng)
        left = rng.uniform(0.02, 0.1) * wide
        draw.text((left * _FINE, (top + k * spacing) * _FINE), text, fill=255, font=font)
    return _averaged(np.array(picture, np.uint8))


def blobs(size: Size, rng: np.random.Generator) -> Coverage:
    """Three to six irregular spots."""
    canvas = _canvas(size)
    for _ in range(int(rng.integers(3, 7))):
        _spot(canvas, size, rng.uniform(*SPOTS), rng)
    return _averaged(canvas)


def hole(size: Size, rng: np.random.Generator) -> Coverage:
    """One large irregular spot."""
    canvas = _canvas(size)
    _spot(canvas, size, min(HOLE, _HOLE_SHARE * min(size)), rng)
    return _averaged(canvas)


COVERS: dict[str, Cover] = {
    "scratches": scratches,
    "wire": wire,
    "lettering": lettering,
    "blobs": blobs,
    "hole": hole,
}


def _canvas(size: Size) -> NDArray[np.uint8]:
    return np.zeros((size[0] * _FINE, size[1] * _FINE), np.uint8)


def _averaged(canvas: NDArray[np.uint8]) -> Coverage:
    high, wide = canvas.shape[0] // _FINE, canvas.shape[1] // _FINE
    return canvas.reshape(high, _FINE, wide, _FINE).mean((1, 3), dtype=np.float32) / np.float32(255)


def _stroke(canvas: NDArray[np.uint8], points: NDArray[np.float64], width: float) -> None:
    line = np.rint(points * _FINE).astype(np.int32)
    cv2.polylines(canvas, [line], False, 255, round(width * _FINE))


def _bezier(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 2) points of the cubic curve with these four corners."""
    t = np.linspace(0, 1, _STEPS)[:, None]
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return np.sum([weight * corner for weight, corner in zip(weights, corners, strict=True)], 0)


def _spot(canvas: NDArray[np.uint8], size: Size, extent: float, rng: np.random.Generator) -> None:
    """An outline whose radius waves, ``extent`` px in its longer direction, anywhere in the picture."""
    angles = np.linspace(0, 2 * np.pi, _STEPS, endpoint=False)
    radius = np.ones(_STEPS)
    for k in range(2, _HARMONICS + 1):
        radius += rng.uniform(0, 0.3) / k * np.cos(k * angles + rng.uniform(0, 2 * np.pi))
    outline = np.stack([np.cos(angles), np.sin(angles)], 1) * radius[:, None]
    outline -= outline.min(0)
    outline *= extent / outline.max()
    room = np.array(size[::-1]) - outline.max(0) - 2
    corners = np.rint((outline + 1 + rng.uniform(0, 1, 2) * room) * _FINE)
    cv2.fillPoly(canvas, [corners.astype(np.int32)], 255)


def _line_of_words(
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float, rng: np.random.Generator
) -> str:
    """Words up to a width in pixels, one at least."""
    line = ""
    while True:
        longer = f"{line} {rng.choice(_WORDS)}".strip()
        if line and font.getlength(longer) > width:
            return line
        line = longer

"""What is hidden from a repair network while it learns: scratches, lettering, spots, strokes, holes."""

from __future__ import annotations

import string
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
_Drawn = NDArray[np.uint8]

MOST_HIDDEN = 0.5
"""The share of a picture that is hidden at most."""

_LETTERS = string.ascii_letters + string.digits + ".,:!?&"
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
)


def hidden_part(size: int, rng: np.random.Generator) -> BoolArray:
    """Pixels to hide, bool (size, size): some, and at most ``MOST_HIDDEN`` of them."""
    kinds, shares = zip(*_KINDS, strict=True)
    while True:
        hidden = np.zeros((size, size), np.uint8)
        kinds[int(rng.choice(len(kinds), p=shares))](hidden, rng)
        if 0 < hidden.mean() <= MOST_HIDDEN:
            return hidden.astype(bool)


def _curves(hidden: _Drawn, rng: np.random.Generator, count: int, thickness: tuple[int, int]) -> None:
    size = len(hidden)
    for _ in range(count):
        ends = rng.uniform(-0.1, 1.1, (2, 2)) * size
        bend = ends.mean(axis=0) + rng.normal(0, rng.choice([0.02, 0.3]) * size, 2)
        along = np.linspace(0, 1, 24)[:, None]
        points = (1 - along) ** 2 * ends[0] + 2 * along * (1 - along) * bend + along**2 * ends[1]
        line = points.round().astype(np.int32)[:, None]
        cv2.polylines(hidden, [line], False, 1, int(rng.integers(thickness[0], thickness[1] + 1)))


def _thin(hidden: _Drawn, rng: np.random.Generator) -> None:
    _curves(hidden, rng, int(rng.integers(1, 7)), (1, 12))


def _strokes(hidden: _Drawn, rng: np.random.Generator) -> None:
    _curves(hidden, rng, int(rng.integers(1, 3)), (12, max(13, len(hidden) // 6)))


def _lettering(hidden: _Drawn, rng: np.random.Generator) -> None:
    size = len(hidden)
    for _ in range(int(rng.integers(1, 5))):
        text = "".join(rng.choice(list(_LETTERS), int(rng.integers(3, 18))))
        place = rng.integers((-size // 10, size // 10), (size // 2, size), 2)
        scale, thickness = float(rng.uniform(0.5, 2.2)), int(rng.integers(1, 6))
        font = int(rng.choice(_FONTS))
        cv2.putText(hidden, text, (int(place[0]), int(place[1])), font, scale, 1, thickness)


def _spots(hidden: _Drawn, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(1, 7))):
        _spot(hidden, rng, float(rng.uniform(3, min(32, 3 + len(hidden) / 6))))


def _hole(hidden: _Drawn, rng: np.random.Generator) -> None:
    _spot(hidden, rng, float(rng.uniform(0.06, 0.33) * len(hidden)))


def _spot(hidden: _Drawn, rng: np.random.Generator, radius: float) -> None:
    size, angles = len(hidden), np.linspace(0, 2 * np.pi, 48, endpoint=False)
    radii = radius * np.ones_like(angles)
    for waves in range(2, 6):
        radii += radius * rng.normal(0, 0.25 / waves) * np.cos(waves * angles + rng.uniform(0, 2 * np.pi))
    stretched = np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.6, 1.2, 2)
    outline = rng.uniform(0, size, 2) + stretched * radii[:, None]
    if rng.random() < 0.2:
        corners = rng.uniform(0, size, 2) + rng.uniform(0.5, 1.1, 2) * radius * np.array(
            [[-1, -1], [1, -1], [1, 1], [-1, 1]]
        )
        outline = corners
    cv2.fillPoly(hidden, [outline.round().astype(np.int32)[:, None]], 1)


_KINDS: tuple[tuple[Callable[[_Drawn, np.random.Generator], None], float], ...] = (
    (_thin, 0.3),
    (_lettering, 0.15),
    (_spots, 0.2),
    (_strokes, 0.1),
    (_hole, 0.25),
)
"""Each kind and its share."""

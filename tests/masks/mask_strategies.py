"""Masks of every kind and size, for the property tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from masks import Mask, Size, draw

quick = settings(max_examples=40, deadline=None)
few = settings(max_examples=20, deadline=None)

small_sides = st.integers(1, 40)
sides = st.one_of(small_sides, small_sides, st.integers(1, 700))
small_sizes = st.tuples(small_sides, small_sides)
sizes = st.tuples(sides, sides)
seeds = st.integers(0, 2**32 - 1)

KINDS = ("strokes", "box", "ellipse", "specks", "pixel", "all but a pixel", "frame", "stripes", "full")


def mask_of(kind: str, size: Size, seed: int) -> Mask:
    """A mask of one kind; may be empty for strokes, ellipses and specks."""
    rng = np.random.default_rng(seed)
    height, width = size
    selected = np.zeros(size, bool)
    x, y = int(rng.integers(width)), int(rng.integers(height))
    corners = (x, y, int(rng.integers(x, width)) + 1, int(rng.integers(y, height)) + 1)
    if kind == "strokes":
        return draw.strokes(rng.uniform(-5, (width + 5, height + 5), (4, 2)), rng.uniform(0, 12), size)
    if kind == "box":
        return draw.box(corners, size)
    if kind == "ellipse":
        return draw.ellipse(corners, size)
    if kind == "specks":
        return Mask(rng.random(size) < rng.choice([0.002, 0.1, 0.5, 0.9]))
    if kind in ("pixel", "all but a pixel"):
        selected[y, x] = True
        return Mask(selected) if kind == "pixel" else ~Mask(selected)
    if kind == "frame":
        selected[[0, -1]] = selected[:, [0, -1]] = True
        return Mask(selected)
    if kind == "stripes":
        selected[:: int(rng.integers(2, 7))] = True
        return Mask(selected)
    return Mask.full(size)


@st.composite
def masks(draw_: st.DrawFn, of_size: st.SearchStrategy[Size] = sizes, may_be_empty: bool = False) -> Mask:
    """Masks of all kinds, with something selected unless ``may_be_empty``."""
    size, seed = draw_(of_size), draw_(seeds)
    made = mask_of(draw_(st.sampled_from(KINDS)), size, seed)
    if made.is_empty and not may_be_empty:
        return mask_of("pixel", size, seed)
    return made


def picture(size: Size, seed: int, channels: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """Noise over the dtype's whole range: (H, W, channels)."""
    top = int(np.iinfo(dtype).max)
    return np.random.default_rng(seed).integers(0, top, (*size, channels), dtype, endpoint=True)

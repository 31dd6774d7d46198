"""From what the networks drew to pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.images import Picture, open_picture
from glide_edit.results import Receipt

NOT_FINITE = "The model's output was not finite everywhere; the picture is black there."

Drawn = NDArray[np.float32]
"""One picture as a stage drew it, (S, S, 3), 0 black and 255 white. Values may be not finite."""


@dataclass(frozen=True, eq=False)
class Postprocessed:
    """A finished picture, its receipt where something had to be kept, and what the user should know of it."""

    picture: Picture
    receipt: Receipt | None = None
    notes: tuple[str, ...] = ()


def to_pixels(x0: Tensor) -> NDArray[np.float32]:
    """(B, 3, S, S) in [-1, 1] -> float32 (B, S, S, 3) in [0, 255]; what is not finite stays so."""
    pixels: NDArray[np.float32] = ((x0.float() + 1) * 127.5).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels


def to_uint8(drawn: Drawn) -> NDArray[np.uint8]:
    """Rounded, with black where it is not finite."""
    return np.where(np.isfinite(drawn), drawn, 0).round().clip(0, 255).astype(np.uint8)


def preview(x0: Tensor) -> NDArray[np.uint8]:
    """The first picture of a batch as uint8 (S, S, 3)."""
    return to_uint8(to_pixels(x0[:1])[0])


def new_picture(drawn: Drawn, rows: slice = slice(None), columns: slice = slice(None)) -> Postprocessed:
    """A picture that is not made from another one: what was drawn, or a part of it."""
    notes = () if np.isfinite(drawn).all() else (NOT_FINITE,)
    return Postprocessed(open_picture(to_uint8(drawn)[rows, columns]), notes=notes)

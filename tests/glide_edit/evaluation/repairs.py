"""Photographs in memory, four of each half, for the tests of the repair bench."""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.repair_items import HALVES, Photograph


def soft_photograph(seed: int, size: tuple[int, int] = (256, 300)) -> NDArray[np.uint8]:
    """Smooth colours, uint8 (H, W, 3), that other programs fill well."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (4, 5, 3))
    picture = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _photographs() -> tuple[Photograph, ...]:
    made = [Photograph(f"soft {seed}", partial(soft_photograph, seed)) for seed in range(40)]
    return tuple(each for half in HALVES for each in [one for one in made if one.half == half][:4])


FEW = _photographs()

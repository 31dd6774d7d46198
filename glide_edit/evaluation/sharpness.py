"""How sharp an edit is beside its surroundings."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.seam import check_selection, gradients

RING = 24
"""px: how far the ring reaches outwards."""

_AWAY = 3  # px on both sides of the boundary that are left out: a seam would count as sharpness
_TRIMMED = 0.1  # of the energies, the largest, are left out: outlines
_LEAST = 1e-3  # levels of 1 a pixel, added to both sides: flatter counts as flat


def sharpness_ratio(picture: NDArray[np.uint8], selected: NDArray[np.bool_]) -> float:
    """The sharpness of a picture, uint8 (H, W, 3), within ``selected``, bool (H, W), over that of a ring
    around it: 1 is as sharp as the surroundings, 0 is flat.

    Sharpness is the root of the mean energy of the gradient (Scharr, all channels), without the largest
    tenth of the energies. Raises InputError for a selection of another size, of nothing, or of everything.
    """
    check_selection(picture, selected, "surroundings to compare with")
    outwards, inwards = (
        cv2.distanceTransform(area.astype(np.uint8), cv2.DIST_L2, 5) for area in (~selected, selected)
    )
    inside = inwards > _AWAY
    outside = (outwards > _AWAY) & (outwards <= RING)
    image = np.asarray(picture / np.float32(255), np.float32)
    energy = (gradients(image) ** 2).sum(0).mean(-1)
    own = _sharpness(energy[inside if inside.any() else selected])
    return own / _sharpness(energy[outside if outside.any() else ~selected])


def _sharpness(energies: NDArray[np.float32]) -> float:
    kept = np.sort(energies)[: max(1, round((1 - _TRIMMED) * len(energies)))]
    return float(np.sqrt(kept.mean())) + _LEAST

"""How sharp an edit is beside its surroundings."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError

RING = 24
"""px: how far the ring reaches outwards."""

_AWAY = 3  # px from the boundary on both sides, where a seam would be taken for sharpness
_TRIMMED = 0.1  # of the largest energies: single edges, as an outline is one
_LEAST = 1e-3  # levels of 1 a pixel: flatter than this is not told from flat


def sharpness_ratio(picture: NDArray[np.uint8], selected: NDArray[np.bool_]) -> float:
    """The sharpness of a picture, uint8 (H, W, 3), within ``selected``, bool (H, W), over that of a ring
    around it: 1 is as sharp as the surroundings, 0 is flat.

    Sharpness is the root of the mean energy of the gradient (Scharr, all channels), without the largest
    tenth of the energies.

    Raises:
        InputError: a selection of another size, of nothing, or without surroundings in the picture.
    """
    if selected.shape != picture.shape[:2]:
        raise InputError(f"A selection {selected.shape} does not fit a picture {picture.shape[:2]}.")
    if selected.all() or not selected.any():
        raise InputError("A selection of nothing or of everything has no surroundings to compare with.")
    outwards, inwards = (
        cv2.distanceTransform(area.astype(np.uint8), cv2.DIST_L2, 5) for area in (~selected, selected)
    )
    inside = inwards > _AWAY
    outside = (outwards > _AWAY) & (outwards <= RING)
    energy = _energy(np.asarray(picture / np.float32(255), np.float32))
    own = _sharpness(energy[inside if inside.any() else selected])
    return own / _sharpness(energy[outside if outside.any() else ~selected])


def _energy(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W): the squared length of the gradient, levels of 1 a pixel, mean over the channels."""
    across, down = (cv2.Scharr(image, cv2.CV_32F, *d) / 32 for d in ((1, 0), (0, 1)))
    return np.asarray((across**2 + down**2).mean(-1), np.float32)


def _sharpness(energies: NDArray[np.float32]) -> float:
    kept = np.sort(energies)[: max(1, round((1 - _TRIMMED) * len(energies)))]
    return float(np.sqrt(kept.mean())) + _LEAST

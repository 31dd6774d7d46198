"""Line drawings: ink where the toys, their parts and their faces meet."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def line_drawing(faces: NDArray[np.int32], factor: int) -> NDArray[np.uint8]:
    """The drawing of a face map, uint8 (S, S), 255 paper and 0 ink.

    `faces` is (S * factor, S * factor), one number for each face and -1 for the ground. The pen is about
    1/110 of the picture wide, and never thinner than 1.1 pixels.
    """
    size = faces.shape[0] // factor
    edge = np.zeros(faces.shape, bool)
    edge[:, 1:] |= faces[:, 1:] != faces[:, :-1]
    edge[1:, :] |= faces[1:, :] != faces[:-1, :]
    if not edge.any():
        return np.full((size, size), 255, np.uint8)
    away = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    half_width = max(1.1, size / 110) * factor / 2
    ink = np.clip(half_width + 0.5 - away, 0.0, 1.0)
    ink = cv2.GaussianBlur(ink, (0, 0), 0.45 * factor)
    ink = np.clip(ink * 1.25, 0.0, 1.0)
    small = cv2.resize(ink, (size, size), interpolation=cv2.INTER_AREA)
    return np.round(255 * (1.0 - np.asarray(small))).astype(np.uint8)

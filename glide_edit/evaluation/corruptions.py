"""Changes to pictures before the verifier sees them: random ones in training, fixed ones in tests.

All take and return uint8 (S, S, 3); widths are in pixels of a picture of 128 and grow with it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]


def softened(picture: Picture, size: int) -> Picture:
    """Shrunk to ``size`` pixels by areas and enlarged again, bicubically."""
    side = picture.shape[0]
    small = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
    return _uint8(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def blurred(picture: Picture, sigma: float) -> Picture:
    """Gaussian; ``sigma`` in pixels of a picture of 128."""
    return _uint8(cv2.GaussianBlur(picture, (0, 0), sigma * picture.shape[0] / 128))


def noised(picture: Picture, sigma: float, grain: int, rng: np.random.Generator) -> Picture:
    """Gaussian noise of ``sigma`` levels of 255; ``grain`` is how many pixels a grain is wide."""
    side = -(-picture.shape[0] // grain)
    noise = rng.standard_normal((side, side, 3), np.float32) * sigma
    return _uint8(picture + cv2.resize(noise, picture.shape[:2], interpolation=cv2.INTER_CUBIC))


def jpeg(picture: Picture, quality: int) -> Picture:
    """Through a JPEG of this quality, 1 ... 100."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def exposed(
    picture: Picture, gain: float, gamma: float = 1.0, tint: NDArray[np.float64] | float = 1.0
) -> Picture:
    """Brightened by ``gain``, after ``gamma``; ``tint`` multiplies the three channels."""
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** gamma * gain * tint * np.ones(3)
    return _uint8(cv2.LUT(picture, _uint8(255 * levels)[None]))


def warped(picture: Picture, strength: float, rng: np.random.Generator) -> Picture:
    """Bent at random, smoothly, by ``strength`` pixels of a picture of 128 (standard deviation)."""
    side = picture.shape[0]
    shift = rng.standard_normal((7, 7, 2)).astype(np.float32) * strength * side / 128
    shift = cv2.resize(shift, (side, side), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.mgrid[:side, :side].astype(np.float32)
    places = (columns + shift[..., 0], rows + shift[..., 1])
    return _uint8(cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101))


def augmented(picture: Picture, rng: np.random.Generator) -> Picture:
    """As training shows it: after up to six of these at random strengths; one picture in eight unchanged."""
    if rng.random() < 0.125:
        return picture
    if rng.random() < 0.35:
        picture = warped(picture, rng.uniform(0.2, 1.6), rng)
    if rng.random() < 0.4:
        tint = 1 + rng.normal(0, 0.025, 3)
        picture = exposed(picture, rng.uniform(0.85, 1.15), rng.uniform(0.87, 1.15), tint)
    if rng.random() < 0.3:
        picture = blurred(picture, rng.uniform(0.3, 2.0))
    if rng.random() < 0.5:
        picture = noised(picture, rng.uniform(1.0, 14.0), int(rng.choice((1, 2, 2, 4, 8))), rng)
    if rng.random() < 0.55:
        picture = softened(picture, 64 if rng.random() < 0.5 else int(rng.integers(44, 110)))
    if rng.random() < 0.25:
        picture = jpeg(picture, int(rng.integers(25, 95)))
    return picture


CORRUPTIONS: dict[str, Callable[[Picture, np.random.Generator], Picture]] = {
    "clean": lambda picture, rng: picture,
    "64 px, enlarged": lambda picture, rng: softened(picture, 64),
    "blur, sigma 1.5": lambda picture, rng: blurred(picture, 1.5),
    "noise, sigma 10": lambda picture, rng: noised(picture, 10.0, 1, rng),
    "grain of 2, sigma 8": lambda picture, rng: noised(picture, 8.0, 2, rng),
    "JPEG 40": lambda picture, rng: jpeg(picture, 40),
    "darker by 12 %": lambda picture, rng: exposed(picture, 0.88),
    "brighter by 12 %": lambda picture, rng: exposed(picture, 1.12),
    "bent by 1 pixel": lambda picture, rng: warped(picture, 1.0, rng),
    "64 px, noise 6, blur 0.7": lambda picture, rng: blurred(noised(softened(picture, 64), 6.0, 2, rng), 0.7),
}
"""What the verifier's accuracy is reported for, by name."""


def _uint8(values: NDArray) -> Picture:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

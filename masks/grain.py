"""A repaint with the grain of what surrounds it: noise taken out or put in, and edges led over.

Networks leave noise where a picture is smooth, and are smooth where a photograph has its camera's grain. Both
show, and so does a texture that ends at the edge. Grain is measured where a picture is smoothest, in three
octaves of luma and chroma each, because photographs are demosaiced, compressed and resized: it is no white
noise. All measures are energies, the squares of levels of 255.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.shape import distance_inside

Pixels = NDArray[np.float32]
Plane = NDArray[np.float32]
Cells = NDArray[np.bool_]

RADII = (0.8, 1.6, 3.2)
"""px: of the Gaussian blurs whose differences are the octaves, from fine to coarse."""

REACH = 48
"""px from the repaint in which its surroundings are measured for how smooth they are."""

OVER = 8.0
"""px inside the edge over which the surroundings pass into the repaint, where the two agree."""

AGREE = 25.0
"""Levels of 255: colours that are so far apart agree by 1/e, and twice as far hardly."""

STREAK = 3.0
"""Levels of 255: of what is finer than lines no more is led over the edge, or strong texture would make a
fringe around it."""

CALM_SHARE = 0.25
"""Of the pixels, the smoothest: by them a repaint is as smooth as its surroundings."""

FLOOR_SHARE = 0.05
"""The same for the grain to be added: texture is not grain, but grain is in the smoothest parts too."""

MOST_GRAIN = 4.0
"""Levels of 255 in one octave: more, even in the smoothest parts, is texture."""

COARSER = (1.0, 0.5)
"""The second and third octave of grain have at most so many times the amplitude of the one before, 0.4 in
white noise: what has more are folds of cloth, or clouds."""

LEAST_GRAIN = 0.3
"""Levels of 255, over all octaves: less is lost in the rounding to 8 bits."""

_LUMA_CHROMA = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]], np.float32
)  # orthonormal, so that white noise stays white
_EDGE = 3  # px on either side of the boundary that are not measured: there a seam would be taken for grain
_WINDOW = 7  # px: the side of the squares whose mean energy is measured
_BEYOND = 3.0  # noise varies from place to place: so many times its mean is taken out
_CORE = 2.0  # of the noise's standard deviation: what is smaller in the finest octave is taken for noise
_ALIKE = 2.0  # px: the blur of what is compared
_FINE = 1.0  # px: the blur whose rest is fine
_CLIPPED = 2.5  # levels from black and white within which grain is cut off and cannot be measured
_TAPER = 16.0  # levels from black and white within which less grain is added, since it would be cut off
_LEAST = 1e-6
_ENOUGH = 64  # px: of fewer nothing is measured
_SAMPLES = 200_000


def remove_excess_noise(repaint: Pixels, original: Pixels, known: Cells, hidden: Cells) -> Pixels:
    """A repaint without the noise that its surroundings lack.

    Each octave is shrunk by Lee's local Wiener filter (1980): much where it holds little more than noise,
    hardly where it holds an edge. Of the finest what is small is then taken out pixel by pixel, since beside
    an edge the filter leaves noise (soft thresholding: Donoho 1995). The noise is what the smoothest
    CALM_SHARE of the repaint has above the same share of its surroundings. Where they have as much, it is
    given back as it is.

    Args:
        repaint, original: float32 (H, W, 3), 0 to 255, finite.
        known: bool (H, W), where ``original`` means something.
        hidden: bool (H, W), what was drawn anew; the rest of ``repaint`` shows ``original``.

    Returns:
        float32 (H, W, 3), to be read where ``hidden``.
    """
    inside = _within(hidden)
    around = _around(original, known & ~hidden, hidden, REACH)
    if around is None or not inside.any():
        return repaint
    measured, beside = _Measured.of(hidden), _Measured.of(around)
    channels, is_calmed = [], False
    for new, old in zip(_opponent(repaint), _opponent(original), strict=True):
        octaves, rest = _octaves(new)
        wanted = beside.levels(_octaves(old)[0], CALM_SHARE)
        for number, (octave, want) in enumerate(zip(octaves, wanted, strict=True)):
            energy = measured.energy(octave)
            own = max(_quantile(energy, inside, CALM_SHARE), _LEAST)
            is_calmed |= own > want
            noise, least = max(own - want, 0.0), min(want / own, 1.0)
            left = np.maximum(energy - _BEYOND * noise, energy * least)
            shrunk = octave * np.sqrt(left / np.maximum(energy, _LEAST))
            if number == 0:
                size = np.maximum(np.abs(shrunk) - _CORE * noise**0.5, np.abs(shrunk) * least**0.5)
                shrunk = np.copysign(size, shrunk)
            rest = rest + shrunk
        channels.append(rest)
    return _colours(channels) if is_calmed else repaint


def extend_edges(picture: Pixels, known: Cells, allowed: Cells) -> Pixels:
    """A finished picture in which lines and gradients go on over the edge, where they agree with the repaint.

    In the first OVER px inside ``allowed`` the surroundings, reflected in the edge's own pixel (2 e - x, so
    that a slope goes on as a slope), pass into the repaint; by how much falls with the distance of the two's
    blurred colours. What was under the repaint is not read.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        known: bool (H, W), pixels of the photograph; none of them is changed.
        allowed: bool (H, W), none of it ``known``.
    """
    if not known.any():
        return picture
    away, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    band = allowed & (away <= OVER)
    reflected = picture.copy()
    blurred = _known_blurred(picture, known)
    soft, fine = (_reflected(each, known, labels, band) for each in (blurred, picture - blurred))
    reflected[band] = np.clip(soft + np.clip(fine, -STREAK, STREAK), 0, 255)
    apart = np.square(_blurred(picture - reflected, _ALIKE)).mean(-1)
    nearness = np.clip(1 - (away - 0.5) / np.float32(OVER), 0, 1)
    share = nearness * nearness * (3 - 2 * nearness) * np.exp(-apart / np.float32(AGREE**2)) * band
    return np.asarray(picture + (reflected - picture) * share[..., None], np.float32)


def _known_blurred(picture: Pixels, known: Cells) -> Pixels:
    """The known pixels, blurred among themselves."""
    weight = known.astype(np.float32)
    total = np.maximum(_blurred(weight, _FINE), _LEAST)
    return np.asarray(_blurred(picture * weight[..., None], _FINE) / total[..., None], np.float32)


def _reflected(picture: Pixels, known: Cells, labels: NDArray[Any], band: Cells) -> Pixels:
    """(N, 3): for each pixel of the band twice the nearest known pixel less the one as far behind it."""
    rows, columns = np.nonzero(known)
    number = np.zeros(int(labels.max()) + 1, np.intp)
    number[labels[known]] = np.arange(len(rows))
    nearest = number[labels[band]]
    edge = rows[nearest], columns[nearest]
    behind = [
        np.clip(2 * at - own, 0, length - 1)
        for at, own, length in zip(edge, np.nonzero(band), known.shape, strict=True)
    ]
    there = known[behind[0], behind[1]][:, None]
    slope = np.where(there, picture[edge] - picture[behind[0], behind[1]], 0)
    return np.asarray(picture[edge] + slope, np.float32)


def add_grain(picture: Pixels, known: Cells, allowed: Cells, noise: Pixels) -> Pixels:
    """A finished picture with as much grain inside ``allowed`` as there is around it.

    What the smoothest FLOOR_SHARE of the surroundings has more than that of the inside is added, octave by
    octave; less near black and white, where grain is cut off. A picture without grain is given back as it is.

    Args:
        picture: float32 (H, W, 3), 0 to 255.
        known: bool (H, W), pixels of the photograph; none of them is changed.
        allowed: bool (H, W), where grain may be added.
        noise: float32 (H, W, 3), standard normal.
    """
    inside = _within(allowed)
    around = _around(picture, known & ~allowed, allowed, np.inf)
    if around is None or not inside.any():
        return picture
    here, beside = _Measured.of(inside), _Measured.of(around)
    lacking = [_lacking(plane, beside, here) for plane in _opponent(picture)]
    if np.sum(lacking) < LEAST_GRAIN**2:
        return picture
    whites = [_apart(_octaves(white)[0]) for white in _opponent(noise)]
    # All three channels of white noise measure alike: one of them tells what its octaves come to.
    measured = np.stack([here.levels(_octaves(each)[0], FLOOR_SHARE) for each in whites[0]], axis=1)
    amounts = [np.sqrt(_solved(measured, each)) for each in lacking]
    added = _colours(
        [np.tensordot(some, white, 1) for some, white in zip(amounts, np.asarray(whites), strict=True)]
    )
    room = np.minimum(picture, 255 - picture) / np.float32(_TAPER)
    added *= np.clip(_blurred(room, 1.0), 0, 1)
    return np.where(allowed[..., None], picture + added, picture)


def _lacking(plane: Plane, around: _Measured, inside: _Measured) -> NDArray[np.float64]:
    """How much more energy each octave of the surroundings' grain has than the inside's."""
    octaves = _octaves(plane)[0]
    grain = np.minimum(around.levels(octaves, FLOOR_SHARE), MOST_GRAIN**2)
    for k, most in enumerate(COARSER):
        grain[k + 1] = min(grain[k + 1], most**2 * grain[k])
    return np.maximum(grain - inside.levels(octaves, FLOOR_SHARE), 0)


def _opponent(picture: Pixels) -> list[Plane]:
    """Luma and two kinds of chroma, each (H, W), of the same scale."""
    return [np.ascontiguousarray(picture @ weights) for weights in _LUMA_CHROMA]


def _colours(channels: list[Plane]) -> Pixels:
    """What ``_opponent`` took apart."""
    return np.asarray(np.stack(channels, axis=-1) @ _LUMA_CHROMA, np.float32)


def _octaves(plane: Plane) -> tuple[list[Plane], Plane]:
    """Differences of blurs, from fine to coarse, and what is left; together they are the plane."""
    found, before = [], plane
    for radius in RADII:
        blurred = _blurred(plane, radius)
        found.append(before - blurred)
        before = blurred
    return found, before


def _apart(octaves: list[Plane]) -> list[Plane]:
    """Octaves of one noise, shifted so that none has to do with another: their energies add up."""
    height, width = octaves[0].shape
    return [np.roll(each, (k * height // 3, k * width // 3), (0, 1)) for k, each in enumerate(octaves)]


@dataclass(frozen=True, eq=False)
class _Measured:
    """Pixels whose energies are measured among themselves: ``share`` is how much of the square around a pixel
    they are."""

    cells: Cells
    weight: Plane
    share: Plane

    @classmethod
    def of(cls, cells: Cells) -> _Measured:
        weight = cells.astype(np.float32)
        return cls(cells, weight, np.maximum(_mean(weight), np.float32(_LEAST)))

    def energy(self, octave: Plane) -> Plane:
        """The mean energy around each pixel."""
        return np.asarray(_mean(octave * octave * self.weight) / self.share, np.float32)

    def levels(self, octaves: list[Plane], share: float) -> NDArray[np.float64]:
        """The energy of each octave that the smoothest ``share`` of the pixels does not exceed."""
        return np.array([_quantile(self.energy(each), self.cells, share) for each in octaves])


def _quantile(energy: NDArray[Any], where: Cells, share: float) -> float:
    values = energy[where]
    return float(np.quantile(values[:: -(-len(values) // _SAMPLES)], share))


def _solved(measured: NDArray[np.float64], lacking: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much of each octave to add, at least 0, since octaves overlap: ``measured`` times it is
    ``lacking``, as nearly as may be (coordinate descent)."""
    amounts = np.zeros(len(lacking))
    for _ in range(50):
        for k, column in enumerate(measured.T):
            rest = lacking - measured @ amounts + column * amounts[k]
            amounts[k] = max(0.0, float(column @ rest) / max(float(column @ column), _LEAST))
    return amounts


def _within(area: Cells) -> Cells:
    """The area without its edge, or all of it where it is thin."""
    deep = np.asarray(distance_inside(area) > _EDGE) if not area.all() else area
    return deep if deep.sum() >= _ENOUGH else area


def _around(picture: Pixels, known: Cells, area: Cells, reach: float) -> Cells | None:
    """Known pixels within reach of the area, without its edge and what is black or white; None for few."""
    if area.all():
        return None
    away = distance_inside(~area)
    lit = ((picture > _CLIPPED) & (picture < 255 - _CLIPPED)).all(-1)
    found = np.asarray(known & lit & (away > _EDGE) & (away <= reach))
    return found if found.sum() >= _ENOUGH else None


def _blurred(picture: NDArray[Any], radius: float) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), radius), np.float32)


def _mean(plane: NDArray[Any]) -> Plane:
    """Of a square around each pixel; not below 0 where the plane is not (running sums are rounded)."""
    return np.asarray(np.maximum(cv2.blur(plane, (_WINDOW, _WINDOW)), 0), np.float32)

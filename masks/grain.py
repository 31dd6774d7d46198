"""Match a repaint with its surroundings: remove noise, add grain, and continue lines across the edge.

Networks leave noise where a picture is smooth, and are smooth where a photograph has its camera's grain. Both
show, and so does a texture that ends at the edge. Grain is measured where a picture is smoothest, in three
octaves each of luma and chroma: photographs are demosaiced, compressed and resized, so their grain is not
white noise. All measures are energies: squares of levels of 255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.mask import BoolArray, FloatArray
from masks.shape import distance_inside, smoothstep

RADII = (0.8, 1.6, 3.2)
"""px: the Gaussian blurs whose differences are the octaves, from fine to coarse."""

REACH = 48
"""px around the repaint within which the smoothness of the surroundings is measured."""

OVER = 8.0
"""px inside the edge over which the surroundings blend into the repaint, where the two agree."""

AGREE = 25.0
"""Levels of 255: the distance of colours at which their agreement has fallen to 1/e."""

STREAK = 3.0
"""Levels of 255: fine detail is continued across the edge with at most this amplitude, since strong texture
would make a fringe."""

CALM_SHARE = 0.25
"""The smoothest share of the pixels, by which a repaint and its surroundings are compared for noise."""

FLOOR_SHARE = 0.05
"""The same for the grain to add; smaller, because only the smoothest parts show grain without texture."""

MOST_GRAIN = 4.0
"""Levels of 255 in one octave: what is stronger, even in the smoothest parts, is texture."""

COARSER = (1.0, 0.5)
"""The largest amplitudes of the second and third octave of grain, as multiples of the octave before (0.4 in
white noise): what has more is not grain but folds of cloth, or clouds."""

LEAST_GRAIN = 0.3
"""Levels of 255, over all octaves: less would be lost by rounding to 8 bits."""

_LUMA_CHROMA = np.array(
    [[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]], np.float32
)  # orthonormal, so that white noise stays white
_EDGE = 3  # px on either side of the boundary that are not measured: a seam would be taken for grain
_WINDOW = 7  # px: the side of the squares whose mean energy is measured
_BEYOND = 3.0  # multiple of the mean noise energy that is removed, since noise varies from place to place
_CORE = 2.0  # standard deviations of the noise: smaller values in the finest octave count as noise
_ALIKE = 2.0  # px: the blur under which colours are compared
_FINE = 1.0  # px: fine detail is what this blur removes
_CLIPPED = 2.5  # levels from black and white within which grain is clipped and cannot be measured
_TAPER = 16.0  # levels from black and white within which less grain is added, since it would be clipped
_LEAST = 1e-6
_ENOUGH = 64  # px: the least that is measured
_SAMPLES = 200_000
_OF_A_WINDOW = 50_000


Levels = NDArray[np.float64]
"""Energies by channel and octave, (3, 3): one number for each place would show at the windows' borders."""

Sample = tuple[FloatArray, FloatArray, BoolArray, BoolArray]
"""A repaint, the original, where it is known, and where the repaint is: a window of a large picture."""


def excess_noise(windows: Sequence[Sample]) -> tuple[Levels, Levels] | None:
    """The noise of a repaint and of its surroundings in several windows, for ``remove_excess_noise``.

    The arguments of that function, for each window. None where there is too little to measure.
    """
    return _pooled([_noise_values(*window) for window in windows], CALM_SHARE)


def remove_excess_noise(
    repaint: FloatArray,
    original: FloatArray,
    known: BoolArray,
    hidden: BoolArray,
    levels: tuple[Levels, Levels] | None = None,
) -> FloatArray:
    """The repaint without the noise that its surroundings do not have.

    Each octave is reduced by Lee's local Wiener filter (1980): strongly where it holds little more than
    noise, hardly where it holds an edge. Small values of the finest octave are then removed too, since the
    filter leaves noise beside edges (soft thresholding: Donoho 1995). The noise is the energy of the
    smoothest CALM_SHARE of the repaint minus that of its surroundings. Without excess noise the repaint is
    returned unchanged.

    Args:
        repaint, original: float32 (H, W, 3), 0 to 255, finite.
        known: bool (H, W), where ``original`` is valid.
        hidden: bool (H, W), what was drawn; elsewhere ``repaint`` shows ``original``.
        levels: what ``excess_noise`` measured, for a window of a larger picture; None: measured here.

    Returns:
        float32 (H, W, 3), valid where ``hidden``.
    """
    inside = _within(hidden)
    around = _around(original, known & ~hidden, hidden, REACH) if levels is None else None
    if not inside.any() or (around is None and levels is None):
        return repaint
    measured, beside = _Region.of(hidden), None if around is None else _Region.of(around)
    channels, is_changed = [], False
    for channel, (new, old) in enumerate(zip(_opponent(repaint), _opponent(original), strict=True)):
        octaves, rest = _octaves(new)
        wanted = _energies(old, beside, CALM_SHARE, None if levels is None else levels[1][channel])
        for number, (octave, want) in enumerate(zip(octaves, wanted, strict=True)):
            energy = measured.energy(octave)
            own = _quantile(energy, inside, CALM_SHARE) if levels is None else levels[0][channel, number]
            own = max(float(own), _LEAST)
            is_changed |= own > want
            noise, least = max(own - want, 0.0), min(want / own, 1.0)
            left = np.maximum(energy - _BEYOND * noise, energy * least)
            shrunk = octave * np.sqrt(left / np.maximum(energy, _LEAST))
            if number == 0:
                size = np.maximum(np.abs(shrunk) - _CORE * noise**0.5, np.abs(shrunk) * least**0.5)
                shrunk = np.copysign(size, shrunk)
            rest = rest + shrunk
        channels.append(rest)
    return _colours(channels) if is_changed else repaint


def _energies(channel: FloatArray, region: _Region | None, share: float, known: Any) -> Any:
    """Of the octaves of a channel, unless they are known."""
    return known if region is None else region.quantiles(_octaves(channel)[0], share)


def extend_edges(picture: FloatArray, known: BoolArray, allowed: BoolArray) -> FloatArray:
    """The composite with lines and gradients continued across the edge where they agree with the repaint.

    In the first OVER px inside ``allowed``, the surroundings are reflected at the nearest edge pixel (2 e -
    x, so that a slope continues as a slope) and blended with the repaint, less where the blurred colours of
    the two differ. The old pixels under the repaint are not read.

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
    weight = known.astype(np.float32)
    total = np.maximum(_blurred(weight, _FINE), _LEAST)
    blurred = np.asarray(_blurred(picture * weight[..., None], _FINE) / total[..., None], np.float32)
    soft, fine = (_reflected(each, known, labels, band) for each in (blurred, picture - blurred))
    reflected[band] = np.clip(soft + np.clip(fine, -STREAK, STREAK), 0, 255)
    apart = np.square(_blurred(picture - reflected, _ALIKE)).mean(-1)
    nearness = np.clip(1 - (away - 0.5) / np.float32(OVER), 0, 1)
    share = smoothstep(nearness) * np.exp(-apart / np.float32(AGREE**2)) * band
    return np.asarray(picture + (reflected - picture) * share[..., None], np.float32)


def _reflected(picture: FloatArray, known: BoolArray, labels: NDArray[Any], band: BoolArray) -> FloatArray:
    """(N, 3): for each pixel of the band twice the nearest known pixel minus the one as far behind that."""
    rows, columns = np.nonzero(known)
    number = np.zeros(int(labels.max()) + 1, np.intp)
    number[labels[known]] = np.arange(len(rows))
    nearest = number[labels[band]]
    edge = rows[nearest], columns[nearest]
    behind = [
        np.clip(2 * at - own, 0, length - 1)
        for at, own, length in zip(edge, np.nonzero(band), known.shape, strict=True)
    ]
    is_known = known[behind[0], behind[1]][:, None]
    slope = np.where(is_known, picture[edge] - picture[behind[0], behind[1]], 0)
    return np.asarray(picture[edge] + slope, np.float32)


def grain_levels(windows: Sequence[tuple[FloatArray, BoolArray, BoolArray]]) -> Levels | None:
    """The energy that composites lack in several windows, for ``make_grain``.

    Each window is a picture, what is known of it and where it was drawn, as for ``add_grain``.

    None where there is too little to measure.
    """
    levels = _pooled([_grain_values(*window) for window in windows], FLOOR_SHARE)
    if levels is None:
        return None
    return np.stack([_lack(around, inside) for inside, around in zip(*levels, strict=True)])


def add_grain(picture: FloatArray, known: BoolArray, allowed: BoolArray, noise: FloatArray) -> FloatArray:
    """The composite with as much grain inside ``allowed`` as around it.

    The energy that the smoothest FLOOR_SHARE of the inside lacks against that of the surroundings is added,
    octave by octave; less near black and white, where grain is clipped. A picture without grain is returned
    unchanged.

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
    here, beside = _Region.of(inside), _Region.of(around)
    lacking = np.stack([_lacking(channel, beside, here) for channel in _opponent(picture)])
    grain = _grain_of(noise, lacking, here)
    return picture if grain is None else lay_grain(picture, allowed, grain)


def make_grain(noise: FloatArray, lacking: Levels) -> FloatArray | None:
    """Grain with the energies of ``grain_levels``, float32 (H, W, 3), from standard normal noise of that
    shape; None where it would be less than LEAST_GRAIN."""
    return _grain_of(noise, lacking, _Region.of(np.ones(noise.shape[:2], bool)))


def lay_grain(picture: FloatArray, allowed: BoolArray, grain: FloatArray) -> FloatArray:
    """A picture (H, W, 3), 0 to 255, with grain where it is allowed; less near black and white."""
    room = np.minimum(picture, 255 - picture) / np.float32(_TAPER)
    added = grain * np.clip(_blurred(room, 1.0), 0, 1)
    return np.where(allowed[..., None], picture + added, picture)


def _grain_of(noise: FloatArray, lacking: Levels, region: _Region) -> FloatArray | None:
    """The noise is measured in ``region``."""
    if np.sum(lacking) < LEAST_GRAIN**2:
        return None
    whites = [_decorrelated(_octaves(white)[0]) for white in _opponent(noise)]
    # The three channels of white noise have the same energies, so that one is measured for all.
    measured = np.stack([region.quantiles(_octaves(each)[0], FLOOR_SHARE) for each in whites[0]], axis=1)
    amounts = (np.sqrt(_solved(measured, each)) for each in lacking)
    return _colours([np.tensordot(some, white, 1) for some, white in zip(amounts, whites, strict=True)])


def _lacking(channel: FloatArray, around: _Region, inside: _Region) -> NDArray[np.float64]:
    """The energy that each octave inside lacks against the grain around."""
    octaves = _octaves(channel)[0]
    return _lack(around.quantiles(octaves, FLOOR_SHARE), inside.quantiles(octaves, FLOOR_SHARE))


def _lack(around: NDArray[np.float64], inside: NDArray[np.float64]) -> NDArray[np.float64]:
    grain = np.minimum(around, MOST_GRAIN**2)
    for k, most in enumerate(COARSER):
        grain[k + 1] = min(grain[k + 1], most**2 * grain[k])
    return np.maximum(grain - inside, 0)


_Values = list[tuple[list[FloatArray], list[FloatArray]]]
"""For each channel the energies of its octaves, inside and around."""


def _noise_values(
    repaint: FloatArray, original: FloatArray, known: BoolArray, hidden: BoolArray
) -> _Values | None:
    inside, around = _within(hidden), _around(original, known & ~hidden, hidden, REACH)
    if around is None or not inside.any():
        return None
    measured, beside = _Region.of(hidden), _Region.of(around)
    return [
        (
            [_thinned(measured.energy(octave)[inside]) for octave in _octaves(new)[0]],
            [_thinned(beside.energy(octave)[around]) for octave in _octaves(old)[0]],
        )
        for new, old in zip(_opponent(repaint), _opponent(original), strict=True)
    ]


def _grain_values(picture: FloatArray, known: BoolArray, allowed: BoolArray) -> _Values | None:
    inside, around = _within(allowed), _around(picture, known & ~allowed, allowed, np.inf)
    if around is None or not inside.any():
        return None
    here, beside = _Region.of(inside), _Region.of(around)
    found = []
    for channel in _opponent(picture):
        octaves = _octaves(channel)[0]
        found.append(
            (
                [_thinned(here.energy(each)[inside]) for each in octaves],
                [_thinned(beside.energy(each)[around]) for each in octaves],
            )
        )
    return found


def _thinned(values: FloatArray) -> FloatArray:
    return values[:: 1 + len(values) // _OF_A_WINDOW].copy()


def _pooled(measured: Sequence[_Values | None], share: float) -> tuple[Levels, Levels] | None:
    """The energies that ``share`` of the pixels of all windows does not exceed, inside and around."""
    windows = [each for each in measured if each is not None]
    if not windows:
        return None
    pooled = []
    for place in (0, 1):
        values = [
            [np.concatenate([window[channel][place][k] for window in windows]) for k in range(len(RADII))]
            for channel in range(3)
        ]
        pooled.append(np.array([[_quantile_of(each, share) for each in octaves] for octaves in values]))
    return pooled[0], pooled[1]


def _opponent(picture: FloatArray) -> list[FloatArray]:
    """Luma and two kinds of chroma, (H, W) each, on one scale."""
    return [np.ascontiguousarray(picture @ weights) for weights in _LUMA_CHROMA]


def _colours(channels: list[FloatArray]) -> FloatArray:
    """The inverse of ``_opponent``."""
    return np.asarray(np.stack(channels, axis=-1) @ _LUMA_CHROMA, np.float32)


def _octaves(channel: FloatArray) -> tuple[list[FloatArray], FloatArray]:
    """Differences of blurs, from fine to coarse, and the rest; their sum is the channel."""
    found, before = [], channel
    for radius in RADII:
        blurred = _blurred(channel, radius)
        found.append(before - blurred)
        before = blurred
    return found, before


def _decorrelated(octaves: list[FloatArray]) -> NDArray[np.float32]:
    """The octaves of one noise, shifted against each other so that their energies add up: (3, H, W)."""
    height, width = octaves[0].shape
    return np.stack(
        [np.roll(each, (k * height // 3, k * width // 3), (0, 1)) for k, each in enumerate(octaves)]
    )


@dataclass(frozen=True, eq=False)
class _Region:
    """Pixels whose energies are measured; ``share`` is the share of them in the square around each pixel."""

    pixels: BoolArray
    weight: FloatArray
    share: FloatArray

    @classmethod
    def of(cls, pixels: BoolArray) -> _Region:
        weight = pixels.astype(np.float32)
        return cls(pixels, weight, np.maximum(_local_mean(weight), np.float32(_LEAST)))

    def energy(self, octave: FloatArray) -> FloatArray:
        """The mean energy around each pixel, (H, W)."""
        return np.asarray(_local_mean(octave * octave * self.weight) / self.share, np.float32)

    def quantiles(self, octaves: list[FloatArray], share: float) -> NDArray[np.float64]:
        """The energy of each octave that the smoothest ``share`` of the pixels does not exceed."""
        return np.array([_quantile(self.energy(each), self.pixels, share) for each in octaves])


def _quantile(energy: NDArray[Any], where: BoolArray, share: float) -> float:
    return _quantile_of(energy[where], share)


def _quantile_of(values: NDArray[Any], share: float) -> float:
    return float(np.quantile(values[:: -(-len(values) // _SAMPLES)], share))


def _solved(measured: NDArray[np.float64], lacking: NDArray[np.float64]) -> NDArray[np.float64]:
    """The x >= 0 with ``measured @ x`` closest to ``lacking`` (coordinate descent): octaves overlap."""
    amounts = np.zeros(len(lacking))
    for _ in range(50):
        for k, column in enumerate(measured.T):
            rest = lacking - measured @ amounts + column * amounts[k]
            amounts[k] = max(0.0, float(column @ rest) / max(float(column @ column), _LEAST))
    return amounts


def _within(area: BoolArray) -> BoolArray:
    """The area without its edge, or all of it where it is thin."""
    deep = np.asarray(distance_inside(area) > _EDGE) if not area.all() else area
    return deep if deep.sum() >= _ENOUGH else area


def _around(picture: FloatArray, known: BoolArray, area: BoolArray, reach: float) -> BoolArray | None:
    """Known pixels within reach of the area but not at its edge, nor black or white; None if too few."""
    if area.all():
        return None
    away = distance_inside(~area)
    lit = ((picture > _CLIPPED) & (picture < 255 - _CLIPPED)).all(-1)
    found = np.asarray(known & lit & (away > _EDGE) & (away <= reach))
    return found if found.sum() >= _ENOUGH else None


def _blurred(picture: NDArray[Any], radius: float) -> FloatArray:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), radius), np.float32)


def _local_mean(values: FloatArray) -> FloatArray:
    """The mean of the square around each pixel; at least 0, since OpenCV's running sums are rounded."""
    return np.asarray(np.maximum(cv2.blur(values, (_WINDOW, _WINDOW)), 0), np.float32)

"""Distances between two sets of features: kernel (KID) and Frechet (FID), each with a bootstrap interval.

Any features will do; with the verifier's (`Verifier.features`) they measure pictures of the toybox world.
Everything is computed in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError

Features = NDArray[np.floating]


@dataclass(frozen=True)
class Distance:
    """A distance and the interval that holds `confidence` of its bootstrap distribution."""

    value: float
    low: float
    high: float
    confidence: float


def kernel_distance(
    x: Features, y: Features, *, resamples: int = 200, confidence: float = 0.95, seed: int = 0
) -> Distance:
    """Kernel distance of features (N, D) and (M, D): the unbiased estimate of the squared maximum mean
    discrepancy with the kernel (a . b / D + 1)^3 (Binkowski et al. 2018, arXiv 1801.01401, section 4.1).

    It is 0 on average where both sets come from one distribution, so it may be negative. The interval is
    that of the bootstrap over both sets; a picture drawn twice is never compared with itself.

    Raises:
        InputError: fewer than two rows, unequal widths, values that are not finite, or `resamples` or
            `confidence` out of range.
    """
    x, y = _checked(x, y, resamples, confidence)
    within_x, within_y, between = ((a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))

    def measure(p: NDArray[np.int64], q: NDArray[np.int64]) -> float:
        """Of the rows counted p and q times."""
        across = 2 * (p @ between @ q) / (p.sum() * q.sum())
        return float(_mean_pair(within_x, p) + _mean_pair(within_y, q) - across)

    def resampled(rng: np.random.Generator) -> float:
        return measure(_draws(rng, len(x)), _draws(rng, len(y)))

    value = measure(np.ones(len(x), np.int64), np.ones(len(y), np.int64))
    return _with_interval(value, resampled, resamples, confidence, seed)


def frechet_distance(
    x: Features, y: Features, *, resamples: int = 50, confidence: float = 0.95, seed: int = 0
) -> Distance:
    """Frechet distance of Gaussians fitted to features (N, D) and (M, D): |m1 - m2|^2 +
    tr(S1 + S2 - 2 (S1 S2)^(1/2)) (Heusel et al. 2017, arXiv 1706.08500, equation 6).

    It is biased upwards, the more the smaller the sets (Binkowski et al. 2018, section 4): compare sets of
    one size only. The bias that resampling adds is subtracted from the interval, which shows the spread of
    the value and not its bias. Raises InputError as `kernel_distance`.
    """
    x, y = _checked(x, y, resamples, confidence)

    def resampled(rng: np.random.Generator) -> float:
        a, b = (rows[rng.integers(len(rows), size=len(rows))] for rows in (x, y))
        return gaussian_distance(*_moments(a), *_moments(b))

    value = gaussian_distance(*_moments(x), *_moments(y))
    return _with_interval(value, resampled, resamples, confidence, seed, centred=True)


def gaussian_distance(
    mean_a: NDArray[np.float64],
    covariance_a: NDArray[np.float64],
    mean_b: NDArray[np.float64],
    covariance_b: NDArray[np.float64],
) -> float:
    """The squared Frechet distance of two Gaussians in D dimensions (Dowson and Landau 1982)."""
    # tr (A B)^(1/2) is the sum of the square roots of the eigenvalues of A^(1/2) B A^(1/2), which is
    # symmetric: no complex numbers, and singular covariances are no special case.
    values, vectors = np.linalg.eigh(covariance_a)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    cross = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    apart = mean_a - mean_b
    return max(0.0, float(apart @ apart + np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross))


def _checked(
    x: Features, y: Features, resamples: int, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or x.shape[1] < 1:
        raise InputError(f"Features are (count, width) of one width, not {x.shape} and {y.shape}.")
    if min(len(x), len(y)) < 2:
        raise InputError("A distance needs two or more pictures on each side.")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError("Features must be finite numbers.")
    if resamples < 2 or not 0 < confidence < 1:
        raise InputError("A bootstrap takes two or more resamples and a confidence between 0 and 1.")
    return x.astype(np.float64), y.astype(np.float64)


def _mean_pair(kernel: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """The kernel's mean over pairs of different rows, each row counted this many times."""
    total = counts @ kernel @ counts - (counts**2 * np.diagonal(kernel)).sum()
    return float(total / (counts.sum() ** 2 - (counts**2).sum()))


def _draws(rng: np.random.Generator, count: int) -> NDArray[np.int64]:
    """How often each of `count` rows is drawn in `count` draws, two different rows at the least."""
    while True:
        drawn = rng.multinomial(count, np.full(count, 1 / count))
        if np.count_nonzero(drawn) > 1:
            return drawn


def _moments(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return rows.mean(0), np.atleast_2d(np.cov(rows, rowvar=False))


def _with_interval(
    value: float,
    resampled: Callable[[np.random.Generator], float],
    resamples: int,
    confidence: float,
    seed: int,
    centred: bool = False,
) -> Distance:
    rng = np.random.default_rng(seed)
    values = np.array([resampled(rng) for _ in range(resamples)])
    if centred:
        values = np.maximum(0.0, values - values.mean() + value)
    low, high = np.quantile(values, ((1 - confidence) / 2, (1 + confidence) / 2))
    return Distance(value, float(low), float(high), confidence)

"""Distances against closed forms: Gaussians, one distribution, a kernel worked out by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.distances import Distance, frechet_distance, gaussian_distance, kernel_distance

Measure = Callable[..., Distance]


def normal(seed: int, count: int, width: int = 4, mean: float = 0.0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(mean, 1.0, (count, width))


def test_frechet_of_two_gaussians_is_the_closed_form() -> None:
    """With diagonal covariances: the sum of (m1 - m2)^2 + (s1 - s2)^2."""
    a, b = np.array([1.0, 4.0, 9.0]), np.array([4.0, 1.0, 0.0])
    found = gaussian_distance(np.array([1.0, 2.0, 3.0]), np.diag(a), np.array([0.0, 2.0, 5.0]), np.diag(b))
    assert found == pytest.approx(1 + 0 + 4 + 1 + 1 + 9)


def test_frechet_of_covariances_that_do_not_commute() -> None:
    """In two dimensions tr (A B)^(1/2) = sqrt(tr AB + 2 sqrt(det AB))."""
    a, b = np.array([[2.0, 0.9], [0.9, 1.0]]), np.array([[1.0, -0.7], [-0.7, 3.0]])
    product = a @ b
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(a) + np.trace(b) - 2 * cross
    assert gaussian_distance(np.zeros(2), a, np.zeros(2), b) == pytest.approx(expected)
    assert gaussian_distance(np.zeros(2), b, np.zeros(2), a) == pytest.approx(expected)


def test_frechet_agrees_with_scipys_matrix_root_on_samples() -> None:
    from scipy.linalg import sqrtm

    x, y = normal(0, 60) @ np.diag([1.0, 2.0, 0.5, 1.0]), normal(1, 80, mean=0.3)
    a, b = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(a + b - 2 * sqrtm(a @ b).real)
    assert frechet_distance(x, y).value == pytest.approx(expected)


def test_frechet_of_a_set_with_itself_is_zero_even_where_features_are_fewer_than_their_width() -> None:
    x = normal(0, 5, width=12)
    assert frechet_distance(x, x).value == pytest.approx(0, abs=1e-6)


def test_frechet_nears_the_distance_of_the_distributions() -> None:
    found = frechet_distance(normal(0, 20_000), normal(1, 20_000, mean=0.5), resamples=20)
    assert found.value == pytest.approx(4 * 0.25, abs=0.05)
    assert found.low < found.value < found.high < 1.2


def test_kernel_distance_is_the_sum_over_pairs() -> None:
    x, y = normal(0, 5), normal(1, 7, mean=0.4)

    def k(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        return float((a @ b / 4 + 1) ** 3)

    within = [np.mean([k(a, b) for a, b in itertools.permutations(rows, 2)]) for rows in (x, y)]
    between = np.mean([k(a, b) for a, b in itertools.product(x, y)])
    assert kernel_distance(x, y).value == pytest.approx(sum(within) - 2 * between)


def test_kernel_distance_of_one_distribution_is_zero_on_average() -> None:
    values = [
        kernel_distance(normal(2 * k, 30), normal(2 * k + 1, 20), resamples=2).value for k in range(200)
    ]
    error = np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * error


def test_kernel_distance_in_one_dimension_is_the_closed_form() -> None:
    """The kernel compares moments up to the third: here only the means differ, by m.

    (ab + 1)^3 = 1 + 3ab + 3a^2b^2 + a^3b^3, so the squared distance is 3 d1^2 + 3 d2^2 + d3^2 with the
    differences of moments d1 = m, d2 = m^2, d3 = m^3 + 3m.
    """
    m = 0.5
    expected = 3 * m**2 + 3 * m**4 + (m**3 + 3 * m) ** 2
    found = kernel_distance(normal(0, 4000, 1), normal(1, 4000, 1, mean=m), resamples=20)
    assert found.value == pytest.approx(expected, rel=0.15)
    assert found.low < expected < found.high


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
def test_distances_are_symmetric_and_grow(distance: Measure) -> None:
    x, near, far = normal(0, 200), normal(1, 200, mean=0.3), normal(2, 200, mean=1.0)
    assert distance(x, near).value == pytest.approx(distance(near, x).value)
    assert distance(x, normal(3, 200)).value < distance(x, near).value < distance(x, far).value


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
def test_the_interval_is_seeded_and_shrinks_with_more_pictures(distance: Measure) -> None:
    few, many = ((normal(0, n), normal(1, n, mean=0.5)) for n in (50, 1500))
    a, b = distance(*few), distance(*many)
    assert distance(*few) == a
    assert distance(*few, seed=1).low != a.low
    assert a.low < a.value < a.high
    assert b.high - b.low < 0.5 * (a.high - a.low)
    narrow = distance(*few, confidence=0.5)
    assert a.low < narrow.low < narrow.high < a.high


def test_the_kernel_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    m = 0.5
    expected = 3 * m**2 + 3 * m**4 + (m**3 + 3 * m) ** 2
    held = 0
    for k in range(60):
        found = kernel_distance(
            normal(2 * k, 150, 1), normal(2 * k + 1, 150, 1, mean=m), resamples=60, confidence=0.9, seed=k
        )
        held += found.low < expected < found.high
    assert 45 <= held <= 60


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
def test_float32_features_are_computed_in_float64(distance: Measure) -> None:
    x, y = (1000 + normal(k, 100).astype(np.float32) for k in range(2))
    assert distance(x, y).value == distance(x.astype(np.float64), y.astype(np.float64)).value


@pytest.mark.parametrize("distance", [kernel_distance, frechet_distance])
@pytest.mark.parametrize(
    ("x", "y", "options"),
    [
        (normal(0, 5), normal(0, 5, width=3), {}),
        (normal(0, 5)[0], normal(0, 5), {}),
        (normal(0, 1), normal(0, 5), {}),
        (normal(0, 5) * np.nan, normal(0, 5), {}),
        (normal(0, 5), normal(0, 5), {"confidence": 1.0}),
        (normal(0, 5), normal(0, 5), {"resamples": 1}),
    ],
)
def test_bad_input(
    distance: Measure, x: NDArray[np.float64], y: NDArray[np.float64], options: dict[str, Any]
) -> None:
    with pytest.raises(InputError):
        distance(x, y, **options)


def test_two_pictures_are_enough_for_an_interval() -> None:
    found = kernel_distance(normal(0, 2), normal(1, 2))
    assert np.isfinite([found.value, found.low, found.high]).all()

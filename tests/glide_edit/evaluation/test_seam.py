"""The seam's measure: blind to what is the same, seeing what is not, with the published regression."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.seam import FEATURES, RING, fit_logistic, ring_features, seam_accuracy

Image = NDArray[np.uint8]


def textured(seed: int, size: int = 96) -> Image:
    """Smooth colours with some detail and a little grain, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 200, (6, 6, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    detail = cv2.GaussianBlur(rng.normal(0, 30, (size, size, 3)), (0, 0), 1.0)
    return np.clip(smooth + detail + rng.normal(0, 2, detail.shape), 0, 255).astype(np.uint8)


def disc(size: int = 96) -> NDArray[np.bool_]:
    plane = np.zeros((size, size), np.uint8)
    cv2.circle(plane, (size // 2, size // 2), size // 4, 1, -1)
    return plane.astype(bool)


def feature(picture: Image, name: str) -> float:
    return float(ring_features(picture, disc())[FEATURES.index(name)])


def changed_inside(picture: Image, inside: NDArray[np.floating]) -> Image:
    return np.where(disc()[..., None], np.clip(inside, 0, 255), picture).astype(np.uint8)


def test_each_feature_sees_its_own_fault() -> None:
    picture = textured(0)
    brighter = changed_inside(picture, picture + 25.0)
    for name in ("jump", "bend", "colour"):
        assert feature(brighter, name) > feature(picture, name) + 0.5
    assert feature(brighter, "brightness") == pytest.approx(
        feature(picture, "brightness") + 25 / 255, abs=1e-3
    )
    grainy = changed_inside(picture, picture + np.random.default_rng(1).normal(0, 12, picture.shape))
    assert feature(grainy, "noise") > feature(picture, "noise") + 1
    soft = changed_inside(picture, cv2.GaussianBlur(picture, (0, 0), 3).astype(float))
    assert feature(soft, "noise") < feature(picture, "noise") - 0.5
    assert feature(soft, "sharpness") < feature(picture, "sharpness") - 0.5
    assert feature(soft, "sharpness either way") == -feature(soft, "sharpness") > 0.5


def test_nothing_further_away_than_the_ring_counts() -> None:
    picture, selected = textured(0), disc()
    far = cv2.distanceTransform(selected.astype(np.uint8), cv2.DIST_L2, 5) > RING + 3
    assert far.any()
    other = np.where(far[..., None], 0, picture).astype(np.uint8)
    assert ring_features(other, selected) == pytest.approx(ring_features(picture, selected))


def test_the_pictures_own_border_is_no_boundary() -> None:
    picture = textured(0)
    half = np.zeros((96, 96), bool)
    half[:, :48] = True
    changed = picture.copy()
    changed[:, :10] = 0  # further than the ring from the boundary, but at the border
    assert ring_features(changed, half) == pytest.approx(ring_features(picture, half))


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24).flatmap(
        lambda high: st.integers(2, 24).flatmap(
            lambda wide: st.tuples(
                arrays.arrays(np.uint8, (high, wide, 3)), arrays.arrays(np.bool_, (high, wide))
            )
        )
    )
)
def test_any_selection_has_finite_features_or_no_boundary(both: tuple[Image, NDArray[np.bool_]]) -> None:
    picture, selected = both
    if selected.all() or not selected.any():
        with pytest.raises(InputError, match="no boundary"):
            ring_features(picture, selected)
    else:
        values = ring_features(picture, selected)
        assert values.shape == (len(FEATURES),)
        assert np.isfinite(values).all()


def test_a_selection_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="does not fit"):
        ring_features(textured(0), np.ones((4, 4), bool))


def test_the_regression_is_the_one_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    rng = np.random.default_rng(0)
    edited = rng.random(200) < 0.4
    features = rng.normal(0, (1.0, 5.0, 0.2), (200, 3)) + edited[:, None] * (0.8, -2.0, 0.0)
    mine = fit_logistic(features, edited)
    scaled = (features - features.mean(0)) / features.std(0)
    theirs = LogisticRegression(C=1.0, tol=1e-10).fit(scaled, edited)
    assert mine.weights == pytest.approx(theirs.coef_[0], abs=1e-5)
    assert mine.bias == pytest.approx(float(theirs.intercept_[0]), abs=1e-5)
    assert (mine.says_edited(features) == theirs.predict(scaled)).all()


def test_separable_rings_do_not_break_the_regression() -> None:
    features = np.linspace(-1, 1, 20)[:, None]
    model = fit_logistic(features, features[:, 0] > 0)
    assert np.isfinite(model.weights).all()
    assert (model.says_edited(features) == (features[:, 0] > 0)).all()


def test_the_same_rings_cannot_be_told_apart() -> None:
    rings = np.random.default_rng(0).normal(0, 1, (60, 4))
    assert seam_accuracy(rings, rings, 40)[0] == 0.5


def test_other_rings_of_the_same_kind_are_guessed_at() -> None:
    rng = np.random.default_rng(0)
    accuracy, _ = seam_accuracy(rng.normal(0, 1, (768, 9)), rng.normal(0, 1, (768, 9)), 512)
    assert accuracy == pytest.approx(0.5, abs=3 * 0.5 / np.sqrt(512))


def test_accuracy_of_shifted_gaussians_is_the_closed_form() -> None:
    """Means two standard deviations apart: the best rule is right with probability Phi(1) = 0.8413."""
    rng = np.random.default_rng(0)
    accuracy, model = seam_accuracy(rng.normal(0, 1, (3000, 2)), rng.normal((2, 0), 1, (3000, 2)), 2000)
    assert accuracy == pytest.approx(0.8413, abs=0.025)
    assert model.weights[0] > 10 * abs(model.weights[1])


@pytest.mark.parametrize("fitted", [0, 5])
def test_rings_that_cannot_be_split_are_refused(fitted: int) -> None:
    with pytest.raises(InputError, match="cannot be split"):
        seam_accuracy(np.zeros((5, 2)), np.zeros((5, 2)), fitted)


def test_a_regression_needs_both_kinds() -> None:
    with pytest.raises(InputError, match="real and edited"):
        fit_logistic(np.zeros((4, 2)), np.ones(4, bool))

"""How well an edit's boundary can be told from that in an untouched picture, and how sharp the edit is.

A logistic regression gets features of rings along the boundary of a selection, in real and in edited
pictures. Its accuracy on rings it was not fitted to is the measure; 0.5 means that it cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from glide_edit.errors import InputError

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Levels = NDArray[np.float32]  # of pictures, 0 ... 1

FEATURES = (
    "jump",
    "bend",
    "noise",
    "noise either way",
    "sharpness",
    "sharpness either way",
    "colour",
    "brightness",
    "spread",
)
"""Of a ring; ``ring_features`` explains them."""

RING = 6
"""px: how far the rings reach inwards and outwards."""

SURROUNDINGS = 24
"""px: how far the ring reaches outwards whose sharpness an edit is compared with."""

_LEAST = 1e-3  # added to every value before it is compared: a quarter of a level of 255
_AWAY = 3  # px on both sides of the boundary left out of the sharpness, in which a seam would count
_TRIMMED = 0.1  # of the gradients' energies, the largest, are left out: outlines
_L2 = 1.0


@dataclass(frozen=True, eq=False)
class Logistic:
    """A fitted regression of centred and scaled features."""

    mean: Floats
    scale: Floats
    weights: Floats
    bias: float

    def says_edited(self, features: Floats) -> Floats:
        """(N, F) -> (N,): 1 for edited, 0 for real, a half where it cannot say."""
        logits = (features - self.mean) / self.scale @ self.weights + self.bias
        answers: Floats = np.where(np.abs(logits) < 1e-9, 0.5, logits > 0)
        return answers


def ring_features(picture: NDArray[np.uint8], selected: BoolArray) -> Floats:
    """The FEATURES of the boundary of ``selected``, bool (H, W), in a picture, uint8 (H, W, 3).

    All but "brightness" are logarithms; the inner and the outer ring are RING pixels wide.

    - jump: how much neighbours differ across the boundary, over how much they do within both rings.
    - bend: the same for second differences, which see a line that does not go on.
    - noise: what a median over 3 x 3 takes away, inside over outside; "either way": its absolute value.
    - sharpness: the length of the gradient, inside over outside; "either way" likewise.
    - colour: how far the mean colours within 4 px are apart on both sides, along the boundary.
    - brightness: the mean brightness inside less that outside.
    - spread: the standard deviation of colours, inside over outside.
    Raises InputError for a selection without a boundary in the picture, or of another size.
    """
    _check(picture, selected, "boundary to look at")
    image = np.asarray(picture / np.float32(255), np.float32)
    inside, outside = _ring(selected), _ring(~selected)
    jump, bend = (_across(image, selected, inside | outside, order) for order in (1, 2))
    noise = _log_ratio(np.abs(image - cv2.medianBlur(image, 3)).mean(-1), inside, outside)
    sharpness = _log_ratio(np.hypot(*_gradients(image)).mean(-1), inside, outside)
    brightness = float(image[inside].mean() - image[outside].mean())
    spread = _log_of_ratio(float(image[inside].std()), float(image[outside].std()))
    values = (jump, bend, noise, abs(noise), sharpness, abs(sharpness))
    return np.array([*values, _colour_step(image, selected), brightness, spread], np.float64)


def sharpness_ratio(picture: NDArray[np.uint8], selected: BoolArray) -> float:
    """The sharpness of a picture, uint8 (H, W, 3), within ``selected``, bool (H, W), over that of a ring
    around it: 1 is as sharp as the surroundings, 0 is flat.

    Sharpness is the root of the mean energy of the gradient (Scharr, all channels), without the largest
    tenth of the energies. Raises InputError for a selection of another size, of nothing, or of everything.
    """
    _check(picture, selected, "surroundings to compare with")
    areas = (~selected, selected)
    outwards, inwards = (cv2.distanceTransform(each.astype(np.uint8), cv2.DIST_L2, 5) for each in areas)
    inside, outside = inwards > _AWAY, (outwards > _AWAY) & (outwards <= SURROUNDINGS)
    image = np.asarray(picture / np.float32(255), np.float32)
    energy = (_gradients(image) ** 2).sum(0).mean(-1)
    own = _sharpness(energy[inside if inside.any() else selected])
    return own / _sharpness(energy[outside if outside.any() else ~selected])


def _sharpness(energies: Levels) -> float:
    kept = np.sort(energies)[: max(1, round((1 - _TRIMMED) * len(energies)))]
    return float(np.sqrt(kept.mean())) + _LEAST


def _check(picture: NDArray[np.uint8], selected: BoolArray, needs: str) -> None:
    """Raises InputError for a selection of another size, of nothing or of everything."""
    if selected.shape != picture.shape[:2]:
        raise InputError(f"A selection {selected.shape} does not fit a picture {picture.shape[:2]}.")
    if selected.all() or not selected.any():
        raise InputError(f"A selection of nothing or of everything has no {needs}.")


def fit_logistic(features: Floats, edited: BoolArray) -> Logistic:
    """The regression of ``edited`` (N,) on (N, F), with a penalty of half the weights' square, by Newton's
    method (Hastie, Tibshirani and Friedman, section 4.4.1); the bias is free. Raises InputError without both
    kinds, or for features that are not finite."""
    if edited.all() or not edited.any() or not np.isfinite(features).all():
        raise InputError("A regression needs real and edited rings, with features that are finite.")
    mean, scale = features.mean(0), np.maximum(features.std(0), 1e-9)
    x = np.column_stack([(features - mean) / scale, np.ones(len(features))])
    penalty = np.append(np.full(x.shape[1] - 1, _L2), 0.0)
    weights = np.zeros(x.shape[1])
    for _ in range(50):
        share = 1 / (1 + np.exp(-np.clip(x @ weights, -30, 30)))
        slope = x.T @ (share - edited) + penalty * weights
        curve = (x * (share * (1 - share))[:, None]).T @ x + np.diag(penalty + 1e-9)
        step = np.linalg.solve(curve, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return Logistic(mean, scale, weights[:-1], float(weights[-1]))


def seam_accuracy(real: Floats, edited: Floats, fitted: int) -> tuple[float, Logistic]:
    """Fit to the first ``fitted`` rings of each kind, (N, F) both: the accuracy on the others, where an
    undecided answer counts half, and the regression. Raises InputError for unequal shapes, or without rings
    to fit to or to score on."""
    if real.shape != edited.shape or not 0 < fitted < len(real):
        raise InputError(f"{len(real)} real and {len(edited)} edited rings cannot be split at {fitted}.")
    both = np.concatenate([real[:fitted], edited[:fitted]])
    model = fit_logistic(both, np.arange(2 * fitted) >= fitted)
    right = (1 - model.says_edited(real[fitted:])).sum() + model.says_edited(edited[fitted:]).sum()
    return float(right) / (2 * (len(real) - fitted)), model


def _ring(area: BoolArray) -> BoolArray:
    """The pixels of the area within RING of its outside."""
    padded = np.pad(area, 1, mode="edge").astype(np.uint8)  # the picture's border is not a boundary
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return np.asarray(area & (depth <= RING), np.bool_)


def _across(image: Levels, selected: BoolArray, near: BoolArray, order: int) -> float:
    """The logarithm of the mean difference of this order across the boundary over that beside it."""
    across, beside = ([np.empty(0, np.float32)] for _ in range(2))
    for axis in [axis for axis in (0, 1) if image.shape[axis] > order]:
        sizes = np.abs(np.diff(image, order, axis)).mean(-1)
        parts = sliding_window_view(selected, order + 1, axis)
        crosses = parts.any(-1) & ~parts.all(-1)
        across.append(sizes[crosses])
        beside.append(sizes[sliding_window_view(near, order + 1, axis).all(-1) & ~crosses])
    over, past = (np.concatenate(each) for each in (across, beside))
    return _log_of_ratio(*(float(each.mean()) if each.size else 0.0 for each in (over, past)))


def _gradients(image: Levels) -> Levels:
    """The channels' derivatives across and down, (2, H, W, 3), levels a pixel, by Scharr's filter."""
    return np.stack([cv2.Scharr(image, cv2.CV_32F, *d) / 32 for d in ((1, 0), (0, 1))])


def _log_ratio(values: Levels, inside: BoolArray, outside: BoolArray) -> float:
    """Of the means inside and outside, without the 2 px next to the other side, where the jump is."""
    near = np.ones((5, 5), np.uint8)
    means = []
    for own, other in ((inside, outside), (outside, inside)):
        away = own & (cv2.dilate(other.astype(np.uint8), near) == 0)
        means.append(float(values[away if away.any() else own].mean()))
    return _log_of_ratio(*means)


def _colour_step(image: Levels, selected: BoolArray) -> float:
    """The logarithm of the mean distance between the local colours of both sides, over the boundary."""
    means, weights = [], []
    for side in (selected, ~selected):
        share = cv2.blur(side.astype(np.float32), (9, 9))
        colours = cv2.blur(np.where(side[..., None], image, 0).astype(np.float32), (9, 9))
        means.append(colours / np.maximum(share, 1e-6)[..., None])
        weights.append(share)
    near = (weights[0] > 0.3) & (weights[1] > 0.3)
    near = near if near.any() else (weights[0] > 0) & (weights[1] > 0)
    return float(np.log(float(np.linalg.norm(means[0] - means[1], axis=-1)[near].mean()) + _LEAST))


def _log_of_ratio(a: float, b: float) -> float:
    return float(np.log((a + _LEAST) / (b + _LEAST)))

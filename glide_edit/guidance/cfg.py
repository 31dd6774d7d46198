"""CFGDenoiser: one denoiser out of a network and several branches of conditions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from glide_edit.conditioning import ConditionedNetwork, Conditioning, Prediction
from glide_edit.diffusion.schedule import Schedule, per_image, working_dtype
from glide_edit.errors import InputError

Branch = tuple[Conditioning, float]
"""What the network is told, and the weight of what it answers."""

ScoreFn = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(x_t, t, unclipped x0) -> the gradient of a log-probability with respect to x_t, shaped like x_t.

It is called with gradients off and turns them on where it needs them."""


Asked = tuple[str, bool]
"""A prompt, "" for nothing said, and whether the network is shown the known part of the picture."""


def cfg_weights(
    prompt: Mapping[str, float],
    negative: Mapping[str, float],
    guidance: float,
    context_guidance: float = 1.0,
) -> dict[Asked, float]:
    """The weights of classifier-free guidance: they sum to 1; the first is the prompt with the known picture.

    ``prompt`` and ``negative`` are prompts and their shares, which sum to 1 each (``Words.shares``). The sum
    is x0(negative, nothing known) + context_guidance * (x0(negative, known) - x0(negative, nothing known)) +
    guidance * (x0(prompt, known) - x0(negative, known)), as Brooks et al. 2022 (InstructPix2Pix, arXiv
    2211.09800, eq. 3) weigh a text and a picture. A context guidance of 1 is plain
    classifier-free guidance, negative + guidance * (prompt - negative) (Ho & Salimans 2022, eq. 6 with scale
    w + 1; GLIDE, eq. 3).
    """
    mixed: dict[Asked, float] = {}
    for words, share in prompt.items():
        mixed[words, True] = mixed.get((words, True), 0.0) + guidance * share
    for words, share in negative.items():
        mixed[words, True] = mixed.get((words, True), 0.0) + (context_guidance - guidance) * share
        if context_guidance != 1.0:
            mixed[words, False] = (1.0 - context_guidance) * share
    return mixed


class CFGDenoiser:
    """The Denoiser that samplers get: x0 is the weighted sum of the branches' unclipped x0, then transformed.

    A weighted sum of x0 is the same weighted sum of eps, since the weights sum to 1. Branches of weight 0 are
    not run, except branch 0, from which the learned variance comes.

    Args:
        network: predicts all branches in one call.
        branches: conditions and their weights; prepared once, here.
        interval: (low, high), the part of the noise axis on which all branches run (Kynkäänniemi et al.
            2024), as fractions t / (T-1): 0 is clean, 1 is noise, both ends included. Elsewhere branch 0 runs
            alone with weight 1. None: everywhere.
        x0_transform: makes of x0 the picture that samplers step towards; see ``X0Transform``.
        score: guidance by a gradient, given the unclipped x0 (CLIP guidance). DDPM takes it as it is; for
            solvers it is folded into the clean picture before the transform: x0 + (1 - alpha_bar) /
            sqrt(alpha_bar) * score (Dhariwal & Nichol 2021, eq. 14, for x0).
        score_mask: (B or 1, 1, H, W), multiplies the score: the repaint mask when inpainting.

    Raises:
        InputError: no branches, weights that do not sum to 1, or an interval not within 0 ... 1.
    """

    def __init__(
        self,
        network: ConditionedNetwork,
        branches: Sequence[Branch],
        interval: tuple[float, float] | None = None,
        x0_transform: Callable[[Tensor], Tensor] | None = None,
        score: ScoreFn | None = None,
        *,
        score_mask: Tensor | None = None,
    ) -> None:
        _check_branches(branches)
        if interval is not None and not 0.0 <= interval[0] <= interval[1] <= 1.0:
            raise InputError(f"The guidance interval must be 0 <= low <= high <= 1, not {interval}.")
        used = [branches[0], *(branch for branch in branches[1:] if branch[1] != 0.0)]
        self._network = network
        self._conditions = [network.prepare(conditioning) for conditioning, _ in used]
        self._weights = [weight for _, weight in used]
        self._interval = interval
        self._x0_transform = x0_transform if x0_transform is not None else _unchanged
        self._score = score
        self._score_mask = score_mask

    @property
    def schedule(self) -> Schedule:
        return self._network.schedule

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        """x_t (B, C, H, W) and t (B,) on the training index axis -> a Prediction."""
        x0, variance_fraction = self._mixed(x_t, t)
        if self._score is None:
            return Prediction(self._x0_transform(x0), variance_fraction)
        # A score made with the schedule's float64 numbers must not make a float64 run of it.
        score = self._score(x_t, t, x0).to(x0.dtype)
        if self._score_mask is not None:
            score = score * self._score_mask.to(x0.dtype)
        alpha_bar = self.schedule.alpha_bar(t)
        strength = per_image((1 - alpha_bar) / alpha_bar.sqrt(), x0).to(x0.dtype)
        return Prediction(
            self._x0_transform(x0), variance_fraction, score, self._x0_transform(x0 + strength * score)
        )

    def _mixed(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor | None]:
        """The weighted sum of the branches' x0, and branch 0's variance fraction."""
        inside = self._inside(t)
        # Outside the interval the other branches' answers are not wanted: do not pay for them.
        several = len(self._conditions) > 1 and (inside is None or bool(inside.any()))
        predictions = self._network.predict(x_t, t, self._conditions if several else self._conditions[:1])
        first = predictions[0]
        alone = first.x0.to(working_dtype(first.x0))
        if not several:
            return alone, first.variance_fraction
        mixed = torch.zeros_like(alone)
        for weight, prediction in zip(self._weights, predictions, strict=True):
            mixed = mixed + weight * prediction.x0.to(alone.dtype)
        if inside is not None:
            mixed = torch.where(per_image(inside, mixed), mixed, alone)
        return mixed, first.variance_fraction

    def _inside(self, t: Tensor) -> Tensor | None:
        """(B,) bool, whether each picture's time lies in the guidance interval; None without an interval."""
        if self._interval is None:
            return None
        low, high = self._interval
        fraction = t / max(1, self.schedule.num_timesteps - 1)
        return (fraction >= low) & (fraction <= high)


def _unchanged(x0: Tensor) -> Tensor:
    return x0


def _check_branches(branches: Sequence[Branch]) -> None:
    if not branches:
        raise InputError("Guidance needs at least one branch of conditions.")
    total = sum(weight for _, weight in branches)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise InputError(f"The weights of the guidance branches must sum to 1, not {total:g}.")

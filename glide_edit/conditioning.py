"""Conditions, predictions, and the two protocols between network, guidance and sampler.

Nothing here knows a model family. Shapes use B for the batch, C for channels, H and W for the picture of
the stage at hand, L for text tokens and D for the width of a text state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from glide_edit.diffusion.schedule import Schedule


@dataclass(frozen=True, eq=False)
class TextStates:
    """A batch of encoded prompts.

    ``states`` is (B, L, D); ``token_mask`` is (B, L) bool, True for a real token and False for padding.
    ``keys_values`` holds the keys and values of each of a network's attention layers (see
    ``ConditionedNetwork.prepare``): computed once per edit, not once per step.
    """

    states: Tensor
    token_mask: Tensor
    keys_values: tuple[Tensor, ...] | None = None


@dataclass(frozen=True, eq=False)
class Conditioning:
    """One branch of conditions. None means not given: the network fills in its own "nothing given".

    ``known`` is (B, C, H, W), pixels in [-1, 1] or what the stage's codec makes of them, zero wherever
    ``keep_mask`` is 0; ``keep_mask`` is (B, 1, H, W), 1 = keep, 0 = repaint; ``drawing`` is (B, 1, H, W), ink
    +1, paper -1, no drawing 0; all are of the size of x_t. ``low_res`` is (B, 3, h, w) in [-1, 1], the
    picture of the stage before; ``low_res_noise`` is (B,), how much Gaussian noise was mixed into ``low_res``
    (its standard deviation in a variance-preserving mix, 0 ... 1).
    """

    text: TextStates | None = None
    known: Tensor | None = None
    keep_mask: Tensor | None = None
    drawing: Tensor | None = None
    low_res: Tensor | None = None
    low_res_noise: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Prediction:
    """The network's prediction of the clean picture, given x_t.

    ``x0`` is (B, C, H, W). ``variance_fraction``, same shape and in [0, 1], is there only where the network
    learned it (Nichol & Dhariwal 2021, eq. 15: 0 is the posterior variance, 1 is beta). ``score`` is the
    gradient of a log-probability with respect to x_t, same shape, and ``shifted_x0`` is the clean picture
    that an ODE solver should use because of it; without a score both are None. The noise eps is never
    stored: it is a function of (x0, x_t, t), ``Schedule.eps``.
    """

    x0: Tensor
    variance_fraction: Tensor | None = None
    score: Tensor | None = None
    shifted_x0: Tensor | None = None

    @property
    def solver_x0(self) -> Tensor:
        """x0 with the score folded in, for solvers (DDIM, DPM-Solver) that take no mean shift."""
        return self.x0 if self.shifted_x0 is None else self.shifted_x0


class ConditionedNetwork(Protocol):
    """A network that predicts the clean picture under several branches of conditions at once."""

    @property
    def schedule(self) -> Schedule: ...

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        """Do once what does not change from step to step (text keys and values of each layer)."""
        ...

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        """One batched call, a prediction a branch: x_t (B, C, H, W), t (B,) on the training index axis."""
        ...


class Denoiser(Protocol):
    """What a sampler sees: x_t (B, C, H, W) and t (B,) float in 0 ... T-1 go in, a Prediction comes out."""

    @property
    def schedule(self) -> Schedule: ...

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction: ...

"""Every sampler against the truth, for data whose ideal denoiser is known: a Gaussian of full covariance.

Under that denoiser each sampler is an affine map of x_T and of the noise it is handed. The map is read off by
sending a basis through as a batch, so means and covariances are compared without drawing a single sample.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from glide_edit.conditioning import Denoiser, Prediction
from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.ddpm import ddpm
from glide_edit.diffusion.dpm_solver import dpm_solver
from glide_edit.diffusion.schedule import Schedule, per_image, solver_timesteps, timesteps
from glide_edit.diffusion.step import Sampler, Step

COSINE, LINEAR = Schedule.cosine(), Schedule.linear()
SIZE = 3
EYE = torch.eye(SIZE, dtype=torch.float64)
ROTATION = torch.linalg.qr(torch.tensor([[2.0, 1, 0], [1, 3, 1], [0, 1, -1]], dtype=torch.float64)).Q


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Pictures of SIZE pixels, (B, 1, 1, SIZE), distributed as N(mean, covariance)."""

    mean: Tensor
    covariance: Tensor

    def gain(self, alpha_bar: float) -> Tensor:
        """How E[x0 | x_t] grows with x_t."""
        marginal = alpha_bar * self.covariance + (1 - alpha_bar) * EYE
        return alpha_bar**0.5 * self.covariance @ torch.linalg.inv(marginal)

    def tilted(self, a: Tensor) -> "Gaussian":
        """The distribution under an added log-likelihood a . x0."""
        return Gaussian(self.mean + self.covariance @ a, self.covariance)

    def score_of_tilt(self, alpha_bar: float, a: Tensor) -> Tensor:
        """The gradient with respect to x_t of log E[exp(a . x0) | x_t]: the same for every x_t."""
        return self.gain(alpha_bar).T @ a

    def flow(self, start: float, end: float) -> tuple[Tensor, Tensor]:
        """The probability-flow ODE from alpha_bar start to end: x -> matrix x + offset, exactly.

        Along an eigenvector of variance l deviations from the mean go as sqrt(alpha_bar l + 1 - alpha_bar).
        """
        values, vectors = torch.linalg.eigh(self.covariance)
        growth = ((end * values + 1 - end) / (start * values + 1 - start)).sqrt()
        matrix = vectors @ torch.diag(growth) @ vectors.T
        return matrix, end**0.5 * self.mean - matrix @ (start**0.5 * self.mean)


DATA = Gaussian(
    torch.tensor([0.4, -0.7, 0.2], dtype=torch.float64),
    ROTATION @ torch.diag(torch.tensor([0.04, 0.5, 1.7], dtype=torch.float64)) @ ROTATION.T,
)


@dataclass(frozen=True, eq=False)
class Ideal:
    """The exact denoiser of a Gaussian; with a tilt, it reports the tilt's score as CLIP guidance would."""

    data: Gaussian
    schedule: Schedule = COSINE
    tilt: Tensor | None = None

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        alpha_bar = float(self.schedule.alpha_bar(t)[0])
        gain = self.data.gain(alpha_bar)
        x0 = self.data.mean + (x_t - alpha_bar**0.5 * self.data.mean) @ gain.T
        if self.tilt is None:
            return Prediction(x0)
        score = self.data.score_of_tilt(alpha_bar, self.tilt).expand_as(x0)
        return Prediction(x0, None, score, x0 + (1 - alpha_bar) / alpha_bar**0.5 * score)


@dataclass(frozen=True, eq=False)
class Affine:
    """x after a step, as offset + from_start x_T + from_noise (all noise drawn so far, side by side)."""

    offset: Tensor
    from_start: Tensor
    from_noise: Tensor

    def covariance(self, of_start: Tensor) -> Tensor:
        return self.from_start @ of_start @ self.from_start.T + self.from_noise @ self.from_noise.T


def as_affine(sampler: Sampler, denoiser: Denoiser, steps: Sequence[float], stop: int = -1) -> Affine:
    """The map of a whole run, or of the run up to Step number ``stop``."""
    width = 1 + SIZE + SIZE * len(steps)
    x_T = torch.zeros(width, 1, 1, SIZE, dtype=torch.float64)
    x_T[1 : 1 + SIZE, 0, 0] = EYE

    def noise(index: int) -> Tensor:
        drawn = torch.zeros_like(x_T)
        first = 1 + SIZE + SIZE * index
        drawn[first : first + SIZE, 0, 0] = EYE
        return drawn

    out = list(sampler(denoiser, x_T, steps, noise))[stop].x[:, 0, 0]
    columns = (out[1:] - out[0]).T
    return Affine(out[0], columns[:, :SIZE], columns[:, SIZE:])


def alpha_bar_at(schedule: Schedule, t: float) -> float:
    return float(schedule.alpha_bar(torch.tensor(t, dtype=torch.float32)))


def interior_steps(schedule: Schedule, count: int, uneven: bool) -> list[float]:
    """count steps and their end, from half a log-SNR of -2.5 to 2: away from both ends of the schedule.

    All of one length in log-SNR, or every second one three times as long as its neighbours.
    """
    lengths = np.resize([1.0, 3.0] if uneven else [1.0], count)
    places = -2.5 + 4.5 * np.concatenate([[0], lengths.cumsum()]) / lengths.sum()
    half = schedule.log_snr_table() / 2
    t = np.interp(places, half[::-1], np.arange(len(half))[::-1])
    return [float(np.float32(value)) for value in t]


def flow_error(sampler: Sampler, schedule: Schedule, steps: Sequence[float], stop: int) -> float:
    """How far the map up to Step ``stop`` is from the flow's, in its worst entry."""
    ours = as_affine(sampler, Ideal(DATA, schedule), steps, stop)
    end = 1.0 if stop == -1 else alpha_bar_at(schedule, steps[stop + 1])
    matrix, offset = DATA.flow(alpha_bar_at(schedule, steps[0]), end)
    assert ours.from_noise.abs().max() < 1e-12
    return float(torch.maximum((ours.from_start - matrix).abs().max(), (ours.offset - offset).abs().max()))


@pytest.mark.parametrize("schedule", [COSINE, LINEAR], ids=lambda schedule: schedule.name)
@pytest.mark.parametrize(("sampler", "order"), [(ddim, 1), (dpm_solver, 2)], ids=["ddim", "dpm-solver++"])
@pytest.mark.parametrize("uneven", [False, True], ids=["even", "uneven"])
def test_order_of_convergence_to_the_flow(
    sampler: Sampler, order: int, schedule: Schedule, uneven: bool
) -> None:
    # Only up to the last of the times: the step after it, to the clean picture, has infinite length.
    errors = [
        flow_error(sampler, schedule, interior_steps(schedule, count, uneven), -2) for count in (40, 80, 160)
    ]
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, order, atol=0.15)
    assert errors[-1] < (1.5e-2 if order == 1 else 3e-4)


@pytest.mark.parametrize(
    ("sampler", "error"), [(ddim, 0.03), (dpm_solver, 8e-4)], ids=["ddim", "dpm-solver++"]
)
def test_a_whole_run_follows_the_flow_to_the_clean_picture(sampler: Sampler, error: float) -> None:
    assert flow_error(sampler, COSINE, solver_timesteps(COSINE, 100), -1) == pytest.approx(error, rel=0.1)


@pytest.mark.parametrize("sampler", [ddim, dpm_solver], ids=["ddim", "dpm-solver++"])
def test_a_whole_deterministic_run_makes_the_data(sampler: Sampler) -> None:
    ours = as_affine(sampler, Ideal(DATA, LINEAR), solver_timesteps(LINEAR, 800))
    torch.testing.assert_close(ours.covariance(EYE), DATA.covariance, rtol=0, atol=0.01)
    # x_T starts with mean 0 where the truth has sqrt(alpha_bar) = 0.0064 of the picture's.
    torch.testing.assert_close(ours.offset, DATA.mean, rtol=0, atol=0.007)


def test_second_order_in_30_steps_beats_first_order_in_120() -> None:
    second = flow_error(dpm_solver, COSINE, solver_timesteps(COSINE, 30), -1)
    for steps in (timesteps(COSINE, 120), solver_timesteps(COSINE, 120)):
        assert second < flow_error(ddim, COSINE, steps, -1)


STOCHASTIC: dict[str, Sampler] = {
    "ddpm small": ddpm,
    "ddpm large": partial(ddpm, fixed_variance="large"),
    "ddim eta 0.6": partial(ddim, eta=0.6),
    "ddim eta 1": partial(ddim, eta=1.0),
}


@pytest.mark.parametrize("name", STOCHASTIC)
def test_stochastic_samplers_approach_the_data(name: str) -> None:
    def errors(count: int) -> tuple[float, float]:
        ours = as_affine(STOCHASTIC[name], Ideal(DATA), timesteps(COSINE, count))
        return (
            float((ours.offset - DATA.mean).abs().max()),
            float((ours.covariance(EYE) - DATA.covariance).abs().max()),
        )

    mean_50, covariance_50 = errors(50)
    mean_400, covariance_400 = errors(400)
    # Eight times the steps: first order gains a factor of eight in the covariance. The mean is good early on.
    assert covariance_400 < covariance_50 / 5
    assert covariance_400 < 0.02
    assert max(mean_50, mean_400) < 2e-3


@dataclass(frozen=True, eq=False)
class IdealWithVariance:
    """The exact denoiser of independent pixels, with the fraction that makes each step's variance exact."""

    mean: Tensor
    variance: Tensor
    steps: Sequence[float]
    schedule: Schedule = COSINE

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        index = list(self.steps).index(float(t[0]))
        alpha_bar = alpha_bar_at(self.schedule, self.steps[index])
        after = alpha_bar_at(self.schedule, self.steps[index + 1]) if index + 1 < len(self.steps) else 1.0
        marginal = alpha_bar * self.variance + 1 - alpha_bar
        x0 = self.mean + alpha_bar**0.5 * self.variance / marginal * (x_t - alpha_bar**0.5 * self.mean)
        if after == 1.0:
            return Prediction(x0, torch.zeros_like(x0))
        # The true q(x_after | x_t): x_t is x_after shrunk by sqrt(ratio) with beta of noise added.
        ratio = alpha_bar / after
        beta = 1 - ratio
        marginal_after = after * self.variance + 1 - after
        true = beta * marginal_after / marginal
        smallest = beta * (1 - after) / (1 - alpha_bar)
        fraction = torch.log(true / smallest) / np.log(beta / smallest)
        assert bool((fraction > -1e-9).all() and (fraction < 1 + 1e-9).all())
        return Prediction(x0, fraction.expand_as(x0))


@pytest.mark.parametrize("spec", [5, 30, "fast27"])
def test_ddpm_is_exact_in_any_number_of_steps_when_mean_and_variance_are(spec: int | str) -> None:
    steps = timesteps(COSINE, spec)
    # Of variance 0 and 1: where the posterior variance, and where beta, is the truth.
    mean = torch.tensor([0.4, -0.7, 0.2], dtype=torch.float64)
    variance = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    ours = as_affine(ddpm, IdealWithVariance(mean, variance, steps), steps, stop=-2)
    first, last = alpha_bar_at(COSINE, steps[0]), alpha_bar_at(COSINE, steps[-1])
    reached = ours.offset + ours.from_start @ (first**0.5 * mean)
    torch.testing.assert_close(reached, last**0.5 * mean, rtol=0, atol=1e-9)
    covariance = ours.covariance(torch.diag(first * variance + 1 - first))
    torch.testing.assert_close(covariance, torch.diag(last * variance + 1 - last), rtol=0, atol=1e-9)


@pytest.mark.parametrize("spec", [1, 2, 30, "fast27"])
def test_ddim_at_eta_1_is_ddpm_with_the_posterior_variance(spec: int | str) -> None:
    steps = timesteps(LINEAR, spec)
    generator = torch.Generator().manual_seed(1)
    x_T, *noise = torch.randn(len(steps) + 1, 2, 1, 1, SIZE, generator=generator, dtype=torch.float64)

    def run(sampler: Sampler) -> list[Step]:
        return list(sampler(Curved(), x_T, steps, lambda index: noise[index]))

    for a, b in zip(run(ddpm), run(partial(ddim, eta=1.0)), strict=True):
        torch.testing.assert_close(a.x, b.x, rtol=0, atol=1e-10)


class Curved:
    """A denoiser that no Gaussian has."""

    schedule = LINEAR

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        return Prediction(torch.tanh(x_t.flip(-1) - per_image(t.double() / 1000, x_t)))


TILT = torch.tensor([0.8, -0.3, 0.5], dtype=torch.float64)


@pytest.mark.parametrize(
    "sampler", [ddim, dpm_solver, partial(ddim, eta=1.0)], ids=["ddim", "dpm-solver++", "eta 1"]
)
def test_a_score_makes_solvers_sample_the_tilted_data(sampler: Sampler) -> None:
    steps = solver_timesteps(COSINE, 25)
    guided = as_affine(sampler, Ideal(DATA, tilt=TILT), steps)
    tilted = as_affine(sampler, Ideal(DATA.tilted(TILT)), steps)
    torch.testing.assert_close(guided.offset, tilted.offset, rtol=0, atol=1e-9)
    torch.testing.assert_close(guided.from_start, tilted.from_start, rtol=0, atol=1e-9)
    torch.testing.assert_close(guided.from_noise, tilted.from_noise, rtol=0, atol=1e-9)


def test_a_score_moves_ddpm_to_the_tilted_mean() -> None:
    target = DATA.tilted(TILT).mean
    assert (target - DATA.mean).abs().max() > 1

    def error(count: int) -> float:
        ours = as_affine(ddpm, Ideal(DATA, tilt=TILT), timesteps(COSINE, count))
        return float((ours.offset - target).abs().max())

    # The published shift, variance * score, is right to first order in the step.
    assert error(400) < error(100) / 3
    assert error(400) < 0.02

"""CFGDenoiser, on a network whose every answer is known: each branch predicts a Gaussian of its own mean."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glide_edit.conditioning import Conditioning, Prediction
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.diffusion.schedule import Schedule, per_image, solver_timesteps, timesteps
from glide_edit.diffusion.step import Sampler
from glide_edit.errors import InputError
from glide_edit.guidance import (
    Branch,
    CFGDenoiser,
    DynamicThreshold,
    PasteKnown,
    StaticThreshold,
    Threshold,
    X0Transform,
)

COSINE = Schedule.cosine()
SHAPE = (3, 4, 5)
VARIANCE = 0.3
PREPARED = torch.tensor([0.123])


def classifier_free(conditional: Conditioning, unconditional: Conditioning, scale: float) -> list[Branch]:
    """unconditional + scale * (conditional - unconditional)."""
    return [(conditional, scale), (unconditional, 1 - scale)]


class GaussianNetwork:
    """E[x0 | x_t] for N(conditioning.low_res, VARIANCE); it writes down what it is asked."""

    schedule = COSINE

    def __init__(self) -> None:
        self.prepared = 0
        self.branches_run: list[int] = []

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        self.prepared += 1
        return replace(conditioning, low_res_noise=PREPARED)

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        self.branches_run.append(len(branches))
        assert all(branch.low_res_noise is PREPARED for branch in branches)
        means = [branch.low_res for branch in branches if branch.low_res is not None]
        return [Prediction(ideal(x_t, t, mean), fraction(mean, x_t)) for mean in means]


def ideal(x_t: Tensor, t: Tensor, mean: Tensor) -> Tensor:
    alpha_bar = per_image(COSINE.alpha_bar(t), x_t).to(x_t.dtype)
    gain = alpha_bar.sqrt() * VARIANCE / (alpha_bar * VARIANCE + 1 - alpha_bar)
    return mean + gain * (x_t - alpha_bar.sqrt() * mean)


def fraction(mean: Tensor, x_t: Tensor) -> Tensor:
    return torch.sigmoid(mean).expand_as(x_t)


def around(mean: float) -> Conditioning:
    return Conditioning(low_res=torch.full((1, *SHAPE), mean))


def noisy(*seeds: int) -> Tensor:
    return NoiseSource(seeds or (1, 2), 0, 0, SHAPE).start()


T_MIDDLE = torch.tensor([400.0, 400.0])


def test_classifier_free_guidance_is_the_published_formula() -> None:
    x_t, scale = noisy(), 3.0
    guided = CFGDenoiser(GaussianNetwork(), classifier_free(around(0.5), around(-0.2), scale))(x_t, T_MIDDLE)
    conditional, unconditional = (
        ideal(x_t, T_MIDDLE, torch.tensor(0.5)),
        ideal(x_t, T_MIDDLE, torch.tensor(-0.2)),
    )
    # Published in eps (Ho & Salimans 2022; GLIDE, eq. 3); mixing x0 must be the same thing.
    eps_c, eps_u = COSINE.eps(conditional, x_t, T_MIDDLE), COSINE.eps(unconditional, x_t, T_MIDDLE)
    published = COSINE.x0_from_eps(eps_u + scale * (eps_c - eps_u), x_t, T_MIDDLE)
    torch.testing.assert_close(guided.x0, published, rtol=0, atol=1e-5)
    assert (guided.score, guided.shifted_x0) == (None, None)
    assert guided.solver_x0 is guided.x0


@settings(deadline=None)
@given(
    weights=st.lists(st.floats(-8, 8), min_size=1, max_size=4), t=st.floats(0, 999), seed=st.integers(0, 99)
)
def test_weights_mix_gaussians_into_the_gaussian_between(weights: list[float], t: float, seed: int) -> None:
    weights = [*weights, 1 - sum(weights)]
    means = [0.9, -0.6, 0.1, -0.3, 0.5][: len(weights)]
    x_t, times = noisy(seed).double(), torch.tensor([t])
    branches = [(around(mean), weight) for mean, weight in zip(means, weights, strict=True)]
    between = torch.tensor(sum(m * w for m, w in zip(means, weights, strict=True)), dtype=torch.float64)
    torch.testing.assert_close(
        CFGDenoiser(GaussianNetwork(), branches)(x_t, times).x0, ideal(x_t, times, between), rtol=0, atol=1e-5
    )


def test_sampling_with_guidance_reaches_the_mean_between() -> None:
    denoiser = CFGDenoiser(GaussianNetwork(), classifier_free(around(0.3), around(0.1), 3.0))
    *_, last = SAMPLERS["dpm-solver++"](
        denoiser, torch.zeros(1, *SHAPE), solver_timesteps(COSINE, 100), noisy
    )
    torch.testing.assert_close(last.x, torch.full_like(last.x, 0.7), rtol=0, atol=5e-3)


def test_branches_are_mixed_before_they_are_finished() -> None:
    x_t = torch.zeros(2, *SHAPE)
    t = torch.tensor([999.0, 999.0])
    branches = classifier_free(around(1.4), around(0.9), 2.0)
    # In pure noise x0 is the branch's mean: 2 * 1.4 - 0.9 = 1.9. Clipped first, it would come to 1.1.
    unfinished = CFGDenoiser(GaussianNetwork(), branches)(x_t, t).x0
    torch.testing.assert_close(unfinished, torch.full_like(x_t, 1.9), rtol=0, atol=1e-4)
    halved = CFGDenoiser(GaussianNetwork(), branches, x0_transform=lambda x0: x0 / 2)(x_t, t).x0
    torch.testing.assert_close(halved, torch.full_like(x_t, 0.95), rtol=0, atol=1e-4)
    assert torch.all(
        CFGDenoiser(GaussianNetwork(), branches, x0_transform=X0Transform(StaticThreshold()))(x_t, t).x0 == 1
    )


def test_conditions_are_prepared_once_and_run_in_one_call() -> None:
    network = GaussianNetwork()
    denoiser = CFGDenoiser(network, [(around(0.1), 1.5), (around(0.2), 1.0), (around(0.3), -1.5)])
    for t in (900.0, 500.0, 100.0):
        denoiser(noisy(), torch.tensor([t, t]))
    assert network.prepared == 3
    assert network.branches_run == [3, 3, 3]
    assert denoiser.schedule is COSINE


def test_branches_of_no_weight_are_not_run_except_the_first() -> None:
    network = GaussianNetwork()
    CFGDenoiser(network, classifier_free(around(0.5), around(-0.2), 1.0))(noisy(), T_MIDDLE)
    assert network.branches_run == [1]
    prediction = CFGDenoiser(network, classifier_free(around(0.5), around(-0.2), 0.0))(noisy(), T_MIDDLE)
    assert network.branches_run == [1, 2]
    torch.testing.assert_close(prediction.x0, ideal(noisy(), T_MIDDLE, torch.tensor(-0.2)))


def test_the_variance_is_that_of_branch_0() -> None:
    prediction = CFGDenoiser(GaussianNetwork(), classifier_free(around(0.5), around(-0.2), 3.0))(
        noisy(), T_MIDDLE
    )
    assert prediction.variance_fraction is not None
    assert torch.equal(prediction.variance_fraction, fraction(torch.tensor(0.5), noisy()))


@pytest.mark.parametrize(
    ("t", "guided"),
    [
        (0.0, False),
        (199.7, False),
        (199.9, True),
        (500.0, True),
        (799.1, True),
        (799.3, False),
        (999.0, False),
    ],
)
def test_outside_the_interval_branch_0_runs_alone(t: float, guided: bool) -> None:
    network = GaussianNetwork()
    denoiser = CFGDenoiser(network, classifier_free(around(0.5), around(-0.2), 3.0), interval=(0.2, 0.8))
    # 0.2 * 999 = 199.8 and 0.8 * 999 = 799.2.
    times = torch.tensor([t, t])
    x0 = denoiser(noisy(), times).x0
    assert network.branches_run == [2 if guided else 1]
    mean = 3 * 0.5 - 2 * -0.2 if guided else 0.5
    torch.testing.assert_close(x0, ideal(noisy(), times, torch.tensor(mean)), rtol=0, atol=1e-5)


def test_the_interval_holds_for_every_picture_of_a_batch() -> None:
    denoiser = CFGDenoiser(
        GaussianNetwork(), classifier_free(around(0.5), around(-0.2), 3.0), interval=(0.2, 0.8)
    )
    times = torch.tensor([100.0, 500.0])
    x0 = denoiser(noisy(), times).x0
    expected = ideal(noisy(), times, torch.tensor([0.5, 1.9]).reshape(2, 1, 1, 1))
    torch.testing.assert_close(x0, expected, rtol=0, atol=1e-5)


def test_a_score_shifts_what_solvers_use_and_leaves_the_rest() -> None:
    x_t = noisy()
    seen: list[Tensor] = []

    def score(x: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        assert x is x_t
        assert t is T_MIDDLE
        seen.append(x0)
        return torch.full_like(x, 2.0)

    repaint_mask = torch.zeros(1, 1, 4, 5)
    repaint_mask[..., :2] = 1
    branches = [(around(1.2), 1.0)]
    unclipped = ideal(x_t, T_MIDDLE, torch.tensor(1.2))
    assert float(unclipped.max()) > 1.2
    prediction = CFGDenoiser(
        GaussianNetwork(), branches, None, X0Transform(StaticThreshold()), score, score_mask=repaint_mask
    )(x_t, T_MIDDLE)
    torch.testing.assert_close(seen[0], unclipped)
    torch.testing.assert_close(prediction.x0, unclipped.clamp(-1, 1))
    torch.testing.assert_close(prediction.score, 2.0 * repaint_mask.expand_as(x_t))
    alpha_bar = COSINE.alphas_bar[400]
    shifted = unclipped + (1 - alpha_bar) / alpha_bar**0.5 * 2.0 * repaint_mask
    torch.testing.assert_close(prediction.shifted_x0, shifted.clamp(-1, 1))
    assert float((prediction.solver_x0 - prediction.x0).abs().max()) > 0


def test_a_score_tilts_what_is_sampled() -> None:
    # A log-likelihood a * x0 moves a Gaussian's mean by variance * a; its gradient at x_t is known exactly.
    a = 1.5

    def score(x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        alpha_bar = per_image(COSINE.alpha_bar(t), x_t)
        return a * alpha_bar.sqrt() * VARIANCE / (alpha_bar * VARIANCE + 1 - alpha_bar) * torch.ones_like(x_t)

    denoiser = CFGDenoiser(GaussianNetwork(), [(around(0.2), 1.0)], score=score)
    tilted = torch.full((1, *SHAPE), 0.2 + VARIANCE * a)
    for name in ("ddim", "dpm-solver++"):
        *_, last = SAMPLERS[name](denoiser, torch.zeros(1, *SHAPE), solver_timesteps(COSINE, 100), noisy)
        torch.testing.assert_close(last.x, tilted, rtol=0, atol=5e-3)


@pytest.mark.parametrize("threshold", [StaticThreshold(), DynamicThreshold(0.9), None], ids=repr)
@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_known_pixels_come_out_exactly(sampler: Sampler, count: int, threshold: Threshold | None) -> None:
    generator = torch.Generator().manual_seed(3)
    known = torch.rand(2, *SHAPE, generator=generator) * 2 - 1
    keep_mask = (torch.rand(2, 1, 4, 5, generator=generator) < 0.5).float()
    denoiser = CFGDenoiser(
        GaussianNetwork(),
        classifier_free(around(0.5), around(-0.2), 5.0),
        x0_transform=X0Transform(threshold, PasteKnown(known * keep_mask, keep_mask)),
        score=lambda x_t, t, x0: 0.3 * x_t,
        score_mask=1 - keep_mask,
    )
    noise = NoiseSource((1, 2), 0, 0, SHAPE)
    for step in sampler(denoiser, noise.start(), timesteps(COSINE, count), noise):
        # Every preview shows them too.
        assert torch.equal(step.x0 * keep_mask, known * keep_mask)
    assert torch.equal(step.x * keep_mask, known * keep_mask)
    assert not torch.equal(step.x, known)


def test_half_precision_answers_are_mixed_in_float32() -> None:
    class Half(GaussianNetwork):
        def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
            return [Prediction(p.x0.bfloat16()) for p in super().predict(x_t, t, branches)]

    branches = classifier_free(around(0.5), around(-0.2), 3.0)
    prediction = CFGDenoiser(Half(), branches)(noisy(), T_MIDDLE)
    c, u = (ideal(noisy(), T_MIDDLE, torch.tensor(mean)).bfloat16().float() for mean in (0.5, -0.2))
    assert (prediction.x0.dtype, prediction.variance_fraction) == (torch.float32, None)
    torch.testing.assert_close(prediction.x0, 3 * c - 2 * u, rtol=0, atol=1e-6)


@pytest.mark.parametrize("weights", [[], [0.5], [3.0, -1.0], [float("nan")], [float("inf"), float("-inf")]])
def test_weights_that_do_not_sum_to_1_are_refused(weights: list[float]) -> None:
    with pytest.raises(InputError):
        CFGDenoiser(GaussianNetwork(), [(around(0.0), weight) for weight in weights])


@pytest.mark.parametrize("interval", [(0.6, 0.4), (-0.1, 0.5), (0.5, 1.1), (float("nan"), 1.0)])
def test_an_interval_out_of_range_is_refused(interval: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="interval"):
        CFGDenoiser(GaussianNetwork(), [(around(0.0), 1.0)], interval)

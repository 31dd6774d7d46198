"""What every sampler promises whatever the denoiser: its steps, its noise, its grad mode, its end."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from glide_edit.conditioning import Prediction
from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.ddpm import ddpm
from glide_edit.diffusion.dpm_solver import dpm_solver
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import SAMPLERS, get_sampler
from glide_edit.diffusion.schedule import Schedule, timesteps
from glide_edit.diffusion.step import Sampler, Step
from glide_edit.errors import InputError

COSINE = Schedule.cosine()
SHAPE = (3, 4, 5)
STEPS = timesteps(COSINE, 6)
VARIANTS: dict[str, Sampler] = {
    **SAMPLERS,
    "ddpm large": partial(ddpm, fixed_variance="large"),
    "ddim eta 1": partial(ddim, eta=1.0),
}
EVERY = pytest.mark.parametrize("sampler", VARIANTS.values(), ids=VARIANTS)


class Curved:
    """A denoiser that keeps a record: the times it was asked for, and whether gradients were on."""

    def __init__(self, schedule: Schedule = COSINE, learned: bool = False, score: bool = False) -> None:
        self.schedule = schedule
        self.learned = learned
        self.score = score
        self.asked: list[float] = []
        self.gradients: list[bool] = []

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        self.gradients.append(torch.is_grad_enabled())
        assert (t.shape, t.dtype, t.device) == ((x_t.shape[0],), torch.float32, x_t.device)
        if t.device.type == "cpu":
            assert torch.all(t == t[0])
            self.asked.append(float(t[0]))
        x0 = torch.tanh(x_t) * 0.7
        score = torch.ones_like(x0) if self.score else None
        shifted = x0 + 0.1 if self.score else None
        return Prediction(x0, torch.sigmoid(x_t) if self.learned else None, score, shifted)


def source(*seeds: int) -> NoiseSource:
    return NoiseSource(seeds, 0, 0, SHAPE)


@EVERY
def test_steps_are_counted_and_end_in_the_clean_picture(sampler: Sampler) -> None:
    denoiser = Curved()
    noise = source(1, 2)
    steps = list(sampler(denoiser, noise.start(), STEPS, noise))
    assert [step.index for step in steps] == list(range(6))
    assert {step.total for step in steps} == {6}
    assert [step.t for step in steps] == STEPS == denoiser.asked
    assert all(step.x.shape == step.x0.shape == (2, *SHAPE) for step in steps)
    assert torch.equal(steps[-1].x, steps[-1].x0)
    assert not torch.equal(steps[0].x, steps[0].x0)


def test_three_dpm_solver_steps_by_hand() -> None:
    # Half the log-SNR is -1, then 0, then 2: steps of 1 and 2, so the second carries on the change between
    # the first two clean pictures by 2 / (2 * 1) of it.
    alphas_bar = 1 / (1 + np.exp([-4.0, 0.0, 2.0]))
    schedule = Schedule("by hand", 1 - alphas_bar / np.array([1.0, *alphas_bar[:-1]]))

    class Given(Curved):
        def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
            return Prediction(torch.full_like(x_t, [0.9, 0.4, 0.1][int(t[0])]))

    x_T = torch.full((1, *SHAPE), 2.0, dtype=torch.float64)
    x = [float(step.x[0, 0, 0, 0]) for step in dpm_solver(Given(schedule), x_T, [2, 1, 0], source(1))]
    sigma, signal = np.sqrt(1 - alphas_bar), np.sqrt(alphas_bar)
    first = sigma[1] / sigma[2] * 2.0 + signal[1] * (1 - np.exp(-1)) * 0.1
    second = sigma[0] / sigma[1] * first + signal[0] * (1 - np.exp(-2)) * (0.4 + (0.4 - 0.1))
    assert x == pytest.approx([first, second, 0.9], abs=1e-9)


@EVERY
def test_a_single_step_goes_straight_to_the_clean_picture(sampler: Sampler) -> None:
    x_T = source(1).start()
    (step,) = sampler(Curved(), x_T, [999], source(1))
    assert torch.equal(step.x, Curved()(x_T, torch.tensor([999.0])).x0)


@pytest.mark.parametrize("fixed_variance", ["small", "large"])
def test_two_ddpm_steps_by_hand(fixed_variance: Literal["small", "large"]) -> None:
    # alpha_bar 0.36, then 0.64, then the implied 1: alpha = 0.5625, beta = 0.4375.
    schedule = Schedule("by hand", np.array([0.36, 0.4375]))
    x_T, noise = source(1).start().double(), source(1)
    first, last = ddpm(Curved(schedule, score=True), x_T, [1, 0], noise, fixed_variance=fixed_variance)
    variance = {"small": 0.4375 * 0.36 / 0.64, "large": 0.4375}[fixed_variance]
    mean = 0.4375 * 0.8 / 0.64 * 0.7 * torch.tanh(x_T) + 0.36 * 0.75 / 0.64 * x_T
    torch.testing.assert_close(first.x, mean + variance + variance**0.5 * noise(0), rtol=0, atol=1e-9)
    # The last step's score is weighted by the posterior variance of the step before, or by its own beta.
    variance = {"small": 0.4375 * 0.36 / 0.64, "large": 0.36}[fixed_variance]
    torch.testing.assert_close(last.x, 0.7 * torch.tanh(first.x) + variance, rtol=0, atol=1e-9)


def test_a_single_ddpm_step_takes_learned_variance_and_score() -> None:
    # With no step before it to borrow a posterior variance from, both ends of the range are beta.
    x_T = source(1).start()
    (step,) = ddpm(Curved(learned=True, score=True), x_T, [500], source(1))
    beta = 1 - COSINE.alphas_bar[500]
    torch.testing.assert_close(step.x, 0.7 * torch.tanh(x_T) + beta, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("sampler", "drawn"),
    [(ddpm, [0, 1, 2, 3, 4]), (partial(ddim, eta=0.5), [0, 1, 2, 3, 4]), (ddim, []), (dpm_solver, [])],
    ids=["ddpm", "ddim eta 0.5", "ddim", "dpm-solver++"],
)
def test_noise_is_drawn_only_where_it_is_added(sampler: Sampler, drawn: list[int]) -> None:
    asked: list[int] = []

    def noise(index: int) -> Tensor:
        asked.append(index)
        return source(1)(index)

    list(sampler(Curved(), source(1).start(), STEPS, noise))
    assert asked == drawn


@EVERY
def test_gradients_are_off_inside_a_step_and_the_callers_own_between(sampler: Sampler) -> None:
    denoiser = Curved()
    weight = torch.ones((), requires_grad=True)
    for step in sampler(denoiser, source(1).start(), STEPS, source(1)):
        assert torch.is_grad_enabled()
        assert (weight * 2).requires_grad
        assert not step.x.requires_grad
    assert denoiser.gradients == [False] * 6
    with torch.no_grad():
        for _ in sampler(denoiser, source(1).start(), STEPS, source(1)):
            assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


@EVERY
def test_a_denoiser_may_turn_gradients_on_for_itself(sampler: Sampler) -> None:
    class WithGradient(Curved):
        def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
            with torch.enable_grad():
                x = x_t.detach().requires_grad_()
                (score,) = torch.autograd.grad((x**2).sum(), x)
            assert torch.equal(score, 2 * x_t)
            return Prediction(torch.tanh(x_t), None, score, torch.tanh(x_t) + 0.01 * score)

    for step in sampler(WithGradient(), source(1).start(), STEPS, source(1)):
        assert not step.x.requires_grad


@EVERY
def test_stopping_stops_the_work(sampler: Sampler) -> None:
    denoiser = Curved()
    run: Iterator[Step] = sampler(denoiser, source(1).start(), STEPS, source(1))
    assert denoiser.asked == []
    next(run)
    next(run)
    assert denoiser.asked == STEPS[:2]
    del run
    assert torch.is_grad_enabled()
    assert denoiser.asked == STEPS[:2]


@EVERY
def test_an_error_in_the_denoiser_leaves_grad_mode_alone(sampler: Sampler) -> None:
    class Broken(Curved):
        def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        next(sampler(Broken(), source(1).start(), STEPS, source(1)))
    assert torch.is_grad_enabled()


@EVERY
@settings(deadline=None, max_examples=20)
@given(seeds=st.lists(st.integers(0, 1000), min_size=2, max_size=4))
def test_an_image_follows_from_its_seed_whatever_the_batch(sampler: Sampler, seeds: list[int]) -> None:
    def result(*chosen: int) -> Tensor:
        *_, last = sampler(Curved(), source(*chosen).start(), STEPS, source(*chosen))
        return last.x

    together = result(*seeds)
    for k, seed in enumerate(seeds):
        torch.testing.assert_close(together[k], result(seed)[0], rtol=0, atol=1e-5)


@EVERY
def test_starting_noise_is_not_changed_and_raised_to_float32(sampler: Sampler) -> None:
    x_T = source(1).start()
    before = x_T.clone()
    steps = list(sampler(Curved(), x_T, STEPS, source(1)))
    assert torch.equal(x_T, before)
    assert not torch.equal(steps[0].x, steps[1].x)
    (step,) = sampler(Curved(), x_T.bfloat16(), [10], source(1))
    assert step.x.dtype == torch.float32


@EVERY
def test_everything_stays_on_the_device_of_the_starting_noise(sampler: Sampler) -> None:
    noise = NoiseSource((1,), 0, 0, SHAPE, device="meta")
    for step in sampler(Curved(learned=True, score=True), noise.start(), STEPS, noise):
        assert step.x.device.type == "meta"


@EVERY
@pytest.mark.parametrize("steps", [[], [10, 10], [10, 20], [1000], [5, -1]])
def test_timesteps_that_are_no_timesteps_are_an_internal_error(sampler: Sampler, steps: list[int]) -> None:
    with pytest.raises(AssertionError):
        next(sampler(Curved(), source(1).start(), steps, source(1)))


@pytest.mark.parametrize("eta", [-0.1, 1.5, float("nan")])
def test_an_eta_out_of_range_is_refused(eta: float) -> None:
    with pytest.raises(InputError, match="eta must be between 0 and 1"):
        next(ddim(Curved(), source(1).start(), STEPS, source(1), eta=eta))


def test_samplers_are_found_by_name() -> None:
    for name, sampler in (("ddpm", ddpm), ("ddim", ddim), ("dpm-solver++", dpm_solver)):
        assert get_sampler(name) is sampler
    with pytest.raises(InputError, match=r"'plms'; known are ddpm, ddim, dpm-solver\+\+"):
        get_sampler("plms")

"""Pixels held to a picture until the noise has fallen to their level."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glide_edit.conditioning import Prediction
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule
from glide_edit.guidance import DifferentialDiffusion

SCHEDULE = Schedule.cosine(100)
TIMES = [60.0, 40.0, 20.0, 0.0]


class Grey:
    """Believes in grey, whatever it is shown, and remembers what it was shown."""

    schedule = SCHEDULE

    def __init__(self, score: bool = False) -> None:
        self.shown: list[Tensor] = []
        self.score = score

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        self.shown.append(x_t)
        grey = torch.zeros_like(x_t)
        return Prediction(grey, None, grey + 1, grey + 0.5) if self.score else Prediction(grey)


def start() -> Tensor:
    return torch.linspace(-1, 1, 48).reshape(1, 3, 4, 4)


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++"])
def test_a_held_pixel_is_the_start_noised_as_the_time_says(sampler: str) -> None:
    levels = torch.ones(1, 1, 4, 4)
    levels[..., :2] = 0.0
    eps = NoiseSource((3,), 0, 0, (3, 4, 4)).start()
    grey = Grey()
    x_T = SCHEDULE.add_noise(start(), eps, torch.tensor([TIMES[0]]))
    steps = list(get_sampler(sampler)(DifferentialDiffusion(grey, start(), levels), x_T, TIMES, torch.zeros))
    for x_t, t in zip(grey.shown, TIMES, strict=True):
        expected = SCHEDULE.add_noise(start(), eps, torch.tensor([t]))
        assert torch.allclose(x_t[..., :2], expected[..., :2], atol=1e-4)
    assert torch.allclose(steps[-1].x[..., :2], start()[..., :2], atol=1e-5)
    assert torch.allclose(steps[-1].x[..., 2:], torch.zeros(1, 3, 4, 2), atol=1e-5)


def test_it_is_let_go_at_its_level() -> None:
    held = DifferentialDiffusion(Grey(), start(), torch.full((1, 1, 4, 4), 30 / 99))
    above, below = (held(torch.zeros(1, 3, 4, 4), torch.tensor([t])).x0 for t in (31.0, 30.0))
    assert torch.equal(above, start())
    assert not below.any()


def test_a_score_does_not_move_what_is_held() -> None:
    levels = torch.tensor([0.0, 1.0]).repeat(8).reshape(1, 1, 4, 4)
    said = DifferentialDiffusion(Grey(score=True), start(), levels)(
        torch.zeros(1, 3, 4, 4), torch.tensor([50.0])
    )
    assert said.score is not None
    assert torch.equal(said.score, levels.expand(1, 3, 4, 4))
    assert torch.equal(said.solver_x0[..., ::2], start()[..., ::2])
    assert (said.solver_x0[..., 1::2] == 0.5).all()

"""The samplers walk where openai/glide-text2im's own code walks.

`published_trajectories.json` holds what that code (SpacedDiffusion, in float64, x0 clipped) made of the
network and the gradient below from the recorded x_T and noise; `trajectory[j]` is the sample after step j.
"""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glide_edit.conditioning import Prediction
from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, per_image, timesteps

RECORD = json.loads((Path(__file__).parent / "published_trajectories.json").read_text())
SCHEDULES = {"squaredcos_cap_v2": Schedule.cosine(), "linear": Schedule.linear()}


class MadeUpNetwork:
    """The network the record was made with: a learned variance, and an x0 that often needs clipping."""

    def __init__(self, schedule: Schedule, with_score: bool) -> None:
        self.schedule = schedule
        self.with_score = with_score

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        time = per_image(t.double() / 1000, x_t)
        eps = torch.tanh(0.9 * x_t + 0.3 * time) + 0.1 * x_t.flip(-1)
        x0 = self.schedule.x0_from_eps(eps, x_t, t).clamp(-1, 1)
        variance_fraction = (torch.sin(3 * x_t + time) + 1) / 2
        if not self.with_score:
            return Prediction(x0, variance_fraction)
        score = (0.5 - x_t) * (1 + time)
        alpha_bar = per_image(self.schedule.alpha_bar(t), x_t)
        # Published DDIM does not clip again after the shift.
        return Prediction(x0, variance_fraction, score, x0 + (1 - alpha_bar) / alpha_bar.sqrt() * score)


def _name(case: dict) -> str:
    return f"{case['sampler']}-{case['schedule']}-{case['spec']}{'-score' if case['score'] else ''}"


@pytest.mark.parametrize("case", RECORD["cases"], ids=_name)
def test_every_step_is_the_published_one(case: dict) -> None:
    schedule = SCHEDULES[case["schedule"]]
    sampler = get_sampler(case["sampler"]) if case["eta"] is None else partial(ddim, eta=case["eta"])
    noise = torch.tensor(case["noise"], dtype=torch.float64)
    steps = sampler(
        MadeUpNetwork(schedule, case["score"]),
        torch.tensor(RECORD["x_T"], dtype=torch.float64),
        timesteps(schedule, case["spec"]),
        lambda index: noise[index],
    )
    ours = torch.stack([step.x for step in steps])
    published = torch.tensor(case["trajectory"], dtype=torch.float64)
    # That code rounds a shifted mean to float32; without a score the two agree to the digits recorded.
    torch.testing.assert_close(ours, published, rtol=0.0, atol=2e-6 if case["score"] else 1e-9)

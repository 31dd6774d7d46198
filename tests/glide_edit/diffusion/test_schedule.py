import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.diffusion.schedule import SCHEDULES, Schedule
from glide_edit.errors import InputError

PUBLISHED = json.loads((Path(__file__).parents[2] / "data" / "schedules.json").read_text())
COSINE, LINEAR = Schedule.cosine(), Schedule.linear()
BOTH = pytest.mark.parametrize("schedule", [COSINE, LINEAR], ids=lambda schedule: schedule.name)


@pytest.mark.parametrize(
    ("schedule", "published"), [(COSINE, "beta_squaredcos_cap_v2"), (LINEAR, "beta_linear")]
)
def test_betas_are_the_published_ones(schedule: Schedule, published: str) -> None:
    np.testing.assert_allclose(schedule.betas[:5], PUBLISHED[f"{published}_first5"], rtol=1e-12)
    np.testing.assert_allclose(schedule.betas[-5:], PUBLISHED[f"{published}_last5"], rtol=1e-12)
    assert schedule.num_timesteps == len(schedule.betas) == 1000


def test_cosine_alpha_bar_follows_its_formula_until_the_cap() -> None:
    f = np.cos((np.arange(999) / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2
    np.testing.assert_allclose(COSINE.alphas_bar[:998], f[1:] / f[0], rtol=1e-9)
    assert COSINE.betas.max() == 0.999


def test_linear_betas_grow_as_steps_become_fewer() -> None:
    short = Schedule.linear(250)
    assert short.betas[[0, -1]] == pytest.approx([4e-4, 0.08])
    # The same noise at the end, whatever the number of steps, is what the scaling is for.
    assert math.log(short.alphas_bar[-1]) == pytest.approx(math.log(LINEAR.alphas_bar[-1]), rel=0.05)


@BOTH
def test_alpha_bar_is_exact_at_training_indices(schedule: Schedule) -> None:
    t = torch.arange(1000)
    np.testing.assert_allclose(schedule.alpha_bar(t).numpy(), schedule.alphas_bar, rtol=1e-12)
    np.testing.assert_array_equal(schedule.log_snr(t).numpy(), schedule.log_snr_table())
    assert schedule.alpha_bar(t).dtype == torch.float64


@BOTH
@settings(deadline=None)
@given(index=st.integers(0, 998), a=st.floats(0, 1), b=st.floats(0, 1))
def test_log_snr_is_linear_and_falling_between_indices(
    schedule: Schedule, index: int, a: float, b: float
) -> None:
    low, high = sorted((a, b))
    at = schedule.log_snr(torch.tensor([index, index + low, index + high, index + 1], dtype=torch.float64))
    assert at[0] >= at[1] >= at[2] >= at[3]
    assert at[0] > at[3]
    expected = (1 - low) * at[0] + low * at[3]
    torch.testing.assert_close(at[1], expected, rtol=0, atol=1e-9)


@BOTH
def test_times_beyond_the_ends_are_clamped(schedule: Schedule) -> None:
    at = schedule.alpha_bar(torch.tensor([-3.0, 5000.0]))
    np.testing.assert_allclose(at.numpy(), schedule.alphas_bar[[0, -1]], rtol=1e-12)


@BOTH
@settings(deadline=None)
@given(t=st.lists(st.floats(0, 990), min_size=2, max_size=2), seed=st.integers(0, 2**31))
def test_noise_and_clean_picture_determine_each_other(schedule: Schedule, t: list[float], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x0, eps = torch.randn(2, 2, 3, 4, 5, generator=generator, dtype=torch.float64)
    times = torch.tensor(t)
    x_t = schedule.add_noise(x0, eps, times)
    v = schedule.v_target(x0, eps, times)
    torch.testing.assert_close(schedule.eps(x0, x_t, times), eps, rtol=0, atol=1e-8)
    torch.testing.assert_close(schedule.x0_from_eps(eps, x_t, times), x0, rtol=0, atol=1e-8)
    torch.testing.assert_close(schedule.x0_from_v(v, x_t, times), x0, rtol=0, atol=1e-8)


def test_formulas_by_hand() -> None:
    # Betas chosen so that alpha_bar is 0.64 at index 0 and 0.36 at index 1: square roots 0.8, 0.6 both ways.
    schedule = Schedule("by hand", np.array([0.36, 1 - 0.36 / 0.64]))
    t = torch.tensor([0, 1])
    x0, eps = torch.full((2, 1, 1, 1), 10.0), torch.full((2, 1, 1, 1), 1.0)
    assert schedule.add_noise(x0, eps, t).flatten().tolist() == pytest.approx([8.6, 6.8])
    assert schedule.v_target(x0, eps, t).flatten().tolist() == pytest.approx([0.8 - 6.0, 0.6 - 8.0])
    assert schedule.alpha_bar(t).tolist() == pytest.approx([0.64, 0.36])
    assert schedule.log_snr(t).tolist() == pytest.approx([math.log(0.64 / 0.36), math.log(0.36 / 0.64)])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [(torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64, torch.float64)],
)
def test_results_are_at_least_float32(dtype: torch.dtype, expected: torch.dtype) -> None:
    x = torch.ones(2, 3, 4, 4, dtype=dtype)
    t = torch.tensor([5, 900])
    for method in (COSINE.add_noise, COSINE.eps, COSINE.x0_from_eps, COSINE.x0_from_v, COSINE.v_target):
        assert method(x, x, t).dtype == expected


def test_works_on_the_device_of_t() -> None:
    x, t = torch.ones(2, 3, 4, 4, device="meta"), torch.ones(2, device="meta")
    assert COSINE.eps(x, x, t).device.type == "meta"
    assert COSINE.log_snr(t).device.type == "meta"


@pytest.mark.parametrize("name", SCHEDULES)
def test_json_brings_the_schedule_back(name: str) -> None:
    schedule = SCHEDULES[name](50)
    record = json.loads(json.dumps(schedule.to_json()))
    assert record == {"name": name, "num_timesteps": 50}
    assert Schedule.from_json(record) == schedule
    assert hash(Schedule.from_json(record)) == hash(schedule)
    assert schedule not in (SCHEDULES[name](51), name)


@pytest.mark.parametrize(
    "record",
    [
        {"name": "sigmoid", "num_timesteps": 1000},
        {"name": "cosine"},
        {"name": "cosine", "num_timesteps": 1000, "beta_end": 0.02},
        {"name": "cosine", "num_timesteps": "1000"},
        {"name": "cosine", "num_timesteps": True},
        {"name": "cosine", "num_timesteps": 0},
        {"name": "linear", "num_timesteps": 20},
        {"name": ["cosine"], "num_timesteps": 1000},
    ],
)
def test_a_wrong_record_is_refused(record: dict) -> None:
    with pytest.raises(InputError):
        Schedule.from_json(record)


@pytest.mark.parametrize("name", ["by hand", "cosine"])
def test_betas_that_no_name_stands_for_are_not_stored(name: str) -> None:
    with pytest.raises(InputError):
        Schedule(name, np.array([0.1, 0.2])).to_json()


@pytest.mark.parametrize("betas", [[], [0.1, 1.0], [0.0, 0.1], [[0.1]], [float("nan")]])
def test_wrong_betas_are_refused(betas: list) -> None:
    with pytest.raises(InputError, match="betas"):
        Schedule("wrong", np.array(betas, dtype=np.float64))


def test_tables_cannot_be_changed() -> None:
    betas = np.array([0.1, 0.2])
    schedule = Schedule("by hand", betas)
    betas[0] = 0.9
    assert schedule.betas[0] == 0.1
    for table in (schedule.betas, schedule.alphas_bar):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0.5

import json
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.diffusion.schedule import Schedule, solver_timesteps, timesteps
from glide_edit.errors import InputError

PUBLISHED = json.loads((Path(__file__).parents[2] / "data" / "schedules.json").read_text())
COSINE, LINEAR = Schedule.cosine(), Schedule.linear()


@pytest.mark.parametrize(
    ("spec", "name"),
    [(100, "100"), ("100", "100"), ("fast27", "fast27"), (" ddim50 ", "ddim50")],
)
def test_published_steps_are_reproduced(spec: int | str, name: str) -> None:
    expected = PUBLISHED[f"space_{name}"][::-1]
    assert timesteps(COSINE, spec) == expected
    assert timesteps(1000, spec) == expected


def test_a_list_spends_its_steps_section_by_section() -> None:
    # 10 indices in sections of 4, 3 and 3.
    assert timesteps(10, "2,1,3") == [9, 8, 7, 4, 3, 0]
    assert timesteps(300, "10,15,20") == sorted(timesteps(300, "10,15,20"), reverse=True)
    assert len(timesteps(300, "10,15,20")) == 45


@settings(deadline=None)
@given(data=st.data(), total=st.integers(1, 1500))
def test_evenly_spaced_steps(data: st.DataObject, total: int) -> None:
    count = data.draw(st.integers(1, total))
    steps = timesteps(total, count)
    assert len(steps) == count
    assert steps[0] == total - 1
    assert count == 1 or steps[-1] == 0
    gaps = -np.diff(steps)
    assert count == 1 or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (0, "between 1 and 1000, not 0"),
        (-5, "between 1 and 1000"),
        (1001, "between 1 and 1000, not 1001"),
        ("", "Cannot read the steps"),
        ("fast", "Cannot read the steps"),
        ("ddim", "Cannot read the steps"),
        ("10,,3", "Cannot read the steps"),
        ("1.5", "Cannot read the steps"),
        ("ddim0", "between 1 and 1000"),
        ("ddim999", "No whole-number stride takes 999 steps"),
        ("600,10", "section of 500 timesteps"),
        ("0,10", "section of 500 timesteps"),
    ],
)
def test_steps_that_cannot_be_taken_are_refused(spec: int | str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        timesteps(1000, spec)


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(InputError, match="1 to 100,000"):
        timesteps(0, 1)


@pytest.mark.parametrize("schedule", [COSINE, LINEAR], ids=lambda schedule: schedule.name)
def test_solver_steps_are_even_in_log_snr(schedule: Schedule) -> None:
    steps = solver_timesteps(schedule, 20)
    half = (schedule.log_snr(torch.tensor(steps)) / 2).numpy()
    np.testing.assert_allclose(np.diff(half), (half[-1] - half[0]) / 19, rtol=1e-3)
    assert steps[-1] == 0


def test_solver_steps_start_where_the_clean_picture_can_be_recovered() -> None:
    # Cosine ends at half a log-SNR of -9.9, linear at -5.06, which is allowed.
    for kind in ("dpm", "time"):
        start = solver_timesteps(COSINE, 20, kind)[0]
        assert float(COSINE.log_snr(torch.tensor(start)) / 2) == pytest.approx(-5.1, abs=1e-4)
        assert solver_timesteps(LINEAR, 20, kind)[0] == 999


def test_solver_steps_even_in_time() -> None:
    steps = solver_timesteps(LINEAR, 10, "time")
    np.testing.assert_allclose(np.diff(steps), -111.0, atol=1e-3)


@pytest.mark.parametrize("kind", ["dpm", "time"])
@pytest.mark.parametrize("schedule", [COSINE, LINEAR, Schedule.cosine(30), Schedule.cosine(1)], ids=repr)
def test_solver_steps_fall_strictly_and_fit_float32(schedule: Schedule, kind: Literal["dpm", "time"]) -> None:
    for count in sorted(
        {1, min(2, schedule.num_timesteps), schedule.num_timesteps // 2 or 1, schedule.num_timesteps}
    ):
        steps = solver_timesteps(schedule, count, kind)
        assert len(steps) == count
        assert all(a > b for a, b in pairwise(steps))
        assert torch.tensor(steps, dtype=torch.float32).tolist() == steps


def test_solver_steps_that_cannot_be_taken_are_refused() -> None:
    with pytest.raises(InputError, match="between 1 and 1000, not 0"):
        solver_timesteps(COSINE, 0)
    with pytest.raises(InputError, match="not 1001"):
        solver_timesteps(COSINE, 1001)
    with pytest.raises(InputError, match="karras"):
        solver_timesteps(COSINE, 10, "karras")  # type: ignore[arg-type]


def test_trailing_steps_are_even_and_begin_where_x0_can_be_told() -> None:
    assert timesteps(1000, "trailing4") == [999, 749, 499, 249]
    assert timesteps(Schedule.cosine(), "trailing4") == [995, 749, 499, 249]
    assert timesteps(Schedule.linear(), "trailing2") == [999, 499]
    assert timesteps(1000, "trailing1") == [999]


def test_steps_can_be_named() -> None:
    assert timesteps(1000, "at 995, 700,0") == [995, 700, 0]
    assert timesteps(1000, "at 12") == [12]


@pytest.mark.parametrize(
    "spec", ["at 1000,5", "at 5,5", "at 5,9", "at", "at 5,", "trailing0", "trailing", "trailing1001"]
)
def test_steps_that_make_no_sense_are_refused(spec: str) -> None:
    with pytest.raises(InputError):
        timesteps(1000, spec)

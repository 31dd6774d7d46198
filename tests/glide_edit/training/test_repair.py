"""Runs of a repair network: what it is shown, learning, stopping and going on, starting from another."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glide_edit.errors import TrainingError
from glide_edit.models import choose_runtime
from glide_edit.models.repair import load_repair, provenance_of
from glide_edit.networks.repair import RepairConfig
from glide_edit.training import hidden
from glide_edit.training.hidden import MOST_HIDDEN, hidden_part
from glide_edit.training.repair import LARGE_EVERY, SMALL, RepairPlan
from glide_edit.training.run import run
from glide_edit.training.settings import TrainSettings

CONFIG = RepairConfig(image_size=64, channels=(16, 16), blocks=(1, 1), middle=(2,))


@pytest.fixture
def settings(pictures: Path, tmp_path: Path) -> TrainSettings:
    return TrainSettings(
        stage="repair",
        out=tmp_path / "run",
        data=str(pictures),
        steps=6,
        batch_size=2,
        device="cpu",
        precision="float32",
        network=CONFIG,
        log_every=1,
    )


@pytest.mark.parametrize("size", [16, 64, 256])
def test_some_is_hidden_and_never_most(size: int) -> None:
    shares = [hidden_part(size, np.random.default_rng(seed)).mean() for seed in range(60)]
    assert min(shares) > 0
    assert max(shares) <= MOST_HIDDEN
    assert np.array_equal(*(hidden_part(size, np.random.default_rng(3)) for _ in range(2)))


def test_thin_and_thick_things_are_hidden() -> None:
    """A share of each kind, by how deep a hidden pixel lies."""
    assert sum(share for _, share in hidden._KINDS) == pytest.approx(1)

    def depth(part: NDArray[np.bool_]) -> int:
        return next(n for n in range(200) if not _eroded(part, n).any())

    depths = [depth(hidden_part(128, np.random.default_rng(seed))) for seed in range(80)]
    assert sum(each <= 6 for each in depths) > 8
    assert sum(each >= 15 for each in depths) > 8


def _eroded(part: NDArray[np.bool_], times: int) -> NDArray[np.bool_]:
    for _ in range(times):
        wide = np.pad(part, 1, constant_values=False)
        part = wide[1:-1, 1:-1] & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return part


def test_steps_have_as_many_pixels_and_follow_from_their_number(squares: Any) -> None:
    plan = RepairPlan(None, squares(64), 1.0, batch_size=2, size=64, seed=5)
    large, small = plan.make(LARGE_EVERY), plan.make(LARGE_EVERY + 1)
    assert large.image.shape == (2, 3, 64, 64)
    assert small.image.shape == (2 * SMALL**2, 3, 32, 32)
    again = plan.make(LARGE_EVERY + 1)
    assert torch.equal(small.image, again.image)
    assert torch.equal(small.keep_mask, again.keep_mask)
    assert small.image.abs().max() <= 1
    assert 0 < (1 - small.keep_mask).mean() < MOST_HIDDEN


def test_a_run_learns_writes_and_goes_on(settings: TrainSettings, tmp_path: Path) -> None:
    outcome = run(settings)
    assert outcome.finished
    assert outcome.model == settings.out / "repair"
    assert any((settings.out / "samples").iterdir())
    read = load_repair(outcome.model, choose_runtime("cpu", "float32"))
    assert read.config == CONFIG

    def interrupt(record: dict[str, Any]) -> None:
        if record["step"] == 3:
            signal.raise_signal(signal.SIGINT)

    stopped = replace(settings, out=tmp_path / "stopped")
    assert not run(stopped, interrupt).finished
    again = load_repair(run(stopped).model, choose_runtime("cpu", "float32"))
    for name, value in read.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_it_may_start_from_another_of_the_same_shape(settings: TrainSettings, tmp_path: Path) -> None:
    first = run(settings).model
    more = replace(settings, out=tmp_path / "more", start=first, steps=1, learning_rate=1e-9)
    float32 = choose_runtime("cpu", "float32")
    one, other = (load_repair(folder, float32).state_dict() for folder in (first, run(more).model))
    for name, value in one.items():
        assert torch.allclose(value, other[name], atol=1e-2), name
    assert provenance_of(more.out / "repair")["started_from"] == provenance_of(first)
    wider = replace(CONFIG, channels=(16, 32))
    with pytest.raises(TrainingError, match="another one"):
        run(replace(settings, out=tmp_path / "other", start=first, network=wider))


def test_views_must_fit_the_network(settings: TrainSettings) -> None:
    with pytest.raises(TrainingError, match="multiple"):
        run(replace(settings, network=replace(CONFIG, image_size=36)))

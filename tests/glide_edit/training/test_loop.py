"""The loop: what it learns, when it stops, what it counts."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import TrainingError
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training import checkpoint
from glide_edit.training.batches import Batch, BatchPlan, to_device
from glide_edit.training.checkpoint import Progress
from glide_edit.training.feature_probe import TAGS
from glide_edit.training.log import LOG_NAME, PATIENCE
from glide_edit.training.loop import train
from glide_edit.training.settings import LoopOptions
from glide_edit.training.sources import RenderedToybox
from glide_edit.training.training_module import ModuleWithLoss, TrainingModule
from glide_edit.training.views import Mixture
from glide_edit.training.weights import MasterWeights

CPU = torch.device("cpu")


def make_module(config: EfficientUNetConfig, probes: bool = False) -> TrainingModule:
    torch.manual_seed(0)
    network = EfficientUNet(config, Schedule.cosine())
    if not config.text_width:
        return TrainingModule(network, None, None)
    tokenizer = BytePairTokenizer.train(["a square on grey", "a square", *TAGS], 500, 40)
    text_config = TextTransformerConfig(tokenizer.vocabulary_size, config.text_width)
    return TrainingModule(network, TextTransformer(text_config), tokenizer, probes)


def records(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / LOG_NAME).read_text().splitlines()]


@pytest.mark.parametrize("stage", ["base", "upsampler"])
def test_a_few_pictures_are_learnt(
    stage: str, request: pytest.FixtureRequest, squares: Any, tmp_path: Path
) -> None:
    config = request.getfixturevalue(f"{stage}_config")
    module = make_module(config)
    crop = 16 if stage == "upsampler" else None
    plan = BatchPlan([(squares(config.image_size, count=2), 1.0, Mixture())], 8, 0, crop)
    fixed = [plan.make(1000 + k) for k in range(4)]

    def loss() -> float:
        with torch.no_grad():
            parts = [module.loss(batch, torch.Generator().manual_seed(batch.step)) for batch in fixed]
        return float(torch.stack(parts).mean())

    before = loss()
    options = LoopOptions(steps=80, learning_rate=4e-3, warmup_steps=5, log_every=10)
    train(module, plan, options, tmp_path, {}, CPU)
    logged = [record["loss"] for record in records(tmp_path)]
    assert loss() < 0.6 * before
    assert logged[-1] < 0.7 * logged[0]


class Line(ModuleWithLoss[Batch]):
    """Learns one number; ``bad`` steps give no number for a loss."""

    def __init__(self, bad: range = range(0)) -> None:
        super().__init__()
        self.number = nn.Parameter(torch.zeros(1))
        self.bad = bad

    def loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        return (self.number - 1).square().sum() * (math.nan if batch.step in self.bad else 1.0)


@pytest.fixture
def plan(squares: Any) -> BatchPlan:
    return BatchPlan([(squares(16), 1.0, Mixture())], 2, 0)


def run_line(
    plan: BatchPlan, options: LoopOptions, out: Path, bad: range = range(0), **hooks: Any
) -> tuple[MasterWeights, Progress]:
    return train(Line(bad), plan, options, out, {}, CPU, **hooks)


def test_a_few_bad_steps_are_skipped(plan: BatchPlan, tmp_path: Path) -> None:
    _, progress = run_line(plan, LoopOptions(steps=30, log_every=5), tmp_path, bad=range(4, 11))
    assert progress.step == 30
    # Of steps 5-10 none gave a number: there is nothing to tell.
    assert [record["step"] for record in records(tmp_path)] == [5, 15, 20, 25, 30]
    assert all(math.isfinite(value) for record in records(tmp_path) for value in record.values())


def test_a_run_that_came_to_nothing_is_given_up(plan: BatchPlan, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not been a number"):
        run_line(plan, LoopOptions(steps=1000, log_every=5), tmp_path, bad=range(7, 10**6))
    assert records(tmp_path)[-1]["step"] <= 7 + PATIENCE


def test_minutes_are_minutes_of_training(plan: BatchPlan, tmp_path: Path) -> None:
    """Saving and sampling take time that is not bought."""
    options = LoopOptions(minutes=0.5 / 60, sample_seconds=0.1, checkpoint_seconds=0.0)
    samples: list[Progress] = []

    def sample(progress: Progress) -> None:
        time.sleep(0.1)
        samples.append(progress)

    began = time.monotonic()
    _, progress = run_line(plan, options, tmp_path, on_sample=sample)
    wall = time.monotonic() - began
    assert samples
    assert options.done(progress) >= 1
    assert 0.5 <= progress.seconds <= wall - 0.1 * len(samples)
    assert progress.views == 2 * progress.step
    # It is done: once more changes nothing.
    assert run_line(plan, options, tmp_path)[1] == progress


def test_more_steps_go_on_from_the_end(plan: BatchPlan, tmp_path: Path) -> None:
    assert run_line(plan, LoopOptions(steps=4), tmp_path)[1].step == 4
    heard: list[dict[str, Any]] = []
    assert run_line(plan, LoopOptions(steps=8, log_every=2), tmp_path, on_log=heard.append)[1].step == 8
    assert [(record["step"], record["done"]) for record in heard] == [(6, 0.75), (8, 1.0)]


def test_the_log_of_a_killed_run_is_cut_where_its_checkpoint_is(plan: BatchPlan, tmp_path: Path) -> None:
    run_line(plan, LoopOptions(steps=6, log_every=2), tmp_path)
    straight = records(tmp_path)
    late = json.dumps(straight[-1] | {"step": 8})
    with open(tmp_path / LOG_NAME, "a") as file:
        file.write(late + "\n" + late[:20])
    run_line(plan, LoopOptions(steps=10, log_every=2), tmp_path)
    assert records(tmp_path)[:3] == straight
    assert [record["step"] for record in records(tmp_path)] == [2, 4, 6, 8, 10]


def test_an_error_in_a_hook_or_in_the_data_ends_the_thread(plan: BatchPlan, tmp_path: Path) -> None:
    import threading

    def fail(record: dict[str, Any]) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        run_line(plan, LoopOptions(steps=6, log_every=2), tmp_path, on_log=fail)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("batches")]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"minutes": 1.0, "steps": 5},
        {"minutes": 0.0},
        {"minutes": math.nan},
        {"minutes": math.inf},
        {"steps": 0},
        {"steps": -3},
        {"steps": 1, "learning_rate": 0.0},
        {"steps": 1, "learning_rate": math.nan},
        {"steps": 1, "seed": -1},
        {"steps": 1, "seed": 2**32},
        {"steps": 1, "log_every": 0},
    ],
)
def test_options_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(TrainingError):
        LoopOptions(**values)


def test_the_rate_warms_up_stays_and_falls() -> None:
    options = LoopOptions(steps=1000, learning_rate=1.0, warmup_steps=100, decay_share=0.4)
    rates = np.array([options.rate(Progress(step=step)) for step in range(1001)])
    assert rates[0] == pytest.approx(0.01)
    assert rates[49] == pytest.approx(0.5)
    assert (rates[99:601] == 1).all()
    assert rates[800] == pytest.approx(0.02 + 0.98 / 2)
    assert rates[1000] == pytest.approx(0.02)
    assert (np.diff(rates[600:]) <= 0).all()


@pytest.mark.parametrize("stage", ["base", "upsampler"])
def test_everything_is_computed_where_the_network_is(
    stage: str, request: pytest.FixtureRequest, squares: Any
) -> None:
    """PyTorch's meta device stands in for a GPU: it refuses to mix with tensors of the CPU."""
    config = request.getfixturevalue(f"{stage}_config")
    meta = torch.device("meta")
    module = make_module(config, probes=stage == "base").to(device=meta, dtype=torch.bfloat16)
    source = RenderedToybox(config.image_size) if stage == "base" else squares(config.image_size)
    side = 8 if stage == "base" else None
    plan = BatchPlan([(source, 1.0, Mixture(known=0, caption=1))], 2, 0, tag_side=side)
    batch = to_device(plan.make(0), meta)
    loss = module.loss(batch, torch.Generator())
    loss.backward()
    assert loss.device == meta
    assert all(p.grad is not None and p.grad.device == meta for p in module.parameters())


def test_a_batch_teaches_the_same_whatever_was_drawn_before(base_config: Any, squares: Any) -> None:
    module = make_module(base_config)
    batch = BatchPlan([(squares(16), 1.0, Mixture())], 4, 0).make(3)
    first = module.loss(batch, torch.Generator().manual_seed(3))
    torch.randn(100)
    assert torch.equal(module.loss(batch, torch.Generator().manual_seed(3)), first)
    assert not torch.equal(module.loss(batch, torch.Generator().manual_seed(4)), first)


def test_low_resolution_pictures_have_the_noise_they_are_said_to_have(upsampler_config: Any) -> None:
    module = make_module(upsampler_config)
    image = torch.full((400, 3, 32, 32), 0.5)
    low_res, level = module._low_resolution(image, torch.Generator().manual_seed(0))
    assert low_res.shape == (400, 3, 8, 8)
    assert (level == 0).double().mean().item() == pytest.approx(0.1, abs=0.06)
    assert level.max() <= 0.5
    spread = low_res.std(dim=(1, 2, 3))
    torch.testing.assert_close(spread, level, rtol=0.3, atol=1e-6)
    torch.testing.assert_close(low_res.mean(dim=(1, 2, 3)), 0.5 * (1 - level**2).sqrt(), rtol=0, atol=0.2)


def test_nothing_but_the_checkpoint_and_the_log_is_left(plan: BatchPlan, tmp_path: Path) -> None:
    run_line(plan, LoopOptions(steps=3, log_every=1, checkpoint_seconds=0.0), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [checkpoint.FILE_NAME, LOG_NAME]

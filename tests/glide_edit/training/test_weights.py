"""Master weights, their optimizer and their moving average."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from glide_edit.errors import TrainingError
from glide_edit.training import checkpoint
from glide_edit.training.checkpoint import Progress
from glide_edit.training.weights import MasterWeights


class Numbers(nn.Module):
    """A module of one parameter."""

    def __init__(self, *values: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.tensor(values, dtype=dtype))


def step(weights: MasterWeights, module: Numbers, gradient: list[float], rate: float = 0.01) -> float:
    module.numbers.grad = torch.tensor(gradient, dtype=module.numbers.dtype)
    return weights.step(rate)


def test_updates_far_below_bf16_add_up() -> None:
    module = Numbers(1.0, dtype=torch.bfloat16)
    weights = MasterWeights(module, 1e-5, 0.9)
    moved_at = None
    for k in range(300):
        step(weights, module, [1.0], rate=1e-5)
        master = weights.state()["master/numbers"]
        assert torch.equal(module.numbers.detach(), master.bfloat16())
        if moved_at is None and module.numbers.item() != 1.0:
            moved_at = k
    # Adam moves by the rate when the gradient stays; bf16 below 1 has steps of 2^-8, so half of one is
    # reached after 195 of them, and a single one is far too small to be seen.
    assert master.item() == pytest.approx(1 - 300e-5, abs=1e-5)
    assert moved_at == pytest.approx(195, abs=2)
    alone = torch.tensor(1.0, dtype=torch.bfloat16)
    assert (alone - 1e-5).item() == 1.0


def test_first_step_is_the_rate_against_the_sign_and_the_norm_is_reported() -> None:
    module = Numbers(1.0, 2.0)
    weights = MasterWeights(module, 0.01, 0.9)
    assert step(weights, module, [3.0, -4.0]) == pytest.approx(5.0)
    torch.testing.assert_close(module.numbers.detach(), torch.tensor([0.99, 2.01]))
    assert module.numbers.grad is None


def test_moving_average_follows_its_closed_form() -> None:
    module = Numbers(1.0)
    weights = MasterWeights(module, 0.05, ema_decay=0.3)
    expected = 1.0
    for k in range(1, 20):
        step(weights, module, [1.0], rate=0.05)
        decay = min(0.3, (1 + k) / (20 + k))
        expected = decay * expected + (1 - decay) * (1 - 0.05 * k)
        assert weights.ema()["numbers"].item() == pytest.approx(expected, rel=1e-5)
    assert decay == 0.3, "the cap was never reached"
    with weights.averaged():
        assert module.numbers.item() == pytest.approx(expected, rel=1e-5)
    assert module.numbers.item() == pytest.approx(1 - 0.05 * 19, rel=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_bad_gradient_changes_nothing(bad: float) -> None:
    module = Numbers(1.0, 2.0)
    weights = MasterWeights(module, 0.01, 0.9)
    step(weights, module, [1.0, 1.0])
    before = {name: value.clone() for name, value in weights.state().items()}
    assert not math.isfinite(step(weights, module, [bad, 1.0]))
    after = weights.state()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert module.numbers.grad is None
    assert step(weights, module, [1.0, 1.0]) == pytest.approx(math.sqrt(2))
    assert torch.isfinite(module.numbers).all()


class Convolution(nn.Module):
    """Weights whose memory order differs from that of their indices."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(4, 8, 3)
        self.second = nn.Conv2d(8, 2, 1)
        self.to(dtype=torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss(self, seed: int) -> Tensor:
        x = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(seed)).bfloat16()
        return self.second(self.first(x.contiguous(memory_format=torch.channels_last)).relu()).square().mean()


def steps(module: Convolution, weights: MasterWeights, first: int, last: int) -> None:
    for seed in range(first, last):
        module.loss(seed).backward()
        weights.step(0.01)


@pytest.mark.parametrize("skipped", [False, True])
def test_restored_weights_go_on_bit_for_bit(tmp_path: Path, skipped: bool) -> None:
    """Also where the memory order is channels-last, which a file does not keep."""
    straight = Convolution()
    weights = MasterWeights(straight, 0.01, 0.99)
    steps(straight, weights, 0, 4)
    if skipped:
        (straight.loss(0) * math.nan).backward()
        weights.step(0.01)
    count = 4 + skipped
    checkpoint.save(tmp_path, weights.state(), Progress(step=count), {})
    steps(straight, weights, 4, 8)

    resumed = Convolution()
    again = MasterWeights(resumed, 0.01, 0.99)
    found = checkpoint.load(tmp_path, {})
    assert found is not None
    again.restore(found[0], found[1].step)
    steps(resumed, again, 4, 8)
    expected, actual = weights.state(), again.state()
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        assert torch.equal(value, actual[name]), name


def test_weights_of_another_network_are_refused() -> None:
    module = Numbers(1.0)
    weights = MasterWeights(module, 0.01, 0.9)
    step(weights, module, [1.0])
    other = MasterWeights(Numbers(1.0, 2.0), 0.01, 0.9)
    with pytest.raises(TrainingError, match="another network"):
        other.restore(weights.state(), 1)
    with pytest.raises(TrainingError, match="another network"):
        other.start_from({"names": torch.zeros(2)})
    other.start_from({"numbers": torch.tensor([5.0, 6.0])})
    assert other.ema()["numbers"].tolist() == [5.0, 6.0]

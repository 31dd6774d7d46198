"""The oneDNN backend answers as the plain modules do, and is left alone where its operators are missing."""

import copy
import gc
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.networks import onednn
from glide_edit.networks.convolution import Conv2d
from tests.glide_edit import golden, golden_unets

GOLDEN = golden.load()
needs_onednn = pytest.mark.skipif(not onednn.available(), reason="PyTorch without oneDNN's operators")


def noise(*shape: int, seed: int = 0) -> Tensor:
    made = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return made.contiguous(memory_format=torch.channels_last)


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference.float()).norm() / reference.float().norm())


@needs_onednn
@torch.no_grad()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.005)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_it_answers_as_the_plain_convolution(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, tolerance: float, kernel: int
) -> None:
    conv, added = Conv2d(48, 32, kernel).to(dtype), noise(2, 32, 6, 10, seed=1).to(dtype)
    parts = [noise(2, width, 6, 10, seed=width).to(dtype) for width in (32, 16)]
    ours = [onednn.convolve(conv, parts), onednn.convolve(conv, parts, added.clone())]
    if kernel == 3 and dtype == torch.bfloat16:
        assert onednn.can_run(parts[0], conv.weight)
    if kernel == 3:
        ours.append(_first(conv).of_doubled(parts[0]))
    monkeypatch.setattr(onednn, "available", lambda: False)
    plain = [conv(*parts), conv(*parts, add_to=added.clone())]
    if kernel == 3:
        plain.append(_first(conv)(F.interpolate(parts[0], scale_factor=2.0, mode="nearest")))
    for fast, slow in zip(ours, plain, strict=True):
        assert fast.shape == slow.shape
        assert relative(fast, slow) < tolerance


def _first(conv: Conv2d) -> Conv2d:
    """The convolution of the first 32 input channels alone."""
    first = Conv2d(32, conv.out_channels, 3).to(conv.weight.dtype)
    first.load_state_dict({"weight": conv.weight[:, :32], "bias": conv.bias})
    return first


@needs_onednn
@torch.no_grad()
@pytest.mark.parametrize("name", golden_unets.CHECKPOINTS)
def test_a_network_answers_alike_with_and_without(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    unet, text = golden_unets.networks(name)
    unet.to(torch.bfloat16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    given = [GOLDEN[f"{name}.in.x"], GOLDEN[f"{name}.in.t"], [golden_unets.condition(name, text)]]
    with_backend = unet.predict(*given)[0].x0
    monkeypatch.setattr(onednn, "available", lambda: False)
    plain = unet.predict(*given)[0].x0
    assert not torch.equal(with_backend, plain), "the backend was not used at all"
    assert relative(with_backend, plain) < 0.03


@torch.no_grad()
@pytest.mark.parametrize("missing", ["operators", "oneDNN"])
def test_the_plain_convolution_runs_where_something_is_missing(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    conv, x = Conv2d(48, 32, 3).bfloat16(), noise(1, 48, 4, 4).bfloat16()
    expected = F.conv2d(x, conv.weight, conv.bias, padding=1)
    if missing == "operators":
        monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(_convolution_pointwise=None))
    else:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not onednn.available()
    assert torch.equal(conv(x), expected)
    assert conv not in onednn._ordered


def test_other_precisions_and_gradients_are_for_the_plain_modules() -> None:
    conv, x = Conv2d(48, 32, 3), noise(1, 48, 4, 4)
    assert not onednn.can_run(x, conv.weight)
    assert not onednn.can_run(x.bfloat16(), conv.weight.bfloat16())
    with torch.no_grad():
        assert not onednn.can_run(x, conv.weight)
        assert not onednn.can_run(x.half(), conv.weight.half())
        assert onednn.can_run(x.bfloat16(), conv.weight.bfloat16()) == onednn.available()


class TestConvolution:
    """In oneDNN's own order, where this machine has it, and by PyTorch elsewhere: the same numbers."""

    conv = Conv2d(48, 32, 3).bfloat16()
    x = noise(2, 48, 6, 10).bfloat16().to(memory_format=torch.channels_last)

    def reference(self, x: Tensor) -> Tensor:
        assert self.conv.bias is not None
        return F.conv2d(x.float(), self.conv.weight.float(), self.conv.bias.float(), padding=1)

    @torch.no_grad()
    def test_one_picture(self) -> None:
        assert relative(self.conv(self.x), self.reference(self.x)) < 0.01

    @torch.no_grad()
    def test_parts_and_what_is_added(self) -> None:
        added = noise(2, 32, 6, 10, seed=1).bfloat16().to(memory_format=torch.channels_last)
        reference = self.reference(self.x) + added.float()
        parts = [part.contiguous(memory_format=torch.channels_last) for part in self.x.split([32, 16], dim=1)]
        assert relative(self.conv(*parts, add_to=added), reference) < 0.01

    @torch.no_grad()
    def test_doubled(self) -> None:
        reference = self.reference(F.interpolate(self.x.float(), scale_factor=2.0, mode="nearest"))
        assert relative(self.conv.of_doubled(self.x), reference) < 0.01

    def test_doubled_in_float32(self) -> None:
        """On the small picture without gradients, on the doubled one with them."""
        conv, x = Conv2d(48, 32, 3), self.x.float()
        expected = conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        assert torch.equal(conv.of_doubled(x), expected)
        with torch.no_grad():
            assert relative(conv.of_doubled(x), expected) < 1e-6
            conv.weight.mul_(2)
            assert (
                relative(conv.of_doubled(x), conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))) < 1e-6
            )

    @torch.no_grad()
    def test_changed_weights_are_used(self) -> None:
        conv = Conv2d(48, 32, 3).bfloat16()
        before = conv(self.x)
        conv.weight.mul_(2)
        assert conv.bias is not None
        bias = conv.bias.float()[:, None, None]
        assert relative(conv(self.x).float() - bias, 2 * (before.float() - bias)) < 0.01
        conv.load_state_dict({"weight": conv.weight * 0, "bias": conv.bias * 0}, assign=True)
        assert not conv(self.x).any()

    @needs_onednn
    @torch.no_grad()
    def test_a_second_call_does_not_order_weights_again(self) -> None:
        conv = Conv2d(768, 768, 3).bfloat16().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        x = noise(1, 768, 2, 2).bfloat16().to(memory_format=torch.channels_last)
        conv(x)
        held = dict(onednn._ordered[conv])
        conv(x)
        assert held
        assert all(onednn._ordered[conv][which] is ordered for which, ordered in held.items())

    @torch.no_grad()
    def test_a_used_one_can_be_copied(self) -> None:
        answer = self.conv(self.x)
        assert torch.equal(copy.deepcopy(self.conv)(self.x), answer)

    @torch.no_grad()
    def test_kept_weights_go_with_their_module(self) -> None:
        conv = Conv2d(48, 32, 3).bfloat16()
        conv(self.x)
        before = len(onednn._ordered)
        del conv
        gc.collect()
        assert len(onednn._ordered) == before - onednn.available()

"""The ADM U-Net: the published numbers, and what guidance and samplers rely on."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning, TextStates
from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import InputError
from glide_edit.models import records
from glide_edit.networks.adm_unet import ADMUNet, ADMUNetConfig
from tests.glide_edit import golden, golden_unets

GOLDEN = golden.load()
TINY = golden_unets.CHECKPOINTS["base"].config


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(ours: Tensor, reference: Tensor) -> float:
    return float((ours.float() - reference).norm() / reference.norm())


def run(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The recorded network's answer to the recorded inputs."""
    unet, text = golden_unets.networks(name)
    unet.to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    outputs: list[Tensor] = []
    unet.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    with torch.no_grad():
        condition = golden_unets.condition(name, text)
        unet.predict(GOLDEN[f"{name}.in.x"], GOLDEN[f"{name}.in.t"], [condition])
    return outputs[0]


@pytest.mark.parametrize("name", golden_unets.CHECKPOINTS)
def test_published_numbers(name: str) -> None:
    assert golden.relative_error(run(name), GOLDEN[f"{name}.out"]) < 2e-5


@pytest.mark.parametrize("name", golden_unets.CHECKPOINTS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.005)])
def test_half_precision_is_close_to_the_published_numbers(
    name: str, dtype: torch.dtype, tolerance: float
) -> None:
    assert relative(run(name, dtype), GOLDEN[f"{name}.out"]) < tolerance


class TestContract:
    unet, text = golden_unets.networks("upsample_inpaint")
    x_t, t = GOLDEN["upsample_inpaint.in.x"], GOLDEN["upsample_inpaint.in.t"].float()

    def given(self) -> Conditioning:
        return golden_unets.condition("upsample_inpaint", self.text)

    def other(self) -> Conditioning:
        given = self.given()
        assert given.text is not None
        return replace(given, text=TextStates(given.text.states.flip(0), given.text.token_mask))

    @torch.no_grad()
    def test_x0_and_variance_come_from_the_output(self) -> None:
        prediction = self.unet.predict(self.x_t, self.t, [self.given()])[0]
        eps, variance = GOLDEN["upsample_inpaint.out"].chunk(2, dim=1)
        x0 = self.unet.schedule.x0_from_eps(eps, self.x_t, self.t)
        assert golden.relative_error(prediction.x0, x0) < 1e-4
        assert prediction.variance_fraction is not None
        assert torch.allclose(prediction.variance_fraction, (variance + 1) / 2, atol=1e-5)

    @torch.no_grad()
    def test_branches_answer_together_as_alone(self) -> None:
        branches = [self.given(), self.other()]
        together = self.unet.predict(self.x_t, self.t, branches)
        for branch, prediction in zip(branches, together, strict=True):
            alone = self.unet.predict(self.x_t, self.t, [branch])[0]
            assert golden.relative_error(prediction.x0, alone.x0) < 1e-5
        assert golden.relative_error(together[0].x0, together[1].x0) > 1e-3

    @torch.no_grad()
    def test_preparing_changes_no_number_and_happens_once(self) -> None:
        prepared = self.unet.prepare(self.given())
        assert prepared.text is not None
        assert prepared.text.keys_values is not None
        assert len(prepared.text.keys_values) == len(self.unet.attention_layers())
        assert prepared.low_res is not None
        assert prepared.low_res.shape == self.x_t.shape
        again = self.unet.prepare(prepared)
        assert again.text is prepared.text
        assert again.low_res is prepared.low_res
        ours = self.unet.predict(self.x_t, self.t, [prepared])[0].x0
        assert torch.equal(ours, self.unet.predict(self.x_t, self.t, [self.given()])[0].x0)

    @torch.no_grad()
    def test_no_known_pixels_is_the_same_as_none_kept(self) -> None:
        given = self.given()
        nothing = replace(given, known=None, keep_mask=None)
        assert given.known is not None
        assert given.keep_mask is not None
        zeros = replace(
            given, known=torch.zeros_like(given.known), keep_mask=torch.zeros_like(given.keep_mask)
        )
        ours = [self.unet.predict(self.x_t, self.t, [each])[0].x0 for each in (nothing, zeros)]
        assert torch.allclose(*ours, atol=1e-5)
        mixed = self.unet.predict(self.x_t, self.t, [given, nothing])[1].x0
        assert golden.relative_error(mixed, ours[0]) < 1e-5

    @torch.no_grad()
    @pytest.mark.parametrize("size", [(16, 40), (4, 8)])
    def test_pictures_of_other_sizes(self, size: tuple[int, int]) -> None:
        given = replace(self.given(), known=None, keep_mask=None)
        prediction = self.unet.predict(noise(2, 3, *size), self.t, [given])[0]
        assert prediction.x0.shape == (2, 3, *size)
        assert prediction.x0.isfinite().all()

    def test_a_branch_without_text_is_a_mistake(self) -> None:
        with pytest.raises(AssertionError, match="empty prompt"):
            self.unet.predict(self.x_t, self.t, [replace(self.given(), text=None)])


def test_a_new_network_answers_zero_and_learns() -> None:
    torch.manual_seed(0)
    unet = ADMUNet(TINY, Schedule.cosine())
    for parameter in unet.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    text = TextStates(noise(1, 5, TINY.text_width), torch.ones(1, 5, dtype=torch.bool))
    condition = unet.prepare(Conditioning(text=text))
    output = unet(noise(1, 3, 16, 16), torch.tensor([500.0]), condition)
    (output * noise(*output.shape, seed=1)).sum().backward()
    dead = [name for name, p in unet.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []
    assert not ADMUNet(TINY, Schedule.cosine())(noise(1, 3, 16, 16), torch.tensor([500.0]), condition).any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"multipliers": ()}, "multipliers"),
        ({"blocks": 0}, "1 or more"),
        ({"width": 48}, "multiple of 32"),
        ({"attention": (3,)}, "downsampling rate 3"),
        ({"attention": (4,)}, "downsampling rate 4"),
        ({"head_width": 24}, "heads of 24"),
        ({"image_size": 15}, "multiple of 2"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        replace(TINY, **changes)


def test_a_configuration_comes_back_from_json() -> None:
    record = {
        "image_size": 32,
        "width": 32,
        "multipliers": [1, 2, 2],
        "blocks": 1,
        "attention": [4],
        "head_width": 16,
        "text_width": 64,
        "known": True,
        "low_res": True,
    }
    config = records.into(ADMUNetConfig, record, "config")
    assert config == golden_unets.CHECKPOINTS["upsample_inpaint"].config
    assert (config.input_channels, config.stride, config.drawing) == (10, 4, False)

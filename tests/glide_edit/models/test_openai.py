"""The table between published names and ours, against the key lists of the released checkpoints."""

import math
from functools import cache

import pytest
import torch
from torch import Tensor

from glide_edit.errors import ModelFormatError
from glide_edit.models import openai, tensors
from glide_edit.networks.adm_unet import ADMUNet
from glide_edit.text.glide_transformer import GlideTextTransformer
from tests.glide_edit import golden, golden_unets

PARAMETERS = {
    "base": 385_030_726,
    "base_inpaint": 385_037_638,
    "upsample": 398_361_286,
    "upsample_inpaint": 398_368_198,
}


@cache
def parts(checkpoint: openai.Checkpoint) -> tuple[ADMUNet, GlideTextTransformer]:
    unet = tensors.blank(lambda: ADMUNet(checkpoint.config, checkpoint.schedule), "the U-Net")
    return unet, tensors.blank(lambda: GlideTextTransformer(checkpoint.text), "the text encoder")


@pytest.mark.parametrize("name", openai.CHECKPOINTS)
def test_names_and_shapes_are_the_released_ones(name: str) -> None:
    checkpoint = openai.CHECKPOINTS[name]
    unet, text = parts(checkpoint)
    ours = openai.joined(unet.state_dict(), text.state_dict(), checkpoint)
    assert {key: tuple(value.shape) for key, value in ours.items()} == golden.keys(name)
    assert sum(p.numel() for part in (unet, text) for p in part.parameters()) == PARAMETERS[name]
    assert sum(math.prod(shape) for shape in golden.keys(name).values()) == PARAMETERS[name]


@pytest.mark.parametrize("name", openai.CHECKPOINTS)
def test_every_tensor_of_ours_has_one_published_name(name: str) -> None:
    checkpoint = openai.CHECKPOINTS[name]
    unet, text = parts(checkpoint)
    assert sorted(openai.unet_names(checkpoint.config).values()) == sorted(unet.state_dict())
    assert sorted(openai.text_names(checkpoint.text).values()) == sorted(text.state_dict())


class TestSplitting:
    checkpoint = golden_unets.CHECKPOINTS["base"]

    def published(self) -> dict[str, Tensor]:
        unet, text = parts(self.checkpoint)
        blank = openai.joined(unet.state_dict(), text.state_dict(), self.checkpoint)
        return golden.weights({name: tuple(value.shape) for name, value in blank.items()})

    def test_joining_gives_back_what_was_split(self) -> None:
        published = self.published()
        again = openai.joined(*openai.split(published, self.checkpoint), self.checkpoint)
        assert again.keys() == published.keys()
        assert all(torch.equal(again[name], value) for name, value in published.items())

    def test_a_missing_tensor_is_named(self) -> None:
        published = self.published()
        del published["out.2.bias"]
        with pytest.raises(ModelFormatError, match=r"lacks out\.2\.bias"):
            openai.split(published, self.checkpoint)

    def test_an_unknown_tensor_is_named(self) -> None:
        published = self.published() | {"label_emb.weight": torch.zeros(1)}
        with pytest.raises(ModelFormatError, match=r"unknown label_emb\.weight"):
            openai.split(published, self.checkpoint)

    @pytest.mark.parametrize("shape", [(192, 64), (192, 64, 3), (192, 64, 1, 1)])
    def test_only_a_kernel_of_1_may_be_left_out(self, shape: tuple[int, ...]) -> None:
        published = self.published() | {"middle_block.1.qkv.weight": torch.zeros(shape)}
        with pytest.raises(ModelFormatError, match=r"middle_block\.1\.qkv\.weight has the shape"):
            openai.split(published, self.checkpoint)

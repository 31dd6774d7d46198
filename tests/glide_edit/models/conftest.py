"""A tiny cascade, 16 to 64 pixels, with a text encoder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.models.folder import StageSpec, TextSpec, write_model
from glide_edit.models.presets import BASE_PRESET, UPSAMPLER_PRESET
from glide_edit.models.runtime import Runtime
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig

BASE = EfficientUNetConfig(
    image_size=16,
    channels=(16, 32),
    blocks=(1, 1),
    attention=(False, True),
    embedding_width=32,
    text_width=12,
    known=True,
    drawing=True,
)
UPSAMPLER = EfficientUNetConfig(
    image_size=64,
    channels=(16, 16),
    blocks=(1, 0),
    attention=(False, False),
    patch=4,
    embedding_width=16,
    known=True,
    low_res=True,
    prediction="eps",
)


@dataclass(frozen=True, eq=False)
class Parts:
    """What a model is made of, as training leaves it, and how to write it."""

    base: EfficientUNet
    upsampler: EfficientUNet
    transformer: TextTransformer
    tokenizer: BytePairTokenizer

    @property
    def base_stage(self) -> tuple[StageSpec, dict[str, Tensor]]:
        return StageSpec("base", BASE, self.base.schedule, BASE_PRESET), self.base.state_dict()

    @property
    def upsampler_stage(self) -> tuple[StageSpec, dict[str, Tensor]]:
        spec = StageSpec("upsampler", UPSAMPLER, self.upsampler.schedule, UPSAMPLER_PRESET)
        return spec, self.upsampler.state_dict()

    @property
    def text(self) -> tuple[TextSpec, dict[str, Tensor], BytePairTokenizer]:
        return TextSpec(self.transformer.config), self.transformer.state_dict(), self.tokenizer

    def write(self, folder: Path, **changes: Any) -> Path:
        """A whole cascade, with some of ``write_model``'s arguments changed."""
        arguments = {
            "name": "tiny",
            "licence": "MIT",
            "provenance": {"recipe": {"seed": 7}},
            "stages": [self.base_stage, self.upsampler_stage],
            "text": self.text,
        }
        return write_model(folder, **(arguments | changes))


def randomised(module: nn.Module) -> Any:
    """The module with random numbers where it starts at zero."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.2)
    return module.eval()


def make_parts(seed: int) -> Parts:
    torch.manual_seed(seed)
    return Parts(
        base=randomised(EfficientUNet(BASE, Schedule.cosine())),
        upsampler=randomised(EfficientUNet(UPSAMPLER, Schedule.linear(200))),
        transformer=randomised(
            TextTransformer(TextTransformerConfig(300, width=12, layers=1, heads=2, context=8))
        ),
        tokenizer=BytePairTokenizer.train(["a red ball on grass", "a blue cube"] * 3, 290, context=8),
    )


@pytest.fixture(scope="session")
def parts() -> Parts:
    return make_parts(3)


@pytest.fixture(scope="session")
def other_parts() -> Parts:
    """Of the same shape, with other weights."""
    return make_parts(4)


@pytest.fixture
def folder(parts: Parts, tmp_path: Path) -> Path:
    """A freshly written cascade, in the default bfloat16."""
    return parts.write(tmp_path / "model")


@pytest.fixture
def runtime() -> Callable[[torch.dtype], Runtime]:
    def make(dtype: torch.dtype) -> Runtime:
        return Runtime(torch.device("cpu"), dtype, channels_last=True, threads=1, reason="a test")

    return make

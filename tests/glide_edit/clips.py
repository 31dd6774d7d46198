"""Small CLIPs for tests: the noised one that was recorded, and open_clip models with random weights."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from glide_edit import optional_dependencies
from glide_edit.models import ClipSpec, Model, openai_clip
from glide_edit.models.model import NoisedClip
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.networks.open_clip import OpenCLIP
from tests.glide_edit import golden
from tests.glide_edit.operations.stand_ins import CONTEXT, tiny_model

needs_open_clip = pytest.mark.skipif(
    importlib.util.find_spec("open_clip") is None, reason="the optional set glide-edit[clip] is not installed"
)

RECORDED = NoisedCLIPConfig(
    image_size=16,
    patch=4,
    image_width=32,
    image_layers=2,
    image_heads=2,
    vocabulary=211,
    context=12,
    text_width=32,
    text_layers=2,
    text_heads=2,
    embedding_width=32,
)

TINY = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 24, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 20, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {"mean": [0.3, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
}
"""A model as open_clip describes one, with a mean and deviation of its own."""


@cache
def recorded_clip() -> NoisedCLIP:
    """The noised CLIP behind the golden tensors, in float32; its weights must not be changed."""
    clip = NoisedCLIP(RECORDED)
    image, text = (
        golden.weights({name: tuple(value.shape) for name, value in part.items()})
        for part in openai_clip.split(clip.state_dict(), RECORDED)
    )
    clip.load_state_dict(openai_clip.joined(image, text, RECORDED))
    return clip.requires_grad_(False).eval()


def write_open_clip(folder: Path, seed: int = 0) -> Path:
    """A folder as open_clip's "local-dir:" reads one, with random weights that tell pictures apart."""
    package = optional_dependencies.open_clip()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    model = package.CLIP(**TINY["model_cfg"])
    for value in model.visual.parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.3)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    (folder / "open_clip_config.json").write_text(json.dumps(TINY), encoding="utf-8")
    return folder


def tiny_open_clip(folder: Path, seed: int = 0) -> OpenCLIP:
    return OpenCLIP.load(f"local-dir:{write_open_clip(folder, seed)}")


def model_with_clip() -> Model:
    """The tiny cascade with a noised CLIP of random weights."""
    model = tiny_model()
    config = replace(RECORDED, vocabulary=260, context=CONTEXT)
    network = NoisedCLIP(config)
    generator = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=generator)
    encoder = model.text_encoder
    assert encoder is not None
    clip = NoisedClip(network.requires_grad_(False).eval(), encoder.tokenizer)
    return replace(model, spec=replace(model.spec, clip=ClipSpec(config)), load_clip=lambda: clip)

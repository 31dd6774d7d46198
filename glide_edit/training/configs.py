"""The networks that are trained, and how, unless a run's settings say otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.networks.noised_clip import NoisedCLIPConfig
from glide_edit.networks.repair import RepairConfig

VOCABULARY = 512
CONTEXT = 40
"""Tokens of a caption."""

BASE_CONFIG = EfficientUNetConfig(
    image_size=64,
    channels=(48, 96, 192),
    blocks=(1, 2, 2),
    attention=(False, True, True),
    text_width=192,
    positions=True,
    known=True,
    drawing=True,
)
UPSAMPLER_CONFIG = EfficientUNetConfig(
    image_size=256,
    channels=(64, 96, 128),
    blocks=(2, 2, 2),
    attention=(False, False, False),
    patch=4,
    known=True,
    low_res=True,
)
CROP = 128
"""The upsampler has no attention, so it learns on crops of this size and works at any size."""

CLIP_CONFIG = NoisedCLIPConfig(
    patch=8,
    image_width=192,
    image_layers=4,
    image_heads=6,
    context=CONTEXT,
    text_width=160,
    text_layers=3,
    text_heads=5,
    embedding_width=128,
)
PLAIN_CLIP_CONFIG = replace(
    CLIP_CONFIG, image_width=128, image_layers=3, image_heads=4, text_width=128, text_layers=2, text_heads=4
)
"""A smaller one for clean pictures, which are easier."""

_UNETS = {"batch_size": 32, "learning_rate": 6e-4, "warmup_steps": 200, "ema_decay": 0.999}
_CLIPS = {"batch_size": 64, "learning_rate": 1e-3, "warmup_steps": 60, "ema_decay": 0.995}

STAGES: dict[str, dict[str, Any]] = {
    "base": _UNETS | {"network": BASE_CONFIG},
    "upsampler": _UNETS | {"network": UPSAMPLER_CONFIG},
    "clip": _CLIPS | {"network": CLIP_CONFIG},
    "distil": _UNETS | {"learning_rate": 2e-4, "warmup_steps": 50, "ema_decay": 0.998, "network": None},
    "repair": _UNETS | {"batch_size": 8, "learning_rate": 4e-4, "network": RepairConfig()},
    "plain-clip": _CLIPS | {"network": PLAIN_CLIP_CONFIG},
}
"""The defaults of ``TrainSettings`` that depend on the stage."""

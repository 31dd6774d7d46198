"""Helpers that both U-Nets share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import Conditioning


def sinusoidal_embedding(position: Tensor, width: int, max_period: float = 10000.0) -> Tensor:
    """(B,) positions -> (B, width) float32 cosines and sines (Vaswani et al. 2017), always in float32."""
    half = width // 2
    steps = torch.arange(half, dtype=torch.float32, device=position.device)
    angles = position.float()[:, None] * torch.exp(-math.log(max_period) * steps / half)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def zeroed(module: nn.Conv2d | nn.Linear) -> Any:
    """The module with all its weights zero, so that a sum it is part of starts unchanged."""
    nn.init.zeros_(module.weight)
    if module.bias is not None:
        nn.init.zeros_(module.bias)
    return module


def folded(weight: Tensor) -> Tensor:
    """(C', C, 3, 3) -> (4 C', C, 2, 2): what a doubled pixel's upper and lower, left and right place sees."""
    taps = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float32)
    taps = taps.to(weight.device)
    places = torch.einsum("pik,qjl,ockl->pqocij", taps, taps, weight.float())
    return places.flatten(0, 2).to(weight.dtype).contiguous(memory_format=torch.channels_last)


def stacked(branches: Sequence[Conditioning]) -> Conditioning:
    """Several branches along the batch, with zeros for what only some of them have; without their texts."""

    def stack(name: str) -> Tensor | None:
        values = [getattr(branch, name) for branch in branches]
        given = next((value for value in values if value is not None), None)
        if given is None:
            return None
        return torch.cat([torch.zeros_like(given) if value is None else value for value in values])

    return Conditioning(
        known=stack("known"),
        keep_mask=stack("keep_mask"),
        drawing=stack("drawing"),
        low_res=stack("low_res"),
        low_res_noise=stack("low_res_noise"),
    )


def known_parts(conditioning: Conditioning, x_t: Tensor) -> list[Tensor]:
    """The known picture and its keep-mask as input channels, zeros where none is given."""
    batch, _, height, width = x_t.shape
    given = ((conditioning.known, 3), (conditioning.keep_mask, 1))
    return [x_t.new_zeros(batch, count, height, width) if v is None else v for v, count in given]


def enlarged(low_res: Tensor, like: Tensor, mode: Literal["bilinear", "bicubic"]) -> Tensor:
    """A low-resolution picture brought to the height and width of ``like``; as it is where it has them."""
    if low_res.shape[-2:] == like.shape[-2:]:
        return low_res
    return F.interpolate(low_res.float(), like.shape[-2:], mode=mode, align_corners=False)


def sized(conditioning: Conditioning, like: Tensor, mode: Literal["bilinear", "bicubic"]) -> Conditioning:
    """With the low-resolution picture, if there is one, as large as ``like``."""
    if conditioning.low_res is None:
        return conditioning
    return replace(conditioning, low_res=enlarged(conditioning.low_res, like, mode))

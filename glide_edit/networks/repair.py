"""The repair network: what the hidden pixels of a picture most likely were, in one pass and without words.

A U-Net of residual blocks without normalisation, so that no part of a picture depends on the brightness of
another, trained by regression on what was there. It sees a picture whose hidden pixels are filled from ever
coarser averages of the known ones, and corrects that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.errors import InputError
from glide_edit.networks.convolution import Conv2d
from glide_edit.networks.parts import zeroed


@dataclass(frozen=True)
class RepairConfig:
    """``channels`` and ``blocks`` have one entry a level, from fine to coarse; level 0 works on cells of
    ``patch`` px. ``middle`` are the dilations of the blocks at the bottom. ``image_size`` is the side of the
    largest pictures that it was trained on.

    Raises InputError where no network can be built like this.
    """

    image_size: int = 256
    channels: tuple[int, ...] = (64, 96, 128, 128)
    blocks: tuple[int, ...] = (1, 2, 1, 1)
    middle: tuple[int, ...] = (1, 2, 4)
    patch: int = 2
    text_width: int = 0

    def __post_init__(self) -> None:
        if not self.channels or len(self.channels) != len(self.blocks):
            raise InputError("channels and blocks must have one entry for each level of the network.")
        if min(*self.channels, *self.middle, self.patch, self.image_size) < 1 or min(self.blocks) < 0:
            raise InputError("image_size, patch, channels and middle must be 1 or more, blocks 0 or more.")
        if self.text_width:
            raise InputError("A repair network reads no text.")

    @property
    def stride(self) -> int:
        """Heights and widths of its pictures must be a multiple of this."""
        return self.patch * 2 ** (len(self.channels) - 1)


class _Block(nn.Module):
    """SiLU - conv - SiLU - conv, beside the input."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.first: nn.Conv2d = Conv2d(channels, channels, 3)
        if dilation > 1:
            self.first = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)
        self.second = zeroed(Conv2d(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.silu(self.first(F.silu(x))), add_to=x)


def _blocks(channels: int, dilations: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(*(_Block(channels, dilation) for dilation in dilations))


class RepairNetwork(nn.Module):
    """See the module."""

    def __init__(self, config: RepairConfig) -> None:
        super().__init__()
        self.config = config
        widths, cells = config.channels, config.patch**2
        self.stem = Conv2d(4 * cells, widths[0], 3)
        self.down = nn.ModuleList(
            _blocks(width, [1] * count) for width, count in zip(widths, config.blocks, strict=True)
        )
        self.shrink = nn.ModuleList(nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in pairwise(widths))
        self.middle = _blocks(widths[-1], config.middle)
        self.enlarge = nn.ModuleList(Conv2d(coarse, fine, 1) for fine, coarse in pairwise(widths))
        self.up = nn.ModuleList(
            _blocks(width, [1] * count) for width, count in zip(widths[:-1], config.blocks[:-1], strict=True)
        )
        self.head = zeroed(Conv2d(widths[0], 3 * cells, 3))

    def forward(self, picture: Tensor, keep_mask: Tensor) -> Tensor:
        """The picture, float32 (B, 3, H, W) in [-1, 1], with its hidden pixels filled; these are not read.

        ``keep_mask`` (B, 1, H, W) is 1 where a pixel is known and 0 where it is hidden. Known pixels come
        back as they are; hidden ones may lie a little outside [-1, 1].
        """
        start = pulled(picture, keep_mask)
        weight = self.stem.weight
        h = F.pixel_unshuffle(torch.cat([start, keep_mask], dim=1), self.config.patch)
        h = h.to(weight.dtype).contiguous(memory_format=torch.channels_last)
        h = self.stem(h)
        skips = []
        for blocks, shrink in zip(self.down, self.shrink, strict=False):
            h = blocks(h)
            skips.append(h)
            h = shrink(h)
        h = self.middle(self.down[-1](h))
        for blocks, enlarge, skip in zip(
            reversed(self.up), reversed(self.enlarge), reversed(skips), strict=True
        ):
            h = F.interpolate(enlarge(h), scale_factor=2.0, mode="nearest") + skip
            h = blocks(h)
        change = F.pixel_shuffle(self.head(F.silu(h)).float(), self.config.patch)
        return torch.where(keep_mask > 0, picture, start + change)


def pulled(picture: Tensor, keep_mask: Tensor) -> Tensor:
    """(B, 3, H, W) with hidden pixels filled from ever coarser averages of known ones: smooth, and of the
    right colours."""
    sums, weights = [torch.where(keep_mask > 0, picture, 0)], [keep_mask]
    while max(sums[-1].shape[-2:]) > 1:
        for parts in (sums, weights):
            # What a side lacks counts as hidden.
            parts.append(F.avg_pool2d(parts[-1], 2, ceil_mode=True, count_include_pad=True))
    filled = sums[-1] / weights[-1].clamp(min=1e-6)
    for total, weight in zip(reversed(sums[:-1]), reversed(weights[:-1]), strict=True):
        filled = F.interpolate(filled, total.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.where(weight > 0, total / weight.clamp(min=1e-6), filled)
    return filled

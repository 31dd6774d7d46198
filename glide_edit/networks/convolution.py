"""Convolutions that keep the size of the picture, as both U-Nets use them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks import onednn


class Conv2d(nn.Conv2d):
    """A convolution that keeps the size of the picture; ``onednn`` does it faster where it can."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)

    def forward(self, *parts: Tensor, add_to: Tensor | None = None) -> Tensor:
        """``parts`` are pictures (B, C, H, W) whose channels together are the input.

        ``add_to``, shaped like the result, is added to it and, without gradients, may be overwritten by it.
        """
        if onednn.can_run(parts[0], self.weight):
            return onednn.convolve(self, parts, add_to)
        h = super().forward(beside(parts))
        return h if add_to is None else h.add_(add_to)

    def of_doubled(self, x: Tensor) -> Tensor:
        """The convolution of ``x`` (B, C, H, W) doubled by nearest: (B, C', 2 H, 2 W)."""
        if onednn.can_run(x, self.weight):
            return onednn.convolve_doubled(self, x)
        return self(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def beside(parts: Sequence[Tensor]) -> Tensor:
    """Pictures (B, C, H, W) put together along their channels."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)

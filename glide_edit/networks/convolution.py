"""Convolutions that keep the size of the picture, as both U-Nets use them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks import onednn
from glide_edit.networks.parts import folded


class Conv2d(nn.Conv2d):
    """A convolution that keeps the size of the picture; ``onednn`` does it faster where it can."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int, *, bias: bool = True) -> None:
        super().__init__(channels_in, channels_out, kernel, padding=kernel // 2, bias=bias)
        self._folded: tuple[Tensor, tuple[int, int, torch.dtype]] | None = None

    def forward(self, *parts: Tensor, add_to: Tensor | None = None) -> Tensor:
        """``parts`` are pictures (B, C, H, W) whose channels together are the input.

        ``add_to``, shaped like the result, is added to it and, without gradients, may be overwritten by it.
        """
        if onednn.can_run(parts[0], self.weight):
            return onednn.convolve(self, parts, add_to)
        h = super().forward(beside(parts))
        return h if add_to is None else h.add_(add_to)

    def of_doubled(self, x: Tensor) -> Tensor:
        """The 3 x 3 convolution of ``x`` (B, C, H, W) doubled by nearest: (B, C', 2 H, 2 W).

        Without gradients it is done on ``x`` itself, as four convolutions of 2 x 2, one for each place within
        a doubled pixel. They do 4/9 of the work, with sums of the weights rounded once more.
        """
        if torch.is_grad_enabled():
            return self(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        assert self.bias is not None
        bias = self.bias.repeat(4)
        if onednn.can_run(x, self.weight):
            return _placed(onednn.convolve_folded(self, x, bias))
        return _placed(F.conv2d(x, self._folded_weight(), bias, padding=1))

    def _folded_weight(self) -> Tensor:
        """The weights for a picture that is still to be doubled, made again when they have changed."""
        state = (self.weight.data_ptr(), self.weight._version, self.weight.dtype)
        if self._folded is None or self._folded[1] != state:
            self._folded = folded(self.weight), state
        return self._folded[0]


def beside(parts: Sequence[Tensor]) -> Tensor:
    """Pictures (B, C, H, W) put together along their channels."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=1)


def _placed(places: Tensor) -> Tensor:
    """(B, 4 C', H + 1, W + 1), a picture for each place, -> (B, C', 2 H, 2 W)."""
    batch, channels, height, width = places.shape
    height, width = height - 1, width - 1
    size = (batch, channels // 4, 2 * height, 2 * width)
    doubled = places.new_empty(size).to(memory_format=torch.channels_last)
    for k, place in enumerate(places.chunk(4, dim=1)):
        row, column = divmod(k, 2)
        doubled[:, :, row::2, column::2] = place[:, :, row : row + height, column : column + width]
    return doubled

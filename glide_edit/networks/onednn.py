"""A faster way to run convolutions in bfloat16 on a CPU, by private operators of torch.

PyTorch brings weights into oneDNN's own order at every call, which at the coarse levels takes longer than
the convolution. Here they are kept a second time in that order: made at the first call without gradients,
and again when the weights or the size of the picture have changed. ``convolution.Conv2d`` defines the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

_OPERATORS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
_DOUBLED = -1


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Weights in oneDNN's order, the parameter they were made of, and what it and the picture were like."""

    weight: Tensor
    source: Tensor
    state: tuple[int, int, torch.Size]


_ordered: WeakKeyDictionary[nn.Conv2d, dict[int, _Ordered]] = WeakKeyDictionary()
"""By the first input channel that they are for, or ``_DOUBLED``."""


def can_run(x: Tensor, weight: Tensor) -> bool:
    """Whether the functions here are to be used for this input, in place of the plain modules."""
    return (
        x.dtype == weight.dtype == torch.bfloat16
        and x.device.type == weight.device.type == "cpu"
        and not torch.is_grad_enabled()
        and available()
    )


def available() -> bool:
    """Whether this PyTorch has the operators."""
    return torch.backends.mkldnn.is_available() and all(
        hasattr(torch.ops.mkldnn, name) for name in _OPERATORS
    )


def convolve(conv: nn.Conv2d, parts: Sequence[Tensor], add_to: Tensor | None = None) -> Tensor:
    """The convolution of ``parts`` side by side; ``add_to`` is added, and overwritten by the result."""
    first, bias = 0, conv.bias
    for part in parts:  # one after the other: putting them together costs more than it saves
        arguments = (_in_own_order(conv, first, part), bias, conv.padding, (1, 1), (1, 1), 1)
        if add_to is None:
            add_to = torch.ops.mkldnn._convolution_pointwise(part, *arguments, "none", [], "")
        else:
            torch.ops.mkldnn._convolution_pointwise_(add_to, part, *arguments, "add", 1.0, None, [], None)
        first, bias = first + part.shape[1], None
    assert add_to is not None
    return add_to


def convolve_doubled(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """The 3 x 3 convolution of ``x`` (B, C, H, W) doubled by nearest: (B, C', 2 H, 2 W).

    It is done on ``x`` itself, as four convolutions of 2 x 2, one for each place within a doubled pixel. They
    do 4/9 of the work, with sums of the weights rounded to bfloat16 once more.
    """
    assert conv.bias is not None
    weight = _in_own_order(conv, _DOUBLED, x)
    places = torch.ops.mkldnn._convolution_pointwise(
        x, weight, conv.bias.repeat(4), (1, 1), (1, 1), (1, 1), 1, "none", [], ""
    ).chunk(4, dim=1)
    batch, _, height, width = x.shape
    size = (batch, conv.out_channels, 2 * height, 2 * width)
    doubled = torch.empty(size, dtype=x.dtype, memory_format=torch.channels_last)
    for k, place in enumerate(places):
        row, column = divmod(k, 2)
        doubled[:, :, row::2, column::2] = place[:, :, row : row + height, column : column + width]
    return doubled


def _in_own_order(conv: nn.Conv2d, which: int, x: Tensor) -> Tensor:
    """The weights for ``x``: its input channels begin at ``which``, or it is still to be doubled."""
    kept = _ordered.setdefault(conv, {})
    held = kept.get(which)
    state = (conv.weight.data_ptr(), conv.weight._version, x.shape)
    # The parameter itself is compared too: another one may have been given the same memory.
    if held is None or held.source is not conv.weight or held.state != state:
        first = max(which, 0)
        weight = conv.weight[:, first : first + x.shape[1]]
        weight = _for_doubled(weight) if which == _DOUBLED else weight
        weight = weight.contiguous(memory_format=torch.channels_last)
        ordered = torch.ops.mkldnn._reorder_convolution_weight(
            weight, conv.padding, (1, 1), (1, 1), 1, list(x.shape)
        )
        held = kept[which] = _Ordered(ordered, conv.weight, state)
    return held.weight


def _for_doubled(weight: Tensor) -> Tensor:
    """(C', C, 3, 3) -> (4 C', C, 2, 2): what a doubled pixel's upper and lower, left and right place sees."""
    taps = torch.tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]], dtype=torch.float32)
    places = torch.einsum("pik,qjl,ockl->pqocij", taps, taps, weight.float())
    return places.flatten(0, 2).to(weight.dtype)

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

from glide_edit.networks.parts import folded

_OPERATORS = ("_convolution_pointwise", "_convolution_pointwise_", "_reorder_convolution_weight")
_FOLDED = -1


@dataclass(frozen=True, eq=False)
class _Ordered:
    """Weights in oneDNN's order, the parameter they were made of, and what it and the picture were like."""

    weight: Tensor
    source: Tensor
    state: tuple[int, int, torch.Size]


_ordered: WeakKeyDictionary[nn.Conv2d, dict[int, _Ordered]] = WeakKeyDictionary()
"""By the first input channel that they are for, or ``_FOLDED``."""


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


def convolve_folded(conv: nn.Conv2d, x: Tensor, bias: Tensor) -> Tensor:
    """The convolution of ``x`` (B, C, H, W) by ``conv``'s weights ``folded`` for a doubled picture."""
    weight = _in_own_order(conv, _FOLDED, x)
    return torch.ops.mkldnn._convolution_pointwise(x, weight, bias, (1, 1), (1, 1), (1, 1), 1, "none", [], "")


def _in_own_order(conv: nn.Conv2d, which: int, x: Tensor) -> Tensor:
    """The weights for ``x``: its input channels begin at ``which``, or it is still to be doubled."""
    kept = _ordered.setdefault(conv, {})
    held = kept.get(which)
    state = (conv.weight.data_ptr(), conv.weight._version, x.shape)
    # The parameter itself is compared too: another one may have been given the same memory.
    if held is None or held.source is not conv.weight or held.state != state:
        first = max(which, 0)
        weight = conv.weight[:, first : first + x.shape[1]]
        weight = folded(weight) if which == _FOLDED else weight
        weight = weight.contiguous(memory_format=torch.channels_last)
        ordered = torch.ops.mkldnn._reorder_convolution_weight(
            weight, conv.padding, (1, 1), (1, 1), 1, list(x.shape)
        )
        held = kept[which] = _Ordered(ordered, conv.weight, state)
    return held.weight

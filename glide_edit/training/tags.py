"""What is where in a picture of the toybox, and layers that have to say it while a network learns.

Errors of pixels teach a small network slowly what words mean: a rocket in a tree's place costs little. So
cells inside a network also have to say which kinds, colours and materials cover them, by layers that are
thrown away afterwards. Aligning what a diffusion network holds with what a picture means is the idea of REPA
(arXiv 2410.06940), which takes another network's features for the meaning; here the renderer knows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.networks.parts import zeroed
from glide_edit.toybox import COLOURS, KINDS, MATERIALS
from glide_edit.training.sources import Item

TAGS = (*KINDS, *COLOURS, *MATERIALS)
"""What can be said of a cell, each true or not."""


def tags_of(item: Item, side: int) -> Tensor:
    """(len(TAGS), side, side) in [0, 1]: the share of a cell that a toy of that kind, colour or material
    covers with its shadow. NaN for an item of which that is not known."""
    if item.scene is None:
        return torch.full((len(TAGS), side, side), torch.nan)
    cell = item.image.shape[0] // side
    tags = np.zeros((len(TAGS), side, side), np.float32)
    for toy, mask in zip(item.scene.toys, item.objects, strict=True):
        covered = mask.reshape(side, cell, side, cell).mean(axis=(1, 3))
        for word in (toy.kind, toy.colour, toy.material):
            row = TAGS.index(word)
            tags[row] = np.maximum(tags[row], covered)
    return torch.from_numpy(tags)


def tagging_loss(said: Tensor, tags: Tensor) -> Tensor:
    """Cross-entropy of logits ``said`` (B, len(TAGS), h, w), summed over tags, averaged over the cells known.

    ``tags`` (B, len(TAGS), H, W) are as ``tags_of`` gives them, H and W multiples of h and w. 0 where none
    is known.
    """
    height, width = said.shape[-2:]
    known = (~tags[:, 0, 0, 0].isnan()).float()
    tags = F.adaptive_avg_pool2d(tags.nan_to_num(), (height, width))
    wrong = F.binary_cross_entropy_with_logits(said.float(), tags, reduction="none").sum(1).mean((1, 2))
    return (wrong * known).sum() / known.sum().clamp(min=1)


class FeatureProbe(nn.Module):
    """A layer for each of a U-Net's levels that read words on the way up, at the end of the level.

    ``side`` is how many cells a side the finest of them has, and the tags should have.
    """

    def __init__(self, config: EfficientUNetConfig) -> None:
        super().__init__()
        self.levels = [index for index, attend in enumerate(config.attention) if attend]
        self.side = config.image_size // (config.patch * 2 ** min(self.levels, default=0))
        self.layers = nn.ModuleList(
            zeroed(nn.Conv2d(config.channels[index], len(TAGS), 1)) for index in self.levels
        )

    @contextmanager
    def watching(self, network: EfficientUNet) -> Iterator[list[Tensor]]:
        """Inside, a call of the network fills the list with each level's cells, (B, C, h, w)."""
        seen: list[Tensor] = []
        ends = [cast(Any, network.up[index]).attentions[-1] for index in reversed(self.levels)]
        hooks = [end.register_forward_hook(lambda module, given, out: seen.append(out)) for end in ends]
        try:
            yield seen
        finally:
            for hook in hooks:
                hook.remove()

    def loss(self, seen: Sequence[Tensor], tags: Tensor) -> Tensor:
        """The mean of ``tagging_loss`` over the levels of which ``watching`` gave the cells."""
        said = [layer(cells) for layer, cells in zip(reversed(self.layers), seen, strict=True)]
        return torch.stack([tagging_loss(logits, tags) for logits in said]).mean()

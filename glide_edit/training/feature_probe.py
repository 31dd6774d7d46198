"""Feature probes: layers that make a network's cells say what they show, while it trains.

Pixel errors teach a small network slowly what words mean: a rocket in place of a tree costs little. So the
cells inside the network must also say which kinds, colours and materials cover them. The layers that read
this from the cells are thrown away afterwards. REPA (arXiv 2410.06940) aligns a diffusion network's features
with those of another network in the same way; here the renderer knows the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.networks.efficient_unet import EfficientUNetConfig
from glide_edit.networks.parts import zeroed
from glide_edit.toybox import COLOURS, KINDS, MATERIALS
from glide_edit.training.sources import Item

TAGS = (*KINDS, *COLOURS, *MATERIALS)
"""What a cell can be tagged with; several may apply."""


def tag_map(item: Item, side: int) -> Tensor:
    """(len(TAGS), side, side) in [0, 1]: the share of each cell that toys with that tag, and their shadows,
    cover. NaN for an item without a scene."""
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


def are_tagged(tags: Tensor) -> Tensor:
    """(B,) whether each picture of a batch's tags has any, those of ``tag_map``."""
    return ~tags[:, 0, 0, 0].isnan()


def tag_loss(logits: Tensor, tags: Tensor, count: Tensor | None = None) -> Tensor:
    """Cross-entropy of ``logits`` (B, len(TAGS), h, w), summed over tags, averaged over cells and pictures.

    ``tags`` (B, len(TAGS), H, W) is from ``tag_map``, H and W multiples of h and w. Pictures whose tags are
    NaN do not count; 0 where all are. Of a part of a batch the loss is its share, where ``count`` is the
    number of pictures that count in the whole.
    """
    known = are_tagged(tags).float()
    count = known.sum() if count is None else count
    height, width = logits.shape[-2:]
    tags = F.adaptive_avg_pool2d(tags.nan_to_num(), (height, width))
    errors = F.binary_cross_entropy_with_logits(logits.float(), tags, reduction="none").sum(1).mean((1, 2))
    return (errors * known).sum() / count.clamp(min=1)


class FeatureProbe(nn.Module):
    """A linear layer at the end of each level of a U-Net's way up that has attention.

    ``side`` is the number of cells along a side of the finest of them, and the right one for ``tag_map``.
    """

    def __init__(self, config: EfficientUNetConfig) -> None:
        super().__init__()
        self.levels = [index for index, attend in enumerate(config.attention) if attend]
        self.side = config.image_size // (config.patch * 2 ** min(self.levels, default=0))
        self.layers = nn.ModuleList(
            zeroed(nn.Conv2d(config.channels[index], len(TAGS), 1)) for index in self.levels
        )

    def loss(self, features: Sequence[Tensor], tags: Tensor, count: Tensor | None = None) -> Tensor:
        """The mean of ``tag_loss`` over the levels, of the features that a network's forward pass gave."""
        pairs = zip(self.levels, self.layers, strict=True)
        losses = [tag_loss(layer(features[-1 - level]), tags, count) for level, layer in pairs]
        return torch.stack(losses).mean()

"""GLIDE's text encoder: a pre-norm transformer over a fixed number of tokens (arXiv 2112.10741, sec. 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import TextStates
from glide_edit.text.transformer import TextBlock, TextTransformerConfig


@dataclass(frozen=True)
class GlideTextConfig(TextTransformerConfig):
    """The same with GLIDE's sizes as defaults. ``context`` is the number of tokens, always filled."""

    width: int = 512
    layers: int = 16
    heads: int = 8
    context: int = 128


class _Block(TextBlock):
    """``qkv`` gives for each head its query, key and value one after the other, as published."""

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_attention(x)).unflatten(-1, (self.heads, 3, -1)).permute(3, 0, 2, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(x)


class GlideTextTransformer(nn.Module):
    """Every place sees every place. Padding is seen too: each place has a learned embedding for it."""

    def __init__(self, config: GlideTextConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.randn(config.context, config.width) * 0.02)
        self.padding = nn.Parameter(torch.randn(config.context, config.width) * 0.02)
        self.blocks = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    @property
    def device(self) -> torch.device:
        return self.positions.device

    def forward(self, ids: Tensor, token_mask: Tensor) -> TextStates:
        """ids (B, context) int64, token_mask (B, context) bool -> states (B, context, width).

        The network pools the last place's state, so all places must be there.
        """
        x = torch.where(token_mask[:, :, None], self.tokens(ids) + self.positions, self.padding)
        for block in self.blocks:
            x = block(x)
        return TextStates(states=self.norm(x), token_mask=token_mask)

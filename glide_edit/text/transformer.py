"""The text encoder of models that train their own: a small pre-norm transformer over tokens."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.conditioning import TextStates
from glide_edit.errors import InputError


@dataclass(frozen=True)
class TextTransformerConfig:
    """``context`` is the largest number of tokens; ``width`` must be a multiple of ``heads``.

    Raises InputError if it is not, or a number is less than 1.
    """

    vocabulary: int
    width: int = 192
    layers: int = 3
    heads: int = 6
    context: int = 40

    def __post_init__(self) -> None:
        if min(self.vocabulary, self.width, self.layers, self.heads, self.context) < 1:
            raise InputError(
                "vocabulary, width, layers, heads and context of a text transformer must be 1 or more."
            )
        if self.width % self.heads:
            raise InputError(
                f"A text transformer's width, {self.width}, must be a multiple of its {self.heads} heads."
            )


class TextBlock(nn.Module):
    """The layers of a pre-norm block; its attention is each encoder's own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)

    def mlp(self, x: Tensor) -> Tensor:
        return self.contract(F.gelu(self.expand(self.norm_mlp(x))))


class _Block(TextBlock):
    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = (batch, length, 3, self.heads, width // self.heads)
        q, k, v = self.qkv(self.norm_attention(x)).reshape(heads).permute(2, 0, 3, 1, 4)
        weights = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2) + bias).softmax(dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(x)


class TextTransformer(nn.Module):
    """Bidirectional: every real token sees every real token. Padding is masked and never seen."""

    def __init__(self, config: TextTransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.randn(config.context, config.width) * 0.02)
        self.blocks = nn.ModuleList(_Block(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    @property
    def device(self) -> torch.device:
        return self.positions.device

    def forward(self, ids: Tensor, token_mask: Tensor) -> TextStates:
        """ids (B, L) int64, token_mask (B, L) bool, L at most ``context`` -> states (B, L, width)."""
        x = self.tokens(ids) + self.positions[: ids.shape[1]]
        # Finite, so that a prompt of padding only gives numbers (not attended to) and not NaN.
        bias = torch.where(token_mask, 0.0, -1e4).to(x.dtype)[:, None, None, :]
        for block in self.blocks:
            x = block(x, bias)
        return TextStates(states=self.norm(x), token_mask=token_mask)

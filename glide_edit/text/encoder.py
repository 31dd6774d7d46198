"""A tokenizer and a transformer together: prompts in, text states out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from glide_edit.conditioning import TextStates
from glide_edit.text.tokenizer import Tokens


class Tokenizer(Protocol):
    """Text to token ids. ``context`` is the most tokens a prompt may have."""

    context: int

    @property
    def vocabulary_size(self) -> int: ...

    def encode(self, prompts: Sequence[str]) -> Tokens: ...


class TextNetwork(Protocol):
    """A network from ids (B, L) int64 and token_mask (B, L) bool to states (B, L, D)."""

    @property
    def device(self) -> torch.device: ...

    def __call__(self, ids: Tensor, token_mask: Tensor) -> TextStates: ...


class TextEncoder:
    """Encodes prompts for the stages of a model. The empty prompt stands for no prompt."""

    def __init__(self, tokenizer: Tokenizer, transformer: TextNetwork) -> None:
        self.tokenizer = tokenizer
        self.transformer = transformer

    def dropped_tokens(self, prompt: str) -> int:
        """How many tokens of the prompt are beyond the model's context and will not be read."""
        return self.tokenizer.encode([prompt]).dropped[0]

    def encode(self, prompts: Sequence[str]) -> TextStates:
        """(B prompts) -> states (B, L, D) on the transformer's device, without gradients."""
        tokens = self.tokenizer.encode(prompts)
        device = self.transformer.device
        with torch.no_grad():
            return self.transformer(tokens.ids.to(device), tokens.token_mask.to(device))

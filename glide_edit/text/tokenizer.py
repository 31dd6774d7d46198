"""A byte-pair tokenizer over lower-cased words, trained with ``tokenizers`` on a caption set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

PADDING = "<pad>"


@dataclass(frozen=True, eq=False)
class Tokens:
    """``ids`` (B, L) int64, ``token_mask`` (B, L) bool; ``dropped``: tokens of each prompt beyond L."""

    ids: Tensor
    token_mask: Tensor
    dropped: tuple[int, ...]


def padded(rows: Sequence[Sequence[int]], length: int, dropped: Iterable[int], padding: int = 0) -> Tokens:
    """Rows of ids, none longer than ``length``, filled up to it with ``padding``."""
    ids = torch.full((len(rows), length), padding, dtype=torch.int64)
    token_mask = torch.zeros(len(rows), length, dtype=torch.bool)
    for k, row in enumerate(rows):
        ids[k, : len(row)] = torch.tensor(row, dtype=torch.int64)
        token_mask[k, : len(row)] = True
    return Tokens(ids, token_mask, tuple(dropped))


class BytePairTokenizer:
    """Text to token ids. Every string can be encoded: characters that no merge covers become bytes."""

    def __init__(self, tokenizer: Tokenizer, context: int) -> None:
        # A typed "<pad>" means those five characters, not the padding token.
        tokenizer.encode_special_tokens = True
        self._tokenizer = tokenizer
        self.context = context

    @property
    def vocabulary_size(self) -> int:
        return self._tokenizer.get_vocab_size()

    @classmethod
    def train(cls, captions: Iterable[str], vocabulary_size: int, context: int) -> BytePairTokenizer:
        """Learn merges from captions. ``vocabulary_size`` counts the padding token and the 256 bytes."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            special_tokens=[PADDING],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(captions, trainer)
        return cls(tokenizer, context)

    @classmethod
    def load(cls, path: Path, context: int) -> BytePairTokenizer:
        return cls(Tokenizer.from_file(str(path)), context)

    def save(self, path: Path) -> None:
        self._tokenizer.save(str(path))

    def encode(self, prompts: Sequence[str]) -> Tokens:
        """Prompts to ids padded to the longest of them (at least 1, at most ``context`` tokens)."""
        encoded = [item.ids for item in self._tokenizer.encode_batch([cleaned(p) for p in prompts])]
        rows = [ids[: self.context] for ids in encoded]
        dropped = (len(ids) - len(row) for ids, row in zip(encoded, rows, strict=True))
        return padded(rows, max(map(len, rows), default=1) or 1, dropped)

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(ids)).strip()


def cleaned(prompt: str) -> str:
    """Runs of white space become one space; half a surrogate pair, which has no bytes, becomes "?"."""
    return " ".join(prompt.split()).encode("utf-8", "replace").decode("utf-8")

"""GPT-2's byte-pair tokens, as GLIDE reads prompts: lower-cased, always padded to the whole context.

The vocabulary is one file in tiktoken's format: a line for each token, its bytes in base64 and its rank,
which is its id and also the order in which pairs are merged. The end token comes after the last.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import tiktoken

from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.text.tokenizer import Tokens, padded

_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What merges do not reach across, as in the code published with GPT-2 (Radford et al. 2019)."""


class GPT2Tokenizer:
    """Text to token ids. Every string can be encoded, since each byte is a token; nothing is a special token.

    ``ranks`` gives each token's bytes its id, 0 to the number of tokens - 1, and has every single byte.
    """

    def __init__(self, ranks: Mapping[bytes, int], context: int) -> None:
        self.context = context
        self.end_token = len(ranks)
        self._encoding = tiktoken.Encoding(
            "gpt2", pat_str=_WORDS, mergeable_ranks=dict(ranks), special_tokens={}
        )

    @property
    def vocabulary_size(self) -> int:
        """The end token, which is also the padding, counts."""
        return self.end_token + 1

    @classmethod
    def load(cls, path: Path, context: int) -> GPT2Tokenizer:
        """Read a file in tiktoken's format.

        Raises:
            ModelNotFound: there is no such file.
            ModelFormatError: it is damaged, or not such a file.
        """
        try:
            return cls(_parse(path.read_bytes()), context)
        except FileNotFoundError as error:
            raise ModelNotFound(
                f"GPT-2's vocabulary {path} is missing: run `glide-edit models fetch glide`."
            ) from error
        except (OSError, ValueError) as error:
            raise ModelFormatError(
                f"GPT-2's vocabulary {path} is damaged or unreadable ({error}): delete it, "
                "and run `glide-edit models fetch glide`."
            ) from error

    def encode(self, prompts: Sequence[str]) -> Tokens:
        """Prompts to ids of shape (B, context), cut there; padding is the end token with a False mask."""
        encoded = [self._encoding.encode_ordinary(prompt.lower()) for prompt in prompts]
        rows = [tokens[: self.context] for tokens in encoded]
        dropped = (max(0, len(tokens) - self.context) for tokens in encoded)
        return padded(rows, self.context, dropped, padding=self.end_token)


def to_tiktoken(vocab_bpe: bytes, encoder_json: bytes) -> bytes:
    """The two files in which OpenAI published GPT-2's vocabulary, as one in tiktoken's format.

    Raises ModelFormatError if they are damaged, or do not belong together.
    """
    shown = _shown_bytes()
    try:
        ids = {_bytes_of(text, shown): rank for text, rank in json.loads(encoder_json).items()}
        merges = vocab_bpe.decode("utf-8").splitlines()[1:]  # the first line names the version
        merged = [_bytes_of(line.replace(" ", "", 1), shown) for line in merges]
    except (ValueError, AttributeError) as error:
        raise ModelFormatError(f"vocab.bpe or encoder.json is not GPT-2's vocabulary ({error}).") from error
    tokens = [*(bytes([value]) for value in shown.values()), *merged]
    # The published order of merging is the order of the ids, which tiktoken relies on.
    if ids != {token: rank for rank, token in enumerate([*tokens, b"<|endoftext|>"])}:
        raise ModelFormatError("vocab.bpe and encoder.json do not belong together.")
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(tokens))


@lru_cache(maxsize=1)  # GLIDE's stages each have the same vocabulary
def _parse(data: bytes) -> Mapping[bytes, int]:
    """Raises ValueError, saying what is wrong, unless every byte is a token and the ids have no gaps."""
    ranks = {}
    for number, line in enumerate(data.splitlines()):
        try:
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
        except (ValueError, binascii.Error) as error:
            raise ValueError(f"line {number + 1} is not a token and its rank") from error
        if int(rank) != number:
            raise ValueError(f"line {number + 1} has rank {int(rank)} and not {number}")
    if not all(bytes([value]) in ranks for value in range(256)):
        raise ValueError("not every byte is a token")
    if len(ranks) != number + 1:
        raise ValueError("a token is there twice")
    return ranks


def _shown_bytes() -> dict[int, int]:
    """The characters that GPT-2's files write for bytes, each with its byte, in the order of the ids.

    Latin-1 characters with ink stand for themselves, the other bytes are written as U+0100 and after.
    """
    inked = [value for value in range(256) if chr(value).isprintable() and not chr(value).isspace()]
    others = [value for value in range(256) if value not in inked]
    return dict(zip(inked, inked, strict=True)) | {256 + k: value for k, value in enumerate(others)}


def _bytes_of(text: str, shown: Mapping[int, int]) -> bytes:
    """Raises UnicodeEncodeError, a ValueError, where a character is not one of those."""
    return text.translate(shown).encode("latin-1")

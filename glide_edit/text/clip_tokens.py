"""CLIP's byte-pair encoding, through open_clip, which brings the vocabulary along."""

from __future__ import annotations

from collections.abc import Sequence

from glide_edit import optional_dependencies
from glide_edit.errors import InputError
from glide_edit.text.tokenizer import Tokens, padded


class CLIPTokenizer:
    """Prompts to CLIP's token ids: a start token, the lower-cased text, an end token, zeros.

    Always ``context`` of them. A longer prompt loses its end, never the end token.

    Raises InputError if ``context`` is less than 3, or open_clip is not installed.
    """

    def __init__(self, context: int = 77) -> None:
        if context < 3:
            raise InputError(f"The context of a CLIP must be 3 tokens or more, not {context}.")
        optional_dependencies.open_clip()
        from open_clip.tokenizer import SimpleTokenizer

        self._tokenizer = SimpleTokenizer(context_length=context, clean="lower")
        self.context = context

    @property
    def vocabulary_size(self) -> int:
        return self._tokenizer.vocab_size

    def encode(self, prompts: Sequence[str]) -> Tokens:
        """(B prompts) -> ids and mask of shape (B, context); the mask is True from start to end token."""
        start, end = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        encoded = [self._tokenizer.encode(prompt) for prompt in prompts]
        rows = [[start, *words[: self.context - 2], end] for words in encoded]
        return padded(rows, self.context, (max(0, len(words) + 2 - self.context) for words in encoded))

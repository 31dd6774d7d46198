r"""How people write prompts: ``(words:1.3)`` weighs words; ``\(``, ``\)`` and ``\:`` are the characters.

A weight of w for some words means p(picture | whole prompt) times the (w - 1)-th power of p(whole prompt) /
p(prompt without these words): what the words add is taken w times. In classifier-free guidance that is one
more branch (Liu et al. 2022, Compositional Visual Generation with Composable Diffusion Models, arXiv
2206.01714, sec. 3.2), so that it holds for any text encoder. Weight 1 changes nothing, weight 0 is the prompt
without the words, and a weight for the whole prompt multiplies the guidance scale.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from glide_edit.errors import InputError

MOST_WEIGHT = 10.0
MOST_WEIGHTED = 8
"""Each weighted part costs a branch in every step."""

MOST_CHARACTERS = 10_000
"""Far more than any encoder reads; longer prompts are refused before they are parsed."""

_LONGEST_WEIGHT = 32
"""In characters, with the spaces around it: what stands after a colon is looked at no further."""

_WEIGHT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*")


@dataclass(frozen=True)
class Words:
    """A parsed prompt.

    ``plain`` is the text for the encoder, without weights, escapes and control characters. ``parts`` are the
    (start, end, weight) of weighted words in it. ``dropped`` counts control characters.
    """

    plain: str
    parts: tuple[tuple[int, int, float], ...] = ()
    dropped: int = 0

    def shares(self) -> dict[str, float]:
        """The prompts to mix and their shares, which sum to 1; the whole prompt comes first."""
        mixed = {self.plain: 1.0 + sum(weight - 1 for _, _, weight in self.parts)}
        for start, end, weight in self.parts:
            without = " ".join((self.plain[:start] + self.plain[end:]).split())
            mixed[without] = mixed.get(without, 0.0) - (weight - 1)
        return mixed


@lru_cache(maxsize=1024)
def read_words(prompt: str) -> Words:
    """Read a prompt. Brackets without a weight are characters like any other, and so are lone ones.

    Raises:
        InputError: more than 10,000 characters, a weight above 10, weights within each other, or more than 8
            of them.
    """
    if len(prompt) > MOST_CHARACTERS:
        said = f"A prompt may have {MOST_CHARACTERS:,} characters at most, not {len(prompt):,}."
        raise InputError(said, code="prompt_too_long", field="prompt")
    kept = "".join(c for c in prompt if c.isspace() or unicodedata.category(c) != "Cc")
    text, parts = _read(kept)
    if len(parts) > MOST_WEIGHTED:
        raise InputError(f"A prompt may have {MOST_WEIGHTED} weighted parts at most, not {len(parts)}.")
    for start, end, weight in parts:
        if weight > MOST_WEIGHT:
            words = text[start:end]
            raise InputError(f"The weight of ({words}:…) must be at most {MOST_WEIGHT:g}, not {weight:g}.")
    return Words(text if text.strip() else "", tuple(parts), len(prompt) - len(kept))


def _read(prompt: str) -> tuple[str, list[tuple[int, int, float]]]:
    """The text without weights and escapes, and where the weighted words stand in it."""
    characters: list[str] = []
    open_at: list[int] = []
    colons: list[int] = []  # in ascending order, as are the starts of the parts
    parts: list[tuple[int, int, float]] = []
    escaped = False
    for here, character in enumerate(prompt):
        if not escaped and character == "\\" and prompt[here + 1 : here + 2] in ("(", ")", ":"):
            escaped = True
            continue
        if not escaped and character == ")" and open_at:
            start = open_at.pop()
            colon = colons[-1] if colons and colons[-1] > start else len(characters)
            said = characters[colon + 1 : colon + 2 + _LONGEST_WEIGHT]
            weight = _WEIGHT.fullmatch("".join(said)) if len(said) <= _LONGEST_WEIGHT else None
            if weight and any(each.isalpha() for each in characters[start + 1 : colon]):
                if parts and parts[-1][0] > start:
                    raise InputError("Weights cannot stand within each other: ((a:2) b:3) has no meaning.")
                characters[start:] = "".join(characters[start + 1 : colon]).strip()
                parts.append((start, len(characters), float(weight[1])))
                while colons and colons[-1] > start:
                    colons.pop()
                continue
        if not escaped and character == "(":
            open_at.append(len(characters))
        if not escaped and character == ":":
            colons.append(len(characters))
        characters.append(character)
        escaped = False
    return "".join(characters), parts

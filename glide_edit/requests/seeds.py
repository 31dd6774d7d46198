"""Seeds of requests: as they are kept, and as people write them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from glide_edit.errors import InputError

MOST_IMAGES = 64
LARGEST_SEED = 2**63 - 1


def checked_seeds(seeds: Sequence[object]) -> tuple[int, ...]:
    """Seeds as a tuple of Python's own whole numbers; InputError for what is none, too many, or one twice."""
    given: list[int] = []
    for seed in itertools.islice(seeds, MOST_IMAGES + 1):
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if not whole or not 0 <= seed < LARGEST_SEED:  # type: ignore[operator]
            raise InputError(f"seeds must be whole numbers between 0 and {LARGEST_SEED - 1}, not {seed!r}.")
        given.append(int(seed))  # type: ignore[call-overload]
    if len(given) > MOST_IMAGES:
        raise InputError(f"seeds are more than the {MOST_IMAGES} that one request may have.")
    if twice := [seed for seed in given if given.count(seed) > 1]:
        raise InputError(f"seeds name {twice[0]} twice: the same picture would be made again.")
    return tuple(given)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds as people write them: "7", "1,5,9", "10-19" (with both ends), or "1,5,10-19".

    Raises:
        InputError: anything else, a seed named twice, or more than one request may have.
    """
    ranges: list[range] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part, re.ASCII)
        low, high = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if high < low:
            raise InputError(f"seeds are written as 7, 1,5,9 or 10-19, not {text!r}.")
        ranges.append(range(low, high + 1))
    return checked_seeds(_chained(ranges))


def _chained(ranges: Sequence[range]) -> list[int]:
    """The numbers of all ranges, no more of them than show that they are too many."""
    return list(itertools.islice(itertools.chain.from_iterable(ranges), MOST_IMAGES + 1))

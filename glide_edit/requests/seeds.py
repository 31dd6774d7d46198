"""Seeds, and steps of several stages: as requests keep them, and as people write them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from numbers import Integral

from glide_edit.errors import InputError

MOST_IMAGES = 64
LARGEST_SEED = 2**63 - 1
"""Of every picture and candidate of a request, however it is named."""


def checked_seeds(seeds: Sequence[object]) -> tuple[int, ...]:
    """Seeds as a tuple of Python's own whole numbers; InputError for what is none, too many, or one twice."""
    given: list[int] = []
    for seed in itertools.islice(seeds, MOST_IMAGES + 1):
        if not isinstance(seed, Integral) or isinstance(seed, bool) or not 0 <= int(seed) <= LARGEST_SEED:
            said = f"seeds must be whole numbers between 0 and {LARGEST_SEED}, not {seed!r}."
            raise InputError(said, code="seeds_out_of_range", field="seeds")
        given.append(int(seed))
    if len(given) > MOST_IMAGES:
        said = f"seeds are more than the {MOST_IMAGES} that one request may have."
        raise InputError(said, code="seeds_too_many", field="seeds")
    if twice := [seed for seed in given if given.count(seed) > 1]:
        said = f"seeds name {twice[0]} twice: the same picture would be made again."
        raise InputError(said, code="seeds_repeated", field="seeds")
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
            said = f"seeds are written as 7, 1,5,9 or 10-19, not {text!r}."
            raise InputError(said, code="seeds_malformed", field="seeds")
        ranges.append(range(low, high + 1))
    # No more of them than show that they are too many.
    return checked_seeds(list(itertools.islice(itertools.chain.from_iterable(ranges), MOST_IMAGES + 1)))


def parse_steps(text: str) -> tuple[int, ...]:
    """Steps of several stages as people write them: "20,8,4". Raises InputError for anything else."""
    if not re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*", text, re.ASCII):
        said = f"stage_steps are written as 20,8,4, not {text!r}."
        raise InputError(said, code="stage_steps_malformed", field="stage_steps")
    return tuple(map(int, text.split(",")))

"""Hard negatives for contrastive training: captions of the toybox made false by one small change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from glide_edit.toybox.world import (
    COLOURS,
    GROUNDS,
    KINDS,
    MATERIALS,
    SIZES,
    held_out_colour,
    held_out_pair,
)

_GROUPS: Mapping[str, tuple[tuple[str, ...], float]] = {
    "colour": (tuple(COLOURS), 3.0),
    "kind": (KINDS, 3.0),
    "side": (("to the left of", "to the right of"), 3.0),
    "depth": (("in front of", "behind"), 3.0),
    "material": (MATERIALS, 1.0),
    "size": (SIZES, 1.0),
    "ground": (tuple(f"on a {ground}" if "floor" in ground else f"on {ground}" for ground in GROUNDS), 1.0),
    "light": (("in daylight", "at sunset", "at night"), 1.0),
}
"""Phrases that exclude each other, and the relative frequency of a change in each group."""

_EXCHANGE = 3.0
"""The relative frequency of swapping the colours of two toys."""

_PATTERNS = {group: re.compile(rf"\b(?:{'|'.join(phrases)})\b") for group, (phrases, _) in _GROUPS.items()}
_TOY = re.compile(
    rf"\ban? (?:(?:{'|'.join([*SIZES, *MATERIALS])}) )*"
    rf"(?:(?P<colour>{'|'.join(COLOURS)}) )?(?P<kind>{'|'.join(KINDS)})\b"
)


@dataclass(frozen=True)
class HardNegative:
    """A false caption and its ``change``: the group of words that was changed, or "exchange"."""

    caption: str
    change: str


def hard_negative(caption: str, rng: np.random.Generator) -> HardNegative:
    """A caption of the toybox with one thing changed, so that it is (nearly always) false.

    Either a colour, kind, material, size, ground, light or relation is replaced, or two toys swap colours. A
    caption does not mention everything, so in rare cases the changed one still fits the picture. Combinations
    that are held out of training are never used: the model would learn that they are never true.
    """
    while True:
        changes = [*_replacements(caption, rng), *_exchanges(caption)]
        weights = np.array([weight for weight, _ in changes])
        negative = changes[rng.choice(len(changes), p=weights / weights.sum())][1]
        if not _held_out(negative.caption):
            return negative


def _held_out(caption: str) -> bool:
    toys = list(_TOY.finditer(caption))
    return any(toy["colour"] and held_out_colour(toy["kind"], toy["colour"]) for toy in toys) or any(
        held_out_pair(a["kind"], b["kind"]) for a, b in combinations(toys, 2)
    )


def _replacements(caption: str, rng: np.random.Generator) -> list[tuple[float, HardNegative]]:
    """One weighted change for each group that the caption has a phrase of."""
    changes = []
    for group, (phrases, weight) in _GROUPS.items():
        found = list(_PATTERNS[group].finditer(caption))
        if not found or (group in ("side", "depth") and _is_symmetric(caption, found[0])):
            continue
        old = found[rng.integers(len(found))]
        others = [phrase for phrase in phrases if phrase != old[0]]
        new = others[rng.integers(len(others))]
        changes.append((weight, HardNegative(_replaced(caption, {old.span(): new}), group)))
    return changes


def _is_symmetric(caption: str, relation: re.Match[str]) -> bool:
    """Whether both sides of a relation are worded alike, so that it holds either way."""
    before = list(_TOY.finditer(caption[: relation.start()]))
    after = _TOY.search(caption, relation.end())
    return bool(before) and after is not None and before[-1][0] == after[0]


def _exchanges(caption: str) -> list[tuple[float, HardNegative]]:
    toys = [toy for toy in _TOY.finditer(caption) if toy["colour"]]
    # Two toys of one kind that swap their colours are the same two again.
    pairs = [
        (a, b) for a, b in combinations(toys, 2) if a["kind"] != b["kind"] and a["colour"] != b["colour"]
    ]
    changes = []
    for a, b in pairs:
        swapped = _replaced(caption, {a.span("colour"): b["colour"], b.span("colour"): a["colour"]})
        changes.append((_EXCHANGE / len(pairs), HardNegative(swapped, "exchange")))
    return changes


def _replaced(caption: str, new: Mapping[tuple[int, int], str]) -> str:
    """The caption with new words at some spans (start, end), given in order, and its articles corrected."""
    for (start, end), words in reversed(list(new.items())):
        caption = caption[:start] + words + caption[end:]
    return re.sub(r"\ban? (?=(\w))", lambda m: "an " if m[1] in "aeiou" else "a ", caption)

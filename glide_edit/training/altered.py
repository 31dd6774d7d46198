"""Captions of the toybox made false by a small change: the hard negatives of contrastive training."""

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
"""Phrases that exclude each other, and how often one of a group is changed where a caption has one."""

_EXCHANGE = 3.0
"""How often two toys' colours are exchanged where a caption has two of them."""

_PATTERNS = {group: re.compile(rf"\b(?:{'|'.join(phrases)})\b") for group, (phrases, _) in _GROUPS.items()}
_TOY = re.compile(
    rf"\ban? (?:(?:{'|'.join([*SIZES, *MATERIALS])}) )*"
    rf"(?:(?P<colour>{'|'.join(COLOURS)}) )?(?P<kind>{'|'.join(KINDS)})\b"
)


@dataclass(frozen=True)
class _Change:
    """Parts of a caption, (start, end), in its order, and what to put in their places."""

    what: str
    spans: tuple[tuple[int, int], ...]
    words: tuple[str, ...]

    def apply(self, caption: str) -> str:
        for (start, end), words in reversed(list(zip(self.spans, self.words, strict=True))):
            caption = caption[:start] + words + caption[end:]
        return re.sub(r"\ban? (?=(\w))", lambda m: "an " if m[1] in "aeiou" else "a ", caption)


@dataclass(frozen=True)
class Altered:
    """A caption made false, and ``what`` of it was changed: a group of words, or "exchange"."""

    caption: str
    what: str


def altered(caption: str, rng: np.random.Generator) -> Altered:
    """A caption of the toybox with one thing in it changed, so that it is (nearly always) false.

    Another colour, kind, material, size, ground or light; left for right, in front for behind; or the colours
    of two toys exchanged. What a caption leaves open may happen to fit the changed one too, which is rare.
    Nothing that is held out of training comes of it: it would be learned as never true.
    """
    while True:
        changes = [*_replacements(caption, rng), *_exchanges(caption)]
        assert changes, "every caption of the toybox names a toy"
        weights = np.array([weight for weight, _ in changes])
        change = changes[rng.choice(len(changes), p=weights / weights.sum())][1]
        changed = change.apply(caption)
        if not _held_out(changed):
            return Altered(changed, change.what)


def _held_out(caption: str) -> bool:
    toys = list(_TOY.finditer(caption))
    return any(toy["colour"] and held_out_colour(toy["kind"], toy["colour"]) for toy in toys) or any(
        held_out_pair(a["kind"], b["kind"]) for a, b in combinations(toys, 2)
    )


def _replacements(caption: str, rng: np.random.Generator) -> list[tuple[float, _Change]]:
    """One change for each group that the caption has a phrase of."""
    changes = []
    for group, (phrases, weight) in _GROUPS.items():
        found = list(_PATTERNS[group].finditer(caption))
        if not found or (group in ("side", "depth") and _relates_equals(caption, found[0])):
            continue
        old = found[rng.integers(len(found))]
        others = [phrase for phrase in phrases if phrase != old[0]]
        changes.append((weight, _Change(group, (old.span(),), (others[rng.integers(len(others))],))))
    return changes


def _relates_equals(caption: str, relation: re.Match[str]) -> bool:
    """Whether both sides of a relation are worded alike, so that it holds either way."""
    before = list(_TOY.finditer(caption[: relation.start()]))
    after = _TOY.search(caption, relation.end())
    return bool(before) and after is not None and before[-1][0] == after[0]


def _exchanges(caption: str) -> list[tuple[float, _Change]]:
    toys = [toy for toy in _TOY.finditer(caption) if toy["colour"]]
    # Two toys of one kind would be the same two again.
    pairs = [
        (a, b) for a, b in combinations(toys, 2) if a["kind"] != b["kind"] and a["colour"] != b["colour"]
    ]
    changes = []
    for a, b in pairs:
        spans, colours = (a.span("colour"), b.span("colour")), (b["colour"], a["colour"])
        changes.append((_EXCHANGE / len(pairs), _Change("exchange", spans, colours)))
    return changes

"""Judgments on what the verifier saw: is the wanted toy there, how often, and where relative to another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

from glide_edit.errors import InputError
from glide_edit.evaluation.seen import Seen, SeenObject
from glide_edit.toybox import COLOURS, KINDS, MATERIALS, Scene, Toy

Relation = Literal["to the left of", "to the right of", "in front of", "behind"]
RELATIONS: tuple[Relation, ...] = ("to the left of", "to the right of", "in front of", "behind")


@dataclass(frozen=True)
class Wanted:
    """A toy as a prompt asks for it; None is "any". Raises InputError for a word that the toybox lacks."""

    kind: str
    colour: str | None = None
    material: str | None = None

    def __post_init__(self) -> None:
        for word, known in ((self.kind, KINDS), (self.colour, COLOURS), (self.material, MATERIALS)):
            if word is not None and word not in known:
                raise InputError(f"unknown word {word!r}; choose from: {', '.join(known)}")

    def fits(self, found: SeenObject) -> bool:
        return (
            found.kind == self.kind
            and self.colour in (None, found.colour)
            and self.material in (None, found.material)
        )


def wanted_of(toy: Toy, *, colour: bool = True, material: bool = False) -> Wanted:
    """What a prompt that names the toy asks for."""
    return Wanted(toy.kind, toy.colour if colour else None, toy.material if material else None)


def shows(seen: Seen, wanted: Wanted) -> bool:
    """Whether the picture shows the wanted toy."""
    return find(seen, wanted) is not None


def find(seen: Seen, wanted: Wanted) -> SeenObject | None:
    """The surest seen object that fits, None where there is none."""
    return next((found for found in seen.objects if wanted.fits(found)), None)


def count(seen: Seen, wanted: Wanted) -> int:
    """How many seen objects fit."""
    return sum(wanted.fits(found) for found in seen.objects)


def shows_all(seen: Seen, wanted: Sequence[Wanted]) -> bool:
    """Whether every wanted toy is there, each as an object of its own; further objects do no harm."""
    return any(
        all(each.fits(found) for each, found in zip(wanted, order, strict=True))
        for order in permutations(seen.objects, len(wanted))
    )


def relation_holds(seen: Seen, first: Wanted, relation: Relation, second: Wanted) -> bool | None:
    """Whether the relation of the first wanted toy to the second holds; None where not both are seen.

    Left and right go by the middles of the boxes, in front and behind by their lower edges: the camera looks
    down, so what is nearer is lower in the picture. Where several fit, the surest two are compared. Raises
    InputError for an unknown relation."""
    if relation not in RELATIONS:
        raise InputError(f"unknown relation {relation!r}; choose from: {', '.join(RELATIONS)}")
    pairs = [(a, b) for a, b in permutations(seen.objects, 2) if first.fits(a) and second.fits(b)]
    if not pairs:
        return None
    a, b = max(pairs, key=lambda pair: pair[0].score + pair[1].score)
    if relation in ("in front of", "behind"):
        first_place, second_place = b.box[3], a.box[3]
    else:
        first_place, second_place = a.box[0] + a.box[2], b.box[0] + b.box[2]
    if relation in ("to the left of", "in front of"):
        return first_place < second_place
    return first_place > second_place


def right_share(seen: Seen, scene: Scene) -> float:
    """The share of a scene's toys that the picture shows with their kinds and colours."""
    return sum(shows(seen, wanted_of(toy)) for toy in scene.toys) / len(scene.toys)

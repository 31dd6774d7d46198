"""What the verifier says of a picture, as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SeenObject:
    """An object on a picture: ``box`` is x0, y0, x1, y1 of what is visible, as fractions of the picture;
    ``score``, 0 ... 1, is how sure the verifier is that such a kind is there."""

    kind: str
    colour: str
    material: str
    box: tuple[float, float, float, float]
    score: float


@dataclass(frozen=True)
class Seen:
    """What the verifier says of a picture: its objects, the surest first, its ground and its light."""

    objects: tuple[SeenObject, ...]
    ground: str
    light: str


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Intersection over union of two boxes."""
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, wide) * max(0.0, tall)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - shared
    return shared / union if union > 0 else 0.0


def nearest(seen: Seen, box: Iterable[float]) -> SeenObject | None:
    """The object whose box overlaps the given one most, None where nothing was seen."""
    place = tuple(box)
    return max(seen.objects, key=lambda found: overlap(found.box, place), default=None)

"""What a person would say about a scene."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.toybox.camera import toy_extents
from glide_edit.toybox.world import COLOURS, GROUNDS, KINDS, MATERIALS, SIZES, Scene

RELATIONS = ("to the left of", "to the right of", "in front of", "behind", "next to")

_STREAM = 7012  # so that other uses of the same seed get other random numbers
_LIGHT_WORDS = {"day": "in daylight", "sunset": "at sunset", "night": "at night"}


def caption(scene: Scene, seed: int) -> str:
    """One way to describe the whole scene, at most 36 lower-case words; another seed, another phrasing.

    Left and right, in front and behind are as the picture shows them. Raises InputError for a negative seed.
    """
    rng = _generator(scene, seed)
    order = [int(k) for k in rng.permutation(len(scene.toys))]
    names = [_describe(scene, k, rng) for k in order]
    relation = _relation(scene, order[0], order[1], rng) if len(order) > 1 and rng.random() < 0.6 else None
    if relation is not None:
        names = [f"{names[0]} {relation} {names[1]}", *names[2:]]
    if len(names) > 1:
        joint = ", and " if relation is not None else " and "
        text = ", ".join(names[:-1]) + joint + names[-1]
    else:
        text = names[0]
    place = _place(scene, rng)
    if place and rng.random() < 0.08:
        return f"{place}, {text}"
    return f"{text} {place}".strip()


def describe_toy(scene: Scene, index: int, seed: int) -> str:
    """The toy alone, as in "a shiny red ball". Raises InputError for an index out of range."""
    if not 0 <= index < len(scene.toys):
        raise InputError(f"the scene has {len(scene.toys)} toys, so there is no toy {index}")
    return _describe(scene, index, _generator(scene, seed))


def vocabulary() -> list[str]:
    """Every word captions can hold, sorted; punctuation is the comma only."""
    phrases = [*KINDS, *COLOURS, *MATERIALS, *SIZES, *GROUNDS, *RELATIONS, *_LIGHT_WORDS.values()]
    words = {word for phrase in phrases for word in phrase.split()}
    return sorted(words | {"a", "an", "and", "on"})


def _generator(scene: Scene, seed: int) -> np.random.Generator:
    if seed < 0:
        raise InputError(f"a seed is 0 or more, not {seed}")
    return np.random.default_rng([seed, scene.seed, _STREAM])


def _describe(scene: Scene, index: int, rng: np.random.Generator) -> str:
    toy = scene.toys[index]
    contrast = len({other.size for other in scene.toys}) > 1
    say_size, say_material, say_colour = rng.random(3)
    words = []
    if say_size < (0.45 if contrast else 0.10):
        words.append(toy.size)
    if say_material < (0.25 if toy.material == "matte" else 0.60):
        words.append(toy.material)
    if say_colour < 0.92:
        words.append(toy.colour)
    return _with_article(" ".join([*words, toy.kind]))


def _relation(scene: Scene, a: int, b: int, rng: np.random.Generator) -> str:
    """A relation of toy a to toy b that is true in the picture."""
    boxes = _boxes(scene)
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    across, deep = middle[a] - middle[b], boxes[a, 4] - boxes[b, 4]
    true = ["next to"]
    if abs(across) > 0.35:
        true += 3 * ["to the left of" if across < 0 else "to the right of"]
    if abs(deep) > 0.55 and abs(across) < 0.75:
        true += 3 * ["behind" if deep > 0 else "in front of"]
    return true[int(rng.integers(len(true)))]


@lru_cache(maxsize=64)
def _boxes(scene: Scene) -> NDArray[np.float64]:
    """Cached for the next phrasing: this takes most of a caption's time."""
    return toy_extents(scene)


def _place(scene: Scene, rng: np.random.Generator) -> str:
    say_ground, say_light = rng.random(2)
    words = []
    if say_ground < 0.75:
        words.append(f"on {_with_article(scene.ground)}" if "floor" in scene.ground else f"on {scene.ground}")
    if say_light < (0.08 if scene.light == "day" else 0.85):
        words.append(_LIGHT_WORDS[scene.light])
    return " ".join(words)


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words

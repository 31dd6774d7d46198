"""Where training pictures come from: what a source returns, and the toybox rendered on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glide_edit.toybox import Scene, caption, describe_toy, of_one_kind, render, sample_scene

FIRST_TRAINING_SEED = 1_000_000
"""Scene seeds below this are left to tests, benches and galleries."""


TOY_COUNTS = (0.22, 0.46, 0.17, 0.15)
"""The shares of pictures with one, two, three and four toys. Several teach which words belong together."""

ALIKE_SHARE = 0.3
"""The share of scenes with several toys that are made one kind where possible, which is rare by chance."""

PHRASING_CANDIDATES = 4
"""Captions from which a phrasing is chosen: one that says which toy is in front, which few scenes allow."""
_DEPTH = ("in front of", "behind")

_STREAM = 7013  # keeps these draws apart from other uses of the same number


@dataclass(frozen=True, eq=False)
class Item:
    """One picture and what is known about it.

    ``image`` is uint8 (S, S, 3). ``caption(number)`` is a phrasing of the whole picture: phrasings have the
    numbers from 0 on, and a number always gives the same one. ``objects`` has the mask of each object, bool
    (S, S), with its shadow where that is known, and ``describe(index, number)`` is a phrasing of that object
    alone. ``foreground``, bool (S, S), is where any object is seen. ``drawing`` is uint8 (S, S), 255
    paper and 0 ink, or None. ``scene`` is the scene of a rendered picture.
    """

    image: NDArray[np.uint8]
    caption: Callable[[int], str]
    objects: tuple[NDArray[np.bool_], ...] = ()
    describe: Callable[[int, int], str] = lambda index, number: ""
    foreground: NDArray[np.bool_] | None = None
    drawing: NDArray[np.uint8] | None = None
    scene: Scene | None = None


class Source(Protocol):
    """A collection of items."""

    def draw(self, rng: np.random.Generator) -> Item:
        """A random item; the same generator state gives the same one. Called from a thread."""
        ...

    def captions(self) -> Iterable[str]:
        """Captions enough to learn a vocabulary from."""
        ...


def training_scene(number: int) -> Scene:
    """The scene of a number, 0 or more; nothing else is trained on."""
    scene = sample_scene(FIRST_TRAINING_SEED + number)
    if len(scene.toys) > 1 and np.random.default_rng([number, _STREAM]).random() < ALIKE_SHARE:
        return of_one_kind(scene) or scene
    return scene


def toy_item(
    scene: Scene,
    image: NDArray[np.uint8],
    foreground: NDArray[np.bool_],
    objects: tuple[NDArray[np.bool_], ...],
    drawing: NDArray[np.uint8],
) -> Item:
    """An item of the toybox; see ``Item``."""
    return Item(
        image=image,
        caption=lambda number: _phrasing(scene, number),
        objects=objects,
        describe=lambda index, number: describe_toy(scene, index, number),
        foreground=foreground,
        drawing=drawing,
        scene=scene,
    )


def _phrasing(scene: Scene, number: int) -> str:
    """The first candidate that says which toy is in front, or else the first candidate."""
    first = PHRASING_CANDIDATES * number
    seeds = range(first, first + PHRASING_CANDIDATES) if len(scene.toys) > 1 else ()
    texts = (caption(scene, seed) for seed in seeds)
    return next((text for text in texts if any(words in text for words in _DEPTH)), caption(scene, first))


class Toybox:
    """What the toybox's sources share."""

    def captions(self) -> Iterable[str]:
        """Eight captions each of 600 training scenes: every word that the toybox knows."""
        scenes = (training_scene(k) for k in range(600))
        return (caption(scene, k) for scene in scenes for k in range(8))


@dataclass(frozen=True)
class RenderedToybox(Toybox):
    """Toybox pictures without end, rendered on demand."""

    size: int

    def draw(self, rng: np.random.Generator) -> Item:
        count = 1 + int(rng.choice(len(TOY_COUNTS), p=TOY_COUNTS))
        while len((scene := training_scene(int(rng.integers(2**40)))).toys) != count:
            pass
        picture = render(scene, self.size)
        objects = tuple(picture.whole | picture.shadow)
        return toy_item(scene, picture.image, picture.visible >= 0, objects, picture.drawing)

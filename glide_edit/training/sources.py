"""Where training pictures come from: what a source gives, and the toybox rendered as it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glide_edit.toybox import Scene, caption, describe_toy, of_one_kind, render, sample_scene

FIRST_TRAINING_SEED = 1_000_000
"""Scene seeds below this are left to tests, benches and galleries."""


TOY_COUNTS = (0.22, 0.46, 0.17, 0.15)
"""How often one, two, three and four toys are shown. What a word belongs to is learned from several."""

ALIKE_SHARE = 0.3
"""How often several toys are made one kind where that can be, which chance hardly ever does."""

DEPTH_TRIES = 4
"""So many phrasings are looked at for one that says what stands in front, which few scenes allow."""
_DEPTH = ("in front of", "behind")

_STREAM = 7013  # keeps these draws apart from other uses of the same number


@dataclass(frozen=True, eq=False)
class Item:
    """One picture and what is known of it.

    ``image`` is uint8 (S, S, 3). ``caption(seed)`` words the whole picture. ``objects`` has for each object
    its mask, bool (S, S), shadow included where it is known, and ``describe(index, seed)`` words that object
    alone. ``foreground``, bool (S, S), is where any object is seen. ``drawing`` is uint8 (S, S), 255 paper
    and 0 ink, or None. ``scene`` is what was rendered, where it was.
    """

    image: NDArray[np.uint8]
    caption: Callable[[int], str]
    objects: tuple[NDArray[np.bool_], ...] = ()
    describe: Callable[[int, int], str] = lambda index, seed: ""
    foreground: NDArray[np.bool_] | None = None
    drawing: NDArray[np.uint8] | None = None
    scene: Scene | None = None


class Source(Protocol):
    """A collection of items."""

    def draw(self, rng: np.random.Generator) -> Item:
        """An item by chance; the same generator state gives the same one. Called from a thread."""
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
        caption=lambda seed: _telling(scene, seed),
        objects=objects,
        describe=lambda index, seed: describe_toy(scene, index, seed),
        foreground=foreground,
        drawing=drawing,
        scene=scene,
    )


def _telling(scene: Scene, seed: int) -> str:
    """The first phrasing that says which toy stands in front, or the first of all if none does."""
    tries = DEPTH_TRIES if len(scene.toys) > 1 else 1
    texts = (caption(scene, DEPTH_TRIES * seed + k) for k in range(tries))
    first = next(texts)
    return next((text for text in chain([first], texts) if any(words in text for words in _DEPTH)), first)


def toybox_captions() -> Iterable[str]:
    """Eight captions each of 600 training scenes: every word that the toybox knows."""
    scenes = (training_scene(k) for k in range(600))
    return (caption(scene, k) for scene in scenes for k in range(8))


@dataclass(frozen=True)
class RenderedToybox:
    """Toybox pictures without end, rendered as they are asked for."""

    size: int

    def draw(self, rng: np.random.Generator) -> Item:
        count = 1 + int(rng.choice(len(TOY_COUNTS), p=TOY_COUNTS))
        while len((scene := training_scene(int(rng.integers(2**40)))).toys) != count:
            pass
        picture = render(scene, self.size)
        objects = tuple(picture.whole | picture.shadow)
        return toy_item(scene, picture.image, picture.visible >= 0, objects, picture.drawing)

    def captions(self) -> Iterable[str]:
        return toybox_captions()

"""The edit bench's items: put this toy back into the scene it was taken out of.

After EditBench (Wang et al. 2022, arXiv 2212.06909, section 4): masks of three sizes, prompts of three
lengths, and, since the scenes are rendered, the true picture of every item to compare with.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.accuracy import VISIBLE_AREA
from glide_edit.evaluation.judging import Wanted, wanted_of
from glide_edit.evaluation.prompts import ground_words, with_article
from glide_edit.images import Picture, open_picture
from glide_edit.toybox import Rendering, Scene, caption, render, sample_scene
from glide_edit.toybox.camera import toy_extents
from masks import Mask

Made = TypeVar("Made")

SIZES: dict[str, tuple[float, float]] = {"small": (0.02, 0.10), "medium": (0.10, 0.22), "large": (0.22, 0.60)}
"""Shares of the picture that a mask covers: from the first to below the second."""

SHAPES = ("box", "loose", "tight")
WORDINGS = ("simple", "rich", "full")

PIXELS = 256
SCENES = (520_000, 680_000)
"""Seeds of the scenes to choose from: no training shows them, the prompt bench words some of them."""

_DECIDED_AT = 64  # px: there an item's size class is decided, since rendering large takes six times as long
_CLEAR = 0.95  # of the toy's silhouette is not covered by another toy
_OTHERS = 0.05  # of another toy, at most, is under the mask
_AWAY = 1000.0  # world units behind the camera, where a toy neither shows nor throws a shadow
_STREAM = 7031  # keeps these draws apart from other uses of the same seed
_LIGHT_WORDS = {"day": "", "sunset": " at sunset", "night": " at night"}


@dataclass(frozen=True, eq=False)
class EditItem:
    """One edit: ``picture`` shows the scene without toy number ``toy``, ``truth`` uint8 (S, S, 3) with it.

    ``size`` is one of SIZES, ``shape`` of SHAPES, ``wording`` of WORDINGS; ``mask`` says what to change.
    """

    index: int
    scene: Scene
    toy: int
    size: str
    shape: str
    wording: str
    prompt: str
    picture: Picture
    truth: NDArray[np.uint8]
    mask: Mask

    @property
    def wanted(self) -> Wanted:
        """What is to be in the mask, its material only where the prompt names it."""
        toy = self.scene.toys[self.toy]
        return wanted_of(toy, material=f"{toy.material} {toy.colour} {toy.kind}" in self.prompt)

    @property
    def box(self) -> NDArray[np.float64]:
        """The mask's box x0, y0, x1, y1, as fractions of the picture."""
        return np.array(self.mask.bounding_box()) / PIXELS


def edit_items(number: int, seed: int = 0) -> Generator[EditItem, None, None]:
    """Items 0 to ``number`` - 1, rendered ahead in other threads."""
    return ahead(partial(edit_item, seed=seed), number)


def ahead(make: Callable[[int], Made], number: int) -> Generator[Made, None, None]:
    """``make`` of 0 to ``number`` - 1 in order, computed in all threads but one while results are used."""
    threads = max(1, (os.cpu_count() or 1) - 1)
    following = iter(range(number))
    with ThreadPoolExecutor(threads, "items") as pool:
        pending = deque(pool.submit(make, k) for k in islice(following, 3 * threads))
        try:
            while pending:
                made = pending.popleft().result()
                pending.extend(pool.submit(make, k) for k in islice(following, 1))
                yield made
        finally:
            for job in pending:
                job.cancel()


def edit_item(index: int, seed: int = 0) -> EditItem:
    """Item ``index``, always the same; 27 in a row hold every combination of size, shape and wording once."""
    size = tuple(SIZES)[index % 3]
    shape, wording = SHAPES[index // 3 % 3], WORDINGS[index // 9 % 3]
    rng = np.random.default_rng([seed, index, _STREAM])
    toy = None
    while toy is None:
        scene = sample_scene(int(rng.integers(*SCENES)))
        toy = _toy_that_fits(scene, size, shape)
    rendering = render(scene, PIXELS, threads=1)
    return EditItem(
        index=index,
        scene=scene,
        toy=toy,
        size=size,
        shape=shape,
        wording=wording,
        prompt=worded(scene, toy, wording),
        picture=open_picture(render(without(scene, toy), PIXELS, passes="image", threads=1).image),
        truth=rendering.image,
        mask=Mask(mask_around(rendering, toy, shape)),
    )


def without(scene: Scene, toy: int) -> Scene:
    """The same scene without one toy; the others stay where they were."""
    others = tuple(each for k, each in enumerate(scene.toys) if k != toy)
    hidden = replace(scene.toys[toy], x=0.0, z=_AWAY)
    return replace(scene, toys=others or (hidden,))  # a scene holds one toy at least


def mask_around(rendering: Rendering, toy: int, shape: str) -> NDArray[np.bool_]:
    """Where a person would select for the toy, bool (S, S): its silhouette and shadow, grown by 1/40 of the
    picture ("tight"); the convex outline of that, grown by 1/20 ("loose"); its upright box, by 1/40 ("box").
    """
    own = (rendering.whole[toy] | rendering.shadow[toy]).astype(np.uint8)
    size = len(own)
    if shape == "tight":
        return _grown(own, size / 40)
    if shape == "box":
        x, y, wide, high = cv2.boundingRect(_grown(own, size / 40).astype(np.uint8))
        own[y : y + high, x : x + wide] = 1
        return own.astype(bool)
    points = np.argwhere(own)[:, ::-1].astype(np.int32)
    cv2.fillConvexPoly(own, cv2.convexHull(points), 1)
    return _grown(own, size / 20)


def worded(scene: Scene, toy: int, wording: str) -> str:
    """The prompt: "a red ball" (simple); "a shiny red ball on grass at night" (rich); a caption of the whole
    scene that names the toy and its colour (full)."""
    asked = scene.toys[toy]
    if wording == "simple":
        return with_article(f"{asked.colour} {asked.kind}")
    if wording == "rich":
        words = with_article(f"{asked.material} {asked.colour} {asked.kind}")
        return f"{words} on {ground_words(scene)}{_LIGHT_WORDS[scene.light]}"
    texts = (caption(scene, seed) for seed in count())
    return next(text for text in texts if f"{asked.colour} {asked.kind}" in text)


def _toy_that_fits(scene: Scene, size: str, shape: str) -> int | None:
    """A toy in full view whose mask is of this size and covers no other toy."""
    low, high = SIZES[size]
    boxes = np.clip(toy_extents(scene)[:, :4], -1, 1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 4
    kinds = [toy.kind for toy in scene.toys]
    likely = [k for k, area in enumerate(areas) if 0.4 * low < area < high and kinds.count(kinds[k]) == 1]
    if not likely:
        return None
    rendering = render(scene, _DECIDED_AT, threads=1)
    return next((k for k in likely if _fits(rendering, k, shape, low, high)), None)


def _fits(rendering: Rendering, toy: int, shape: str, low: float, high: float) -> bool:
    own, seen = rendering.whole[toy], rendering.visible == toy
    if seen.mean() < VISIBLE_AREA or seen.sum() < _CLEAR * own.sum():
        return False
    selected = mask_around(rendering, toy, shape)
    others = [rendering.visible == k for k in range(len(rendering.whole)) if k != toy]
    hidden = any((other & selected).sum() > _OTHERS * other.sum() for other in others)
    return bool(low <= selected.mean() < high) and not hidden


def _grown(area: NDArray[np.uint8], radius: float) -> NDArray[np.bool_]:
    side = 2 * round(radius) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(area, disc), np.bool_)

"""What the photograph bench asks: put this toy into a photograph that no training has shown.

The toy is rendered alone by day and composited onto the photograph with a shadow and light of its own, as
``glide_edit.training.compositing`` does it. The bench hides it again, so every item has a true picture.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.accuracy import VISIBLE_AREA
from glide_edit.evaluation.edit_items import PIXELS, SCENES, SHAPES, SIZES, ahead, mask_around
from glide_edit.evaluation.judging import Wanted, wanted_of
from glide_edit.images import Picture, open_picture
from glide_edit.toybox import Rendering, Scene, Toy, render, sample_scene
from glide_edit.training.compositing import put_onto, relit, shadowed
from glide_edit.training.photos import BACKDROP, Photo, cut_square, read_photos, shrunk
from glide_edit.training.sources import Item, toy_item
from masks import Mask

WORDINGS = {
    "article": "a {colour} {kind}",
    "bare": "{colour} {kind}",
    "material": "a {material} {colour} {kind}",
}

_PLANNED_AT = 64  # px: how large the toy has to be is found on a small render
_SCALES = (0.25, 1.6)  # of the toy as its scene shows it
_WIDEST = 0.85  # of the picture a mask extends over
_STREAM = 7057  # keeps these draws apart from other uses of the same seed


@dataclass(frozen=True, eq=False)
class PhotoItem:
    """One question: ``picture`` is a square of a photograph, ``truth`` uint8 (S, S, 3) the same with a toy.

    ``size`` is one of SIZES, ``shape`` of SHAPES, ``wording`` of WORDINGS; ``mask`` says what to change.
    """

    index: int
    toy: Toy
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
        return wanted_of(self.toy, material=self.wording == "material")

    @property
    def box(self) -> NDArray[np.float64]:
        """The mask's box x0, y0, x1, y1, as fractions of the picture."""
        return np.array(self.mask.bounding_box()) / PIXELS


def photo_items(folder: Path, number: int, seed: int = 0) -> Generator[PhotoItem, None, None]:
    """Items 0 to ``number`` - 1, made ahead in other threads, on the photographs that ``folder`` holds out.

    Raises:
        TrainingError: the folder has no readable metadata, or holds nothing out.
    """
    photos = read_photos(folder, held_out=True)
    return ahead(partial(photo_item, photos=photos, seed=seed), number)


def photo_item(index: int, photos: Sequence[Photo], seed: int = 0) -> PhotoItem:
    """Item ``index``, the same on every call and whatever the count.

    Sizes take turns, then shapes, then wordings: 27 items in a row hold every mixture once.

    Raises:
        TrainingError: the photograph cannot be read.
    """
    size = tuple(SIZES)[index % 3]
    shape, wording = SHAPES[index // 3 % 3], tuple(WORDINGS)[index // 9 % 3]
    rng = np.random.default_rng([seed, index, _STREAM])
    photo = photos[int(rng.integers(len(photos)))]
    backdrop = cut_square(shrunk(photo, PIXELS * 3 // 2), PIXELS, BACKDROP, rng)
    while (found := _composite(backdrop, size, shape, rng)) is None:
        pass
    scene, truth, selected = found
    toy = scene.toys[0]
    words = {"material": toy.material, "colour": toy.colour, "kind": toy.kind}
    return PhotoItem(
        index=index,
        toy=toy,
        size=size,
        shape=shape,
        wording=wording,
        prompt=_right_article(WORDINGS[wording].format(**words)),
        picture=open_picture(backdrop),
        truth=truth,
        mask=Mask(selected),
    )


def _composite(
    backdrop: NDArray[np.uint8], size: str, shape: str, rng: np.random.Generator
) -> tuple[Scene, NDArray[np.uint8], NDArray[np.bool_]] | None:
    """A scene of one toy, the backdrop with it, and its mask; None where that is not of the size."""
    low, high = SIZES[size]
    scene = _one_by_day(rng)
    planned = _mask_of(_item(scene, _PLANNED_AT), shape)
    if not planned.any():
        return None
    scale = float(np.sqrt(rng.uniform(low, high) / planned.mean()))
    extent = max(cv2.boundingRect(planned.astype(np.uint8))[2:]) / _PLANNED_AT
    if not _SCALES[0] <= scale <= _SCALES[1] or scale * extent > _WIDEST:
        return None
    toys = _somewhere(_item(scene, round(PIXELS * scale)), rng)
    toys, shadow = shadowed(toys, rng)
    selected = _mask_of(toys, shape)
    assert toys.foreground is not None
    if not low <= selected.mean() < high or toys.foreground.mean() < VISIBLE_AREA:
        return None
    lit = Item(relit(toys, backdrop, rng), toys.caption, toys.objects, foreground=toys.foreground)
    truth = put_onto(lit, backdrop, shadow)
    # A soft shadow has no end; what reaches beyond the mask belongs to neither picture.
    return scene, np.where(selected[..., None], truth, backdrop), selected


def _one_by_day(rng: np.random.Generator) -> Scene:
    while True:
        scene = sample_scene(int(rng.integers(*SCENES)))
        if len(scene.toys) == 1 and scene.light == "day":
            return scene


def _item(scene: Scene, pixels: int) -> Item:
    rendering = render(scene, pixels, threads=1)
    objects = tuple(rendering.whole | rendering.shadow)
    return toy_item(scene, rendering.image, rendering.visible >= 0, objects, rendering.drawing)


def _somewhere(toys: Item, rng: np.random.Generator) -> Item:
    """The item on a square of PIXELS, its toy whole and anywhere in it, as far as its mask has room."""
    (area,) = toys.objects
    assert toys.foreground is not None
    x, y, wide, high = cv2.boundingRect(area.astype(np.uint8))
    margin = PIXELS // 20  # what the masks are grown by
    corner = []
    for start, extent in ((y, high), (x, wide)):
        room = max(1, PIXELS - 2 * margin - extent)
        corner.append(start + PIXELS - min(margin, PIXELS - extent) - int(rng.integers(room)))
    window = tuple(slice(low, low + PIXELS) for low in corner)

    def moved(plane: NDArray, border: int) -> NDArray:
        around = (PIXELS,) * 4
        return cv2.copyMakeBorder(plane.astype(np.uint8), *around, border)[window]

    return Item(
        moved(toys.image, cv2.BORDER_REPLICATE),
        toys.caption,
        (moved(area, cv2.BORDER_CONSTANT).astype(bool),),
        foreground=moved(toys.foreground, cv2.BORDER_CONSTANT).astype(bool),
    )


def _mask_of(toys: Item, shape: str) -> NDArray[np.bool_]:
    """Where a person would select for the toy and its shadow; see ``mask_around``."""
    (area,) = toys.objects
    visible = np.where(area, 0, -1).astype(np.int8)
    none = np.zeros((0, 0), np.uint8)
    return mask_around(Rendering(toys.image, visible, area[None], area[None], none, (None,)), 0, shape)


def _right_article(words: str) -> str:
    first, _, rest = words.partition(" ")
    return f"an {rest}" if first == "a" and rest[0] in "aeiou" else words

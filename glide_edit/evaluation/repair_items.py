"""What the repair bench asks: fill what covers a part of a photograph, as it was before.

A cover is painted over the photograph in a colour that differs from what is under it, so that a program which
reads pixels it was told to replace is worse off. Its edge is anti-aliased within the mask: every pixel that
the cover touches is selected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.repair_covers import COVERS, SMALLEST
from glide_edit.evaluation.report import fingerprint
from glide_edit.optional_dependencies import skimage
from glide_edit.training.photos import read_photos, shrunk

Image = NDArray[np.uint8]

HALVES = ("tuning", "reporting")
"""Fills may be tuned on the items of the first; what is reported of them is the second."""

LONGEST_SHORTER_SIDE = 512
"""px; larger photographs are shrunk."""

BUNDLED = (
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "rocket",
    "stereo_motorcycle",
)
"""Photographs that scikit-image's own wheel holds, by the names of its functions."""

_PALETTE = (
    (0, 0, 0),
    (255, 255, 255),
    (230, 30, 30),
    (30, 200, 40),
    (40, 60, 230),
    (250, 220, 20),
    (230, 20, 210),
    (20, 210, 220),
)
_DIFFERS = 90  # levels, the mean over what is covered; black or white always differs by 127
_STREAM = 6121  # keeps these draws apart from other uses of the same seed


@dataclass(frozen=True)
class Photograph:
    """A photograph by its name; ``read`` gives uint8 (H, W, 3)."""

    name: str
    read: Callable[[], Image]

    @property
    def half(self) -> str:
        """The one of HALVES that it belongs to, whatever other photographs there are."""
        return HALVES[hashlib.sha256(self.name.encode()).digest()[0] % 2]


@dataclass(frozen=True, eq=False)
class RepairItem:
    """One question: ``picture`` uint8 (H, W, 3) is ``truth`` with a cover of a ``kind`` of COVERS, and
    ``selected`` bool (H, W) is where the cover is."""

    index: int
    kind: str
    half: str
    name: str
    truth: Image
    selected: NDArray[np.bool_]
    picture: Image


def photographs_of(folder: Path | None) -> tuple[Photograph, ...]:
    """The photographs that ``folder`` holds out; without one, BUNDLED.

    Raises:
        TrainingError: the folder has no readable metadata, or holds nothing out.
        InputError: they are all of one half, or scikit-image is not installed.
    """
    found = _bundled() if folder is None else _held_out(folder)
    missing = [half for half in HALVES if half not in {each.half for each in found}]
    if missing:
        raise InputError(
            f"The bench needs photographs for both halves, and of these {len(found)} none is for "
            f"{missing[0]}: the file's name decides, so add others."
        )
    return found


def names_hash(photographs: Iterable[Photograph]) -> str:
    """16 hexadecimal digits that follow from the photographs' names."""
    return fingerprint({"names": sorted(each.name for each in photographs)})


def repair_item(index: int, photographs: Sequence[Photograph], seed: int = 0) -> RepairItem:
    """Item ``index``, the same on every call and whatever the count.

    Kinds take turns, and so do halves: ten items in a row hold every kind once for each half. A half's
    photographs take turns in a random order, another one each time round.

    Raises:
        InputError: the photograph is too small. TrainingError: it cannot be read.
    """
    half, kind = HALVES[index % 2], tuple(COVERS)[index % len(COVERS)]
    photograph = _whose_turn(index // 2, half, photographs, seed)
    truth = photograph.read()
    if min(truth.shape[:2]) < SMALLEST:
        raise InputError(
            f"{photograph.name} is {truth.shape[1]} x {truth.shape[0]} pixels: the bench needs {SMALLEST} "
            "or more each way."
        )
    rng = np.random.default_rng([seed, index, _STREAM])
    size = (truth.shape[0], truth.shape[1])
    coverage = COVERS[kind](size, rng)
    return RepairItem(
        index=index,
        kind=kind,
        half=half,
        name=photograph.name,
        truth=truth,
        selected=coverage > 0,
        picture=_painted(truth, coverage, rng),
    )


def _painted(truth: Image, coverage: NDArray[np.float32], rng: np.random.Generator) -> Image:
    selected = coverage > 0
    for colour in rng.permutation(np.array(_PALETTE)):
        if np.abs(truth[selected] - colour.astype(float)).mean() >= _DIFFERS:
            break
    share = coverage[..., None]
    return np.rint(truth * (1 - share) + colour * share).astype(np.uint8)


def _whose_turn(turn: int, half: str, photographs: Sequence[Photograph], seed: int) -> Photograph:
    own = [each for each in photographs if each.half == half]
    done, place = divmod(turn, len(own))
    order = np.random.default_rng([seed, HALVES.index(half), done, _STREAM]).permutation(len(own))
    return own[order[place]]


def _held_out(folder: Path) -> tuple[Photograph, ...]:
    photos = read_photos(folder, held_out=True)
    return tuple(
        Photograph(photo.path.name, partial(shrunk, photo, LONGEST_SHORTER_SIDE)) for photo in photos
    )


def _bundled() -> tuple[Photograph, ...]:
    return tuple(Photograph(name, partial(_read_bundled, name)) for name in BUNDLED)


def _read_bundled(name: str) -> Image:
    pixels = getattr(skimage("data"), name)()
    if isinstance(pixels, tuple):  # a pair of stereo pictures and their disparity
        pixels = pixels[0]
    return np.asarray(np.repeat(pixels[..., None], 3, 2) if pixels.ndim == 2 else pixels, np.uint8)

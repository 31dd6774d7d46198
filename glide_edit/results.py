"""What an operation gives back: pictures, a receipt for each, and progress on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError, SaveFailed
from glide_edit.images import (
    Picture,
    check_output,
    open_picture,
    rescuing,
    save_picture,
    to_depth,
    to_uint8,
)
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.recipes import RECIPE_KEY, Recipe, missing_from, text_for
from glide_edit.requests import Request
from masks import Mask, Preservation, compare_outside

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


_SHOWN = 256
"""px, the height of a picture in a notebook; its width is at most four times that."""


@dataclass(frozen=True)
class Receipt:
    """Proof of what was left alone: every pixel outside the allowed area, compared before and after.

    ``where`` says what was compared: "memory", or the name of the file that was read back.
    """

    preservation: Preservation
    where: str = "memory"

    @property
    def kept(self) -> bool:
        """Nothing outside changed."""
        return self.preservation.holds

    def __str__(self) -> str:
        text = str(self.preservation)
        return text if self.kept else f"{text}, by up to {self.preservation.largest_change}"

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.preservation), "where": self.where}


@dataclass(frozen=True)
class Score:
    """How good a candidate is; what could not be measured is None.

    ``fit`` is the cosine of CLIP's embeddings of the prompt and of the selection with what is around it, or
    of the whole picture; ``margin`` is how far it lies above that of the negative prompt, or of nothing said.
    ``seam`` is the logarithm of how much more neighbours differ across the selection's boundary than beside
    it: less is better. ``total`` is the mean of them, each in units of its own spread among the candidates.
    """

    seed: int
    fit: float | None
    margin: float | None
    seam: float | None
    total: float = 0.0

    def __str__(self) -> str:
        parts = (("fit", self.fit), ("margin", self.margin), ("seam", self.seam))
        measured = [f"{name} {value:.2f}" for name, value in parts if value is not None]
        return ", ".join([f"seed {self.seed}", *measured])


@dataclass(frozen=True, eq=False)
class Candidate:
    """A picture as the base stage drew it, in one or several frames.

    ``drafts`` are (1, 3, S, S) in [-1, 1], ``previews`` the same as uint8 (S, S, 3).
    """

    score: Score
    drafts: tuple[Tensor, ...] = field(repr=False)
    previews: tuple[NDArray[np.uint8], ...] = field(repr=False)

    @property
    def seed(self) -> int:
        return self.score.seed


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of the work: ``step`` of ``total`` in ``stage`` (both count from 1) for some of the pictures.

    ``show`` makes the ``preview``, which costs nothing where nobody asks for it. ``finished`` counts the
    pictures that are done; ``pictures`` holds those that this step finished, and ``seeds`` their seeds.
    ``candidates`` are those that were drawn so far, the best first. ``share`` in (0, 1] is how much of all
    network calls has been made.
    """

    stage: str
    step: int
    total: int
    show: Callable[[], NDArray[np.uint8]] = field(repr=False)
    finished: int = 0
    pictures: tuple[Picture, ...] = ()
    seeds: tuple[int, ...] = ()
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    share: float = 0.0

    @cached_property
    def preview(self) -> NDArray[np.uint8]:
        """uint8 (S, S, 3), the picture that the model predicts at this step, at the stage's size."""
        return self.show()


@dataclass(frozen=True, eq=False)
class EditResult:
    """The pictures of a request, one a seed, at the source's own bit depth.

    ``receipts`` has one for each picture where the request had a selection, else it is empty. ``notes`` are
    sentences for the user (a prompt cut short, a palette converted). ``model`` is its name and identity.
    ``seconds`` is the time it took once the device was free, and ``network_seconds`` the part of it spent in
    samplers. ``allowed`` is what may have changed.

    Where a request has candidates, ``seeds`` are those of the pictures, the best first, ``candidates`` and
    ``ranking`` (their scores) have all of them, and ``sheet`` shows them; else ``seeds`` are the request's.
    """

    request: Request
    pictures: tuple[Picture, ...]
    receipts: tuple[Receipt, ...]
    model: str
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    network_seconds: float = 0.0
    allowed: Mask | None = field(default=None, repr=False)
    seeds: tuple[int, ...] = ()
    candidates: tuple[Candidate, ...] = field(default=(), repr=False)
    sheet: Picture | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.seeds:
            object.__setattr__(self, "seeds", self.request.seeds)

    @property
    def ranking(self) -> tuple[Score, ...]:
        return tuple(each.score for each in self.candidates)

    @cached_property
    def images(self) -> tuple[Image, ...]:
        """The pictures as 8-bit PIL images, for looking at and for quick saving."""
        return tuple(picture.to_pil() for picture in self.pictures)

    @property
    def preview(self) -> NDArray[np.uint8]:
        """The first picture as uint8 (H, W, 3): a stream's last event can be shown like those before it."""
        return to_uint8(self.pictures[0].pixels)

    def _repr_png_(self) -> bytes:
        """How notebooks show a result: the pictures side by side, small."""
        tiles = [Tile((_small(picture),), f"seed {seed}") for picture, seed in self._seeded()]
        if not tiles:
            tiles = [Tile((np.full((32, 256, 3), 255, np.uint8),), "no picture")]
        buffer = BytesIO()
        open_picture(contact_sheet(tiles, across=min(4, len(tiles)), size=_SHOWN)).to_pil().save(
            buffer, "PNG"
        )
        return buffer.getvalue()

    def recipe(self, index: int = 0) -> dict[str, Any]:
        """What repeats picture ``index``: the request for its one seed, the model's identity, and a hash.

        Raises:
            InputError: no picture ``index``.
        """
        return self._recipe(index).to_json()

    def save(
        self,
        path: str | Path,
        index: int = 0,
        *,
        force: bool = False,
        rescue: Literal["unwritten", "always", "never"] = "unwritten",
    ) -> Receipt | None:
        """Write a picture with its recipe, read it back, and return the receipt of the file.

        A JPEG may have no room for a recipe with an intricate mask, which is then left out of it.
        The format follows the suffix. A lossy format changes pixels everywhere, and its receipt says so. A
        format of 8 bits is compared with the source at 8 bits; ``images.losses`` says what it costs.

        Where the file cannot be written (a full disk, an encoder that fails), the picture is kept with its
        recipe as NAME-rescued.png beside it or, where that fails as well, in a new folder in the system's
        temporary one. ``rescue`` "always" does this also where the name is refused before anything is
        written; "never" leaves it out.

        Raises:
            InputError: no picture ``index``, or a file that cannot be written.
            OutputExists: the file is there and ``force`` is False.
            SaveFailed: the picture could not be saved; the message and ``rescued`` say where it is now.
        """
        recipe, picture = self._recipe(index), self.pictures[index]
        if rescue == "never":
            return self._save(recipe, picture, path, force)
        if rescue == "unwritten":
            check_output(path, like=picture, force=force)
        with self.rescuing(path, index):
            return self._save(recipe, picture, path, force)

    def rescuing(self, path: str | Path, index: int = 0) -> AbstractContextManager[None]:
        """Around the saving of picture ``index`` as ``path`` by other means than ``save``: where that fails,
        it is kept as ``save`` does, and SaveFailed says where."""
        text = {RECIPE_KEY: json.dumps(self._recipe(index).to_json())}
        return rescuing(self.pictures[index], path, text)

    def _save(self, recipe: Recipe, picture: Picture, path: str | Path, force: bool) -> Receipt | None:
        target = save_picture(picture, path, text=text_for(recipe, picture, path), force=force)
        source = self.request.before
        if self.allowed is None or source is None:
            return None
        written = open_picture(target).pixels
        before = to_depth(source, written.dtype)
        return Receipt(compare_outside(before, written, self.allowed.selected), target.name)

    def save_all(self, paths: Sequence[str | Path], *, force: bool = False) -> tuple[Receipt | None, ...]:
        """Save the first pictures, one a path; each that fails is rescued, and the others are saved.

        Raises:
            SaveFailed: some could not be saved; the message says of each why, and where it is now.
        """
        receipts: list[Receipt | None] = []
        failed: list[SaveFailed] = []
        for index, path in enumerate(paths):
            try:
                receipts.append(self.save(path, index, force=force, rescue="always"))
            except SaveFailed as error:
                failed.append(error)
        if failed:
            raise SaveFailed.of_several(failed)
        return tuple(receipts)

    def missing_from(self, path: str | Path, index: int = 0) -> str | None:
        """A sentence on what of the recipe a file of this name has no room for; None where it holds all."""
        return missing_from(self._recipe(index), self.pictures[index], path)

    def _seeded(self) -> list[tuple[Picture, int]]:
        seeds = self.seeds or (self.request.seed,) * len(self.pictures)
        return list(zip(self.pictures, seeds, strict=False))

    def _recipe(self, index: int) -> Recipe:
        self._check(index)
        request = self.request.alone(self.seeds[index])
        return Recipe(self.model, request.to_json(), self.pictures[index].sha256)

    def _check(self, index: int) -> None:
        if not 0 <= index < len(self.pictures):
            said = f"No picture {index}: there are {len(self.pictures)}, counted from 0."
            raise InputError(said, code="index_out_of_range", field="index")


def _small(picture: Picture) -> NDArray[np.uint8]:
    """A picture on white that is at most four times as wide as high, however long it is: for notebooks."""
    pixels = to_uint8(picture.pixels)
    height, width = pixels.shape[:2]
    if width <= 4 * height:
        return pixels
    size = (4 * _SHOWN, max(1, round(4 * _SHOWN * height / width)))
    wide = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    shown = np.full((_SHOWN, 4 * _SHOWN, 3), 255, np.uint8)
    shown[: len(wide)] = wide
    return shown

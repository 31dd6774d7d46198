"""Recipes: what repeats an edit, written into saved pictures, read back, and made a request again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glide_edit.errors import InputError
from glide_edit.images import Picture, has_room, read_text, to_depth
from glide_edit.requests import Request, fields_of, kind_of, request_from_json
from masks import Mask

RECIPE_KEY = "glide-edit"
"""The name of the text in a saved picture that holds the recipe."""

VERSION = 1
"""The format of recipes; also the value under RECIPE_KEY that makes a JSON object one."""

LEFT_OUT = "left_out"
"""The key of a mask that a recipe had no room for; its value says why."""


@dataclass(frozen=True)
class Recipe:
    """What a saved picture records about itself.

    ``request`` is the JSON of the request for this one picture, ``model`` the name and identity of what drew
    it. ``sha256`` is the hash of the picture's pixels before they were saved, None where it is not recorded.
    """

    model: str
    request: Mapping[str, Any]
    sha256: str | None = None

    @classmethod
    def from_json(cls, record: object) -> Recipe:
        """Raises InputError for what is not a recipe, or one of a newer glide-edit."""
        if not isinstance(record, Mapping) or not isinstance(record.get(RECIPE_KEY), int):
            said = "Not a recipe: it must be a JSON object that names glide-edit."
            raise InputError(said, code="recipe_malformed")
        if record[RECIPE_KEY] > VERSION:
            said = "This recipe was written by a newer glide-edit: install that."
            raise InputError(said, code="recipe_too_new")
        model, request, picture = (record.get(name) for name in ("model", "request", "picture"))
        if not isinstance(model, str) or not isinstance(request, Mapping):
            raise InputError("Not a recipe: it must say the model and the request.", code="recipe_malformed")
        sha256 = picture.get("sha256") if isinstance(picture, Mapping) else None
        return cls(model, request, sha256 if isinstance(sha256, str) else None)

    def to_json(self) -> dict[str, Any]:
        record = {RECIPE_KEY: VERSION, "model": self.model, "request": dict(self.request)}
        return record if self.sha256 is None else {**record, "picture": {"sha256": self.sha256}}

    @property
    def starts_from(self) -> tuple[str, ...]:
        """The fields that hold a picture, which must be given to repeat the edit. Raises InputError."""
        names = fields_of(kind_of(self.request), Picture)
        return tuple(name for name in names if self.request.get(name) is not None)


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a picture that glide-edit saved: PNG, JPEG, WebP or TIFF.

    Raises:
        ImageError: a file that is not a picture.
        InputError: a picture without a recipe, or with one that cannot be read.
    """
    text = read_text(path).get(RECIPE_KEY)
    if text is None:
        raise InputError(
            f"{path} carries no recipe: only pictures that glide-edit wrote do, as long as no other program "
            "saved them again.",
            code="recipe_missing",
        )
    try:
        return Recipe.from_json(json.loads(text))
    except InputError as error:
        said = f"The recipe in {path} cannot be used. {error}"
        raise InputError(said, code=error.code, field=error.field) from None
    except (ValueError, RecursionError):
        said = f"The recipe in {path} is damaged: it is not JSON."
        raise InputError(said, code="recipe_malformed") from None


def text_for(recipe: Recipe, picture: Picture, path: str | Path) -> dict[str, str]:
    """The recipe as text for a file of this name: whole, or without masks, or empty, as there is room."""
    whole = {RECIPE_KEY: json.dumps(recipe.to_json())}
    if has_room(picture, path, whole):
        return whole
    short = {RECIPE_KEY: json.dumps(_without_masks(recipe, Path(path).suffix).to_json())}
    return short if has_room(picture, path, short) else {}


def missing_from(recipe: Recipe, picture: Picture, path: str | Path) -> str | None:
    """A sentence on what of the recipe a file of this name has no room for; None where it holds all."""
    text = text_for(recipe, picture, path)
    if not text:
        return f"{path} has no room for the recipe: save as .png to keep it."
    if json.loads(text[RECIPE_KEY]) != recipe.to_json():
        return f"{path} has no room for the mask in its recipe: save as .png to keep it whole."
    return None


def _without_masks(recipe: Recipe, suffix: str) -> Recipe:
    why = f"too long for a {suffix}, which has room for 64 KB"
    request = {
        name: {"size": value.get("size"), LEFT_OUT: why}
        if isinstance(value, Mapping) and "counts" in value
        else value
        for name, value in recipe.request.items()
    }
    return Recipe(recipe.model, request, recipe.sha256)


def rebuild(
    recipe: Recipe, pictures: Sequence[Picture] = (), *, other: bool = False, **changes: Any
) -> tuple[Request, tuple[str, ...]]:
    """The request of a recipe, and sentences on what differs from it.

    Args:
        recipe: what to repeat.
        pictures: those it started from, in any order.
        other: take other pictures than it started from; masks are scaled to the first one's size.
        changes: fields that get another value, a ``Mask`` among them.

    Raises:
        InputError, MaskError: what ``request_from_json`` raises, or a mask that the file had no room for.
    """
    record = dict(recipe.request)
    for name in fields_of(kind_of(record), Mask):
        if isinstance(changes.get(name), Mask):
            record[name] = changes.pop(name).to_rle()
        if isinstance(record.get(name), Mapping) and LEFT_OUT in record[name]:
            raise InputError(f"The {name} is not in the recipe ({record[name][LEFT_OUT]}): give it as well.")
    request = request_from_json(record, pictures, same=not other, rescale=other)
    if changes:
        request = request.replace(**changes)
    return request, _scaled(record, request)


def another_model(recipe: Recipe, label: str) -> str:
    """The sentence for a ``label``, a name and identity, that is not the model of the recipe."""
    return f"The recipe was made with {recipe.model}, this picture with {label}: they will differ."


def _scaled(record: Mapping[str, Any], request: Request) -> tuple[str, ...]:
    """A sentence for each mask that has another size than its record."""
    said = []
    for name in fields_of(type(request), Mask):
        mask = getattr(request, name)
        if mask is None or [mask.height, mask.width] == record[name]["size"]:
            continue
        high, wide = record[name]["size"]
        sentence = f"The {name} was scaled from {wide} x {high} to {mask.width} x {mask.height} pixels"
        stretched = abs(np.log(mask.width / wide * high / mask.height)) > np.log(1.01)
        said.append(f"{sentence}, stretched to other proportions." if stretched else f"{sentence}.")
    return tuple(said)


@dataclass(frozen=True)
class Comparison:
    """How a picture that was made again differs from the one that was saved.

    ``differing`` of ``pixels`` pixels differ, by up to ``largest`` of 255 (65,535 where both have 16 bits).
    ``same`` also holds where the saved file lost something in its format but its recipe's hash is met.
    """

    same: bool
    pixels: int
    differing: int
    largest: int
    said: str

    def __str__(self) -> str:
        return self.said


def compare_with_file(made: Picture, saved: Picture, recipe: Recipe, name: str) -> Comparison | None:
    """Compare what a replay made with the file it came from; None where they differ in size."""
    if made.pixels.shape != saved.pixels.shape:
        return None
    depth = min(made.bit_depth, saved.bit_depth)
    dtype = np.uint8 if depth == 8 else np.uint16
    one, other = (to_depth(picture.pixels, dtype).astype(np.int32) for picture in (made, saved))
    apart = np.abs(one - other).max(axis=2)
    count, differing, largest = int(apart.size), int(np.count_nonzero(apart)), int(apart.max())
    if made.pixels.dtype == saved.pixels.dtype and not differing:
        return Comparison(True, count, 0, 0, f"All {count:,} pixels are the same as in {name}.")
    many = f"{differing:,} of {count:,} pixels differ from {name}, by up to {largest}"
    if made.sha256 == recipe.sha256:
        said = f"The picture is the one that was made before; {many}, since it was saved with loss."
        return Comparison(True, count, differing, largest, said)
    return Comparison(False, count, differing, largest, f"{many}.")

"""What is written on the command line of `glide-edit mask`: points, boxes, colours, sizes; and file names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from glide_edit.errors import InputError

if TYPE_CHECKING:
    from glide_edit.images import Picture
    from masks import Mask, Size

BETWEEN_STROKES = "/"

Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Ground:
    """What a mask is made for: a picture, or only a size.

    Attributes:
        size: (height, width) in pixels.
        default: where the mask goes if nothing else is said.
        picture: None where only a size was given.
    """

    size: Size
    default: Path
    picture: Picture | None


def ground_of(text: str) -> Ground:
    """A picture by its path, a mask of run lengths by its path, or a size as 640x480 (width x height).

    Raises:
        ImageError, MaskError: what opening the file raises.
        InputError: more pixels than a picture may have.
    """
    from glide_edit.images import MAX_PIXELS, open_picture

    path = Path(text)
    sides = re.fullmatch(r"(\d{1,9})x(\d{1,9})", text)
    if sides and not path.exists():
        width, height = int(sides[1]), int(sides[2])
        if not 0 < width * height <= MAX_PIXELS:
            raise InputError(f"a mask of {text} pixels: give at least 1x1 and at most {MAX_PIXELS:,} pixels.")
        return Ground((height, width), Path("mask.png"), None)
    default = path.with_name(f"{path.stem}-mask.png")
    if path.suffix.lower() == ".json":
        from glide_edit.selections import open_mask

        return Ground(open_mask(path).size, default, None)
    picture = open_picture(path)
    return Ground((picture.height, picture.width), default, picture)


def points_in(words: Sequence[str]) -> list[Point]:
    """Points X,Y, as words or several in one word. Raises InputError."""
    return [_point(word) for word in " ".join(words).split()]


def strokes_in(words: Sequence[str]) -> list[list[Point]]:
    """Strokes, each a row of points, with / between them. Raises InputError."""
    strokes: list[list[Point]] = [[]]
    for word in " ".join(words).split():
        if word == BETWEEN_STROKES:
            strokes.append([])
        else:
            strokes[-1].append(_point(word))
    if not all(strokes):
        raise InputError("a stroke has no point: give X,Y X,Y …, and / only between two strokes.")
    return strokes


def box_in(text: str) -> tuple[int, int, int, int]:
    """A box X0,Y0,X1,Y1. Raises InputError."""
    numbers = _numbers(text)
    if len(numbers) != 4 or any(number != int(number) for number in numbers):
        raise InputError(
            f"{text!r} is not a box: give X0,Y0,X1,Y1 in whole pixels, X1 and Y1 just beyond it."
        )
    x0, y0, x1, y1 = (int(number) for number in numbers)
    return x0, y0, x1, y1


def colour_in(text: str) -> tuple[float, float, float]:
    """A colour #RRGGBB or R,G,B. Raises InputError."""
    if re.fullmatch(r"#?[0-9a-fA-F]{6}", text):
        digits = text.lstrip("#")
        red, green, blue = (float(int(digits[k : k + 2], 16)) for k in (0, 2, 4))
        return red, green, blue
    numbers = _numbers(text)
    if len(numbers) != 3 or not all(0 <= number <= 255 for number in numbers):
        raise InputError(f"{text!r} is not a colour: give #RRGGBB, or R,G,B with numbers from 0 to 255.")
    red, green, blue = numbers
    return red, green, blue


def open_mask_file(
    path: Path,
    means: Literal["change", "keep"] = "change",
    channel: Literal["auto", "alpha", "luma"] = "auto",
) -> Mask:
    """A mask file, empty or not. Errors name it."""
    from glide_edit.selections import open_mask
    from masks import MaskError

    try:
        return open_mask(path, means=means, channel=channel)
    except MaskError as error:
        raise MaskError(f"{path}: {error}") from error


def usable_mask_file(path: Path, means: Literal["change", "keep"] = "change") -> Mask:
    """A mask file in which something is selected. Errors name it."""
    from masks import MaskError, require_usable

    mask = open_mask_file(path, means)
    try:
        require_usable(mask)
    except MaskError as error:
        raise MaskError(f"{path}: {error}") from error
    return mask


def beside(mask: Path, what: str) -> Path:
    """Where a changed mask goes if nothing else is said: NAME-what, run lengths as run lengths, else PNG."""
    suffix = ".json" if mask.suffix.lower() == ".json" else ".png"
    return mask.with_name(f"{mask.stem}-{what}{suffix}")


def _point(word: str) -> Point:
    numbers = _numbers(word)
    if len(numbers) != 2:
        raise InputError(f"{word!r} is not a point: give X,Y in pixels from the top left corner, as 120,45.")
    return numbers[0], numbers[1]


def _numbers(text: str) -> list[float]:
    """Finite numbers with commas between them; none where it is something else."""
    if not re.fullmatch(r"-?\d{1,9}(\.\d*)?(,-?\d{1,9}(\.\d*)?)*", text):
        return []
    return [float(number) for number in text.split(",")]

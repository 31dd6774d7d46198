"""Compare any edit with the picture before it: did anything change outside the selection?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glide_edit.errors import InputError
from glide_edit.images import Picture, PictureLike, open_picture, to_depth
from glide_edit.selections import MaskLike, open_mask
from masks import (
    Mask,
    Preservation,
    change_map,
    changed_outside,
    compare_outside,
    derive_areas,
    require_usable,
)


@dataclass(frozen=True, eq=False)
class Verification:
    """What happened to a picture outside a selection.

    Attributes:
        preservation: the counts and the hashes.
        box: the smallest box (x0, y0, x1, y1) around the changes outside, x1 and y1 exclusive; None if there
            are none.
        bit_depth: the depth at which the two were compared.
        allowed: what may have changed.
        notes: sentences on what the comparison cannot show.
    """

    preservation: Preservation
    box: tuple[int, int, int, int] | None
    bit_depth: int
    allowed: Mask = field(repr=False)
    notes: tuple[str, ...] = ()
    before: NDArray[Any] = field(repr=False, kw_only=True)
    after: NDArray[Any] = field(repr=False, kw_only=True)

    @property
    def kept(self) -> bool:
        """Nothing outside changed."""
        return self.preservation.holds

    def __str__(self) -> str:
        text = str(self.preservation)
        if self.box is None:
            return text
        x0, y0, x1, y1 = self.box
        most = 2**self.bit_depth - 1
        return (
            f"{text}, by up to {self.preservation.largest_change} of {most}, in the box {x0},{y0},{x1},{y1}"
        )

    def map(self) -> NDArray[np.uint8]:
        """Where it changed, as a picture to look at: uint8 (H, W, 3)."""
        return change_map(self.before, self.after, self.allowed.selected)

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self.preservation),
            "kept": self.kept,
            "box": None if self.box is None else list(self.box),
            "bit_depth": self.bit_depth,
            "notes": list(self.notes),
        }


def verify(
    before: PictureLike,
    after: PictureLike,
    mask: MaskLike,
    *,
    grow: float = 0,
    protect: MaskLike | None = None,
) -> Verification:
    """Compare a picture with an edit of it, outside the selection. Alpha counts as a channel.

    Pictures of different depths are compared at 8 bits, and the notes say so.

    Args:
        before: the picture.
        after: the edit, made by any program.
        mask: what was to change, or a picture in which that is white.
        grow: px by which the selection may have been grown.
        protect: what was not to change, whatever the selection.

    Raises:
        ImageError: a picture that cannot be opened.
        InputError: pictures of different sizes.
        MaskError: a mask that is empty or of another size, or a bad ``grow``.
    """
    old, new = open_picture(before), open_picture(after)
    _check_sizes(old, new)
    selection = open_mask(mask)
    require_usable(selection, (old.height, old.width), old.orientation)
    shield = None if protect is None else open_mask(protect)
    allowed = derive_areas(selection, grow, shield).allowed
    depth = np.uint8 if old.bit_depth != new.bit_depth else old.pixels.dtype
    has_alpha = old.alpha is not None or new.alpha is not None
    a, b = (_channels(picture, has_alpha, depth) for picture in (old, new))
    preservation = compare_outside(a, b, allowed.selected)
    changed = None if preservation.holds else Mask(changed_outside(a, b, allowed.selected))
    return Verification(
        preservation,
        None if changed is None else changed.bounding_box(),
        8 * a.dtype.itemsize,
        allowed,
        tuple(_notes(old, new)),
        before=a,
        after=b,
    )


def _check_sizes(old: Picture, new: Picture) -> None:
    if old.pixels.shape == new.pixels.shape:
        return
    sizes = f"it was {old.width} x {old.height} and is {new.width} x {new.height} now"
    if (old.height, old.width) == (new.width, new.height):
        raise InputError(
            f"the picture was turned by the edit ({sizes}), so its pixels cannot be compared: "
            "turn it back first."
        )
    raise InputError(
        f"the picture has another size after the edit ({sizes}), so its pixels cannot be compared: "
        "scaling and cropping change every pixel."
    )


def _channels(picture: Picture, alpha: bool, dtype: DTypeLike) -> NDArray[Any]:
    """(H, W, 3), or (H, W, 4) with ``alpha``, which is opaque where the picture has none."""
    if not alpha:
        return to_depth(picture.pixels, dtype)
    opaque = np.full(picture.pixels.shape[:2], np.iinfo(picture.pixels.dtype).max, picture.pixels.dtype)
    plane = opaque if picture.alpha is None else picture.alpha
    return to_depth(np.dstack([picture.pixels, plane]), dtype)


def _notes(old: Picture, new: Picture) -> Iterator[str]:
    if old.bit_depth != new.bit_depth:
        yield (
            f"the picture had {old.bit_depth} bits a channel and has {new.bit_depth} now: they were "
            "compared at 8, which does not show the finer differences"
        )
    if (old.alpha is None) != (new.alpha is None):
        which = "before the edit" if new.alpha is None else "after it"
        yield f"only the picture {which} has an alpha channel: the other one counts as opaque"
    if old.icc_profile != new.icc_profile:
        yield "the two have different colour profiles, so that equal numbers may look different"
    if old.orientation != new.orientation:
        yield (
            f"the files are stored with different orientations (EXIF {old.orientation} and "
            f"{new.orientation}): they were compared upright"
        )
    if new.format == "JPEG":
        yield "the edit is a JPEG, which changes pixels everywhere when it is saved"

"""A binary selection of what to change in a picture, and what can be wrong with one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float32]

Means = Literal["change", "keep"]
Size = tuple[int, int]
"""(height, width) in pixels: the order of an array's shape. Points and boxes are (x, y)."""

Severity = Literal["error", "warning", "note"]

TURNING = (5, 6, 7, 8)
"""The EXIF orientations with which width and height change places."""

LARGEST_RLE = 100_000_000
"""Pixels, as many as a picture may have: a short record could unfold to any size."""


class MaskError(ValueError):
    """A selection that cannot be used. The message says what is wrong and how to fix it.

    Attributes:
        code: what is wrong, for programs; without anything more exact "bad_mask".
        field: the name of the field of a request that is at fault, if it is known.
    """

    def __init__(self, message: str = "", *, code: str = "bad_mask", field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field


@dataclass(frozen=True, eq=False, repr=False)
class Mask:
    """What may change in a picture: ``selected``, bool (H, W), True = change; a read-only copy.

    Masks of one size combine with ``|``, ``&``, ``-`` and ``~``, and are equal when their pixels are.
    Raises MaskError for anything but a bool array of two dimensions with at least one pixel.
    """

    selected: BoolArray

    def __post_init__(self) -> None:
        pixels = np.array(require_bool_array(self.selected, "a Mask"), order="C")
        pixels.setflags(write=False)
        object.__setattr__(self, "selected", pixels)

    def __setstate__(self, state: dict[str, Any]) -> None:
        # A pickled or copied array forgets that it is read-only.
        self.__dict__.update(state)
        self.selected.setflags(write=False)

    @classmethod
    def from_array(cls, a: NDArray[Any], *, means: Means) -> Mask:
        """Read a mask from a picture. 128 of 255 and above (32896 of 65535, 0.502 of 1) is *on*.

        Three channels are read by their luma (ITU-R 601). With an alpha channel (2 or 4 channels), a picture
        that is opaque everywhere is read by its luma, and any other by its alpha, as the layers of paint
        programs are: painted = on, whatever the colour. To decide otherwise, pass one channel.

        Args:
            a: (H, W) or (H, W, 1 to 4); bool, uint8, uint16, or float in [0, 1].
            means: what *on* stands for. There is no default, because tools disagree.

        Raises:
            MaskError: another type or shape; floats outside [0, 1]; values that are nowhere on and seem to
                have another scale (0 and 1 in uint8, at most 255 in uint16).
        """
        if means not in ("change", "keep"):
            raise MaskError(
                f'means is {means!r}: say means="change" or means="keep", what the bright part stands for'
            )
        on = _read(a)
        return cls(on if means == "change" else ~on)

    @classmethod
    def from_owned(cls, selected: BoolArray) -> Mask:
        """The mask of a bool array (H, W) that nothing else writes to: it is made read-only, not copied."""
        selected.setflags(write=False)
        mask = cls.__new__(cls)
        object.__setattr__(mask, "selected", require_bool_array(selected, "a Mask"))
        return mask

    @classmethod
    def empty(cls, size: Size) -> Mask:
        """Nothing selected in a picture of ``size`` (height, width)."""
        return cls(np.zeros(as_size(size), bool))

    @classmethod
    def full(cls, size: Size) -> Mask:
        """Everything selected in a picture of ``size`` (height, width)."""
        return cls(np.ones(as_size(size), bool))

    @property
    def height(self) -> int:
        return int(self.selected.shape[0])

    @property
    def width(self) -> int:
        return int(self.selected.shape[1])

    @property
    def size(self) -> Size:
        """(height, width) in pixels."""
        return self.height, self.width

    @cached_property
    def count(self) -> int:
        """How many pixels are selected."""
        return int(np.count_nonzero(self.selected))

    @property
    def share(self) -> float:
        """The selected share of the picture, in [0, 1]."""
        return self.count / self.selected.size

    @property
    def is_empty(self) -> bool:
        return self.count == 0

    def bounding_box(self) -> tuple[int, int, int, int]:
        """The smallest box (x0, y0, x1, y1) around the selection, in pixels, x1 and y1 exclusive.

        Raises MaskError where nothing is selected.
        """
        if self.is_empty:
            raise MaskError("an empty mask has no bounding box: select something first")
        rows = np.flatnonzero(self.selected.any(axis=1))
        columns = np.flatnonzero(self.selected.any(axis=0))
        return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

    def window(self, box: tuple[int, int, int, int]) -> Mask:
        """The part in a box (x0, y0, x1, y1), x1 and y1 exclusive, which shares this mask's memory."""
        x0, y0, x1, y1 = box
        return Mask.from_owned(self.selected[y0:y1, x0:x1])

    def to_array(self) -> NDArray[np.uint8]:
        """uint8 (H, W), 255 = change and 0 = keep: what ``from_array(…, means="change")`` reads back."""
        return self.selected.astype(np.uint8) * np.uint8(255)

    def to_rle(self) -> dict[str, Any]:
        """Run lengths for JSON: ``{"size": [H, W], "counts": [...], "order": "row"}``.

        The runs follow the rows from the top left and alternate between keep and change, beginning with keep
        (0 where the first pixel is selected). It is COCO's uncompressed form, but COCO follows the columns.
        """
        flat = self.selected.ravel()
        turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        counts = np.diff(np.concatenate(([0], turns, [flat.size]))).tolist()
        return {"size": [*self.size], "counts": [0, *counts] if flat[0] else counts, "order": "row"}

    @classmethod
    def from_rle(cls, record: Mapping[str, Any]) -> Mask:
        """The mask that ``to_rle`` wrote.

        Raises MaskError for another record, runs that do not add up to the size, and over 100 megapixels.
        """
        try:
            size, counts, order = record["size"], record["counts"], record["order"]
        except (KeyError, TypeError):
            raise MaskError(
                'a run-length mask is {"size": [H, W], "counts": [...], "order": "row"}'
            ) from None
        if order != "row":
            raise MaskError(f'a run-length mask of order {order!r}: only "row" is read')
        height, width = as_size(size)
        if height * width > LARGEST_RLE:
            raise MaskError(
                f"a run-length mask of {height} x {width} pixels: at most {LARGEST_RLE:,} are read"
            )
        if not isinstance(counts, (list, tuple)) or not all(_is_int(run) and run >= 0 for run in counts):
            raise MaskError("the counts of a run-length mask are whole numbers from 0 up")
        if sum(counts) != height * width:
            raise MaskError(
                f"the runs add up to {sum(counts)} pixels, {height} x {width} is {height * width}"
            )
        flat = np.repeat(np.arange(len(counts)) % 2 == 1, np.asarray(counts, np.int64))
        return cls(flat.reshape(height, width))

    @cached_property
    def sha256(self) -> str:
        """A hash of the size and the pixels, in hexadecimal. Equal masks have equal hashes everywhere."""
        head = f"mask {self.height}x{self.width} ".encode()
        return hashlib.sha256(head + np.packbits(self.selected).tobytes()).hexdigest()

    def __or__(self, other: Mask) -> Mask:
        return Mask.from_owned(self.selected | same_size(self, other).selected)

    def __and__(self, other: Mask) -> Mask:
        return Mask.from_owned(self.selected & same_size(self, other).selected)

    def __sub__(self, other: Mask) -> Mask:
        return Mask.from_owned(self.selected > same_size(self, other).selected)

    def __invert__(self) -> Mask:
        return Mask.from_owned(~self.selected)

    def __eq__(self, other: object) -> bool:
        return np.array_equal(self.selected, other.selected) if isinstance(other, Mask) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        return f"<Mask {self.width} wide, {self.height} high, {self.count} selected>"


@dataclass(frozen=True)
class Finding:
    """Something the user should know about a mask before using it.

    Attributes:
        code: one word for the kind of finding; it stays the same between versions.
        severity: an "error" means that the mask cannot be used, a "warning" that the edit will probably be
            spoilt; what a "note" reports may be intended.
        text: one sentence: what was found, and what to do about it.
        remedy: what ``fix`` does, in words; None where only a person can decide.
    """

    code: str
    severity: Severity
    text: str
    remedy: str | None = None
    mend: Callable[[Mask], Mask] | None = field(default=None, repr=False, compare=False)

    def fix(self, mask: Mask) -> Mask:
        """The mask with the remedy applied. Raises MaskError where there is none."""
        if self.mend is None:
            raise MaskError(f"this cannot be mended without you ({self.code}): {self.text}")
        return self.mend(mask)

    def to_json(self) -> dict[str, str | None]:
        return {"code": self.code, "severity": self.severity, "text": self.text, "remedy": self.remedy}


def faults(mask: Mask, size: Size | None = None, orientation: int = 1) -> list[Finding]:
    """The errors alone of what ``masks.diagnose`` reports: they mean that the mask cannot be used.

    ``size`` is that of the upright picture, None while there is none; ``orientation`` (1 to 8) is the EXIF
    orientation of the picture's file.
    """
    found = []
    if size is not None and mask.size != as_size(size):
        code, advice = "size", "make the mask at the picture's full size"
        if mask.size == tuple(as_size(size))[::-1]:
            code, advice = "turned", "turn the mask as the picture was turned"
            if orientation in TURNING:
                advice += f" (its file is stored on its side, EXIF orientation {orientation})"
        text = f"the mask is {describe_size(mask.size)} but the picture is {describe_size(size)}: {advice}"
        found.append(Finding(code, "error", text))
    if mask.is_empty:
        text = (
            "the mask selects nothing: paint what should change, or, if it is painted the other way round, "
            'read it so (means="keep", on the command line --mask-means keep)'
        )
        found.append(Finding("empty", "error", text))
    return found


def require_usable(mask: Mask, size: Size | None = None, orientation: int = 1) -> None:
    """Raise MaskError with everything that ``faults`` finds."""
    found = faults(mask, size, orientation)
    if found:
        raise MaskError("; ".join(each.text for each in found), code=f"mask_{found[0].code}", field="mask")


def as_size(size: object) -> Size:
    """``size`` as (height, width), whole numbers from 1 up, or MaskError."""
    if isinstance(size, (tuple, list)) and len(size) == 2 and all(_is_int(n) and n >= 1 for n in size):
        return int(size[0]), int(size[1])
    raise MaskError(f"a size is (height, width) in whole pixels from 1 up, not {size!r}")


def require_bool_array(a: object, name: str) -> BoolArray:
    """``a`` itself if it is a bool (H, W) array with pixels, else MaskError about ``name``."""
    if not isinstance(a, np.ndarray) or a.dtype != np.bool_ or a.ndim != 2 or a.size == 0:
        raise MaskError(f"{name} is a bool array of shape (H, W) with pixels, not {describe(a)}")
    return a


def same_size(mask: Mask, other: Mask) -> Mask:
    """``other``, if it is a mask of the same size, else MaskError."""
    if not isinstance(other, Mask):
        raise MaskError(f"a mask combines with another Mask, not {describe(other)}")
    if mask.size != other.size:
        sizes = f"{describe_size(mask.size)}, {describe_size(other.size)}"
        raise MaskError(f"masks of different sizes do not combine: {sizes}")
    return other


def _read(a: object) -> BoolArray:
    """Where a picture is on: bool (H, W)."""
    if (
        not isinstance(a, np.ndarray)
        or a.ndim not in (2, 3)
        or a.size == 0
        or max(a.shape[2:], default=1) > 4
    ):
        raise MaskError(
            f"a mask is an array of shape (H, W) or (H, W, 1 to 4) with pixels, not {describe(a)}"
        )
    whole, threshold, faint = _whole_numbers(a)
    largest = int(whole.max())
    if 0 < largest <= faint:
        raise MaskError(
            f"the largest value of this {a.dtype} mask is {largest}, and {threshold} and above is on: "
            "pass (a > 0) if everything but 0 is on"
        )
    channels = np.moveaxis(np.atleast_3d(whole), 2, 0)
    if len(channels) in (2, 4):
        alpha = channels[-1]
        if alpha.min() != alpha.max() or alpha.flat[0] < threshold:
            return np.asarray(alpha >= threshold)
    if len(channels) <= 2:
        return np.asarray(channels[0] >= threshold)
    # In thousandths, so that grey 128 is exactly 128; uint32 holds 65535 * 1000.
    red, green, blue = channels[:3].astype(np.uint32)
    return np.asarray(299 * red + 587 * green + 114 * blue >= 1000 * threshold)


def _whole_numbers(a: NDArray[Any]) -> tuple[NDArray[Any], int, int]:
    """A picture as unsigned integers, the least value that is on, and the largest suspicious maximum."""
    if a.dtype == np.bool_:
        return a.astype(np.uint8), 1, 0
    if a.dtype == np.uint8:
        return a, 128, 1
    if a.dtype == np.uint16:
        return a, 128 * 257, 255
    if np.issubdtype(a.dtype, np.floating):
        if not (np.isfinite(a).all() and a.min() >= 0 and a.max() <= 1):
            raise MaskError("a mask of floats holds values from 0 to 1: divide by the largest it can hold")
        return np.rint(a.astype(np.float64) * 65535).astype(np.uint16), 128 * 257, 0
    raise MaskError(f"a mask is bool, uint8, uint16 or float from 0 to 1, not {a.dtype}")


def _is_int(n: object) -> bool:
    return isinstance(n, Integral) and not isinstance(n, bool)


def describe_size(size: Size) -> str:
    return f"{size[1]} wide and {size[0]} high"


def describe(a: object) -> str:
    return f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__

"""Requests that repaint a part of a picture, or what lies beyond it, and keep the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.images import MAX_PIXELS, Picture
from glide_edit.requests.checks import check_mask, check_picture, check_size
from glide_edit.requests.request import Request
from masks import Finish, Mask, require_usable

FINISHES: tuple[str, ...] = (*get_args(Finish), "auto")
LONGEST_SIDE = 65_536
CONTENTS = ("noise", "original", "surroundings", "opencv", "patches")
DEFAULT_STRENGTH = 0.8
"""Of content other than noise: of its colours and rough shapes something is left."""

REMOVAL_STRENGTH = 0.25
"""Of patches where something is taken out: they are kept, and what does not fit together is smoothed."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Repaint(Request):
    """What inpainting and outpainting have in common: a part of the picture is known, the rest is drawn.

    ``context_guidance`` is the scale of what is known of the picture beside ``guidance``, that of the words:
    1 is as the network learned it, less hears the words more and the surroundings less, more the reverse
    (see ``guidance.mixture``). ``context_interval`` is the part (low, high) of the noise axis where it acts,
    None for all of it. What is known is put back in every step whatever the scale.
    """

    repaints = True

    context_guidance: float | None = None
    context_interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context_guidance is not None:
            self._number("context_guidance", 0, 100)
        if self.context_interval is not None:
            self._interval("context_interval")


@dataclass(frozen=True, eq=False, kw_only=True)
class Inpaint(Repaint):
    """Repaint the selected part of a picture; with an empty prompt as its surroundings suggest.

    ``mask`` says what to change and has the picture's size. It is grown by ``grow`` pixels, and never reaches
    into ``protect``. ``context`` is how many times wider than the selection the square around it is that the
    model sees, None for where the model is best; parts that are far apart get squares of their own.

    ``finish`` is how the repaint is put back: "membrane" (no seam), "feather" or "hard", "clone"
    (OpenCV's seamless cloning), or "auto" for the one that leaves the least of an edge. ``feather`` is how
    many pixels inside the edge the finish "feather" takes until the repaint stands alone. ``detail`` draws it
    at the photograph's own resolution where it is larger than the model's picture: None with no more grain
    than there is around it, True as the model draws it, False not at all.

    ``match_grain`` gives the repaint the grain of what surrounds it (``operations.matching``): None unless
    ``finish`` is "hard" or ``detail`` True, which show what the model draws.

    ``content`` is what the selection begins from: noise, the original, the colours of the surroundings,
    OpenCV's inpainting, or patches of what surrounds it; ``strength``, in (0, 1], is how much noise is added
    to the latter four (1: all; None: 0.8).
    """

    operation = "inpaint"

    image: Picture
    mask: Mask
    grow: int = 0
    protect: Mask | None = None
    context: float | None = None
    finish: Finish | Literal["auto"] = "membrane"
    feather: float | None = None
    detail: bool | None = None
    match_grain: bool | None = None
    content: str = "noise"
    strength: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_picture("image", self.image)
        check_mask("mask", self.mask)
        require_usable(self.mask, (self.image.height, self.image.width), self.image.orientation)
        if self.protect is not None:
            check_mask("protect", self.protect)
            check_size("The protected area", self.protect.size, self.image)
        self._whole("grow", 0, 4096)
        if self.context is not None:
            self._number("context", 1, 16)
        if self.finish not in FINISHES:
            raise InputError(f"Unknown finish {self.finish!r}; known are {', '.join(FINISHES)}.")
        if self.feather is not None:
            self._number("feather", 0, 4096)
            if self.finish != "feather":
                raise InputError("feather is how wide the finish feather fades: choose that finish.")
        self._choice("detail")
        self._choice("match_grain")
        if self.content not in CONTENTS:
            raise InputError(f"Unknown content {self.content!r}; known are {', '.join(CONTENTS)}.")
        if self.strength is not None:
            if self.content == "noise":
                raise InputError(
                    "strength is for content that noise is added to: name one, such as surroundings."
                )
            self._share("strength")

    @property
    def source(self) -> Picture:
        return self.image

    @property
    def before(self) -> NDArray[Any]:
        return self.image.pixels

    @property
    def mask_fill(self) -> str:
        return self.content

    @property
    def start_strength(self) -> float:
        """How much noise is added to what the selection begins from, 1 for noise alone."""
        if self.content == "noise":
            return 1.0
        return DEFAULT_STRENGTH if self.strength is None else self.strength


@dataclass(frozen=True, eq=False, kw_only=True)
class Remove(Inpaint):
    """Take what is selected out of a picture: it is filled with what surrounds it, so there is no prompt.

    The selection is grown by a little, since what it leaves of an edge or a shadow would be continued.
    Patches get less noise than other content: the model only joins them (``strength`` None: 0.25). They go on
    from the edge as they are, so the finish is a feather, which leads no colour of the edge inwards.
    """

    operation = "remove"

    grow: int = 8
    finish: Finish | Literal["auto"] = "feather"
    content: str = "patches"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt.strip():
            raise InputError("Removing takes no prompt: to put something else there, inpaint.")

    @property
    def start_strength(self) -> float:
        if self.content == "patches" and self.strength is None:
            return REMOVAL_STRENGTH
        return super().start_strength


@dataclass(frozen=True, eq=False, kw_only=True)
class Outpaint(Repaint):
    """A larger picture: what lies beyond the sides is drawn, and the picture itself is kept.

    ``left``, ``right``, ``top`` and ``bottom`` are the pixels to add. ``aspect``, such as "16:9", adds evenly
    on both sides of one direction what is missing; what the sides were given counts as part of the picture.
    ``detail`` and ``match_grain`` are those of ``Inpaint``.
    """

    operation = "outpaint"
    has_drafts = False
    finish: ClassVar[Finish | Literal["auto"]] = "membrane"
    feather: ClassVar[float | None] = None
    content: ClassVar[str] = "noise"
    mask_fill: ClassVar[str] = "noise"
    start_strength: ClassVar[float] = 1.0

    image: Picture
    left: int = 0
    right: int = 0
    top: int = 0
    bottom: int = 0
    aspect: str | None = None
    detail: bool | None = None
    match_grain: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_picture("image", self.image)
        for name in ("left", "right", "top", "bottom"):
            self._whole(name, 0, LONGEST_SIDE)
        self._choice("detail")
        self._choice("match_grain")
        height, width = self.size
        if (height, width) == (self.image.height, self.image.width):
            raise InputError(
                "Nothing would be added: say how many pixels for left, right, top or bottom, or give another "
                "aspect."
            )
        if height * width > MAX_PIXELS:
            raise InputError(
                f"The picture would be {width} wide and {height} high, above {MAX_PIXELS // 10**6} "
                "megapixels: add less."
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result."""
        (top, bottom), (left, right) = self._added()
        return self.image.height + top + bottom, self.image.width + left + right

    @property
    def place(self) -> tuple[slice, slice]:
        """Where the picture lies in the result: rows, columns."""
        (top, _), (left, _) = self._added()
        return slice(top, top + self.image.height), slice(left, left + self.image.width)

    @property
    def source(self) -> Picture:
        return self.image

    @property
    def before(self) -> NDArray[Any]:
        (top, bottom), (left, right) = self._added()
        return np.pad(self.image.pixels, ((top, bottom), (left, right), (0, 0)), mode="edge")

    def _added(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """px above and below, left and right."""
        height = self.image.height + self.top + self.bottom
        width = self.image.width + self.left + self.right
        more_high, more_wide = 0, 0
        if self.aspect is not None:
            wide, high = _aspect(self.aspect)
            more_high = max(0, round(width * high / wide) - height)
            more_wide = max(0, round(height * wide / high) - width) if more_high == 0 else 0
        return (
            (self.top + more_high // 2, self.bottom + more_high - more_high // 2),
            (self.left + more_wide // 2, self.right + more_wide - more_wide // 2),
        )


def _aspect(text: str) -> tuple[int, int]:
    """(wide, high) of "16:9"."""
    found = re.fullmatch(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})", text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"aspect must be two whole numbers such as 16:9, not {text!r}.")
    return int(found[1]), int(found[2])

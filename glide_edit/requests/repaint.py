"""Requests that repaint a part of a picture, or what lies beyond it, and keep the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from glide_edit.errors import InputError
from glide_edit.requests.request import Request, accept_old_names, warn_of_old_name
from glide_edit.requests.settings import about, setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from glide_edit.images import Picture
    from masks import Mask

FinishName = Literal["hard", "membrane", "feather", "clone", "auto"]
FINISHES: tuple[str, ...] = get_args(FinishName)
MaskFill = Literal["noise", "original", "surroundings", "opencv", "patches", "repair"]
MASK_FILLS: tuple[str, ...] = get_args(MaskFill)
Backdrop = Literal["auto", "drawn", "filled"]
BACKDROPS: tuple[str, ...] = get_args(Backdrop)
LONGEST_SIDE = 65_536
MOST_GROWN = 8
"""px by which a selection is grown at most unless a number is given."""

DEFAULT_STRENGTH = 0.8
"""Of a mask fill other than noise: something of its colours and rough shapes is left."""

REMOVAL_STRENGTH = 0.25
"""Of patches where something is taken out: they are kept, and what does not fit together is smoothed."""

IMAGE = about("The picture to edit")
DETAIL = about(
    "Draw at the photograph's own resolution where the repaint is larger than the model's picture",
    unset="yes, with no more grain than around it",
)
MATCH_GRAIN = about(
    "Give the repaint the grain of what surrounds it",
    unset="yes, but not with the finish hard or with detail",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Repaint(Request):
    """What inpainting and outpainting have in common: a part of the picture is known, the rest is drawn.

    ``context_guidance`` is the scale of what is known of the picture beside ``guidance``, that of the words
    (see ``guidance.cfg_weights``). What is known is put back in every step whatever the scale.
    """

    repaints = True

    context_guidance: float | None = setting(
        None,
        "How strongly to follow the surroundings; 1 is plain, less follows the words more",
        within=(0, 100),
        unset="1",
    )
    context_interval: tuple[float, float] | None = setting(
        None,
        "The part of the noise axis, 0 clean to 1 noise, where the context guidance acts",
        unset="all of it",
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Inpaint(Repaint):
    """Repaint the selected part of a picture; with an empty prompt as its surroundings suggest.

    ``mask`` has the picture's size. ``context`` None is where the model is best; parts that are far apart get
    squares of their own. ``finish`` says how the repaint is put back: "membrane" (no seam), "feather" or
    "hard", "clone" (OpenCV's seamless cloning), or "auto" for the one that leaves the least of an edge.
    ``mask_fill`` is what the selection begins from: noise, the original, the colours of the surroundings,
    OpenCV's inpainting, patches of what surrounds it, or what the repair network makes of it. ``backdrop``
    "filled" takes the thing that was drawn alone, and fills the rest of the selection from its surroundings;
    nothing is filled without a prompt.
    """

    operation = "inpaint"
    old_names: ClassVar = {"content": "mask_fill"}

    image: Picture = field(metadata=IMAGE)
    mask: Mask = field(metadata=about("What to change: a picture of the same size, white = change"))
    grow: int | None = setting(
        0,
        "Grow the selection by this many pixels",
        within=(0, 4096),
        unit="px",
        unset=f"as far as what is selected shows beyond it, {MOST_GROWN} px at most",
    )
    protect: Mask | None = setting(None, "What never changes, also where grow reaches: white = protect")
    context: float | None = setting(
        None,
        "The model sees a square this many times as wide as the selection",
        within=(1, 16),
        unset="where it is best",
    )
    finish: FinishName = setting(
        "membrane",
        "How the repaint is put back; auto takes what leaves the least of an edge",
        choices=FINISHES,
    )
    feather: float | None = setting(
        None,
        "Pixels inside the edge over which the finish feather fades in",
        within=(0, 4096),
        unit="px",
        unset="8",
    )
    detail: bool | None = field(default=None, metadata=DETAIL)
    match_grain: bool | None = field(default=None, metadata=MATCH_GRAIN)
    mask_fill: MaskFill = setting(
        "noise",
        "What the selection begins from; patches and repair continue what surrounds it",
        choices=MASK_FILLS,
    )
    backdrop: Backdrop = setting(
        "auto",
        "What the selection shows beside the thing that was drawn: as drawn, or filled from around it; "
        "auto: what suits the model",
        choices=BACKDROPS,
    )
    strength: float | None = setting(
        None,
        "Noise added to the mask fill, above 0 to 1",
        within=(0, 1),
        above=True,
        unset="0.8; to remove by patches 0.25, and by repair none",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        from masks import require_usable

        require_usable(self.mask, (self.image.height, self.image.width), self.image.orientation)
        if self.protect is not None:
            check_size("The protected area", self.protect.size, self.image, "protect")
        if self.feather is not None and self.finish != "feather":
            said = "feather is how wide the finish feather fades: choose that finish."
            raise InputError(said, code="feather_unused", field="feather")
        if self.strength is not None and self.mask_fill == "noise":
            said = "strength is for a mask fill that noise is added to: name one, such as surroundings."
            raise InputError(said, code="strength_unused", field="strength")

    @property
    def source(self) -> Picture:
        return self.image

    @property
    def result_size(self) -> tuple[int, int]:
        return self.image.height, self.image.width

    @property
    def before(self) -> NDArray[Any]:
        return self.image.pixels

    @property
    def content(self) -> str:
        """The old name of ``mask_fill``."""
        warn_of_old_name("content", "mask_fill")
        return self.mask_fill

    @property
    def fills_alone(self) -> bool:
        """Whether the mask fill is the result, and the model draws nothing."""
        return False

    @property
    def start_strength(self) -> float:
        """How much noise is added to what the selection begins from, 1 for noise alone."""
        if self.mask_fill == "noise":
            return 1.0
        return DEFAULT_STRENGTH if self.strength is None else self.strength


@dataclass(frozen=True, eq=False, kw_only=True)
class Remove(Inpaint):
    """Take what is selected out of a picture: it is filled with what surrounds it, so there is no prompt.

    The selection is grown as far as the thing shows beyond it, since what remained of it would be continued.
    A repair is the result as it is, unless a strength says how much of it the model is to draw again. Patches
    get less noise than other fills: the model only joins them. Both continue the picture at the edge, so the
    finish is a feather, which spreads no colour of the edge inwards; it ends outside the selection, of which
    nothing is left.
    """

    operation = "remove"

    grow: int | None = None
    finish: FinishName = "feather"
    mask_fill: MaskFill = "repair"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt.strip():
            said = "Removing takes no prompt: to put something else there, inpaint."
            raise InputError(said, code="prompt_unused", field="prompt")

    @property
    def fills_alone(self) -> bool:
        return self.mask_fill == "repair" and self.strength is None

    @property
    def start_strength(self) -> float:
        if self.mask_fill == "patches" and self.strength is None:
            return REMOVAL_STRENGTH
        return super().start_strength


accept_old_names(Inpaint)
accept_old_names(Remove)

SIDE = about("Pixels to add on this side", within=(0, LONGEST_SIDE), unit="px")


@dataclass(frozen=True, eq=False, kw_only=True)
class Outpaint(Repaint):
    """A larger picture: what lies beyond the sides is drawn, and the picture itself is kept.

    ``aspect`` adds evenly on both sides of one direction what is missing; what the sides were given counts as
    part of the picture.
    """

    operation = "outpaint"
    has_drafts = False
    finish: ClassVar[FinishName] = "membrane"
    feather: ClassVar[float | None] = None
    mask_fill: ClassVar[MaskFill] = "noise"
    start_strength: ClassVar[float] = 1.0
    fills_alone: ClassVar[bool] = False

    image: Picture = field(metadata=IMAGE)
    left: int = field(default=0, metadata=SIDE)
    right: int = field(default=0, metadata=SIDE)
    top: int = field(default=0, metadata=SIDE)
    bottom: int = field(default=0, metadata=SIDE)
    aspect: str | None = setting(
        None,
        "Add evenly on two sides until the picture has this shape, as 16:9",
        metavar="W:H",
        pattern="[1-9][0-9]{0,4}:[1-9][0-9]{0,4}",
        says="two whole numbers such as 16:9",
    )
    detail: bool | None = field(default=None, metadata=DETAIL)
    match_grain: bool | None = field(default=None, metadata=MATCH_GRAIN)

    def __post_init__(self) -> None:
        super().__post_init__()
        from glide_edit.images import MAX_PIXELS

        height, width = self.size
        if (height, width) == (self.image.height, self.image.width):
            raise InputError(
                "Nothing would be added: say how many pixels for left, right, top or bottom, or give another "
                "aspect.",
                code="nothing_added",
            )
        if height * width > MAX_PIXELS:
            raise InputError(
                f"The picture would be {width} wide and {height} high, above {MAX_PIXELS // 10**6} "
                "megapixels: add less.",
                code="result_too_large",
            )

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the result."""
        (top, bottom), (left, right) = self._added()
        return self.image.height + top + bottom, self.image.width + left + right

    @property
    def result_size(self) -> tuple[int, int]:
        return self.size

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
        import numpy as np

        (top, bottom), (left, right) = self._added()
        return np.pad(self.image.pixels, ((top, bottom), (left, right), (0, 0)), mode="edge")

    def _added(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """px above and below, left and right."""
        height = self.image.height + self.top + self.bottom
        width = self.image.width + self.left + self.right
        more_high, more_wide = 0, 0
        if self.aspect is not None:
            wide, high = map(int, self.aspect.split(":"))
            more_high = max(0, round(width * high / wide) - height)
            more_wide = max(0, round(height * wide / high) - width) if more_high == 0 else 0
        return (
            (self.top + more_high // 2, self.bottom + more_high - more_high // 2),
            (self.left + more_wide // 2, self.right + more_wide - more_wide // 2),
        )


def check_size(what: str, size: Any, picture: Picture, name: str) -> None:
    """Raise InputError where ``size``, (height, width), is not the picture's."""
    if list(size) != [picture.height, picture.width]:
        high, wide = size
        raise InputError(
            f"{what} is {wide} wide and {high} high but the picture is {picture.width} wide and "
            f"{picture.height} high: both must have the same size.",
            code=f"{name}_wrong_size",
            field=name,
        )

"""Requests whose pictures are drawn as a whole: from words, from a picture, or from a drawing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from glide_edit.errors import InputError
from glide_edit.requests.request import Request
from glide_edit.requests.settings import about, setting
from glide_edit.text.prompt_weights import read_words

if TYPE_CHECKING:
    from glide_edit.images import Picture

SketchMode = Literal["auto", "lines", "tone", "both"]
SKETCH_MODES: tuple[str, ...] = get_args(SketchMode)
FACTORS = (2, 4)


@dataclass(frozen=True, eq=False, kw_only=True)
class Generate(Request):
    """A picture from words alone."""

    operation = "generate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not read_words(self.prompt).plain:
            raise InputError("The prompt is empty: say what to draw.", code="prompt_empty", field="prompt")


@dataclass(frozen=True, eq=False, kw_only=True)
class Upscale(Request):
    """The same picture, 2 or 4 times as wide and high, by the upsampler alone."""

    operation = "upscale"
    has_drafts = False

    image: Picture = field(metadata=about("The picture to enlarge"))
    factor: int = setting(4, "How many times as wide and high", choices=FACTORS)

    def __post_init__(self) -> None:
        super().__post_init__()
        from glide_edit.images import MAX_PIXELS

        pixels = self.image.height * self.image.width * self.factor**2
        if pixels > MAX_PIXELS:
            raise InputError(
                f"The picture would have {pixels / 1e6:.0f} megapixels, above {MAX_PIXELS // 10**6}: "
                "take a smaller factor or a smaller picture.",
                code="result_too_large",
                field="factor",
            )

    @property
    def source(self) -> Picture:
        return self.image

    @property
    def result_size(self) -> tuple[int, int]:
        return self.image.height * self.factor, self.image.width * self.factor


@dataclass(frozen=True, eq=False, kw_only=True)
class Sketch(Request):
    """A picture that follows a line drawing: dark lines on light paper, or light on dark.

    ``mode`` says how: "lines" by the model's drawing channel; "tone" by SDEdit (Meng et al. 2021) from the
    drawing filled with its own colour strokes, where lines are walls; "both"; "auto" is "both" for a drawing
    with colours and "lines" for one without. Strokes of colour hold longer, and blank paper is free.
    """

    operation = "sketch"

    drawing: Picture = field(metadata=about("A line drawing: dark lines on light paper"))
    mode: SketchMode = setting(
        "auto",
        "Follow its lines, its colours spread between them, or both; auto: both if it has colours",
        choices=SKETCH_MODES,
    )
    strength: float = setting(
        0.5,
        "How far to go from its colours, a share of the noise axis: 0.3 is near, 0.8 far",
        within=(0, 1),
        above=True,
    )

    @property
    def source(self) -> Picture:
        return self.drawing


@dataclass(frozen=True, eq=False, kw_only=True)
class Vary(Request):
    """Another picture like a given one, by SDEdit (Meng et al. 2021, arXiv 2108.01073).

    Up to a strength of 0.8 places and shapes mostly stay, from 0.9 on things move and go. The result has the
    picture's shape, and its longer side is the model's: the picture is padded to a square with its own
    mirrored edges, which are cut off.
    """

    operation = "vary"

    image: Picture = field(metadata=about("The picture to start from"))
    strength: float = setting(
        0.85,
        "How far to go from the picture, a share of the noise axis: 0.7 is near, 0.95 far",
        within=(0, 1),
        above=True,
    )

    @property
    def source(self) -> Picture:
        return self.image

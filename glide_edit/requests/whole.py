"""Requests whose pictures are drawn as a whole: from words, from a picture, or from a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from glide_edit.errors import InputError
from glide_edit.images import MAX_PIXELS, Picture
from glide_edit.requests.checks import check_picture
from glide_edit.requests.request import Request
from glide_edit.text.prompt_weights import read_words

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
            raise InputError("The prompt is empty: say what to draw.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Upscale(Request):
    """The same picture, ``factor`` (2 or 4) times as wide and high, by the upsampler alone."""

    operation = "upscale"
    has_drafts = False

    image: Picture
    factor: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_picture("image", self.image)
        if self.factor not in FACTORS or isinstance(self.factor, bool):
            raise InputError(f"factor must be {' or '.join(map(str, FACTORS))}, not {self.factor!r}.")
        pixels = self.image.height * self.image.width * self.factor**2
        if pixels > MAX_PIXELS:
            raise InputError(
                f"The picture would have {pixels / 1e6:.0f} megapixels, above {MAX_PIXELS // 10**6}: "
                "take a smaller factor or a smaller picture."
            )

    @property
    def source(self) -> Picture:
        return self.image


@dataclass(frozen=True, eq=False, kw_only=True)
class Sketch(Request):
    """A picture that follows a line drawing: dark lines on light paper (or the reverse, which is noticed).

    ``mode`` says how: "lines" by the model's drawing channel; "tone" by SDEdit (Meng et al. 2021) from the
    drawing filled with its own colour strokes, where lines are walls; "both"; "auto" is "both" for a drawing
    with colours and "lines" for one without. ``strength``, a share in (0, 1] of the noise axis, says how far
    SDEdit goes from the filled drawing; strokes of colour hold longer, and blank paper is free.
    """

    operation = "sketch"

    drawing: Picture
    mode: SketchMode = "auto"
    strength: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_picture("drawing", self.drawing)
        if self.mode not in SKETCH_MODES:
            raise InputError(f"Unknown mode {self.mode!r}; known are {', '.join(SKETCH_MODES)}.")
        self._share("strength")

    @property
    def source(self) -> Picture:
        return self.drawing


@dataclass(frozen=True, eq=False, kw_only=True)
class Vary(Request):
    """Another picture like a given one, by SDEdit (Meng et al. 2021, arXiv 2108.01073).

    The picture is noised as far as ``strength`` says, a share in (0, 1] of the noise axis, and drawn anew
    from there: up to 0.8 places and shapes mostly stay, from 0.9 on things move and go. ``prompt`` says what
    it shows, or what it should show instead. The result has the picture's shape, and its longer side is the
    model's: the picture is padded to a square with its own mirrored edges, which are cut off.
    """

    operation = "vary"

    image: Picture
    strength: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        check_picture("image", self.image)
        self._share("strength")

    @property
    def source(self) -> Picture:
        return self.image

"""What can be asked of an editor: frozen, validated when made, and JSON both ways.

JSON never holds pixels or paths: a picture is its size and hash, a mask its run lengths. To get a request
back from JSON, hand ``request_from_json`` the picture.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import InputError
from glide_edit.images import Picture
from glide_edit.text.emphasis import read_words
from masks import Finish, Mask, require_usable

FINISHES: tuple[str, ...] = get_args(Finish)
SketchMode = Literal["auto", "lines", "tone", "both"]
SKETCH_MODES: tuple[str, ...] = get_args(SketchMode)
MOST_IMAGES = 64
MOST_STEPS = 1000
MOST_CUTS = 256
LARGEST_SEED = 2**63 - 1

R = TypeVar("R", bound="Request")


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """What every operation has. What is None is the model's own preset.

    ``n`` pictures are made, with the seeds ``seed``, ``seed + 1`` and so on; a picture depends on its own
    seed alone. ``preset`` names one of the model's own choices of settings; what is given here goes before
    it.

    In ``prompt`` and ``negative_prompt``, ``(words:1.3)`` weighs words: see ``text.emphasis``. Pictures are
    guided away from the negative prompt: it takes the place of "nothing said" in classifier-free guidance.
    ``steps`` and ``sampler`` are the base stage's, ``upsampler_steps`` the upsampler's; ``guidance`` is the
    scale of classifier-free guidance, 1 for none.

    With ``candidates`` so many pictures, of the seeds ``seed``, ``seed + 1`` and so on, are drawn by the base
    stage alone and ranked (``operations.shortlist``), and only the best ``n`` are finished.

    ``clip_guidance`` is the scale of guidance by CLIP in the base stage, 0 for none, and ``clip_interval``
    the part (low, high) of the noise axis, 0 clean to 1 noise, where it acts. ``clip_cuts`` is how many
    random crops a CLIP looks at in each step if it was not trained on noise; the noised kind looks at whole
    pictures.

    Raises:
        InputError: a value out of range; the sentence says which and what is possible.
    """

    operation: ClassVar[str]

    prompt: str = ""
    negative_prompt: str | None = None
    n: int = 1
    seed: int = 0
    candidates: int | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    upsampler_steps: int | None = None
    preset: str | None = None
    clip_guidance: float | None = None
    clip_cuts: int | None = None
    clip_interval: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str):
            raise InputError(f"The prompt must be text, not {type(self.prompt).__name__}.")
        if not isinstance(self.negative_prompt, str | None):
            raise InputError(f"The negative prompt must be text, not {type(self.negative_prompt).__name__}.")
        for words in (self.prompt, self.negative_prompt or ""):
            read_words(words)
        if self.preset is not None and not isinstance(self.preset, str):
            raise InputError(f"The preset must be a name, not {type(self.preset).__name__}.")
        self._whole("n", 1, MOST_IMAGES)
        self._whole("seed", 0, LARGEST_SEED - MOST_IMAGES)
        if self.candidates is not None:
            self._whole("candidates", self.n, MOST_IMAGES)
        for name in ("steps", "upsampler_steps"):
            if getattr(self, name) is not None:
                self._whole(name, 1, MOST_STEPS)
        if self.guidance is not None:
            self._number("guidance", 0, 100)
        if self.clip_guidance is not None:
            self._number("clip_guidance", 0, 10_000)
        if self.clip_cuts is not None:
            self._whole("clip_cuts", 1, MOST_CUTS)
        if self.clip_interval is not None:
            self._interval("clip_interval")
        if self.sampler is not None and self.sampler not in tuple(SAMPLERS):
            raise InputError(f"Unknown sampler {self.sampler!r}; known are {', '.join(SAMPLERS)}.")

    def _whole(self, name: str, least: int, most: int) -> None:
        """Check a whole number, and keep it as Python's own: NumPy's cannot be written as JSON."""
        value = getattr(self, name)
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
            raise InputError(f"{name} must be a whole number between {least} and {most}, not {value!r}.")
        object.__setattr__(self, name, int(value))

    def _number(self, name: str, least: float, most: float) -> None:
        """The same for any number."""
        value = getattr(self, name)
        is_number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not is_number or not least <= value <= most:
            raise InputError(f"{name} must be a number between {least} and {most}, not {value!r}.")
        object.__setattr__(self, name, float(value))

    def _share(self, name: str) -> None:
        """The same for a share of the noise axis: none of it would leave nothing to do."""
        self._number(name, 0, 1)
        if getattr(self, name) == 0:
            raise InputError(f"{name} must be above 0 and at most 1, not 0: nothing would be drawn.")

    def _interval(self, name: str) -> None:
        """The same for a part of the noise axis; a list, as JSON has it, becomes a tuple."""
        value = getattr(self, name)
        ends = list(value) if isinstance(value, tuple | list) else []
        plain = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        if len(ends) != 2 or not plain or not 0 <= ends[0] <= ends[1] <= 1:
            raise InputError(f"{name} must be two numbers, 0 <= low <= high <= 1, not {value!r}.")
        object.__setattr__(self, name, (float(ends[0]), float(ends[1])))

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.n))

    @property
    def candidate_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + (self.candidates or self.n)))

    @property
    def source(self) -> Picture | None:
        """The picture that the operation starts from, where it has one."""
        return None

    def replace(self: R, **changes: Any) -> R:
        """The same request with some fields changed, validated again."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise InputError(f"{self.operation} has no {', '.join(sorted(map(repr, unknown)))}.")
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; fields that are None are left out."""
        record: dict[str, Any] = {"operation": self.operation}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Picture):
                record[field.name] = {"sha256": value.sha256, "size": [value.height, value.width]}
            elif isinstance(value, Mask):
                record[field.name] = value.to_rle()
            elif isinstance(value, tuple):
                record[field.name] = list(value)
            elif value is not None:
                record[field.name] = value
        return record


@dataclass(frozen=True, eq=False, kw_only=True)
class Generate(Request):
    """A picture from words alone."""

    operation = "generate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not read_words(self.prompt).plain:
            raise InputError("The prompt is empty: say what to draw.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Inpaint(Request):
    """Repaint the selected part of a picture; with an empty prompt as its surroundings suggest.

    ``mask`` says what to change and has the picture's size. It is grown by ``grow`` pixels, and never reaches
    into ``protect``. ``context`` is how many times wider than the selection the square around it is that the
    model sees.

    ``context_guidance`` is the scale of what is known of the picture beside ``guidance``, that of the words:
    1 is as the network learned it, less hears the words more and the surroundings less, more the reverse
    (see ``guidance.mixture``). ``context_interval`` is the part (low, high) of the noise axis where it acts,
    None for all of it. What is known is put back in every step whatever the scale.

    ``finish`` is how the repaint is put back: "membrane" (no seam), "feather" or "hard".
    """

    operation = "inpaint"

    image: Picture
    mask: Mask
    grow: int = 0
    protect: Mask | None = None
    context: float = 2.0
    context_guidance: float | None = None
    context_interval: tuple[float, float] | None = None
    finish: Finish = "membrane"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("image", self.image)
        _check_mask("mask", self.mask)
        require_usable(self.mask, (self.image.height, self.image.width))
        if self.protect is not None:
            _check_mask("protect", self.protect)
            _check_size("The protected area", self.protect.size, self.image)
        self._whole("grow", 0, 4096)
        self._number("context", 1, 16)
        if self.context_guidance is not None:
            self._number("context_guidance", 0, 100)
        if self.context_interval is not None:
            self._interval("context_interval")
        if self.finish not in FINISHES:
            raise InputError(f"Unknown finish {self.finish!r}; known are {', '.join(FINISHES)}.")

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
    strength: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("drawing", self.drawing)
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
    from there: at 0.9 little more than colours stay, at 0.75 places and rough shapes, below 0.5 nearly all
    but detail. ``prompt`` says what it shows, or what it should show instead. The result has the picture's
    shape, and its longer side is the model's: the picture is padded to a square with its own mirrored edges,
    which are cut off.
    """

    operation = "vary"

    image: Picture
    strength: float = 0.75

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("image", self.image)
        self._share("strength")

    @property
    def source(self) -> Picture:
        return self.image


OPERATIONS: dict[str, type[Request]] = {kind.operation: kind for kind in (Generate, Inpaint, Sketch, Vary)}


def request_from_json(
    record: Mapping[str, Any], source: Picture | None = None, *, same: bool = True
) -> Request:
    """The request that ``to_json`` described, with ``source`` for the picture it started from.

    Raises:
        InputError: not a request, a field that is unknown, missing or out of range, no picture where one is
            needed, one of another size than the mask, or (unless ``same`` is False) one whose hash is not the
            recorded one.
        MaskError: a mask that cannot be read or used.
    """
    if not isinstance(record, Mapping) or record.get("operation") not in tuple(OPERATIONS):
        raise InputError(
            f"Not a request: it must be a JSON object whose operation is one of {', '.join(OPERATIONS)}."
        )
    kind = OPERATIONS[record["operation"]]
    fields = {name: value for name, value in record.items() if name != "operation"}
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := set(fields) - set(known):
        raise InputError(f"{kind.operation} has no {', '.join(sorted(map(repr, unknown)))}.")
    required = {name for name, field in known.items() if field.default is dataclasses.MISSING}
    if missing := required - set(fields):
        raise InputError(f"Not a complete request: {kind.operation} needs {', '.join(sorted(missing))}.")
    for name in ("image", "drawing"):
        if name in fields:
            fields[name] = _recorded_picture(fields[name], source, same)
    for name in ("mask", "protect"):
        if fields.get(name) is not None:
            fields[name] = _recorded_mask(name, fields[name], source)
    return kind(**fields)


def _recorded_picture(record: Any, source: Picture | None, same: bool) -> Picture:
    sha256 = record.get("sha256") if isinstance(record, Mapping) else None
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError("Not a request: it does not say which picture it starts from (a sha256).")
    if source is None:
        raise InputError(f"This request starts from a picture: give it as well (sha256 {sha256[:12]}).")
    if same and source.sha256 != sha256:
        raise InputError("The picture is not the one this request was made with: its pixels differ.")
    return source


def _recorded_mask(name: str, record: Any, source: Picture | None) -> Mask:
    size = record.get("size") if isinstance(record, Mapping) else None
    # Before its runs unfold: a few bytes of a hostile file could ask for gigabytes.
    if source is not None and isinstance(size, list) and len(size) == 2:
        _check_size(f"The recorded {name}", size, source)
    return Mask.from_rle(record)


def _check_picture(name: str, value: object) -> None:
    if not isinstance(value, Picture):
        raise InputError(f"{name} must be a Picture, not {type(value).__name__}: open_picture makes one.")


def _check_mask(name: str, value: object) -> None:
    if not isinstance(value, Mask):
        raise InputError(f"{name} must be a Mask, not {type(value).__name__}: Mask.from_array makes one.")


def _check_size(what: str, size: Sequence[object], picture: Picture) -> None:
    if list(size) != [picture.height, picture.width]:
        high, wide = size
        raise InputError(
            f"{what} is {wide} wide and {high} high but the picture is {picture.width} wide and "
            f"{picture.height} high: both must have the same size."
        )

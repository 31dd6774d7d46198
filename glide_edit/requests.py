"""What can be asked of an editor: frozen, validated when made, and JSON both ways.

JSON never holds pixels or paths: a picture is its size and hash, a mask its run lengths. To get a request
back from JSON, hand ``request_from_json`` the picture.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import InputError
from glide_edit.images import MAX_PIXELS, Picture
from glide_edit.text.emphasis import read_words
from masks import Finish, Mask, require_usable
from masks.mask import as_size
from masks.scale import scale_to

FINISHES: tuple[str, ...] = (*get_args(Finish), "auto")
SketchMode = Literal["auto", "lines", "tone", "both"]
SKETCH_MODES: tuple[str, ...] = get_args(SketchMode)
MOST_IMAGES = 64
MOST_STEPS = 1000
MOST_CUTS = 256
LONGEST_SIDE = 65_536
FACTORS = (2, 4)
CONTENTS = ("noise", "original", "surroundings", "opencv")
DEFAULT_STRENGTH = 0.8
"""Of content other than noise: of its colours and rough shapes something is left."""
LARGEST_SEED = 2**63 - 1

R = TypeVar("R", bound="Request")


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """What every operation has. What is None is the model's own preset.

    ``n`` pictures are made, with the seeds ``seed``, ``seed + 1`` and so on, or one with each of ``seeds``, a
    tuple, list or range, which then decide ``seed`` (the first) and ``n`` (how many). Either way ``seeds``
    names them all afterwards; a picture depends on its own seed alone. ``preset`` names one of the model's
    own choices of settings; what is given here goes before it. ``steps`` and ``sampler`` are the base
    stage's, ``upsampler_steps`` the upsampler's; ``guidance`` is the scale of classifier-free guidance, 1
    for none.

    In ``prompt`` and ``negative_prompt``, ``(words:1.3)`` weighs words: see ``text.emphasis``. Pictures are
    guided away from the negative prompt: it takes the place of "nothing said" in classifier-free guidance.

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
    repaints: ClassVar[bool] = False
    """Whether a part of a picture is drawn and the rest of it known."""

    prompt: str = ""
    negative_prompt: str | None = None
    n: int = 1
    seed: int = 0
    seeds: tuple[int, ...] = ()
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
        for name, words in (("The prompt", self.prompt), ("The negative prompt", self.negative_prompt or "")):
            _check_unicode(name, words)
            read_words(words)
        if self.preset is not None and not isinstance(self.preset, str):
            raise InputError(f"The preset must be a name, not {type(self.preset).__name__}.")
        self._seeds()
        if self.candidates is not None:
            self._whole("candidates", self.n, MOST_IMAGES)
            if self.seeds != tuple(range(self.seed, self.seed + self.n)):
                raise InputError("Candidates have the seeds from seed on: leave seeds out, or candidates.")
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

    def _seeds(self) -> None:
        """Make ``seeds``, ``seed`` and ``n`` agree."""
        self._whole("n", 1, MOST_IMAGES)
        self._whole("seed", 0, LARGEST_SEED - MOST_IMAGES)
        if not isinstance(self.seeds, tuple | list | range):
            raise InputError(f"seeds must be a list or range of whole numbers, not {self.seeds!r}.")
        if not self.seeds:
            object.__setattr__(self, "seeds", tuple(range(self.seed, self.seed + self.n)))
            return
        given = checked_seeds(self.seeds)
        if self.n not in (1, len(given)) or self.seed not in (0, given[0]):
            raise InputError("Give either seeds, or seed and n: together they contradict each other.")
        for name, value in (("seeds", given), ("seed", given[0]), ("n", len(given))):
            object.__setattr__(self, name, value)

    def _interval(self, name: str) -> None:
        """The same for a part of the noise axis; a list, as JSON has it, becomes a tuple."""
        value = getattr(self, name)
        ends = list(value) if isinstance(value, tuple | list) else []
        plain = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        if len(ends) != 2 or not plain or not 0 <= ends[0] <= ends[1] <= 1:
            raise InputError(f"{name} must be two numbers, 0 <= low <= high <= 1, not {value!r}.")
        object.__setattr__(self, name, (float(ends[0]), float(ends[1])))

    def _choice(self, name: str) -> None:
        """The same for yes, no, or None to leave it to the program."""
        value = getattr(self, name)
        if value is not None and not isinstance(value, bool):
            raise InputError(f"{name} must be true, false or left out, not {value!r}.")

    @property
    def candidate_seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + (self.candidates or self.n)))

    @property
    def source(self) -> Picture | None:
        """The picture that the operation starts from, where it has one."""
        return None

    @property
    def before(self) -> NDArray[Any] | None:
        """The source's pixels where they are in the result, (H, W, 3), where the operation keeps some."""
        return None

    def replace(self: R, **changes: Any) -> R:
        """The same request with some fields changed, validated again."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise InputError(f"{self.operation} has no {', '.join(sorted(map(repr, unknown)))}.")
        if "seeds" in changes:
            changes = {"seed": 0, "n": 1, **changes}
        elif "seed" in changes or "n" in changes:
            changes = {**changes, "seeds": ()}
        return dataclasses.replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values without fields that are None, and without ``seeds`` where they are in a row."""
        record: dict[str, Any] = {"operation": self.operation}
        in_a_row = self.seeds == tuple(range(self.seed, self.seed + self.n))
        told = {"seeds"} if in_a_row else {"seed", "n"}
        for field in dataclasses.fields(self):
            if field.name in told:
                continue
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
    model sees, None for where the model is best; parts that are far apart get squares of their own.

    ``context_guidance`` is the scale of what is known of the picture beside ``guidance``, that of the words:
    1 is as the network learned it, less hears the words more and the surroundings less, more the reverse
    (see ``guidance.mixture``). ``context_interval`` is the part (low, high) of the noise axis where it acts,
    None for all of it. What is known is put back in every step whatever the scale.

    ``finish`` is how the repaint is put back: "membrane" (no seam), "feather" or "hard", "clone"
    (OpenCV's seamless cloning), or "auto" for the one that leaves the least of an edge. ``detail`` draws it
    at the photograph's own resolution where it is larger than the model's picture: None with no more grain
    than there is around it, True as the model draws it, False not at all.

    ``match_grain`` gives the repaint the grain of what surrounds it (``operations.matching``): None unless
    ``finish`` is "hard" or ``detail`` True, which show what the model draws.

    ``content`` is what the selection begins from: noise, the original, the colours of the surroundings, or
    OpenCV's inpainting; ``strength``, in (0, 1], is how much noise is added to the latter three (1: all).
    """

    operation = "inpaint"
    repaints = True

    image: Picture
    mask: Mask
    grow: int = 0
    protect: Mask | None = None
    context: float | None = None
    context_guidance: float | None = None
    context_interval: tuple[float, float] | None = None
    finish: Finish | Literal["auto"] = "membrane"
    detail: bool | None = None
    match_grain: bool | None = None
    content: str = "noise"
    strength: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("image", self.image)
        _check_mask("mask", self.mask)
        require_usable(self.mask, (self.image.height, self.image.width), self.image.orientation)
        if self.protect is not None:
            _check_mask("protect", self.protect)
            _check_size("The protected area", self.protect.size, self.image)
        self._whole("grow", 0, 4096)
        if self.context is not None:
            self._number("context", 1, 16)
        if self.context_guidance is not None:
            self._number("context_guidance", 0, 100)
        if self.context_interval is not None:
            self._interval("context_interval")
        if self.finish not in FINISHES:
            raise InputError(f"Unknown finish {self.finish!r}; known are {', '.join(FINISHES)}.")
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Remove(Inpaint):
    """Take what is selected out of a picture: it is filled with what surrounds it, so there is no prompt.

    The selection is grown by a little, since what it leaves of an edge or a shadow would be continued.
    """

    operation = "remove"

    grow: int = 8
    content: str = "surroundings"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.prompt.strip():
            raise InputError("Removing takes no prompt: to put something else there, inpaint.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Outpaint(Request):
    """A larger picture: what lies beyond the sides is drawn, and the picture itself is kept.

    ``left``, ``right``, ``top`` and ``bottom`` are the pixels to add. ``aspect``, such as "16:9", adds evenly
    on both sides of one direction what is missing; what the sides were given counts as part of the picture.
    ``detail`` and ``match_grain`` are those of ``Inpaint``.
    """

    operation = "outpaint"
    repaints = True
    finish: ClassVar[Finish | Literal["auto"]] = "membrane"

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
        _check_picture("image", self.image)
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


@dataclass(frozen=True, eq=False, kw_only=True)
class Upscale(Request):
    """The same picture, ``factor`` (2 or 4) times as wide and high, by the upsampler alone."""

    operation = "upscale"

    image: Picture
    factor: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("image", self.image)
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
    from there: up to 0.8 places and shapes mostly stay, from 0.9 on things move and go. ``prompt`` says what
    it shows, or what it should show instead. The result has the picture's shape, and its longer side is the
    model's: the picture is padded to a square with its own mirrored edges, which are cut off.
    """

    operation = "vary"

    image: Picture
    strength: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_picture("image", self.image)
        self._share("strength")

    @property
    def source(self) -> Picture:
        return self.image


OPERATIONS: dict[str, type[Request]] = {
    kind.operation: kind for kind in (Generate, Inpaint, Outpaint, Remove, Sketch, Upscale, Vary)
}


def fields_of(kind: type[Request], what: type) -> tuple[str, ...]:
    """The names of a request's fields that hold a ``what`` (``Picture`` or ``Mask``), or may hold one."""
    hints = get_type_hints(kind)
    names = (field.name for field in dataclasses.fields(kind))
    return tuple(name for name in names if what in (hints[name], *get_args(hints[name])))


def request_from_json(
    record: Mapping[str, Any],
    source: Picture | Sequence[Picture] | None = None,
    *,
    same: bool = True,
    rescale: bool = False,
) -> Request:
    """The request that ``to_json`` described, with ``source`` for the picture, or pictures, it started from.

    Of several pictures each goes where its hash is recorded. Unless ``same``, one that is recorded nowhere
    goes to the first place that is left. With ``rescale`` masks become as large as the first picture.

    Raises:
        InputError: not a request, a field that is unknown, missing or out of range, no picture where one is
            needed, one of another size than the mask, or (unless ``same`` is False) one whose hash is not the
            recorded one.
        MaskError: a mask that cannot be read or used.
    """
    kind = kind_of(record)
    fields = {name: value for name, value in record.items() if name != "operation"}
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := set(fields) - set(known):
        raise InputError(f"{kind.operation} has no {', '.join(sorted(map(repr, unknown)))}.")
    required = {name for name, field in known.items() if field.default is dataclasses.MISSING}
    if missing := required - set(fields):
        raise InputError(f"Not a complete request: {kind.operation} needs {', '.join(sorted(missing))}.")
    given = [source] if isinstance(source, Picture) else list(source or ())
    places = [name for name in fields_of(kind, Picture) if name in required or fields.get(name) is not None]
    fields.update(_recorded_pictures({name: fields[name] for name in places}, given, same))
    for name in fields_of(kind, Mask):
        if fields.get(name) is not None:
            fields[name] = _recorded_mask(name, fields[name], fields[places[0]] if places else None, rescale)
    return kind(**fields)


def kind_of(record: object) -> type[Request]:
    """The class of the request that a JSON object describes; InputError where it describes none."""
    if not isinstance(record, Mapping) or record.get("operation") not in tuple(OPERATIONS):
        raise InputError(
            f"Not a request: it must be a JSON object whose operation is one of {', '.join(OPERATIONS)}."
        )
    return OPERATIONS[record["operation"]]


def checked_seeds(seeds: Sequence[object]) -> tuple[int, ...]:
    """Seeds as a tuple of Python's own whole numbers; InputError for what is none, too many, or one twice."""
    given: list[int] = []
    for seed in itertools.islice(seeds, MOST_IMAGES + 1):
        whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
        if not whole or not 0 <= seed < LARGEST_SEED:  # type: ignore[operator]
            raise InputError(f"seeds must be whole numbers between 0 and {LARGEST_SEED - 1}, not {seed!r}.")
        given.append(int(seed))  # type: ignore[call-overload]
    if len(given) > MOST_IMAGES:
        raise InputError(f"seeds are more than the {MOST_IMAGES} that one request may have.")
    if twice := [seed for seed in given if given.count(seed) > 1]:
        raise InputError(f"seeds name {twice[0]} twice: the same picture would be made again.")
    return tuple(given)


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds as people write them: "7", "1,5,9", "10-19" (with both ends), or "1,5,10-19".

    Raises:
        InputError: anything else, a seed named twice, or more than one request may have.
    """
    ranges: list[range] = []
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,19})\s*(?:-\s*(\d{1,19})\s*)?", part, re.ASCII)
        low, high = (int(ends[1]), int(ends[2] or ends[1])) if ends else (1, 0)
        if high < low:
            raise InputError(f"seeds are written as 7, 1,5,9 or 10-19, not {text!r}.")
        ranges.append(range(low, high + 1))
    return checked_seeds(_chained(ranges))


def _chained(ranges: Sequence[range]) -> list[int]:
    """The numbers of all ranges, no more of them than show that they are too many."""
    return list(itertools.islice(itertools.chain.from_iterable(ranges), MOST_IMAGES + 1))


def _recorded_pictures(
    records: Mapping[str, Any], given: Sequence[Picture], same: bool
) -> dict[str, Picture]:
    """Which picture goes where: first those with the recorded hash, then in their order what is left."""
    wanted = {name: _recorded_sha256(record) for name, record in records.items()}
    found = {
        name: picture for name, sha256 in wanted.items() for picture in given if picture.sha256 == sha256
    }
    left = [picture for picture in given if picture.sha256 not in wanted.values()]
    for name, sha256 in wanted.items():
        if name in found:
            continue
        if not left:
            raise InputError(f"This request starts from a picture: give it as well (sha256 {sha256[:12]}).")
        if same:
            raise InputError("The picture is not the one this request was made with: its pixels differ.")
        found[name] = left.pop(0)
    return found


def _recorded_sha256(record: Any) -> str:
    sha256 = record.get("sha256") if isinstance(record, Mapping) else None
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError("Not a request: it does not say which picture it starts from (a sha256).")
    return sha256


def _recorded_mask(name: str, record: Any, source: Picture | None, rescale: bool) -> Mask:
    size = record.get("size") if isinstance(record, Mapping) else None
    # Before its runs unfold: a few bytes of a hostile file could ask for gigabytes.
    if source is not None and isinstance(size, list) and len(size) == 2:
        if not rescale:
            _check_size(f"The recorded {name}", size, source)
        elif math.prod(as_size(size)) > MAX_PIXELS:
            raise InputError(f"The recorded {name} has more than {MAX_PIXELS / 1e6:.0f} megapixels.")
    mask = Mask.from_rle(record)
    return scale_to(mask, (source.height, source.width)) if rescale and source is not None else mask


def _check_unicode(what: str, text: str) -> None:
    """Refuse halves of characters, which is what bytes that are not UTF-8 become on a command line."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{what} holds bytes that are not UTF-8: type it anew.")


def _aspect(text: str) -> tuple[int, int]:
    """(wide, high) of "16:9"."""
    found = re.fullmatch(r"([1-9][0-9]{0,4}):([1-9][0-9]{0,4})", text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"aspect must be two whole numbers such as 16:9, not {text!r}.")
    return int(found[1]), int(found[2])


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

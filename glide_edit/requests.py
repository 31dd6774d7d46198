"""What can be asked of an editor: frozen, validated when made, and JSON both ways.

JSON never holds pixels or paths: a picture is its size and hash, a mask its run lengths. To get a request back
from JSON, hand ``request_from_json`` the picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import InputError
from glide_edit.images import Picture
from masks import Mask, require_usable

FinishName = Literal["hard", "membrane", "feather"]
FINISHES: tuple[FinishName, ...] = ("hard", "membrane", "feather")
MOST_IMAGES = 64
MOST_STEPS = 1000
LARGEST_SEED = 2**63 - 1

R = TypeVar("R", bound="Request")


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """What every operation has. What is None is the model's own preset.

    ``n`` pictures are made, with the seeds ``seed``, ``seed + 1`` and so on; a picture depends on its own seed
    alone. ``steps`` and ``sampler`` are the base stage's, ``upsampler_steps`` the upsampler's; ``guidance``
    is the scale of classifier-free guidance, 1 for none.

    Raises:
        InputError: a value out of range; the sentence says which and what is possible.
    """

    operation: ClassVar[str]

    prompt: str = ""
    n: int = 1
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None
    upsampler_steps: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.prompt, str):
            raise InputError(f"The prompt must be text, not {type(self.prompt).__name__}.")
        _whole("n", self.n, 1, MOST_IMAGES)
        _whole("seed", self.seed, 0, LARGEST_SEED - MOST_IMAGES)
        for name in ("steps", "upsampler_steps"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1, MOST_STEPS)
        if self.guidance is not None and not 0.0 <= self.guidance <= 100.0:
            raise InputError(f"guidance must be between 0 and 100, not {self.guidance}.")
        if self.sampler is not None and self.sampler not in SAMPLERS:
            raise InputError(f"Unknown sampler {self.sampler!r}; known are {', '.join(SAMPLERS)}.")

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(range(self.seed, self.seed + self.n))

    @property
    def source(self) -> Picture | None:
        """The picture that the operation starts from, where it has one."""
        return None

    def replace(self: R, **changes: Any) -> R:
        """The same request with some fields changed, validated again."""
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise InputError(f"{self.operation} has no {', '.join(sorted(unknown))}.")
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
            elif value is not None:
                record[field.name] = value
        return record


@dataclass(frozen=True, eq=False, kw_only=True)
class Generate(Request):
    """A picture from words alone."""

    operation = "generate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.prompt.strip():
            raise InputError("The prompt is empty: say what to draw.")


@dataclass(frozen=True, eq=False, kw_only=True)
class Inpaint(Request):
    """Repaint the selected part of a picture. With an empty prompt it is filled with what its surroundings suggest.

    ``mask`` says what to change and has the picture's size. It is grown by ``grow`` pixels, and never reaches
    into ``protect``. ``context`` is how many times wider than the selection the square around it is that the
    model sees. ``finish`` is how the repaint is put back: "membrane" (no seam), "feather" or "hard".
    """

    operation = "inpaint"

    image: Picture
    mask: Mask
    grow: int = 0
    protect: Mask | None = None
    context: float = 2.0
    finish: FinishName = "membrane"

    def __post_init__(self) -> None:
        super().__post_init__()
        size = (self.image.height, self.image.width)
        require_usable(self.mask, size)
        if self.protect is not None and self.protect.size != size:
            raise InputError(
                f"The protected area is {_by(self.protect.size)}, but the picture is {_by(size)} (height x width)."
            )
        _whole("grow", self.grow, 0, 4096)
        if not 1.0 <= self.context <= 16.0:
            raise InputError(f"context must be between 1 and 16, not {self.context}.")
        if self.finish not in FINISHES:
            raise InputError(f"Unknown finish {self.finish!r}; known are {', '.join(FINISHES)}.")

    @property
    def source(self) -> Picture:
        return self.image


@dataclass(frozen=True, eq=False, kw_only=True)
class Sketch(Request):
    """A picture that follows a line drawing: dark lines on light paper (or the reverse, which is noticed)."""

    operation = "sketch"

    drawing: Picture

    @property
    def source(self) -> Picture:
        return self.drawing


OPERATIONS: dict[str, type[Request]] = {kind.operation: kind for kind in (Generate, Inpaint, Sketch)}


def request_from_json(
    record: Mapping[str, Any], source: Picture | None = None, *, same: bool = True
) -> Request:
    """The request that ``to_json`` described, with ``source`` for the picture it started from.

    Raises:
        InputError: an unknown operation or field, no picture where one is needed, or (unless ``same`` is False)
            a picture whose hash is not the recorded one.
    """
    fields = dict(record)
    kind = OPERATIONS.get(str(fields.pop("operation", None)))
    if kind is None:
        raise InputError(f"Not a request: its operation must be one of {', '.join(OPERATIONS)}.")
    known = {field.name: field for field in dataclasses.fields(kind)}
    unknown = set(fields) - set(known)
    if unknown:
        raise InputError(f"{kind.operation} has no {', '.join(sorted(unknown))}.")
    for name in ("mask", "protect"):
        if name in fields:
            fields[name] = Mask.from_rle(fields[name])
    for name in ("image", "drawing"):
        if name not in fields:
            continue
        if source is None:
            raise InputError(
                f"This request starts from a picture: give it as well (sha256 {fields[name]['sha256'][:12]})."
            )
        if same and source.sha256 != fields[name]["sha256"]:
            raise InputError("The picture is not the one this request was made with: its pixels differ.")
        fields[name] = source
    try:
        return kind(**fields)
    except TypeError as error:
        raise InputError(f"Not a complete {kind.operation} request ({error}).") from error


def _whole(name: str, value: object, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError(f"{name} must be a whole number between {least} and {most}, not {value!r}.")


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"

"""What every request has: words, seeds, and settings of the model."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import InputError
from glide_edit.images import Picture
from glide_edit.requests.checks import check_unicode
from glide_edit.requests.seeds import LARGEST_SEED, MOST_IMAGES, checked_seeds
from glide_edit.text.prompt_weights import read_words
from masks import Mask

MOST_STEPS = 1000
MOST_CUTS = 256

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
    has_drafts: ClassVar[bool] = True
    """Whether candidates can be told apart by what the base stage draws first: not where every frame goes on
    from the one before it, or where the base stage draws nothing."""

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
    stage_steps: tuple[int, ...] | None = None
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
            check_unicode(name, words)
            read_words(words)
        if self.preset is not None and not isinstance(self.preset, str):
            raise InputError(f"The preset must be a name, not {type(self.preset).__name__}.")
        self._seeds()
        if self.candidates is not None:
            self._whole("candidates", self.n, MOST_IMAGES)
            if not self.in_a_row:
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
    def in_a_row(self) -> bool:
        """Whether ``seeds`` are those from ``seed`` on."""
        return self.seeds == tuple(range(self.seed, self.seed + self.n))

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

    def alone(self: R, seed: int) -> R:
        """The same request for the picture of one seed."""
        return self.replace(seed=seed, n=1, candidates=None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values without fields that are None, and without ``seeds`` where they are in a row."""
        record: dict[str, Any] = {"operation": self.operation}
        told = {"seeds"} if self.in_a_row else {"seed", "n"}
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

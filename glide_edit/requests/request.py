"""What every request has: a prompt, seeds, and settings of the model."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from glide_edit.errors import InputError
from glide_edit.requests.seeds import LARGEST_SEED, MOST_IMAGES, checked_seeds
from glide_edit.requests.settings import setting, settings_of
from glide_edit.text.prompt_weights import read_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from glide_edit.images import Picture

MOST_STEPS = 1000
MOST_CUTS = 256
SAMPLER_NAMES = ("ddpm", "ddim", "dpm-solver++")

R = TypeVar("R", bound="Request")


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """What every operation has. What is None is the model's own preset.

    ``n`` pictures are made, with the seeds ``seed``, ``seed + 1`` and so on, or one with each of ``seeds``, a
    tuple, list or range, which then decide ``seed`` (the first) and ``n`` (how many). Either way ``seeds``
    names them all afterwards; a picture depends on its own seed alone. What is given here goes before what
    ``preset`` says. In ``prompt`` and ``negative_prompt``, ``(words:1.3)`` weighs words (see
    ``text.prompt_weights``); the negative prompt takes the empty one's place in classifier-free guidance.
    ``stage_steps`` and the older ``steps`` and ``upsampler_steps`` exclude each other for the same stage.

    Raises:
        InputError: a value out of range; the sentence says which and what is possible.
    """

    operation: ClassVar[str]
    repaints: ClassVar[bool] = False
    """Whether a part of a picture is drawn and the rest of it known."""
    has_drafts: ClassVar[bool] = True
    """Whether candidates can be ranked by their drafts. They cannot where each frame continues from the one
    before it, or where the first stage draws nothing."""
    old_names: ClassVar[Mapping[str, str]] = {}
    """Fields by the names that they had before; those are still taken, with a DeprecationWarning."""

    prompt: str = setting("", "What to draw, in words")
    negative_prompt: str | None = setting(None, "What not to draw; a guidance above 1 pushes away from it")
    n: int = setting(1, "How many pictures to make", within=(1, MOST_IMAGES))
    seed: int = setting(
        0,
        "Seed of the first picture; the others have the seeds after it",
        within=(0, LARGEST_SEED),
        metavar="S",
    )
    seeds: tuple[int, ...] = setting(
        (),
        "In place of seed and n, a picture for each of these seeds",
        within=(0, LARGEST_SEED),
        metavar="S,S-S",
        written="1,5,9 or 10-19",
    )
    candidates: int | None = setting(
        None, "Draw this many small pictures, rank them, and finish the best n", within=(1, MOST_IMAGES)
    )
    steps: int | None = setting(None, "Steps of the first stage", within=(1, MOST_STEPS), unset="the model's")
    guidance: float | None = setting(
        None,
        "How strongly to follow the words (classifier-free guidance); 1 is plain",
        within=(0, 100),
        unset="the model's",
    )
    sampler: str | None = setting(
        None,
        "ddpm, ddim or dpm-solver++, for the first stage",
        choices=SAMPLER_NAMES,
        unset="the model's",
        metavar="NAME",
    )
    upsampler_steps: int | None = setting(
        None, "Steps of the upsampler", within=(1, MOST_STEPS), unset="the model's"
    )
    stage_steps: tuple[int, ...] | None = setting(
        None,
        "Steps of each stage in order",
        within=(1, MOST_STEPS),
        unset="the model's",
        metavar="N,N",
        written="20,8,4",
    )
    preset: str | None = setting(
        None,
        "One of the model's own choices of settings; `models info` lists them",
        unset="default",
        metavar="NAME",
        says="a name",
    )
    clip_guidance: float | None = setting(
        None,
        "How strongly CLIP pulls the first stage towards the words; 0 is not at all",
        within=(0, 10_000),
        unset="the model's",
    )
    clip_cuts: int | None = setting(
        None,
        "Random crops that a CLIP looks at in each step if it was not trained on noise",
        within=(1, MOST_CUTS),
    )
    clip_interval: tuple[float, float] | None = setting(
        None,
        "The part of the noise axis, 0 clean to 1 noise, where CLIP pulls",
        unset="all of it, or 0 to 0.8 of a CLIP that was not trained on noise",
    )

    def __post_init__(self) -> None:
        settings = {each.name: each for each in settings_of(type(self))}
        for name, each in settings.items():
            if name != "seeds":
                self._set(name, each.checked(getattr(self, name)))
        for name, words in (("prompt", self.prompt), ("negative_prompt", self.negative_prompt or "")):
            if any("\ud800" <= character <= "\udfff" for character in words):
                # Halves of characters are what bytes that are not UTF-8 become on a command line.
                said = f"The {settings[name].said} holds bytes that are not UTF-8: retype it."
                settings[name].refuse("not_unicode", said)
            read_words(words)
        self._agree_on_seeds()
        if self.candidates is not None:
            replace(settings["candidates"], within=(self.n, MOST_IMAGES)).checked(self.candidates)
            if not self.in_a_row:
                said = "Candidates have the seeds from seed on: leave seeds out, or candidates."
                settings["candidates"].refuse("contradicts_seeds", said)
        for stage, name in enumerate(("steps", "upsampler_steps")):
            if getattr(self, name) is not None and len(self.stage_steps or ()) > stage:
                said = f"Give either {name} or stage_steps: both say the steps of one stage."
                settings["stage_steps"].refuse(f"contradicts_{name}", said)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _agree_on_seeds(self) -> None:
        """Make ``seeds``, ``seed`` and ``n`` agree."""
        if not isinstance(self.seeds, tuple | list | range):
            said = f"seeds must be a list or range of whole numbers, not {self.seeds!r}."
            raise InputError(said, code="seeds_wrong_type", field="seeds")
        if not self.seeds:
            count = max(self.n, self.candidates or 1)
            if self.seed + count - 1 > LARGEST_SEED:
                said = (
                    f"seed must be at most {LARGEST_SEED - count + 1} for {count} pictures, not {self.seed}."
                )
                raise InputError(said, code="seed_out_of_range", field="seed")
            self._set("seeds", tuple(range(self.seed, self.seed + self.n)))
            return
        given = checked_seeds(self.seeds)
        if self.n not in (1, len(given)) or self.seed not in (0, given[0]):
            said = "Give either seeds, or seed and n: together they contradict each other."
            raise InputError(said, code="seeds_contradict_seed", field="seeds")
        for name, value in (("seeds", given), ("seed", given[0]), ("n", len(given))):
            self._set(name, value)

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
    def result_size(self) -> tuple[int, int] | None:
        """(height, width) of the results where the source is in them; None where they are the model's own."""
        return None

    @property
    def before(self) -> NDArray[Any] | None:
        """The source's pixels where they are in the result, (H, W, 3), where the operation keeps some."""
        return None

    def replace(self: R, **changes: Any) -> R:
        """The same request with some fields changed, validated again."""
        changes = with_new_names(type(self), changes)
        check_names(type(self), changes)
        if "seeds" in changes:
            changes = {"seed": 0, "n": 1, **changes}
        elif "seed" in changes or "n" in changes:
            changes = {**changes, "seeds": ()}
        return replace(self, **changes)

    def alone(self: R, seed: int) -> R:
        """The same request for the picture of one seed."""
        return self.replace(seed=seed, n=1, candidates=None)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values without fields that are None, and without ``seeds`` where they are in a row."""
        record: dict[str, Any] = {"operation": self.operation}
        left_out = {"seeds"} if self.in_a_row else {"seed", "n"}
        for each in settings_of(type(self)):
            value = getattr(self, each.name)
            if value is None or each.name in left_out:
                continue
            if each.kind == "picture":
                value = {"sha256": value.sha256, "size": [value.height, value.width]}
            elif each.kind == "mask":
                value = value.to_rle()
            record[each.name] = list(value) if isinstance(value, tuple) else value
        return record


def check_names(kind: type[Request], given: Mapping[Any, object]) -> None:
    """Raise InputError for a name that is not a field of the request."""
    if unknown := set(given) - {each.name for each in fields(kind)}:
        names = sorted(unknown, key=str)
        said = f"{kind.operation} has no {', '.join(map(repr, names))}."
        raise InputError(said, code="unknown_field", field=str(names[0]))


def with_new_names(kind: type[Request], given: Mapping[str, Any], *, warn: bool = True) -> dict[str, Any]:
    """Values by the names that fields have now; with ``warn`` an old name gives a DeprecationWarning.

    Raises:
        InputError: a field is given by both its names, with different values.
    """
    values = dict(given)
    for old, new in kind.old_names.items():
        if old not in values:
            continue
        value = values.pop(old)
        if warn:
            warn_of_old_name(old, new)
        if values.setdefault(new, value) != value:
            said = f"{old} is the old name of {new}, and they differ ({value!r}, {values[new]!r})"
            raise InputError(f"{said}: give {new} alone.", code=f"{new}_contradicts_{old}", field=new)
    return values


def warn_of_old_name(old: str, new: str) -> None:
    """A DeprecationWarning where the caller outside of this package used the old name."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        frame, level = frame.f_back, level + 1
    said = f"{old} is called {new} now: the old name goes with the next release."
    warnings.warn(said, DeprecationWarning, stacklevel=level)


_OURS = ("glide_edit.", "dataclasses")


def accept_old_names(kind: type[Request]) -> None:
    """Let a class of requests take the old names of its fields as keywords."""
    made = kind.__init__

    @wraps(made)
    def init(self: Request, **values: Any) -> None:
        made(self, **with_new_names(kind, values))

    setattr(kind, "__init__", init)  # noqa: B010 (a type checker would refuse the assignment)

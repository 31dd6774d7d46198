"""The prompt bench's questions: plain prompts of unseen scenes, so that each has a real picture too.

The kinds are those of DrawBench (Saharia et al. 2022, arXiv 2205.11487, section 4.2) as far as this world can
ask them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from glide_edit.errors import InputError
from glide_edit.evaluation.judging import (
    RELATIONS,
    Relation,
    Wanted,
    count,
    relation_holds,
    shows,
    shows_all,
    wanted_of,
)
from glide_edit.evaluation.seen import Seen
from glide_edit.toybox import Scene, Toy, held_out_colour, of_one_kind, sample_scene
from glide_edit.toybox.camera import toy_extents
from glide_edit.toybox.sampling import Split

FIRST_PROMPT_SEED = 500_000
"""Of the scenes that are asked for: below all that training shows, and apart from the verifier's."""

MOST = 1024
"""Questions of a kind at most; ``_SPAN`` seeds hold enough scenes for so many."""

BEST_OF_8 = "two_best_of_8"

_SPAN = 20_000

SCENES = (FIRST_PROMPT_SEED, FIRST_PROMPT_SEED + 8 * _SPAN)
"""Seeds of the scenes that are asked about."""

_LIGHT_WORDS = {"day": "in daylight", "sunset": "at sunset", "night": "at night"}


@dataclass(frozen=True)
class Question:
    """A prompt, the scene it was worded after, and what must be seen on its picture.

    ``wanted`` are the objects that the prompt names, in its order. ``relation`` is how the first is to stand
    to the second, where the prompt says.
    """

    kind: str
    prompt: str
    scene: Scene
    wanted: tuple[Wanted, ...]
    relation: Relation | None = None


Marks = dict[str, bool | None]
"""Right or not, by measure; None where the picture does not let it be asked."""


@dataclass(frozen=True)
class Kind:
    """A kind of question: what it asks, ``make`` gives its questions without end, ``mark`` judges.

    Of each question ``candidates`` pictures are drawn, of which the model's CLIP chooses the one to judge.
    ``scenes_of`` is another kind whose scenes are asked about; by default a kind has its own.
    """

    about: str
    make: Callable[[int], Iterator[Question]]
    mark: Callable[[Question, Seen], Marks]
    candidates: int = 1
    scenes_of: str | None = None


def check(kind: str, number: int) -> None:
    """Refuse what cannot be asked.

    Raises:
        InputError: no such kind, or not 1 ... 1024 questions.
    """
    if kind not in KINDS_OF_QUESTION:
        raise InputError(f"Unknown kind of question {kind!r}; choose from: {', '.join(KINDS_OF_QUESTION)}.")
    if not 1 <= number <= MOST:
        raise InputError(f"Between 1 and {MOST} questions of a kind can be asked, not {number}.")


@cache
def questions(kind: str, number: int) -> tuple[Question, ...]:
    """The first ``number`` questions of a kind, always the same ones. Raises what ``check`` raises."""
    check(kind, number)
    scenes = KINDS_OF_QUESTION[kind].scenes_of or kind
    first = FIRST_PROMPT_SEED + _SPAN * tuple(KINDS_OF_QUESTION).index(scenes)
    return tuple(itertools.islice(KINDS_OF_QUESTION[kind].make(first), number))


def mark(question: Question, seen: Seen) -> Marks:
    """Which of its kind's measures the picture gets right."""
    return KINDS_OF_QUESTION[question.kind].mark(question, seen)


def fault(question: Question, seen: Seen) -> str | None:
    """The first thing that is wrong with the picture, None where all that was asked is right.

    "kind": a named kind is missing. "swapped": the colours of two objects are exchanged. "colour": the kinds
    are there, not the colours. "other": number, relation, ground or light.
    """
    wanted = question.wanted
    if not shows_all(seen, [replace(each, colour=None) for each in wanted]):
        return "kind"
    if not shows_all(seen, wanted):
        return "swapped" if _swapped(wanted, seen) else "colour"
    return None if all(mark(question, seen).values()) else "other"


FAULTS = ("kind", "swapped", "colour", "other")


def _swapped(wanted: Sequence[Wanted], seen: Seen) -> bool:
    if len(wanted) != 2:
        return False
    first, second = wanted
    exchanged = (replace(first, colour=second.colour), replace(second, colour=first.colour))
    return shows_all(seen, exchanged)


# Asking ----------------------------------------------------------------------------------------------------


def _one(first: int) -> Iterator[Question]:
    for scene in _scenes(first, 1):
        yield _question("one", scene)


def _two(first: int) -> Iterator[Question]:
    for scene in _scenes(first, 2):
        yield _question("two", scene)


def _two_again(first: int) -> Iterator[Question]:
    for question in _two(first):
        yield replace(question, kind=BEST_OF_8)


def _conflict(first: int) -> Iterator[Question]:
    for scene in _scenes(first, 2):
        a, b = scene.toys
        exchanged = (held_out_colour(a.kind, b.colour), held_out_colour(b.kind, a.colour))
        if a.kind != b.kind and a.colour != b.colour and not any(exchanged):
            yield _question("conflict", scene)


def _held_out(first: int) -> Iterator[Question]:
    for scene in _scenes(first, 1, "held_out"):
        yield _question("held_out", scene)


def _rare(first: int) -> Iterator[Question]:
    for scene in _scenes(first, 2, "held_out"):
        if not any(held_out_colour(toy.kind, toy.colour) for toy in scene.toys):
            yield _question("rare", scene)


def _related(first: int) -> Iterator[Question]:
    """The four relations in turn."""
    scenes = _scenes(first, 2)
    for relation in itertools.cycle(RELATIONS):
        for scene in scenes:
            if (order := _order(scene, relation)) is not None:
                yield _question("relation", scene, order, relation)
                break
        else:
            return


def _counted(first: int) -> Iterator[Question]:
    """One to four of a kind in turn, each in a colour of its own: captions know no numerals."""
    scenes = {number: _scenes(first, number) for number in (1, 2, 3, 4)}
    for number in itertools.cycle(scenes):
        for scene in scenes[number]:
            if (alike := of_one_kind(scene)) is not None:
                yield _question("count", alike)
                break
        else:
            return


def _long(first: int) -> Iterator[Question]:
    """Three toys with size, material and colour, a relation, the ground and the light."""
    for seed in range(first, first + _SPAN):
        scene = sample_scene(seed)
        if len(scene.toys) != 3:
            continue
        names = [_named(toy, toy.size, toy.material, toy.colour) for toy in scene.toys]
        across = _across(scene, 0, 1)
        if abs(across) > _CLEARLY_ASIDE:
            relation: Relation = "to the left of" if across < 0 else "to the right of"
            text = f"{names[0]} {relation} {names[1]}, and {names[2]} on {_ground(scene)}"
            prompt = f"{text} {_LIGHT_WORDS[scene.light]}"
            yield Question("long", prompt, scene, tuple(map(wanted_of, scene.toys)), relation)


def _question(
    kind: str, scene: Scene, order: Sequence[int] | None = None, relation: Relation | None = None
) -> Question:
    """Kind and colour of each toy, how the first stands to the second, and the ground."""
    toys = [scene.toys[k] for k in order or range(len(scene.toys))]
    names = [_named(toy, toy.colour) for toy in toys]
    if relation is not None:
        text = f"{names[0]} {relation} {names[1]}"
    else:
        text = " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
    prompt = f"{text} on {_ground(scene)}"
    return Question(kind, prompt, scene, tuple(map(wanted_of, toys)), relation)


def _scenes(first: int, toys: int, split: Split = "train") -> Iterator[Scene]:
    """Scenes of so many toys by day, which plain prompts need not mention."""
    for seed in range(first, first + _SPAN):
        scene = sample_scene(seed, split)
        if len(scene.toys) == toys and scene.light == "day":
            yield scene


def _named(toy: Toy, *words: str) -> str:
    text = " ".join([*words, toy.kind])
    return ("an " if text[0] in "aeiou" else "a ") + text


def _ground(scene: Scene) -> str:
    return f"a {scene.ground}" if "floor" in scene.ground else scene.ground


_CLEARLY_ASIDE, _CLEARLY_DEEPER, _NOT_FAR_ASIDE = 0.35, 0.55, 0.75
"""From where on the captions of training speak of left and right, in front and behind (captions.py)."""


def _order(scene: Scene, relation: Relation) -> tuple[int, int] | None:
    """Which of the two toys stands so to which, None where that cannot be said."""
    across = _across(scene, 0, 1)
    feet = toy_extents(scene)[:, 4]
    deeper = float(feet[0] - feet[1])
    if relation in ("to the left of", "to the right of"):
        if abs(across) <= _CLEARLY_ASIDE:
            return None
        return (0, 1) if (across < 0) == (relation == "to the left of") else (1, 0)
    if abs(deeper) <= _CLEARLY_DEEPER or abs(across) >= _NOT_FAR_ASIDE:
        return None
    return (0, 1) if (deeper > 0) == (relation == "behind") else (1, 0)


def _across(scene: Scene, a: int, b: int) -> float:
    """How far toy a is to the right of toy b; the picture is 2 wide."""
    boxes = toy_extents(scene)
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    return float(middle[a] - middle[b])


# Marking ---------------------------------------------------------------------------------------------------


def _mark_one(question: Question, seen: Seen) -> Marks:
    (wanted,) = question.wanted
    return {"one_kind": shows(seen, Wanted(wanted.kind)), "one_color": shows(seen, wanted)}


def _all_seen(measure: str) -> Callable[[Question, Seen], Marks]:
    return lambda question, seen: {measure: shows_all(seen, question.wanted)}


def _mark_relation(question: Question, seen: Seen) -> Marks:
    assert question.relation is not None
    first, second = question.wanted
    return {"relation": relation_holds(seen, first, question.relation, second)}


def _mark_count(question: Question, seen: Seen) -> Marks:
    return {"count": count(seen, Wanted(question.wanted[0].kind)) == len(question.wanted)}


def _mark_long(question: Question, seen: Seen) -> Marks:
    assert question.relation is not None
    first, second, _ = question.wanted
    place = (seen.ground, seen.light) == (question.scene.ground, question.scene.light)
    stand = relation_holds(seen, first, question.relation, second) is True
    return {"long": place and stand and shows_all(seen, question.wanted)}


KINDS_OF_QUESTION: dict[str, Kind] = {
    "one": Kind("one object: kind, and kind and colour", _one, _mark_one),
    "two": Kind("two objects: all kinds and colours", _two, _all_seen("two_all")),
    "relation": Kind("position, given both objects", _related, _mark_relation),
    "count": Kind("counting, one to four of a kind", _counted, _mark_count),
    "held_out": Kind("objects in colours never seen in training", _held_out, _all_seen("held_out")),
    "conflict": Kind(
        "conflicting colours: two objects, either colour fits both", _conflict, _all_seen("conflict")
    ),
    "rare": Kind("two objects never seen together in training", _rare, _all_seen("rare")),
    "long": Kind("long descriptions: three objects, position, ground and light", _long, _mark_long),
    BEST_OF_8: Kind(
        "two objects, the best of 8 by the model's CLIP",
        _two_again,
        _all_seen("two_all_best_of_8"),
        candidates=8,
        scenes_of="two",
    ),
}

PLAIN_KINDS = tuple(name for name, kind in KINDS_OF_QUESTION.items() if kind.candidates == 1)
"""What every model can be asked: no CLIP is needed."""

"""The prompt bench's questions: plain prompts of unseen scenes, so that each has a real picture too.

The kinds are those of DrawBench (Saharia et al. 2022, arXiv 2205.11487, section 4.2) that fit this world.
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
from glide_edit.toybox import Scene, held_out_colour, of_one_kind, sample_scene
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
    """A prompt, the scene it describes, and what must be seen on its picture: the objects that the prompt
    names, in its order, and the relation of the first to the second where the prompt gives one."""

    kind: str
    prompt: str
    scene: Scene
    wanted: tuple[Wanted, ...]
    relation: Relation | None = None


Marks = dict[str, bool | None]
"""Right or not, by measure; None where the picture does not let it be asked."""


@dataclass(frozen=True)
class Kind:
    """A kind of question: ``about`` describes it, ``make`` yields its questions from a first scene seed on,
    and ``mark`` judges a picture.

    Of each question ``candidates`` pictures are drawn, of which the model's CLIP chooses the one to judge.
    ``scenes_of`` is another kind whose scenes are asked about; by default a kind has its own.
    """

    about: str
    make: Callable[[int], Iterator[Question]]
    mark: Callable[[Question, Seen], Marks]
    candidates: int = 1
    scenes_of: str | None = None


def check(kind: str, number: int) -> None:
    """Raises InputError for no such kind, or not 1 ... 1024 questions."""
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
    """The first thing that is wrong with the picture, None where everything asked for is right.

    "kind": a named kind is missing. "swapped": the colours of two objects are exchanged. "colour": the kinds
    are there, not the colours. "other": number, relation, ground or light.
    """
    wanted = question.wanted
    if not shows_all(seen, [replace(each, colour=None) for each in wanted]):
        return "kind"
    if not shows_all(seen, wanted):
        colours = [each.colour for each in reversed(wanted)]
        exchanged = [replace(each, colour=colour) for each, colour in zip(wanted, colours, strict=True)]
        return "swapped" if len(wanted) == 2 and shows_all(seen, exchanged) else "colour"
    return None if all(mark(question, seen).values()) else "other"


FAULTS = ("kind", "swapped", "colour", "other")


# -- asking ---------------------------------------------------------------------------------------------


def _plain(
    kind: str, toys: int, split: Split = "train", fits: Callable[[Scene], bool] = lambda scene: True
) -> Callable[[int], Iterator[Question]]:
    """Questions that name the toys and the ground of the scenes that fit."""
    return lambda first: (_question(kind, scene) for scene in _scenes(first, toys, split) if fits(scene))


def _colours_can_be_exchanged(scene: Scene) -> bool:
    """Two kinds in two colours, either of which training shows on either."""
    a, b = scene.toys
    exchanged = (held_out_colour(a.kind, b.colour), held_out_colour(b.kind, a.colour))
    return a.kind != b.kind and a.colour != b.colour and not any(exchanged)


def _colours_are_known(scene: Scene) -> bool:
    return not any(held_out_colour(toy.kind, toy.colour) for toy in scene.toys)


def _related(first: int) -> Iterator[Question]:
    """The four relations in turn."""
    scenes = _scenes(first, 2)

    def asking(relation: Relation) -> Iterator[Question]:
        for scene in scenes:
            if (order := _order(scene, relation)) is not None:
                yield _question("relation", scene, order, relation)

    return itertools.chain.from_iterable(zip(*map(asking, RELATIONS), strict=False))


def _counted(first: int) -> Iterator[Question]:
    """One to four of a kind in turn, each in a colour of its own: captions know no numerals."""

    def asking(number: int) -> Iterator[Question]:
        alike = map(of_one_kind, _scenes(first, number))
        return (_question("count", scene) for scene in alike if scene is not None)

    return itertools.chain.from_iterable(zip(*map(asking, (1, 2, 3, 4)), strict=False))


def _long(first: int) -> Iterator[Question]:
    """Three toys with size, material and colour, a relation, the ground and the light."""
    for seed in range(first, first + _SPAN):
        scene = sample_scene(seed)
        if len(scene.toys) != 3:
            continue
        words = [f"{toy.size} {toy.material} {toy.colour} {toy.kind}" for toy in scene.toys]
        first_name, second, third = map(with_article, words)
        across, _ = _apart(scene)
        if abs(across) > _CLEARLY_ASIDE:
            relation: Relation = "to the left of" if across < 0 else "to the right of"
            text = f"{first_name} {relation} {second}, and {third} on {ground_words(scene)}"
            prompt = f"{text} {_LIGHT_WORDS[scene.light]}"
            yield Question("long", prompt, scene, tuple(map(wanted_of, scene.toys)), relation)


def _question(
    kind: str, scene: Scene, order: Sequence[int] | None = None, relation: Relation | None = None
) -> Question:
    """Kind and colour of each toy, how the first stands to the second, and the ground."""
    toys = [scene.toys[k] for k in order or range(len(scene.toys))]
    names = [with_article(f"{toy.colour} {toy.kind}") for toy in toys]
    if relation is not None:
        text = f"{names[0]} {relation} {names[1]}"
    else:
        text = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    prompt = f"{text} on {ground_words(scene)}"
    return Question(kind, prompt, scene, tuple(map(wanted_of, toys)), relation)


def _scenes(first: int, toys: int, split: Split = "train") -> Iterator[Scene]:
    """Scenes of this many toys by day, which plain prompts need not mention."""
    for seed in range(first, first + _SPAN):
        scene = sample_scene(seed, split)
        if len(scene.toys) == toys and scene.light == "day":
            yield scene


def with_article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def ground_words(scene: Scene) -> str:
    """As prompts say it: "grass", "a checkered floor"."""
    return with_article(scene.ground) if "floor" in scene.ground else scene.ground


_CLEARLY_ASIDE, _CLEARLY_DEEPER, _NOT_FAR_ASIDE = 0.35, 0.55, 0.75
"""From where on the captions of training speak of left and right, in front and behind (captions.py)."""


def _order(scene: Scene, relation: Relation) -> tuple[int, int] | None:
    """The two toys so that the relation is clearly true of the first to the second, None where neither is."""
    across, deeper = _apart(scene)
    if relation in ("to the left of", "to the right of"):
        clear, is_first = abs(across) > _CLEARLY_ASIDE, (across < 0) == (relation == "to the left of")
    else:
        clear = abs(deeper) > _CLEARLY_DEEPER and abs(across) < _NOT_FAR_ASIDE
        is_first = (deeper > 0) == (relation == "behind")
    return ((0, 1) if is_first else (1, 0)) if clear else None


def _apart(scene: Scene) -> tuple[float, float]:
    """How far the first toy is to the right of the second (the picture is 2 wide), and behind it."""
    boxes = toy_extents(scene)
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    return float(middle[0] - middle[1]), float(boxes[0, 4] - boxes[1, 4])


# -- marking --------------------------------------------------------------------------------------------


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
    "one": Kind("one object: kind, and kind and colour", _plain("one", 1), _mark_one),
    "two": Kind("two objects: all kinds and colours", _plain("two", 2), _all_seen("two_all")),
    "relation": Kind("position, given both objects", _related, _mark_relation),
    "count": Kind("counting, one to four of a kind", _counted, _mark_count),
    "held_out": Kind(
        "objects in colours never seen in training",
        _plain("held_out", 1, "held_out"),
        _all_seen("held_out"),
    ),
    "conflict": Kind(
        "conflicting colours: two objects, either colour fits both",
        _plain("conflict", 2, fits=_colours_can_be_exchanged),
        _all_seen("conflict"),
    ),
    "rare": Kind(
        "two objects never seen together in training",
        _plain("rare", 2, "held_out", fits=_colours_are_known),
        _all_seen("rare"),
    ),
    "long": Kind("long descriptions: three objects, position, ground and light", _long, _mark_long),
    BEST_OF_8: Kind(
        "two objects, the best of 8 by the model's CLIP",
        _plain(BEST_OF_8, 2),
        _all_seen("two_all_best_of_8"),
        candidates=8,
        scenes_of="two",
    ),
}

PLAIN_KINDS = tuple(name for name, kind in KINDS_OF_QUESTION.items() if kind.candidates == 1)
"""What every model can be asked: no CLIP is needed."""

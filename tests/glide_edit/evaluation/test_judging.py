"""Judgments follow from what was seen, and hold on real renders."""

from __future__ import annotations

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation.accuracy import visible
from glide_edit.evaluation.judging import (
    Relation,
    Wanted,
    count,
    find,
    relation_holds,
    right_share,
    shows,
    shows_all,
    wanted_of,
)
from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.seen import Seen, SeenObject
from glide_edit.evaluation.verifier import Verifier
from glide_edit.toybox import Scene
from glide_edit.toybox.camera import toy_extents

RED_BALL = SeenObject("ball", "red", "shiny", (0.1, 0.3, 0.3, 0.6), 0.9)
BLUE_BALL = SeenObject("ball", "blue", "matte", (0.6, 0.4, 0.9, 0.9), 0.8)
CUBE = SeenObject("cube", "red", "matte", (0.4, 0.2, 0.5, 0.5), 0.5)
SEEN = Seen((RED_BALL, BLUE_BALL, CUBE), "wood", "day")


def test_showing_and_counting() -> None:
    assert shows(SEEN, Wanted("ball"))
    assert shows(SEEN, Wanted("ball", "blue"))
    assert not shows(SEEN, Wanted("ball", "green"))
    assert shows(SEEN, Wanted("ball", "red", "shiny"))
    assert not shows(SEEN, Wanted("ball", "red", "matte"))
    assert find(SEEN, Wanted("ball")) == RED_BALL
    assert find(SEEN, Wanted("mug")) is None
    assert [count(SEEN, wanted) for wanted in (Wanted("ball"), Wanted("ball", "red"), Wanted("mug"))] == [
        2,
        1,
        0,
    ]


def test_each_wanted_toy_needs_an_object_of_its_own() -> None:
    assert shows_all(SEEN, [Wanted("ball"), Wanted("ball")])
    assert not shows_all(SEEN, [Wanted("ball"), Wanted("ball"), Wanted("ball")])
    assert not shows_all(SEEN, [Wanted("ball", "red"), Wanted("ball", "red")])
    # The vaguer wish must not take the only object that fits the other.
    assert shows_all(SEEN, [Wanted("ball"), Wanted("ball", "red"), Wanted("cube")])
    assert shows_all(SEEN, [])
    assert not shows_all(SEEN, [Wanted("ball")] * 9)


@pytest.mark.parametrize(
    ("first", "relation", "second", "holds"),
    [
        (Wanted("cube"), "to the left of", Wanted("ball", "blue"), True),
        (Wanted("cube"), "to the right of", Wanted("ball", "blue"), False),
        (Wanted("cube"), "to the right of", Wanted("ball", "red"), True),
        (Wanted("ball", "blue"), "in front of", Wanted("cube"), True),
        (Wanted("ball", "blue"), "behind", Wanted("cube"), False),
        (Wanted("cube"), "behind", Wanted("ball", "red"), True),
        (Wanted("ball"), "to the right of", Wanted("ball", "red"), True),  # only the blue one is another
        (Wanted("cube"), "behind", Wanted("mug"), None),
        (Wanted("cube"), "behind", Wanted("cube"), None),
    ],
)
def test_relations(first: Wanted, relation: Relation, second: Wanted, holds: bool | None) -> None:
    assert relation_holds(SEEN, first, relation, second) is holds


def test_words_the_toybox_does_not_have() -> None:
    with pytest.raises(InputError, match="teapot"):
        Wanted("teapot")
    with pytest.raises(InputError, match="crimson"):
        Wanted("ball", "crimson")
    with pytest.raises(InputError, match="above"):
        relation_holds(SEEN, Wanted("ball"), "above", Wanted("cube"))  # type: ignore[arg-type]


def test_on_renders_the_named_toys_are_there(
    verifier: Verifier, scenes: list[Scene], truth: LabelledRenders
) -> None:
    seen = verifier.see(truth.pictures)
    clear = [n for n in range(len(scenes)) if visible(truth)[n].sum() == len(scenes[n].toys)]
    assert len(clear) > 20
    assert np.mean([shows_all(seen[n], [wanted_of(toy) for toy in scenes[n].toys]) for n in clear]) > 0.85
    assert np.mean([right_share(seen[n], scenes[n]) for n in clear]) > 0.9
    absent = [
        next(
            w
            for w in (Wanted("mug"), Wanted("tree"), Wanted("car"), Wanted("ring"), Wanted("cone"))
            if all(toy.kind != w.kind for toy in scenes[n].toys)
        )
        for n in clear
    ]
    assert np.mean([shows(seen[n], wanted) for n, wanted in zip(clear, absent, strict=True)]) < 0.1
    exact = [
        count(seen[n], Wanted(toy.kind)) == sum(other.kind == toy.kind for other in scenes[n].toys)
        for n in clear
        for toy in scenes[n].toys
    ]
    assert np.mean(exact) > 0.9


def test_on_renders_relations_are_those_of_the_scene(
    verifier: Verifier, scenes: list[Scene], truth: LabelledRenders
) -> None:
    """With the distances from which captions speak of left, right, front and behind."""
    seen, right = verifier.see(truth.pictures), []
    for n, scene in enumerate(scenes):
        boxes = toy_extents(scene)
        for a in range(len(scene.toys)):
            for b in range(len(scene.toys)):
                pair = wanted_of(scene.toys[a]), wanted_of(scene.toys[b])
                across = (boxes[a, 0] + boxes[a, 2] - boxes[b, 0] - boxes[b, 2]) / 2
                deep = boxes[a, 4] - boxes[b, 4]
                if a != b and across < -0.35:
                    right.append(relation_holds(seen[n], pair[0], "to the left of", pair[1]))
                if a != b and deep > 0.55 and abs(across) < 0.75:
                    right.append(relation_holds(seen[n], pair[0], "behind", pair[1]))
    answered = [each for each in right if each is not None]
    assert len(answered) > 15
    assert np.mean(answered) > 0.9

"""The prompt bench's questions say what their scenes show, and marks tell right from wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation.judging import Wanted
from glide_edit.evaluation.prompts import (
    FIRST_PROMPT_SEED,
    KINDS_OF_QUESTION,
    Question,
    fault,
    mark,
    questions,
)
from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED
from glide_edit.evaluation.seen import Seen, SeenObject
from glide_edit.toybox import held_out_colour, held_out_pair, vocabulary
from glide_edit.toybox.camera import toy_extents
from glide_edit.toybox.sampling import has_held_out

COUNT = 12
LEFT, MIDDLE, RIGHT = (0.1, 0.4, 0.3, 0.6), (0.4, 0.4, 0.6, 0.6), (0.7, 0.4, 0.9, 0.6)


@pytest.fixture(scope="module", params=KINDS_OF_QUESTION)
def asked(request: pytest.FixtureRequest) -> tuple[Question, ...]:
    return questions(request.param, COUNT)


def of(kind: str, number: int = COUNT) -> tuple[Question, ...]:
    return questions(kind, number)


def seen(*objects: tuple[str, str, tuple[float, float, float, float]], ground: str = "grass") -> Seen:
    return Seen(tuple(SeenObject(k, c, "matte", box, 0.9) for k, c, box in objects), ground, "day")


def identities(question: Question) -> list[tuple[str, str]]:
    return [(toy.kind, toy.colour) for toy in question.scene.toys]


def test_prompts_name_each_toy_of_their_scene_once(asked: tuple[Question, ...]) -> None:
    for question in asked:
        names = re.findall(rf"({'|'.join(words('colours'))}) ({'|'.join(words('kinds'))})\b", question.prompt)
        assert [(each.kind, each.colour) for each in question.wanted] == [(k, c) for c, k in names]
        assert sorted(identities(question)) == sorted((k, c) for c, k in names)
        assert question.scene.ground in question.prompt


def words(what: str) -> tuple[str, ...]:
    from glide_edit.evaluation.verifier import WORDS

    return tuple(WORDS[what])


def test_prompts_use_words_that_training_uses(asked: tuple[Question, ...]) -> None:
    known = set(vocabulary())
    for question in asked:
        said = question.prompt.replace(",", "").split()
        assert set(said) <= known
        assert len(said) <= 36
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", question.prompt), question.prompt


def test_scenes_are_unseen_and_asked_for_once() -> None:
    # The best of 8 is asked of the very questions about two objects.
    kinds = [kind for kind in KINDS_OF_QUESTION if kind != "two_best_of_8"]
    seeds = [question.scene.seed for kind in kinds for question in of(kind)]
    assert len(set(seeds)) == len(seeds)
    assert FIRST_PROMPT_SEED <= min(seeds) < max(seeds) < FIRST_UNSEEN_SEED


def test_more_questions_begin_with_the_same_ones(asked: tuple[Question, ...]) -> None:
    assert questions(asked[0].kind, 5) == asked[:5]


@pytest.mark.parametrize("kind", ["one", "two", "relation", "count", "conflict", "long"])
def test_most_kinds_ask_for_what_training_may_show(kind: str) -> None:
    assert not any(has_held_out(identities(question)) for question in of(kind))


def test_held_out_asks_for_colours_and_rare_for_pairs_that_training_lacks() -> None:
    for question in of("held_out"):
        ((kind, colour),) = identities(question)
        assert held_out_colour(kind, colour)
    for question in of("rare"):
        (first, _), (second, _) = identities(question)
        assert held_out_pair(first, second)
        assert not any(held_out_colour(*each) for each in identities(question))


def test_colours_in_conflict_would_be_seen_if_they_were_exchanged() -> None:
    for question in of("conflict"):
        (kind, colour), (other_kind, other_colour) = identities(question)
        assert kind != other_kind
        assert colour != other_colour
        assert not held_out_colour(kind, other_colour)
        assert not held_out_colour(other_kind, colour)


def test_the_four_relations_come_equally_often_and_are_true_of_the_scene() -> None:
    for question in of("relation"):
        boxes = {
            (t.kind, t.colour): row for t, row in zip(question.scene.toys, scene_boxes(question), strict=True)
        }
        first, second = (boxes[each.kind, str(each.colour)] for each in question.wanted)
        true = {
            "to the left of": first[0] < second[0],
            "to the right of": first[0] > second[0],
            "in front of": first[4] < second[4],
            "behind": first[4] > second[4],
        }
        assert question.relation is not None
        assert true[question.relation]
    relations = [question.relation for question in of("relation")]
    assert {relations.count(relation) for relation in relations} == {COUNT // 4}


def scene_boxes(question: Question) -> list[list[float]]:
    rows: list[list[float]] = toy_extents(question.scene).tolist()
    return rows


def test_one_to_four_of_a_kind_are_asked_for_equally_often() -> None:
    numbers = [len(question.scene.toys) for question in of("count")]
    assert {number: numbers.count(number) for number in (1, 2, 3, 4)} == dict.fromkeys(
        (1, 2, 3, 4), COUNT // 4
    )
    for question in of("count"):
        assert len({toy.kind for toy in question.scene.toys}) == 1
        assert len({toy.colour for toy in question.scene.toys}) == len(question.scene.toys)


@pytest.mark.parametrize(("kind", "number"), [("surprise", 1), ("one", 0), ("one", 1025)])
def test_what_cannot_be_asked_is_refused(kind: str, number: int) -> None:
    with pytest.raises(InputError):
        questions(kind, number)


# Marking ---------------------------------------------------------------------------------------------------

BALL_AND_CUBE = (Wanted("ball", "red"), Wanted("cube", "blue"))


def question(kind: str, *wanted: Wanted, relation=None) -> Question:
    scene = replace(of("one", 1)[0].scene, ground="grass", light="day")
    return Question(kind, "", scene, wanted, relation)


def test_one_object_is_marked_by_kind_and_by_colour() -> None:
    one = question("one", Wanted("ball", "red"))
    assert mark(one, seen(("ball", "red", LEFT))) == {"one_kind": True, "one_color": True}
    assert mark(one, seen(("ball", "blue", LEFT))) == {"one_kind": True, "one_color": False}
    assert mark(one, seen(("cube", "red", LEFT))) == {"one_kind": False, "one_color": False}
    assert mark(one, seen()) == {"one_kind": False, "one_color": False}


@pytest.mark.parametrize(
    ("kind", "measure"), [("two", "two_all"), ("conflict", "conflict"), ("rare", "rare")]
)
def test_two_objects_must_both_be_there(kind: str, measure: str) -> None:
    two = question(kind, *BALL_AND_CUBE)
    assert mark(two, seen(("cube", "blue", LEFT), ("ball", "red", RIGHT))) == {measure: True}
    assert mark(two, seen(("ball", "red", RIGHT))) == {measure: False}
    assert mark(two, seen(("cube", "red", LEFT), ("ball", "blue", RIGHT))) == {measure: False}


def test_a_relation_is_asked_where_both_objects_are_there() -> None:
    left = question("relation", *BALL_AND_CUBE, relation="to the left of")
    assert mark(left, seen(("ball", "red", LEFT), ("cube", "blue", RIGHT))) == {"relation": True}
    assert mark(left, seen(("ball", "red", RIGHT), ("cube", "blue", LEFT))) == {"relation": False}
    assert mark(left, seen(("ball", "red", LEFT))) == {"relation": None}


def test_a_count_is_right_if_it_is_exact_whatever_the_colours() -> None:
    two = question("count", Wanted("ball", "red"), Wanted("ball", "blue"))
    red, blue, third = (("ball", c, box) for c, box in (("red", LEFT), ("pink", MIDDLE), ("red", RIGHT)))
    assert mark(two, seen(red, blue)) == {"count": True}
    assert mark(two, seen(red, blue, ("cube", "red", RIGHT))) == {"count": True}
    assert mark(two, seen(red, blue, third)) == {"count": False}
    assert mark(two, seen(red)) == {"count": False}


def test_a_long_description_must_be_right_in_everything() -> None:
    long = question("long", *BALL_AND_CUBE, Wanted("mug", "white"), relation="to the left of")
    ball, cube, mug = ("ball", "red", LEFT), ("cube", "blue", MIDDLE), ("mug", "white", RIGHT)
    assert mark(long, seen(ball, cube, mug)) == {"long": True}
    assert mark(long, seen(ball, cube, mug, ground="snow")) == {"long": False}
    assert mark(long, seen(("ball", "red", MIDDLE), ("cube", "blue", LEFT), mug)) == {"long": False}
    assert mark(long, seen(ball, cube)) == {"long": False}


def test_faults_are_told_apart() -> None:
    two = question("two", *BALL_AND_CUBE)
    assert fault(two, seen(("ball", "red", LEFT), ("cube", "blue", RIGHT))) is None
    assert fault(two, seen(("ball", "red", LEFT), ("mug", "blue", RIGHT))) == "kind"
    assert fault(two, seen(("ball", "blue", LEFT), ("cube", "red", RIGHT))) == "swapped"
    assert fault(two, seen(("ball", "red", LEFT), ("cube", "red", RIGHT))) == "colour"
    left = question("relation", *BALL_AND_CUBE, relation="to the left of")
    assert fault(left, seen(("ball", "red", RIGHT), ("cube", "blue", LEFT))) == "other"

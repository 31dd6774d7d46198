"""Hard negatives: one thing is changed, in the toybox's words, and the caption no longer fits the scene."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest

from glide_edit.toybox import Scene, caption, sample_scene
from glide_edit.toybox.captions import vocabulary
from glide_edit.toybox.world import COLOURS, KINDS, held_out_colour, held_out_pair
from glide_edit.training.hard_negatives import hard_negative


def toys_of(text: str) -> list[tuple[str, str | None]]:
    """The kinds and colours a caption speaks of, in its order."""
    found: list[tuple[str, str | None]] = []
    colour = None
    for word in text.replace(",", "").split():
        colour = word if word in COLOURS else colour
        if word in KINDS:
            found.append((word, colour))
            colour = None
    return found


def is_true(text: str, scene: Scene) -> bool:
    """Whether the scene's toys can be the caption's, each one of them."""
    said = toys_of(text)
    return any(
        all(
            toy.kind == kind and colour in (None, toy.colour)
            for toy, (kind, colour) in zip(order, said, strict=True)
        )
        for order in permutations(scene.toys)
    )


@pytest.fixture(scope="module")
def examples() -> list[tuple[Scene, str, str, str]]:
    """Scenes, their captions, their hard negatives, and what was changed."""
    rng = np.random.default_rng(0)
    made = []
    for k in range(600):
        scene = sample_scene(k)
        text = caption(scene, k)
        negative = hard_negative(text, rng)
        made.append((scene, text, negative.caption, negative.change))
    return made


def test_every_kind_of_change_comes_up(examples: list[tuple[Scene, str, str, str]]) -> None:
    found = {change for *_, change in examples}
    assert found == {
        "colour",
        "kind",
        "side",
        "depth",
        "material",
        "size",
        "ground",
        "light",
        "exchange",
    }


def test_changed_captions_are_worded_like_captions(examples: list[tuple[Scene, str, str, str]]) -> None:
    known = set(vocabulary())
    for _, text, changed, _ in examples:
        assert changed != text
        words = changed.replace(",", "").split()
        assert set(words) <= known, changed
        for article, word in pairwise(words):
            if article in ("a", "an"):
                assert (article == "an") == (word[0] in "aeiou"), changed


def test_other_toys_are_not_those_of_the_scene(examples: list[tuple[Scene, str, str, str]]) -> None:
    """A toy whose colour is not said may happen to fit another caption: that is all."""
    about_toys = [each for each in examples if each[3] in ("colour", "kind", "exchange")]
    assert all(is_true(text, scene) for scene, text, _, _ in about_toys)
    still_true = [(text, changed) for scene, text, changed, _ in about_toys if is_true(changed, scene)]
    assert len(still_true) <= 0.01 * len(about_toys), still_true


def test_nothing_that_is_held_out_is_taught_to_be_false(
    examples: list[tuple[Scene, str, str, str]],
) -> None:
    for _, _, changed, _ in examples:
        toys = toys_of(changed)
        assert not any(colour is not None and held_out_colour(kind, colour) for kind, colour in toys)
        kinds = [kind for kind, _ in toys]
        assert not any(held_out_pair(a, b) for a in kinds for b in kinds)


@pytest.mark.parametrize("text", ["a ball to the left of a ball", "a red cube behind a red cube"])
def test_a_relation_of_equals_is_left_alone(text: str) -> None:
    relation = text[6:-6]
    for seed in range(50):
        negative = hard_negative(text, np.random.default_rng(seed))
        assert negative.change not in ("side", "depth", "exchange")
        assert relation.strip("a ").split()[-1] in negative.caption


def test_left_becomes_right_and_two_colours_change_places() -> None:
    text = "a red ball to the left of a green cube"
    negatives = [hard_negative(text, np.random.default_rng(k)) for k in range(60)]
    found = {negative.change: negative.caption for negative in negatives}
    assert found["side"] == "a red ball to the right of a green cube"
    assert found["exchange"] == "a green ball to the left of a red cube"

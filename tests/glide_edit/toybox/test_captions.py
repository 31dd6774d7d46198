"""Captions say what is there."""

import functools
import re

import pytest

from glide_edit.errors import InputError
from glide_edit.toybox import (
    COLOURS,
    KINDS,
    MATERIALS,
    Scene,
    caption,
    describe_toy,
    sample_scene,
    vocabulary,
)
from glide_edit.toybox.camera import toy_extents

sample = functools.cache(sample_scene)

PHRASE = re.compile(
    r"\b(an?) ((?:small |large )?)"
    rf"((?:(?:{'|'.join(MATERIALS)}) )?)((?:(?:{'|'.join(COLOURS)}) )?)({'|'.join(KINDS)})\b"
)
RELATIONS = ("to the left of", "to the right of", "in front of", "behind", "next to")

Phrase = tuple[str, str, str, str]  # size, material, colour, kind; "" where unsaid


def phrases(text: str) -> list[Phrase]:
    return [(m[2].strip(), m[3].strip(), m[4].strip(), m[5]) for m in PHRASE.finditer(text)]


def fits(scene: Scene, phrase: Phrase) -> list[int]:
    """The toys of a scene that a phrase may mean."""
    size, material, colour, kind = phrase
    return [
        k
        for k, toy in enumerate(scene.toys)
        if toy.kind == kind
        and colour in ("", toy.colour)
        and material in ("", toy.material)
        and size in ("", toy.size)
    ]


def test_captions_name_every_toy_and_nothing_else() -> None:
    for seed in range(500):
        scene = sample(seed)
        named = phrases(caption(scene, seed))
        assert len(named) == len(scene.toys)
        assert all(fits(scene, phrase) for phrase in named)
        assert {k for phrase in named for k in fits(scene, phrase)} == set(range(len(scene.toys)))


def test_places_and_lights_are_true() -> None:
    words = {"day": "in daylight", "sunset": "at sunset", "night": "at night"}
    for seed in range(400):
        scene = sample(seed)
        text = caption(scene, 1)
        for light, said in words.items():
            assert said not in text or light == scene.light
        ground = re.search(r"on (a checkered floor|wood|grass|sand|snow|marble)\b", text)
        assert ground is None or ground[1] in (scene.ground, "a " + scene.ground)


def test_relations_agree_with_the_picture() -> None:
    counts = dict.fromkeys(RELATIONS, 0)
    for seed in range(1000):
        scene = sample(seed)
        text = caption(scene, 3)
        relation = next((r for r in RELATIONS if r in text), None)
        if relation is None:
            continue
        counts[relation] += 1
        left, right = text.split(relation)
        first, second = fits(scene, phrases(left)[-1]), fits(scene, phrases(right)[0])
        if len(first) != 1 or len(second) != 1:
            continue
        boxes = toy_extents(scene)
        a, b = boxes[first[0]], boxes[second[0]]
        across, deep = (a[0] + a[2] - b[0] - b[2]) / 2, a[4] - b[4]
        true = {
            "to the left of": across < -0.3,
            "to the right of": across > 0.3,
            "behind": deep > 0.5,
            "in front of": deep < -0.5,
            "next to": True,
        }
        assert true[relation], (seed, text)
    assert min(counts.values()) > 8


def test_a_toy_alone_is_described_truly() -> None:
    for seed in range(300):
        scene = sample(seed)
        for k in range(len(scene.toys)):
            text = describe_toy(scene, k, seed)
            assert PHRASE.fullmatch(text)
            assert k in fits(scene, phrases(text)[0])


def test_vocabulary_covers_captions_and_no_more() -> None:
    used = set()
    for seed in range(2000):
        scene = sample(seed)
        text = caption(scene, seed)
        words = text.replace(",", " ").split()
        assert len(words) <= 36
        assert text == " ".join(text.lower().split())
        used |= set(words) | set(describe_toy(scene, 0, seed).split())
    assert used == set(vocabulary())
    assert vocabulary() == sorted(set(vocabulary()))


def test_articles() -> None:
    for seed in range(300):
        for article, word in re.findall(r"\b(an?) (\w)", caption(sample(seed), seed)):
            assert (article == "an") == (word in "aeiou")


def test_shares_of_what_is_said() -> None:
    colour = material = matte = ground = 0
    toys = shiny = plain = 0
    for seed in range(800):
        scene = sample(seed)
        text = caption(scene, 0)
        ground += bool(re.search(r"\bon ", text))
        for phrase in phrases(text):
            means = fits(scene, phrase)[0]
            toys += 1
            colour += phrase[2] != ""
            if scene.toys[means].material == "matte":
                plain += 1
                matte += phrase[1] != ""
            else:
                shiny += 1
                material += phrase[1] != ""
    assert colour / toys == pytest.approx(0.92, abs=0.04)
    assert material / shiny == pytest.approx(0.60, abs=0.07)
    assert matte / plain == pytest.approx(0.25, abs=0.07)
    assert ground / 800 == pytest.approx(0.75, abs=0.06)


def test_a_scene_has_several_phrasings_and_a_seed_one() -> None:
    scene = next(s for s in map(sample, range(50)) if len(s.toys) == 2)
    assert len({caption(scene, seed) for seed in range(20)}) > 8
    assert caption(scene, 4) == caption(scene, 4)


def test_bad_arguments_are_refused() -> None:
    scene = sample(0)
    with pytest.raises(InputError):
        describe_toy(scene, len(scene.toys), 0)
    with pytest.raises(InputError):
        describe_toy(scene, -1, 0)
    with pytest.raises(InputError):
        caption(scene, -1)

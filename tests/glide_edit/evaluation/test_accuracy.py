"""Accuracy is counted over visible objects, each held against what was seen at its place."""

from __future__ import annotations

import pytest

from glide_edit.evaluation.accuracy import confusions, match, measure, visible
from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.seen import Seen, SeenObject
from glide_edit.evaluation.verifier import WORDS


def perfect(truth: LabelledRenders, n: int) -> Seen:
    objects = tuple(
        SeenObject(
            WORDS["kinds"][truth.kind[n, k]],
            WORDS["colours"][truth.colour[n, k]],
            WORDS["materials"][truth.material[n, k]],
            tuple(truth.box[n, k].tolist()),
            1.0,
        )
        for k in range(4)
        if visible(truth)[n, k]
    )
    return Seen(objects, WORDS["grounds"][truth.ground[n]], WORDS["lights"][truth.light[n]])


def test_the_truth_itself_is_all_right(truth: LabelledRenders) -> None:
    found = measure([perfect(truth, n) for n in range(len(truth))], truth)
    assert found.objects == visible(truth).sum()
    assert {found.found, found.kind, found.colour, found.material, found.place} == {1.0}
    assert {found.ground, found.light, found.whole} == {1.0}
    assert found.false == 0
    assert found.middle == pytest.approx(0, abs=1e-6)


def test_each_kind_of_error_is_counted_where_it_belongs(truth: LabelledRenders) -> None:
    seen = [perfect(truth, n) for n in range(len(truth))]
    objects = visible(truth).sum()
    first = seen[0].objects[0]
    wrong = "cone" if first.kind != "cone" else "cube"
    extra = SeenObject("ball", "red", "matte", (0.0, 0.0, 0.01, 0.01), 0.4)
    changed = SeenObject(wrong, first.colour, first.material, first.box, 0.9)
    seen[0] = Seen((changed, *seen[0].objects[1:], extra), "no ground", seen[0].light)
    seen[1] = Seen((), seen[1].ground, "no light")
    missing = visible(truth)[1].sum()
    found = measure(seen, truth)
    assert found.found == pytest.approx(1 - missing / objects)
    assert found.kind == pytest.approx(1 - (missing + 1) / objects)
    assert found.colour == pytest.approx(1 - missing / objects)
    assert found.false == pytest.approx(1 / len(truth))
    assert found.ground == found.light == pytest.approx(1 - 1 / len(truth))
    assert confusions(seen, truth, "kind", least=1) == [f"{wrong} for {first.kind}: 1"]
    assert confusions(seen, truth, "colour", least=1) == []


def test_an_object_elsewhere_is_about_nothing(truth: LabelledRenders) -> None:
    first = perfect(truth, 0).objects[0]
    away = SeenObject(first.kind, first.colour, first.material, (0.0, 0.0, 0.02, 0.02), 1.0)
    assert match(Seen((away,), "wood", "day"), truth, 0) == {}


def test_two_seen_at_one_place_are_about_one_object(truth: LabelledRenders) -> None:
    first = perfect(truth, 0).objects[0]
    x0, y0, x1, y1 = first.box
    worse = SeenObject("ball", "red", "matte", (x0, y0, x1, y0 + 0.8 * (y1 - y0)), 1.0)
    assert list(match(Seen((worse, first), "wood", "day"), truth, 0).values()) == [first]

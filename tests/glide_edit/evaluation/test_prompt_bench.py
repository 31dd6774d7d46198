"""The prompt bench on real renders, which must score 1, on wrong pictures, and on a tiny model."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image

from glide_edit.errors import InputError
from glide_edit.evaluation.drawing import Pictures
from glide_edit.evaluation.prompt_bench import Draw, Plan, Subject, curve, of_model, renders, run
from glide_edit.evaluation.prompts import Question
from glide_edit.evaluation.report import fingerprint
from tests.glide_edit.operations.stand_ins import tiny_model

PLAN = Plan(kinds=("one", "two", "relation"), count=6)
SMALL = Plan(kinds=("one",), count=2)
LEAD = ("one_kind", "one_color", "two_all", "relation")
PIXELS = 64


def real(asked: Sequence[Question], guidance: float | None) -> Iterator[Pictures]:
    """The pictures that the questions were worded after, four at a time."""
    pictures = renders(asked, PIXELS)
    return (pictures[start : start + 4] for start in range(0, len(pictures), 4))


def others(asked: Sequence[Question], guidance: float | None) -> Iterator[Pictures]:
    """Real pictures, each of the question before."""
    yield np.roll(renders(asked, PIXELS), 1, axis=0)


def as_guided(asked: Sequence[Question], guidance: float | None) -> Iterator[Pictures]:
    """Wrong pictures without guidance, right ones with it."""
    return others(asked, guidance) if guidance == 1 else real(asked, guidance)


def stopping(after: int) -> Draw:
    """Real pictures until Ctrl-C comes, after so many batches."""
    batches = 0

    def drawn(asked: Sequence[Question], guidance: float | None) -> Iterator[Pictures]:
        nonlocal batches
        for pictures in real(asked, guidance):
            if batches == after:
                raise KeyboardInterrupt
            batches += 1
            yield pictures

    return drawn


def subject(draw: Draw) -> Subject:
    return Subject("stand-in 0123", PIXELS, draw)


def test_real_renders_divide_to_one() -> None:
    told: list[tuple[int, int]] = []
    measures = run(subject(real), PLAN, lambda done, total: told.append((done, total))).report.measures
    assert told == [(done, 18) for done in (4, 6, 10, 12, 16, 18)]
    assert {name: measures[name] for name in LEAD} == dict.fromkeys(LEAD, 1.0)
    assert all(measures[f"{name}_raw"] == measures[f"{name}_real"] > 0.7 for name in LEAD)
    assert (
        measures["kernel_distance"] < 0 < measures["kernel_distance_high"] + 1
    )  # unbiased: below 0 if equal
    assert measures["frechet_distance"] == pytest.approx(0, abs=1e-3)


def test_pictures_of_other_prompts_score_low_and_lie_near() -> None:
    outcome = run(subject(others), PLAN)
    assert all(outcome.report.measures[name] < 0.5 for name in ("one_kind", "one_color", "two_all"))
    assert outcome.report.measures["frechet_distance"] == pytest.approx(0, abs=1e-3)  # the same set
    kinds = dict(zip(outcome.report.tables[0].header, outcome.report.tables[0].rows[0], strict=True))
    assert kinds["right"] + sum(
        kinds[name] for name in ("kind", "swapped", "colour", "other")
    ) == pytest.approx(1)


def test_a_sweep_gives_a_point_for_each_scale_and_the_measures_of_the_first() -> None:
    outcome = run(subject(as_guided), Plan(kinds=("one", "two"), count=3, guidance=(1.0, 3.0)))
    assert [point.guidance for point in outcome.points] == [1.0, 3.0]
    assert outcome.points[0].accuracy() < outcome.points[1].accuracy() == 1.0
    assert outcome.report.measures == outcome.points[0].measures
    details = outcome.report.details["guidance"]
    assert [each["scale"] for each in details] == [1.0, 3.0]
    assert details[1]["two_all"] == 1.0
    assert len(outcome.report.tables[-1].rows) == 2
    assert set(outcome.sheets()) == {
        f"{kind}-guidance-{scale}" for kind in ("one", "two") for scale in (1, 3)
    }
    png = Image.open(io.BytesIO(curve(outcome.points, "a model")))
    assert png.format == "PNG"
    assert png.size[0] > 400


def test_a_stopped_run_reports_what_was_finished() -> None:
    outcome = run(subject(stopping(after=3)), PLAN)
    assert not outcome.report.complete
    assert [(row[0][:3], row[1]) for row in map(list, outcome.report.tables[0].rows)] == [
        ("one", 6),
        ("two", 4),
    ]
    assert outcome.report.measures["two_all"] == 1.0
    assert "relation" not in outcome.report.measures


def test_a_run_stopped_at_once_has_nothing_to_report() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(subject(stopping(after=0)), SMALL)


def test_fingerprints_tell_protocols_apart_and_not_models() -> None:
    plans = (SMALL, Plan(kinds=("two",), count=2), Plan(kinds=("one",), count=3), Plan(("one",), 2, seed=1))
    prints = [fingerprint(run(subject(real), plan).report.protocol) for plan in plans]
    assert len(set(prints)) == len(prints)
    assert fingerprint(run(subject(others), SMALL).report.protocol) == prints[0]


@pytest.mark.parametrize(("size", "pixels"), [("base", 16), ("full", 64)])
def test_a_model_is_measured_at_the_size_asked_for(size, pixels: int) -> None:
    plan = Plan(kinds=("one",), count=3, size=size)
    outcome = run(of_model(tiny_model(), plan), plan)
    assert outcome.report.protocol["pixels"] == pixels
    assert {picture.shape for picture in outcome.points[0].drawn["one"].pictures} == {(pixels, pixels, 3)}
    assert outcome.report.measures["one_color"] == 0  # its weights are random
    assert outcome.report.model == tiny_model().label


@pytest.mark.parametrize(
    "wrong",
    [
        {"kinds": ()},
        {"kinds": ("one", "one")},
        {"guidance": ()},
        {"guidance": (1.0, 1.0)},
        {"seed": -1},
        {"kinds": ("surprise",)},
        {"count": 0},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(InputError):
        Plan(**wrong)

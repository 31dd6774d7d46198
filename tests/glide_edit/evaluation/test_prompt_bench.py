"""The prompt bench on real renders, which must score 1, on wrong pictures, and on a tiny model."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from PIL import Image

from glide_edit.errors import InputError
from glide_edit.evaluation.drawing import Pictures, Settings
from glide_edit.evaluation.prompt_bench import (
    Draw,
    Judged,
    Point,
    PromptProtocol,
    Subject,
    all_right,
    curve,
    of_model,
    renders,
    run,
)
from glide_edit.evaluation.prompts import Question
from glide_edit.evaluation.report import fingerprint
from glide_edit.evaluation.seen import Seen
from tests.glide_edit.clips import model_with_clip
from tests.glide_edit.evaluation.test_inception import Means
from tests.glide_edit.operations.stand_ins import tiny_model

PLAN = PromptProtocol(kinds=("one", "two", "relation"), count=6)
SMALL = PromptProtocol(kinds=("one",), count=2)
LEAD = ("one_kind", "one_color", "two_all", "relation")
PIXELS = 64


def real(asked: Sequence[Question], way: Settings) -> Iterator[Pictures]:
    """The pictures that the questions were worded after, four at a time."""
    pictures = renders(asked, PIXELS)
    return (pictures[start : start + 4] for start in range(0, len(pictures), 4))


def others(asked: Sequence[Question], way: Settings) -> Iterator[Pictures]:
    """Real pictures, each of the question before."""
    yield np.roll(renders(asked, PIXELS), 1, axis=0)


def as_guided(asked: Sequence[Question], way: Settings) -> Iterator[Pictures]:
    """Wrong pictures without guidance, right ones with it."""
    return others(asked, way) if way.guidance == 1 else real(asked, way)


def stopping(after: int) -> Draw:
    """Real pictures until Ctrl-C comes, after so many batches."""
    batches = 0

    def drawn(asked: Sequence[Question], way: Settings) -> Iterator[Pictures]:
        nonlocal batches
        for pictures in real(asked, way):
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
    outcome = run(subject(as_guided), PromptProtocol(kinds=("one", "two"), count=3, guidance=(1.0, 3.0)))
    assert [point.settings.guidance for point in outcome.points] == [1.0, 3.0]
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
    plans = (
        SMALL,
        PromptProtocol(kinds=("two",), count=2),
        PromptProtocol(kinds=("one",), count=3),
        PromptProtocol(("one",), 2, seed=1),
    )
    prints = [fingerprint(run(subject(real), plan).report.protocol) for plan in plans]
    assert len(set(prints)) == len(prints)
    assert fingerprint(run(subject(others), SMALL).report.protocol) == prints[0]


@pytest.mark.parametrize(("size", "pixels"), [("base", 16), ("full", 64)])
def test_a_model_is_measured_at_the_size_asked_for(size, pixels: int) -> None:
    plan = PromptProtocol(kinds=("one",), count=3, size=size)
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
        PromptProtocol(**wrong)


def test_every_scale_is_tried_with_every_scale_of_the_clip() -> None:
    plan = PromptProtocol(kinds=("one",), count=4, guidance=(1.0, 3.0), clip_guidance=(0.0, 2.0))
    asked: list[Settings] = []

    def drawn(questions: Sequence[Question], way: Settings) -> Iterator[Pictures]:
        asked.append(way)
        yield from real(questions, way)

    outcome = run(subject(drawn), plan)
    assert [(way.guidance, way.clip_guidance) for way in asked] == [(1, 0), (3, 0), (1, 2), (3, 2)]
    assert [row[:2] for row in outcome.report.tables[-1].rows] == [
        ("1", "0"),
        ("3", "0"),
        ("1", "2"),
        ("3", "2"),
    ]
    assert Image.open(io.BytesIO(curve(outcome.points, "a model"))).size[0] > 400
    assert "one-guidance-3-clip-2" in outcome.sheets()


def test_the_interval_of_the_accuracy_is_the_binomials() -> None:
    """Half of 16 are right: two standard errors of that, 0.25, at both sides."""
    seen = run(subject(real), PromptProtocol(kinds=("one",), count=16)).points[0]
    good = [k for k, right in enumerate(all_right(seen.real["one"])) if right][:8]
    wrong = [(k + 1) % 16 for k in good]

    def picked(judged: Judged, rows: list[int]) -> Judged:
        return Judged(*([values[k] for k in rows if k < len(values)] for values in vars(judged).values()))

    judged, others = picked(seen.real["one"], good), picked(seen.real["one"], wrong)
    half = Judged(
        judged.questions * 2,
        [*judged.seen, *[Seen((), "sand", "day")] * len(others.seen)],
        judged.features * 2,
    )
    whole = Judged(judged.questions * 2, judged.seen * 2, judged.features * 2)
    point = Point(Settings(), {"one": half}, {"one": whole})
    low, high = point.accuracy_interval()
    assert point.accuracy() == 0.5
    assert (0.5 - low, high - 0.5) == pytest.approx((0.25, 0.25), abs=0.07)


def test_the_best_of_eight_is_chosen_by_the_models_clip_alone() -> None:
    model, plan = model_with_clip(), PromptProtocol(kinds=("two", "two_best_of_8"), count=3)
    outcome = run(of_model(model, plan), plan)
    assert {"two_all", "two_all_best_of_8", "two_all_best_of_8_raw", "two_all_best_of_8_real"} <= set(
        outcome.report.measures
    )
    drawn = outcome.points[0].drawn
    assert [each.prompt for each in drawn["two"].questions] == [
        each.prompt for each in drawn["two_best_of_8"].questions
    ]


def test_without_a_clip_nothing_can_be_ranked() -> None:
    with pytest.raises(InputError, match="no CLIP of its own to choose"):
        of_model(tiny_model(), PromptProtocol(kinds=("two_best_of_8",), count=1))
    assert "two_best_of_8" not in PromptProtocol().kinds


def test_a_run_with_an_inception_network_tells_its_fid_and_extractor() -> None:
    pytest.importorskip("torchmetrics")
    from glide_edit.evaluation.inception import InceptionDistance

    plan = PromptProtocol(kinds=("one",), count=4, guidance=(1.0, 3.0))
    outcome = run(subject(as_guided), plan, fid=InceptionDistance(Means()))
    rolled, same = (point.measures["fid"] for point in outcome.points)
    assert rolled == pytest.approx(same, abs=1e-3) == pytest.approx(0, abs=1e-3)  # the same set of pictures
    assert outcome.report.protocol["fid"]["extractor"].startswith("Means ")
    assert fingerprint(outcome.report.protocol) != fingerprint(run(subject(as_guided), plan).report.protocol)

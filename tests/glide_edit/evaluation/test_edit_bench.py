"""The edit bench gives the truth full marks, an untouched background none, and survives being stopped."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation import edit_bench, item_bench
from glide_edit.evaluation.edit_bench import (
    Answer,
    Outcome,
    answer,
    bench_edits,
    crop_of,
    measures,
    opencv_inpaint,
    painter,
    plan_of,
    sheet,
    truth_painter,
)
from glide_edit.evaluation.edit_items import EditItem, edit_items
from glide_edit.evaluation.judging import Wanted
from glide_edit.evaluation.report import Report
from glide_edit.evaluation.seen import Seen, SeenObject
from glide_edit.operations import composite
from glide_edit.operations.postprocess import Drawn
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.plan import Plan
from tests.glide_edit.operations.stand_ins import tiny_editor, tiny_model

COUNT = 4


@pytest.fixture(scope="module")
def items() -> list[EditItem]:
    return list(edit_items(3 * COUNT))


@pytest.fixture(scope="module", autouse=True)
def _rendered_once(items: list[EditItem]) -> Iterator[None]:
    """The same items for every test of this file: rendering them is most of the work."""

    def rendered(number: int, seed: int) -> Generator[EditItem, None, None]:
        yield from items[:number]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit_bench, "edit_items", rendered)
        yield


@pytest.fixture(scope="module")
def perfect() -> tuple[Report, list[Outcome]]:
    return bench_edits(truth_painter, "the truth", count=COUNT)


def background(items: Sequence[EditItem], plans: Sequence[Plan]) -> Sequence[Drawn]:
    pairs = zip(items, plans, strict=True)
    return [np.asarray(crop_of(made).extract(item.picture.pixels), np.float32) for item, made in pairs]


def test_the_truth_gets_full_marks(perfect: tuple[Report, list[Outcome]]) -> None:
    found = perfect[0].measures
    for name in ("edit_small", "edit_medium", "edit_large", "edit_material"):
        assert found[name] == pytest.approx(1, abs=0.2)
        assert found[f"{name}_real"] > 0.6
        assert found[name] == pytest.approx(found[f"{name}_raw"] / found[f"{name}_real"])
    assert found["edit_before"] == 0
    assert found["changed_outside"] == found["changed_outside_receipts"] == 0
    assert found["seam_opencv"] > 0.8


def test_the_report_is_whole_and_json(perfect: tuple[Report, list[Outcome]]) -> None:
    report, outcomes = perfect
    assert report.complete
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["details"]["items"] == len(outcomes) == 3 * COUNT
    assert {table["title"] for table in value["tables"]} >= {"by mask size", "by prompt", "by mask shape"}
    assert [row[1] for row in value["tables"][0]["rows"]] == [COUNT] * 3


def test_the_fingerprint_is_of_the_questions_alone(perfect: tuple[Report, list[Outcome]]) -> None:
    from glide_edit.evaluation.report import fingerprint

    same = fingerprint(edit_bench.protocol(COUNT, 0))
    assert perfect[0].to_json()["fingerprint"] == same != fingerprint(edit_bench.protocol(COUNT, 1))


def test_a_background_alone_shows_nothing_of_what_was_asked_and_no_seam() -> None:
    report, _ = bench_edits(background, "nothing done", count=2)
    assert [report.measures[f"edit_{size}_raw"] for size in ("small", "medium", "large")] == [0, 0, 0]
    assert report.measures["changed_outside"] == 0


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_bench, "TOGETHER", 2)
    done: list[int] = []

    def stopping(items: Sequence[EditItem], plans: Sequence[Plan]) -> Sequence[Drawn]:
        if items[0].index == 4:
            raise KeyboardInterrupt
        return truth_painter(items, plans)

    report, outcomes = bench_edits(
        stopping, "stopped", count=COUNT, tell=lambda number, total: done.append(number)
    )
    assert not report.complete
    assert len(outcomes) == report.details["items"] == 4
    assert done == [1, 2, 3, 4]
    assert "edit_small" in report.measures


def test_stopped_before_anything_is_done_is_stopped() -> None:
    def stopping(items: Sequence[EditItem], plans: Sequence[Plan]) -> Sequence[Drawn]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench_edits(stopping, "stopped", count=1)


def test_a_count_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="one item"):
        bench_edits(truth_painter, "none", count=0)


def test_a_models_drawing_is_judged_and_leaves_the_rest_alone() -> None:
    report, outcomes = bench_edits(painter(tiny_model()), "tiny", count=1)
    assert report.measures["changed_outside"] == 0
    assert len(outcomes) == 3
    assert all(np.abs(each.rings["edited"] - each.rings["real"]).max() > 0.1 for each in outcomes)
    assert all((each.rings["edited"] != each.rings["pasted"]).any() for each in outcomes)


def test_a_batch_holds_the_edits_that_an_editor_makes(items: list[EditItem]) -> None:
    """Each picture has its own known pixels, mask, prompt and seed, in both stages."""
    some = items[:5]
    plans = [plan_of(item) for item in some]
    drawn = painter(tiny_model())(some, plans)
    editor = tiny_editor()
    for item, made, picture in zip(some, plans, drawn, strict=True):
        # These pictures are larger than the tiny model's; at the default model's size no detail is added.
        alone = (
            editor.inpaint(item.picture, item.mask, item.prompt, seed=item.index, detail=False)
            .pictures[0]
            .pixels
        )
        together = finish(made, [picture]).picture.pixels
        assert np.abs(together.astype(int) - alone).max() <= 1
        assert np.abs(together.astype(int) - item.picture.pixels).max() > 20


def test_a_drawing_put_outside_would_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison does not trust the finish: it sees what a broken one would change."""

    def everywhere(original, repaint, allowed, finish, radius, **options):  # type: ignore[no-untyped-def]
        return np.full_like(original, 7)

    monkeypatch.setattr(composite, "put_back", everywhere)
    report, _ = bench_edits(truth_painter, "broken", count=1)
    assert report.measures["changed_outside"] > 1000
    assert report.measures["changed_outside"] == report.measures["changed_outside_receipts"]


def test_answers_go_by_kind_then_colour_then_material() -> None:
    def seen(kind: str, colour: str, material: str, score: float = 0.9) -> SeenObject:
        return SeenObject(kind, colour, material, (0.1, 0.1, 0.4, 0.4), score)

    wanted = Wanted("ball", "red", "shiny")

    def answered(*objects: SeenObject) -> Answer:
        return answer(Seen(objects, "sand", "day"), wanted)

    assert answered() == Answer(False, False, False, 0.0)
    assert answered(seen("cube", "red", "shiny")) == Answer(False, False, False, 0.0)
    assert answered(seen("ball", "blue", "shiny")) == Answer(True, False, False, 0.0)
    assert answered(seen("ball", "red", "matte", 0.7)) == Answer(True, True, False, 0.7)
    assert answered(seen("ball", "red", "shiny")) == Answer(True, True, True, 0.9)
    red = answer(Seen((seen("ball", "red", "matte"),), "sand", "day"), Wanted("ball", "red"))
    assert red == Answer(True, True, None, 0.9)


def test_measures_divide_by_what_real_renders_get(perfect: tuple[Report, list[Outcome]]) -> None:
    from dataclasses import replace

    right, wrong = Answer(True, True, None, 0.9), Answer(True, False, None, 0.0)
    small = [each for each in perfect[1] if each.size == "small"][:4]
    edited = [right, wrong, wrong, wrong]
    real = [right, right, wrong, wrong]
    outcomes = [replace(each, edited=e, real=r) for each, e, r in zip(small, edited, real, strict=True)]
    found = measures(outcomes)
    assert (found["edit_small"], found["edit_small_raw"], found["edit_small_real"]) == (0.5, 0.25, 0.5)
    assert found["edit_small_kind"] == 1
    assert "edit_medium" not in found
    assert "edit_material" not in found


def test_opencvs_inpaint_reads_nothing_under_the_mask() -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    selected = np.zeros((40, 40), bool)
    selected[10:20, 10:25] = True
    other = np.where(selected[..., None], 0, picture).astype(np.uint8)
    filled = opencv_inpaint(picture, selected)
    assert (filled == opencv_inpaint(other, selected)).all()
    assert (filled[~selected] == picture[~selected]).all()


def test_the_sheet_shows_the_best_first(perfect: tuple[Report, list[Outcome]]) -> None:
    from dataclasses import replace

    outcomes = perfect[1][:3]
    scores = (0.2, 0.9, 0.5)
    marked = [
        replace(
            each,
            edited=Answer(True, True, None, score),
            tile=replace(each.tile, pictures=(np.full((128, 128, 3), 50 * k + 50, np.uint8),)),
        )
        for k, (each, score) in enumerate(zip(outcomes, scores, strict=True))
    ]
    pixels = sheet(marked)
    assert pixels[60, 60, 0] == 100
    assert pixels[60, 60 + 132, 0] == 150

"""The repair bench gives the truth full marks and a cover that was left few, and its tables add up."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.evaluation.repair_bench import (
    Repaired,
    bench_repairs,
    protocol,
    remover,
    score,
    truth_repair,
)
from glide_edit.evaluation.repair_covers import COVERS
from glide_edit.evaluation.repair_items import RepairItem, repair_item
from glide_edit.evaluation.repair_programs import OTHERS
from glide_edit.evaluation.repair_tables import OURS, Outcome, Score, lead, measures, sheets, tables
from glide_edit.evaluation.report import Report, fingerprint
from tests.glide_edit.evaluation.repairs import FEW
from tests.glide_edit.operations.stand_ins import tiny_model

COUNT = 4


def left_alone(picture: np.ndarray, selected: np.ndarray) -> np.ndarray:
    return picture


@pytest.fixture(scope="module")
def perfect() -> tuple[Report, list[Outcome]]:
    others = {"nothing": left_alone, "telea": OTHERS["telea"]}
    return bench_repairs(truth_repair, "the truth", FEW, others=others, count=COUNT)


def test_the_truth_gets_full_marks_and_a_cover_that_was_left_few(
    perfect: tuple[Report, list[Outcome]],
) -> None:
    for outcome in perfect[1]:
        assert outcome.scores[OURS].psnr == math.inf
        assert outcome.scores[OURS].ssim == pytest.approx(1)
        assert outcome.scores["nothing"].psnr < 13
        assert outcome.scores["nothing"].psnr + 5 < outcome.scores["telea"].psnr < 70
        assert outcome.scores["nothing"].ssim < outcome.scores["telea"].ssim
    found = perfect[0].measures
    assert found["changed_outside"] == found["changed_beyond"] == 0


def test_psnr_is_of_the_selected_pixels_alone() -> None:
    item = repair_item(1, FEW)
    truth = np.clip(item.truth, 5, 250)
    item = replace(item, truth=truth)
    picture = np.where(item.selected[..., None], truth + 5, truth).astype(np.uint8)
    assert score(item, picture, 0.0).psnr == pytest.approx(10 * math.log10(255**2 / 25))
    outside = np.where(item.selected[..., None], truth, 0).astype(np.uint8)
    assert score(item, outside, 0.0).psnr == math.inf


def test_pixels_changed_outside_are_counted_where_they_may_and_where_they_may_not_change() -> None:
    def careless(item: RepairItem) -> Repaired:
        picture, allowed = item.picture.copy(), item.selected.copy()
        outside = np.argwhere(~item.selected)
        for y, x in outside[:7]:
            picture[y, x] ^= 255
        for y, x in outside[:5]:
            allowed[y, x] = True
        return Repaired(picture, allowed)

    found = bench_repairs(careless, "careless", FEW, count=1)[0].measures
    assert (found["changed_outside"], found["changed_beyond"]) == (5 * 7, 5 * 2)


def test_the_lead_is_over_the_best_other_program_of_the_kind() -> None:
    outcomes = [_outcome(0, remove=30, one=28, two=20), _outcome(1, remove=24, one=27, two=26)]
    found = lead(outcomes)
    assert found is not None
    assert (found.best, found.items, found.won) == ("one", 2, 1)
    assert (found.ours, found.other, found.lead) == (27, 27.5, -0.5)
    assert found.error == pytest.approx(2.5)  # differences 2 and -3: 3.54 / sqrt(2)
    assert lead([_outcome(0, remove=30)]) is None
    alone = lead(outcomes[:1])
    assert alone is not None
    assert math.isnan(alone.error)


def test_tables_keep_the_halves_apart() -> None:
    outcomes = [
        _outcome(0, "wire", "tuning", remove=10, one=20),
        _outcome(1, "wire", "reporting", remove=30, one=25),
        _outcome(2, "wire", "reporting", remove=32, one=26),
        _outcome(3, "hole", "reporting", remove=15, one=16),
    ]
    leads, *others = tables(outcomes)
    assert [row[:7] for row in leads.rows] == [
        ("reporting", "wire", 2, 31, "one", 25.5, 5.5),
        ("reporting", "hole", 1, 15, "one", 16, -1),
        ("tuning", "wire", 1, 10, "one", 20, -10),
    ]
    by_title = {table.title: table for table in others}
    assert by_title["PSNR in dB, mean: reporting half"].rows == (("wire", 2, 31, 25.5), ("hole", 1, 15, 16))
    assert by_title["PSNR in dB, mean: tuning half"].header == ("cover", "items", OURS, "one")
    # An item's seconds are ten times its index.
    assert by_title["seconds, median: reporting half"].rows[0] == ("wire", 2, 15, 15)
    found = measures(outcomes)
    assert (found["repair_psnr_wire_reporting"], found["repair_lead_wire_tuning"]) == (31, -10)
    assert "repair_psnr_hole_tuning" not in found
    assert "best other" not in tables([_outcome(0, remove=10)])[0].header


def test_the_report_is_whole_and_json(perfect: tuple[Report, list[Outcome]]) -> None:
    report, outcomes = perfect
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["complete"]
    assert len(value["details"]["items"]) == len(outcomes) == len(COVERS) * COUNT
    assert value["details"]["items"][3]["scores"]["telea"]["psnr"] == outcomes[3].scores["telea"].psnr
    assert {f"repair_psnr_{kind}_reporting" for kind in COVERS} <= set(value["measures"])
    assert [row[2] for row in value["tables"][0]["rows"]] == [COUNT // 2] * 2 * len(COVERS)
    assert (
        value["fingerprint"]
        == fingerprint(protocol(FEW, COUNT, 0))
        != fingerprint(protocol(FEW[1:], COUNT, 0))
    )


def test_the_sheet_of_a_kind_has_a_row_an_item_and_a_column_a_picture(
    perfect: tuple[Report, list[Outcome]],
) -> None:
    made = sheets(perfect[1])
    assert set(made) == set(COVERS)
    for pixels in made.values():
        assert pixels.shape[1] > 5 * 256  # truth, covered, remove, nothing, telea
        assert pixels.shape[0] > COUNT * 256
    first = next(each for each in perfect[1] if each.kind == "hole")
    assert np.array_equal(made["hole"][4:260, 4:260], first.shown["truth"])


def test_ctrl_c_keeps_what_is_done() -> None:
    def stopping(item: RepairItem) -> Repaired:
        if item.index == 3:
            raise KeyboardInterrupt
        return truth_repair(item)

    told: list[tuple[int, int]] = []
    report, outcomes = bench_repairs(
        stopping, "stopped", FEW, count=2, tell=lambda done, total: told.append((done, total))
    )
    assert not report.complete
    assert len(outcomes) == 3
    assert told == [(1, 10), (2, 10), (3, 10)]


def test_remove_is_measured_with_its_settings_and_changes_only_what_it_may() -> None:
    editor, item = Editor(tiny_model(upsampler=False)), repair_item(3, FEW)
    changed = {}
    for grow in (0, 3):
        repaired = remover(editor, grow=grow, mask_fill="opencv")(item)
        differs = (repaired.picture != item.picture).any(-1)
        assert differs[item.selected].mean() > 0.9
        assert not differs[~repaired.allowed].any()
        changed[grow] = int(differs[~item.selected].sum())
    assert changed[0] == 0 < changed[3]


@pytest.mark.parametrize(
    ("count", "seed", "says"), [(0, 0, "one item of each kind or more"), (1, -1, "A seed is 0")]
)
def test_a_count_of_none_and_a_seed_below_0_are_refused(count: int, seed: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        bench_repairs(truth_repair, "none", FEW, count=count, seed=seed)


def _outcome(index: int, kind: str = "wire", half: str = "tuning", **psnr: float) -> Outcome:
    scores = {name: Score(value, value / 100, 10 * index, 0) for name, value in psnr.items()}
    return Outcome(index, kind, half, "a photograph", scores, beyond=0)

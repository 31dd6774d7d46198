"""The photograph bench gives the truth full marks, an untouched photograph none, and says how sure it is."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation import item_bench, photo_bench
from glide_edit.evaluation.edit_bench import Answer
from glide_edit.evaluation.photo_bench import (
    Image,
    Outcome,
    bench_photographs,
    details,
    intervals,
    measures,
    painter,
    sheet,
    truth_painter,
)
from glide_edit.evaluation.photo_items import PhotoItem, photo_items
from glide_edit.evaluation.report import Report, fingerprint
from tests.glide_edit.evaluation.photographs import write_photographs
from tests.glide_edit.operations.stand_ins import tiny_model

COUNT = 4
RIGHT, WRONG = Answer(True, True, None, 0.9), Answer(False, False, None, 0.0)
FOLDER = Path("unused")


@pytest.fixture(scope="module", autouse=True)
def _made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same items for every test of this file: making them is most of the work."""
    folder = write_photographs(tmp_path_factory.mktemp("bench") / "photos")
    items = list(photo_items(folder, 3 * COUNT))

    def made(folder: Path, number: int, seed: int) -> Generator[PhotoItem, None, None]:
        yield from items[:number]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_bench, "photo_items", made)
        yield


@pytest.fixture(scope="module")
def perfect() -> tuple[Report, list[Outcome]]:
    return bench_photographs(truth_painter, "the truth", FOLDER, count=COUNT)


def untouched(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
    return [(item.picture.pixels, 0) for item in items]


def test_the_truth_gets_full_marks(perfect: tuple[Report, list[Outcome]]) -> None:
    found = perfect[0].measures
    for size in ("small", "medium", "large"):
        assert found[f"photo_kind_{size}"] == pytest.approx(
            1 if found[f"photo_kind_{size}_real"] else np.nan, nan_ok=True
        )
    assert found["photo_kind"] == found["photo_color"] == 1
    assert found["verifier_kind"] == found["photo_kind_raw"] > 0.4
    assert found["photo_sharpness"] == found["photo_sharpness_real"]
    assert found["changed_outside"] == 0
    assert found["photo_seam"] == 0.5, "nothing to tell apart"
    assert found["photo_seam_opencv"] > 0.5


def test_an_untouched_photograph_hardly_shows_what_was_asked() -> None:
    report, _ = bench_photographs(untouched, "nothing done", FOLDER, count=2)
    # On plain photographs, which it never learned, the verifier guesses right once in a while.
    assert report.measures["photo_kind_raw"] <= 1 / 6
    assert report.measures["photo_before"] == report.measures["photo_kind_raw"]


def test_the_report_is_whole_and_json(perfect: tuple[Report, list[Outcome]]) -> None:
    report, outcomes = perfect
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["complete"]
    assert value["details"]["items"] == len(outcomes) == 3 * COUNT
    assert set(value["details"]["intervals"]) >= {"photo_kind_small", "photo_color", "photo_sharpness"}
    assert sum(row[1] for row in value["tables"][1]["rows"]) == 3 * COUNT
    assert {table["title"] for table in value["tables"]} >= {"by mask shape", "by prompt"}
    same = fingerprint(photo_bench.protocol(COUNT, 0))
    assert value["fingerprint"] == same != fingerprint(photo_bench.protocol(COUNT, 1))


def test_shares_are_divided_by_the_verifiers_own(perfect: tuple[Report, list[Outcome]]) -> None:
    small = [each for each in perfect[1] if each.size == "small"]
    outcomes = [
        replace(each, edited=edited, real=real)
        for each, edited, real in zip(
            small, (RIGHT, WRONG, WRONG, WRONG), (RIGHT, RIGHT, WRONG, WRONG), strict=True
        )
    ]
    found = measures(outcomes)
    assert (found["photo_color_small"], found["photo_color_small_raw"]) == (0.5, 0.25)
    assert found["verifier_kind"] == found["photo_kind_small_real"] == 0.5
    assert "photo_kind_large" not in found
    assert "0.50 of the true composites" in str(details(outcomes)["warning"])
    assert "warning" not in details([replace(each, real=RIGHT) for each in outcomes])


def test_intervals_hold_the_score_and_narrow_with_more_items(perfect: tuple[Report, list[Outcome]]) -> None:
    few = [replace(each, edited=RIGHT if k % 2 else WRONG, real=RIGHT) for k, each in enumerate(perfect[1])]
    widths = []
    for outcomes in (few, few * 16):
        low, high = intervals(outcomes)["photo_kind"]
        assert low < measures(outcomes)["photo_kind"] == 0.5 < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.2)
    assert intervals(few) == intervals(few)


def test_blur_is_measured_as_blur() -> None:
    def soft(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
        blurred = (cv2.GaussianBlur(item.truth, (0, 0), 3) for item in items)
        return [
            (np.where(item.mask.selected[..., None], each, item.truth), 0)
            for item, each in zip(items, blurred, strict=True)
        ]

    found = bench_photographs(soft, "soft", FOLDER, count=2)[0].measures
    assert found["photo_sharpness"] < 0.7 * found["photo_sharpness_real"]


def test_what_is_changed_outside_is_counted() -> None:
    def broken(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
        return [(255 - item.truth, 0) for item in items]

    assert bench_photographs(broken, "broken", FOLDER, count=1)[0].measures["changed_outside"] > 1000


def test_a_models_drawing_is_judged_and_leaves_the_rest_alone() -> None:
    report, outcomes = bench_photographs(painter(tiny_model()), "tiny", FOLDER, count=1)
    assert report.measures["changed_outside"] == report.measures["changed_outside_receipts"] == 0
    assert len(outcomes) == 3
    assert all(np.abs(each.rings["edited"] - each.rings["real"]).max() > 0.1 for each in outcomes)


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_bench, "TOGETHER", 2)

    def stopping(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
        if items[0].index == 4:
            raise KeyboardInterrupt
        return truth_painter(items)

    report, outcomes = bench_photographs(stopping, "stopped", FOLDER, count=COUNT)
    assert not report.complete
    assert len(outcomes) == 4


def test_a_count_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="one item"):
        bench_photographs(truth_painter, "none", FOLDER, count=0)


def test_the_sheet_shows_the_best_first(perfect: tuple[Report, list[Outcome]]) -> None:
    marked = [
        replace(
            each,
            edited=Answer(True, True, None, score),
            tile=replace(each.tile, pictures=(np.full((128, 128, 3), 50 * k + 50, np.uint8),)),
        )
        for k, (each, score) in enumerate(zip(perfect[1][:3], (0.2, 0.9, 0.5), strict=True))
    ]
    pixels = sheet(marked)
    assert [pixels[60, 60 + 132 * k, 0] for k in range(3)] == [100, 150, 50]

"""The sketch bench finds silhouettes in real renders; the truth has full marks, other scenes next to none."""

from __future__ import annotations

import json
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation import item_bench
from glide_edit.evaluation.report import Report
from glide_edit.evaluation.sketch_bench import (
    Image,
    Outcome,
    SketchItem,
    bench_sketches,
    sheet,
    silhouette,
    silhouette_overlaps,
    sketch_item,
    sketch_items,
    sketcher,
)
from tests.glide_edit.operations.stand_ins import tiny_editor, tiny_model

COUNT = 12


@pytest.fixture(scope="module")
def items() -> list[SketchItem]:
    return list(sketch_items(COUNT))


def real(items: Sequence[SketchItem]) -> Sequence[Image]:
    return [item.rendering.image for item in items]


@pytest.fixture(scope="module")
def perfect() -> tuple[Report, list[Outcome]]:
    return bench_sketches(real, "real renders", count=COUNT)


def test_real_renders_get_full_marks(perfect: tuple[Report, list[Outcome]]) -> None:
    found = perfect[0].measures
    assert found["sketch_kind"] == found["sketch_iou"] == 1
    assert found["sketch_kind_real"] > 0.9
    assert found["sketch_iou_real"] > 0.85
    assert perfect[0].complete
    json.dumps(perfect[0].to_json(), allow_nan=False)


def test_pictures_of_other_scenes_get_next_to_none(items: list[SketchItem]) -> None:
    def other(asked: Sequence[SketchItem]) -> Sequence[Image]:
        return [items[(item.index + 1) % COUNT].rendering.image for item in asked]

    report, _ = bench_sketches(other, "other scenes", count=COUNT)
    assert report.measures["sketch_iou"] < 0.35
    assert report.measures["sketch_kind"] < 0.4


def test_a_silhouette_is_not_read_off_the_drawing(items: list[SketchItem]) -> None:
    """A disc where a square was drawn is seen as the disc it is."""
    rng = np.random.default_rng(0)
    picture = np.clip(rng.normal((200, 190, 150), 4, (128, 128, 3)), 0, 255).astype(np.uint8)
    cv2.circle(picture, (64, 64), 30, (180, 30, 30), -1)
    true = (picture[..., 1] < 100) & (picture[..., 0] > 100)
    found = silhouette(picture, (34, 34, 61, 61), np.zeros((128, 128), bool))
    assert (found & true).sum() / (found | true).sum() > 0.97


def test_a_smaller_object_overlaps_less(items: list[SketchItem]) -> None:
    rng = np.random.default_rng(0)
    drawn = np.zeros((128, 128), np.uint8)
    cv2.circle(drawn, (64, 64), 30, 1, -1)
    overlaps = []
    for radius in (30, 24, 18):
        picture = np.clip(rng.normal((90, 140, 80), 4, (128, 128, 3)), 0, 255).astype(np.uint8)
        cv2.circle(picture, (64, 64), radius, (40, 60, 200), -1)
        found = silhouette(picture, cv2.boundingRect(drawn), np.zeros((128, 128), bool))
        overlaps.append((found & (drawn > 0)).sum() / (found | (drawn > 0)).sum())
    assert overlaps == pytest.approx([1, 0.64, 0.36], abs=0.04)  # ratios of the areas


def test_nothing_stands_out_of_an_object_that_others_hide_entirely() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    assert not silhouette(picture, (8, 8, 16, 16), np.ones((32, 32), bool)).any()


def test_a_blank_sheet_of_colour_gets_little(items: list[SketchItem]) -> None:
    blank = np.full((256, 256, 3), 128, np.uint8)
    values = [value for item in items for value in silhouette_overlaps(blank, item)]
    assert np.median(values) < 0.5


def test_items_are_the_same_on_every_call_and_drawn_on_paper(items: list[SketchItem]) -> None:
    again = sketch_item(2)
    assert again.drawing.sha256 == items[2].drawing.sha256
    assert again.prompt == items[2].prompt
    for item in items:
        assert item.counted
        assert item.drawing.pixels.max() == 255
        assert item.drawing.pixels.min() < 60


def test_a_model_is_asked_with_drawing_and_prompt() -> None:
    report, outcomes = bench_sketches(sketcher(tiny_model()), "tiny", count=2)
    assert report.measures["sketch_kind_raw"] < 0.5
    assert len(outcomes) == 2
    assert sheet(outcomes).shape[2] == 3


def test_a_batch_holds_the_pictures_that_an_editor_makes(items: list[SketchItem]) -> None:
    pictures = sketcher(tiny_model())(items[:5])
    editor = tiny_editor()
    for item, picture in zip(items, pictures, strict=False):
        alone = editor.sketch(item.drawing, item.prompt, seed=item.index).pictures[0].pixels
        assert np.abs(picture.astype(int) - alone).max() <= 1
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 8


def test_ctrl_c_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_bench, "TOGETHER", 2)

    def stopping(items: Sequence[SketchItem]) -> Sequence[Image]:
        if items[0].index == 2:
            raise KeyboardInterrupt
        return real(items)

    report, outcomes = bench_sketches(stopping, "stopped", count=5)
    assert not report.complete
    assert len(outcomes) == report.details["drawings"] == 2


def test_a_count_of_none_is_refused() -> None:
    with pytest.raises(InputError, match="one drawing"):
        bench_sketches(real, "none", count=0)

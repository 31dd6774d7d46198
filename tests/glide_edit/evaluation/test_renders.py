"""Labelled renders say what the renderer drew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import TrainingError
from glide_edit.evaluation import renders
from glide_edit.evaluation.renders import (
    FIRST_UNSEEN_SEED,
    FIRST_VERIFIER_SEED,
    LabelledRenders,
    label,
    render_folder,
)
from glide_edit.toybox import COLOURS, KINDS, Scene, render, sample_scene
from glide_edit.training.sources import FIRST_TRAINING_SEED


def test_labels_are_the_renderers_masks(scenes: list[Scene], truth: LabelledRenders) -> None:
    for n, scene in enumerate(scenes[:8]):
        drawn = render(scene, 128)
        assert (truth.pictures[n] == drawn.image).all()
        assert (truth.kind[n] >= 0).sum() == len(scene.toys)
        for k, toy in enumerate(scene.toys):
            assert KINDS[truth.kind[n, k]] == toy.kind
            assert tuple(COLOURS)[truth.colour[n, k]] == toy.colour
            seen = drawn.visible == k
            assert truth.area[n, k] == pytest.approx(seen.mean())
            rows, columns = np.nonzero(seen)
            box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert truth.box[n, k] * 128 == pytest.approx(np.array(box))


def test_only_covered_objects_have_a_share_below_one(scenes: list[Scene], truth: LabelledRenders) -> None:
    alone = np.array([len(scene.toys) == 1 for scene in scenes])
    assert truth.share[alone, 0].min() > 0.97
    assert (truth.share[~alone] * (truth.kind[~alone] >= 0)).max() <= 1
    assert ((truth.share < 0.9) & (truth.kind >= 0)).any()


def test_the_verifier_learns_from_scenes_that_no_model_trains_on() -> None:
    # Rendering as it goes draws from 2**40 seeds; a cache of data seed s begins 2**32 s further on.
    assert FIRST_VERIFIER_SEED > FIRST_TRAINING_SEED + 100_000 * 2**32
    assert FIRST_UNSEEN_SEED < FIRST_TRAINING_SEED


def test_a_folder_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "_SPAN", 2)
    told: list[tuple[int, int]] = []
    first = render_folder(tmp_path, 4, 32, 50, lambda done, total: told.append((done, total)))
    assert told == [(2, 4), (4, 4)]
    assert (first.pictures == label([sample_scene(50 + k, "all") for k in range(4)], 32).pictures).all()
    (tmp_path / "00001.npz").unlink()
    before = (tmp_path / "00000.npz").stat().st_mtime_ns
    again = render_folder(tmp_path, 4, 32, 50, lambda done, total: told.append((done, total)))
    assert told[2:] == [(4, 4)]
    assert (tmp_path / "00000.npz").stat().st_mtime_ns == before
    for name, values in vars(first).items():
        assert (values == getattr(again, name)).all(), name


def test_a_folder_of_another_size_or_damaged_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renders, "_SPAN", 1)
    render_folder(tmp_path, 1, 32, 50)
    with pytest.raises(TrainingError, match="32 px"):
        render_folder(tmp_path, 1, 48, 50)
    (tmp_path / "00000.npz").write_bytes(b"nothing")
    with pytest.raises(TrainingError, match="cannot be used"):
        render_folder(tmp_path, 1, 32, 50)

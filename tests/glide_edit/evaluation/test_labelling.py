"""A person's labels of generated pictures: read, kept beside them, and what the verifier makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation.judging import Wanted
from glide_edit.evaluation.labelling import (
    ABOUT,
    LABELS,
    PICTURES,
    agreement,
    draw_pictures,
    read_labels,
    read_pictures,
)
from glide_edit.evaluation.prompts import questions
from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.verifier import Verifier
from glide_edit.toybox import COLOURS, KINDS
from tests.glide_edit.operations.stand_ins import tiny_model

LABELLED = Path(__file__).parents[2] / "data" / "labelled"


def labels_file(folder: Path, *lines: str) -> Path:
    path = folder / LABELS
    path.write_text("\n".join(["number,objects", *lines]) + "\n", encoding="utf-8")
    return path


def test_the_verifier_sees_what_a_person_saw(verifier: Verifier) -> None:
    """87 pictures that the shipped model drew, none picked; what could not be told is left out."""
    found = agreement(verifier, read_pictures(LABELLED), read_labels(LABELLED / LABELS))
    assert (found.pictures, found.objects) == (55, 74)
    assert found.kind > 0.9
    assert found.colour > 0.87
    assert found.too_many < 0.15


def test_labels_of_other_pictures_do_not_fit(verifier: Verifier) -> None:
    pictures = np.roll(read_pictures(LABELLED), 1, axis=0)
    assert agreement(verifier, pictures, read_labels(LABELLED / LABELS)).colour < 0.3


def test_true_labels_of_renders_agree(verifier: Verifier, truth: LabelledRenders) -> None:
    clear = [n for n in range(len(truth)) if (truth.kind[n] >= 0).sum() == 1 and truth.area[n].max() > 0.02]
    labels = {
        k + 1: (Wanted(KINDS[truth.kind[n, 0]], tuple(COLOURS)[truth.colour[n, 0]]),)
        for k, n in enumerate(clear)
    }
    found = agreement(verifier, truth.pictures[clear], labels)
    assert found.pictures == found.objects == len(clear)
    assert found.colour > 0.85


def test_what_is_drawn_is_read_again_and_not_labelled_yet(tmp_path: Path) -> None:
    from glide_edit.evaluation.drawing import draw

    draw_pictures(tiny_model(), tmp_path / "new", 5, seed=3)
    pictures = read_pictures(tmp_path / "new")
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {PICTURES, LABELS, ABOUT, "sheet-1.png"}
    assert pictures.shape == (5, 16, 16, 3)
    second = questions("two", 2)[0].prompt
    (alone,) = draw(tiny_model(), [second], [4], size="base")
    assert np.abs(pictures[1].astype(int) - alone[0]).max() <= 1
    assert read_labels(tmp_path / "new" / LABELS) == {}
    with pytest.raises(InputError, match="holds labels already"):
        draw_pictures(tiny_model(), tmp_path / "new", 5)


def test_labels_are_objects_nothing_or_unclear(tmp_path: Path) -> None:
    path = labels_file(tmp_path, "1,red ball; blue cube", "2,?", "3,-", "4,")
    assert read_labels(path) == {1: (Wanted("ball", "red"), Wanted("cube", "blue")), 3: ()}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1,ball", "not a colour and kind"),
        ("1,red balloon", "balloon"),
        ("one,red ball", "not a number and objects"),
    ],
)
def test_labels_that_cannot_be_read_are_told(tmp_path: Path, line: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_labels(labels_file(tmp_path, line))


@pytest.mark.parametrize("labels", [{}, {1: ()}, {9: (Wanted("ball", "red"),)}])
def test_labels_must_be_of_the_pictures(verifier: Verifier, labels: dict[int, tuple[Wanted, ...]]) -> None:
    with pytest.raises(InputError, match="objects on pictures 1 to 2"):
        agreement(verifier, np.zeros((2, 64, 64, 3), np.uint8), labels)

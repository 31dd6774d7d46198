"""The verifier that ships is right on renders; answers become words; files are checked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from glide_edit.errors import InputError, ModelFormatError
from glide_edit.evaluation.accuracy import boxed, corrupted, measure, visible
from glide_edit.evaluation.corruptions import CORRUPTIONS
from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.seen import overlap
from glide_edit.evaluation.verifier import (
    ABOUT_NAME,
    SHIPPED,
    WEIGHTS_NAME,
    Verifier,
    decode,
    default_config,
    write_verifier,
)
from glide_edit.evaluation.verifier_network import Answers, VerifierConfig, VerifierNetwork
from glide_edit.toybox import COLOURS, GROUNDS, KINDS, LIGHTS, MATERIALS, Scene, render


def test_it_names_what_renders_show(verifier: Verifier, truth: LabelledRenders) -> None:
    found = measure(verifier.see(truth.pictures), truth)
    assert found.objects > 40
    assert found.kind >= 0.95
    assert found.colour >= 0.93
    assert found.material >= 0.7
    assert found.place >= 0.95
    assert found.middle < 0.02
    assert found.false < 0.1
    assert found.ground >= 0.95
    assert found.light >= 0.95


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - {"clean"}))
def test_it_does_so_on_worn_pictures(verifier: Verifier, truth: LabelledRenders, name: str) -> None:
    found = measure(verifier.see(corrupted(truth.pictures, CORRUPTIONS[name])), truth)
    assert min(found.kind, found.colour) >= 0.90


def test_it_names_what_is_in_a_box(verifier: Verifier, truth: LabelledRenders) -> None:
    found = boxed(verifier, truth)
    assert min(found["kind"], found["colour"]) >= 0.90


def test_a_box_leaves_out_what_lies_elsewhere(
    verifier: Verifier, scenes: list[Scene], truth: LabelledRenders
) -> None:
    n = next(n for n, scene in enumerate(scenes) if len(scene.toys) == 2 and visible(truth)[n].sum() == 2)
    for k in range(2):
        (seen,) = verifier.see(truth.pictures[n : n + 1], truth.box[n, k : k + 1])
        (found,) = (one for one in seen.objects if overlap(one.box, tuple(truth.box[n, k])) > 0.6)
        other = tuple(truth.box[n, 1 - k])
        assert all(overlap(one.box, other) < 0.3 for one in seen.objects)
        assert found.kind == scenes[n].toys[k].kind


def test_a_box_in_a_wide_picture(verifier: Verifier, scenes: list[Scene], truth: LabelledRenders) -> None:
    """A picture within a larger one: found, and where it is in the larger one."""
    n = next(n for n, scene in enumerate(scenes) if len(scene.toys) == 1)
    wide = np.full((1, 128, 384, 3), 127, np.uint8)
    wide[0, :, 256:] = truth.pictures[n]
    box = truth.box[n, 0] / (3, 1, 3, 1) + np.float32((2 / 3, 0, 2 / 3, 0))
    (seen,) = verifier.see(wide, box[None])
    assert seen.objects[0].kind == scenes[n].toys[0].kind
    assert overlap(seen.objects[0].box, tuple(box)) > 0.7


def test_sizes_agree(verifier: Verifier, scenes: list[Scene]) -> None:
    """256 px halved, 128 px and 64 px enlarged say the same of clear pictures."""
    single = [scene for scene in scenes if len(scene.toys) == 1][:8]
    told = []
    for size in (256, 128, 64):
        large = np.stack([render(scene, 256).image for scene in single])
        pictures = [cv2.resize(one, (size, size), interpolation=cv2.INTER_AREA) for one in large]
        told.append([seen.objects[0] for seen in verifier.see(np.stack(pictures))])
    for a, b, c in zip(*told, strict=True):
        assert a.kind == b.kind == c.kind
        assert overlap(a.box, b.box) > 0.8
        assert overlap(a.box, c.box) > 0.7


def test_it_says_the_same_each_time_and_one_by_one(verifier: Verifier, truth: LabelledRenders) -> None:
    before = truth.pictures.copy()
    seen = verifier.see(truth.pictures)
    assert verifier.see(truth.pictures) == seen
    alone = verifier.see(truth.pictures[3:4])[0]
    assert [one.kind for one in alone.objects] == [one.kind for one in seen[3].objects]
    assert [one.score for one in alone.objects] == pytest.approx(
        [one.score for one in seen[3].objects], abs=1e-4
    )
    assert (truth.pictures == before).all()


def test_features_tell_pictures_apart(verifier: Verifier, truth: LabelledRenders) -> None:
    features = verifier.features(truth.pictures)
    channels = default_config().channels
    assert features.shape == (len(truth), channels[1] + channels[2])
    assert features.dtype == np.float32
    assert (verifier.features(truth.pictures) == features).all()
    soft = verifier.features(corrupted(truth.pictures, CORRUPTIONS["64 px, enlarged"]))
    own = np.linalg.norm(features - soft, axis=1)
    others = np.linalg.norm(features - np.roll(soft, 1, axis=0), axis=1)
    assert np.median(own) < 0.5 * np.median(others)


def test_many_pictures_go_through_in_parts(verifier: Verifier, truth: LabelledRenders) -> None:
    many = np.concatenate([truth.pictures] * 3)
    assert len(many) > 64
    seen = verifier.see(many)
    assert [len(one.objects) for one in seen[:32]] == [len(one.objects) for one in seen[64:]]
    assert verifier.features(many).shape[0] == len(many)


@pytest.mark.parametrize(
    ("pictures", "boxes"),
    [
        (np.zeros((1, 64, 64, 3), np.float32), None),
        (np.zeros((64, 64, 3), np.uint8), None),
        (np.zeros((1, 64, 64, 4), np.uint8), None),
        (np.zeros((0, 64, 64, 3), np.uint8), None),
        (np.zeros((1, 64, 96, 3), np.uint8), None),
        (np.zeros((1, 64, 64, 3), np.uint8), np.array([0.1, 0.1, 0.5, 0.5])),
        (np.zeros((2, 64, 64, 3), np.uint8), np.array([[0.1, 0.1, 0.5, 0.5]])),
        (np.zeros((1, 64, 64, 3), np.uint8), np.array([[0.5, 0.1, 0.5, 0.5]])),
        (np.zeros((1, 64, 64, 3), np.uint8), np.array([[0.1, 0.1, 0.5, 1.5]])),
        (np.zeros((1, 64, 64, 3), np.uint8), np.array([[0.1, np.nan, 0.5, 0.5]])),
    ],
)
def test_bad_input(verifier: Verifier, pictures: NDArray[Any], boxes: NDArray[Any] | None) -> None:
    with pytest.raises(InputError):
        verifier.see(pictures, boxes)


def blank_answers(cells: int = 16) -> Answers:
    config = default_config()

    def plane(channels: int, value: float = 0.0) -> torch.Tensor:
        return torch.full((1, channels, cells, cells), value)

    return Answers(
        kind=plane(config.kinds, -9.0),
        colour=plane(config.colours),
        material=plane(config.materials),
        sides=plane(4, 0.1),
        ground=torch.eye(config.grounds)[None, 2],
        light=torch.eye(config.lights)[None, 1],
        features=torch.zeros(1, 8),
    )


def test_answers_become_words() -> None:
    answers = blank_answers()
    answers.kind[0, 5, 8, 4] = 2.0
    answers.kind[0, 5, 8, 5] = 1.0  # a neighbour less sure
    answers.colour[0, 3, 8, 4] = 1.0
    answers.material[0, 2, 8, 4] = 1.0
    answers.sides[0, :, 8, 4] = torch.tensor([0.5, 0.2, 0.1, 0.3])
    (seen,) = decode(answers)
    assert (seen.ground, seen.light) == (GROUNDS[2], LIGHTS[1])
    (found,) = seen.objects
    assert (found.kind, found.colour, found.material) == (KINDS[5], tuple(COLOURS)[3], MATERIALS[2])
    x, y = 4.5 / 16, 8.5 / 16
    assert found.box == pytest.approx((0.0, y - 0.2, x + 0.1, y + 0.3))
    assert found.score == pytest.approx(1 / (1 + np.exp(-2)))


def test_an_object_seen_twice_counts_once_and_two_apart_count_twice() -> None:
    answers = blank_answers()
    answers.kind[0, 5, 8, 4], answers.kind[0, 7, 8, 6] = 2.0, 1.0
    answers.sides[:] = 0.3
    (seen,) = decode(answers)
    assert [found.kind for found in seen.objects] == [KINDS[5]]
    answers.sides[:] = 0.05
    (seen,) = decode(answers)
    assert [found.kind for found in seen.objects] == [KINDS[5], KINDS[7]]


def test_nothing_is_seen_on_nothing() -> None:
    assert decode(blank_answers())[0].objects == ()


def test_overlap_of_boxes() -> None:
    assert overlap((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert overlap((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def test_a_written_verifier_says_the_same(tmp_path: Path, truth: LabelledRenders) -> None:
    torch.manual_seed(0)
    network = VerifierNetwork(default_config())
    network.train()(torch.randn(4, 3, 128, 128))  # so that its norms hold something
    write_verifier(tmp_path, network, {"views": 0})
    before, after = Verifier(network), Verifier.load(tmp_path)
    pair = [each.features(truth.pictures[:4]) for each in (before, after)]
    assert pair[1] == pytest.approx(pair[0], abs=5e-3)
    assert pair[0].std() > 0.05


def test_the_shipped_file_is_small_and_says_where_it_is_from() -> None:
    about = json.loads((SHIPPED / ABOUT_NAME).read_text(encoding="utf-8"))
    assert (SHIPPED / WEIGHTS_NAME).stat().st_size < 3e6
    assert 0.8e6 < about["parameters"] < 1.2e6
    assert about["provenance"]["views"] > 100_000


def test_damaged_or_foreign_files_are_refused(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "v")
    about_path, weights_path = tmp_path / "v" / ABOUT_NAME, tmp_path / "v" / WEIGHTS_NAME
    about, weights = json.loads(about_path.read_text()), weights_path.read_bytes()

    def load_with(**changes: object) -> None:
        about_path.write_text(json.dumps(about | changes))
        Verifier.load(tmp_path / "v")

    load_with()
    with pytest.raises(ModelFormatError, match="format 2"):
        load_with(format=2)
    with pytest.raises(ModelFormatError, match="other words"):
        load_with(words={})
    with pytest.raises(ModelFormatError, match="another configuration"):
        load_with(channels=[64, 112, 64])
    with pytest.raises(ModelFormatError, match="missing or damaged"):
        load_with(channels=[64])
    weights_path.write_bytes(weights[:-2] + b"xx")
    with pytest.raises(ModelFormatError, match="is not what"):
        load_with()
    about_path.unlink()
    with pytest.raises(ModelFormatError, match="missing or damaged"):
        Verifier.load(tmp_path / "v")


@pytest.mark.parametrize("changes", [{"image_size": 100}, {"kinds": 0}, {"channels": (8, 8)}])
def test_configurations_without_a_network(changes: dict) -> None:
    sizes = {"kinds": 2, "colours": 2, "materials": 2, "grounds": 2, "lights": 2}
    with pytest.raises(InputError):
        VerifierConfig(**(sizes | changes))

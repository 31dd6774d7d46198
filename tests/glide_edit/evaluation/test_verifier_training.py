"""Targets say where objects are, batches follow from the step, and a run goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glide_edit.evaluation import verifier_training
from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.seen import overlap
from glide_edit.evaluation.verifier import SHIPPED, Verifier, decode, read_network
from glide_edit.evaluation.verifier_network import Answers
from glide_edit.evaluation.verifier_targets import MIN_AREA, MIN_SHARE, Targets, loss, targets
from glide_edit.evaluation.verifier_training import make_batch, train_verifier
from glide_edit.toybox import KINDS
from glide_edit.training.settings import LoopOptions

CELLS = 16


def ideal(truth: Targets) -> Answers:
    """The answers that the targets ask for."""

    def sure(index: torch.Tensor, classes: int) -> torch.Tensor:
        return 20.0 * torch.nn.functional.one_hot(index, classes).float()

    return Answers(
        kind=torch.where(truth.heat == 1, 12.0, -12.0),
        colour=sure(truth.colour, 12).permute(0, 3, 1, 2),
        material=sure(truth.material, 3).permute(0, 3, 1, 2),
        sides=truth.sides,
        ground=sure(truth.ground, 6),
        light=sure(truth.light, 3),
        features=torch.zeros(len(truth.ground), 1),
    )


def test_targets_read_back_are_the_truth(truth: LabelledRenders) -> None:
    seen = decode(ideal(targets(truth, len(KINDS), CELLS)))
    asked = (truth.kind >= 0) & (truth.share >= MIN_SHARE) & (truth.area >= MIN_AREA)
    found = 0
    for n, k in np.argwhere(asked):
        box = tuple(truth.box[n, k])
        found += any(
            one.kind == KINDS[truth.kind[n, k]] and overlap(one.box, box) > 0.99 for one in seen[n].objects
        )
    assert sum(len(one.objects) for one in seen) <= asked.sum()
    assert found >= 0.97 * asked.sum()  # two that nearly share a middle may count as one


def test_the_loss_is_least_at_the_truth(truth: LabelledRenders) -> None:
    wanted = targets(truth, len(KINDS), CELLS)
    answers = ideal(wanted)
    best = loss(answers, wanted)
    assert float(best) < 0.01
    for name in ("kind", "colour", "material", "ground", "light"):
        shifted = Answers(**(vars(answers) | {name: getattr(answers, name).roll(1, dims=1)}))
        assert float(loss(shifted, wanted)) > 0.5, name
    assert float(loss(Answers(**(vars(answers) | {"sides": wanted.sides * 1.3})), wanted)) > 0.1


def test_hardly_visible_objects_are_neither_asked_for_nor_held_against(truth: LabelledRenders) -> None:
    hidden = LabelledRenders(**(vars(truth) | {"share": np.full_like(truth.share, 0.1)}))
    wanted = targets(hidden, len(KINDS), CELLS)
    assert float(wanted.heat.max()) == 0
    assert float(wanted.weight.max()) == 0
    n, k = np.argwhere(truth.area > 0.03)[0]
    x, y = (truth.box[n, k, :2] + truth.box[n, k, 2:]) / 2 * CELLS
    assert float(wanted.counted[n, 0, int(y), int(x)]) == 0
    quiet = ideal(wanted)
    quiet.kind[n, :, int(y), int(x)] = 12.0  # saying that it is there
    assert float(loss(quiet, wanted)) < 0.01


def test_batches_follow_from_seed_and_step(truth: LabelledRenders) -> None:
    before = {name: values.copy() for name, values in vars(truth).items()}
    a, b = make_batch(truth, 5, 0), make_batch(truth, 5, 0)
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1].heat, b[1].heat)
    assert not torch.equal(a[0], make_batch(truth, 6, 0)[0])
    assert a[0].shape == (32, 3, 128, 128)
    assert -1 <= float(a[0].min()) < float(a[0].max()) <= 1
    assert all((values == before[name]).all() for name, values in vars(truth).items())


def test_flips_and_crops_move_the_boxes_along(
    truth: LabelledRenders, verifier: Verifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without wear the verifier finds objects on training pictures where the targets put them."""
    monkeypatch.setattr(verifier_training, "augmented", lambda picture, rng: picture)
    asked = found = 0
    for step in range(3):
        pictures, wanted = make_batch(truth, step, 1)
        seen = verifier.see(((pictures + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        for n, kind, row, column in (wanted.heat == 1).nonzero().tolist():
            left, top, right, bottom = wanted.sides[n, :, row, column].tolist()
            x, y = (column + 0.5) / CELLS, (row + 0.5) / CELLS
            box = (x - left, y - top, x + right, y + bottom)
            asked += 1
            found += any(one.kind == KINDS[kind] and overlap(one.box, box) > 0.5 for one in seen[n].objects)
    assert asked > 100
    assert found / asked > 0.85


def test_a_run_goes_on_and_ships(
    tmp_path: Path, truth: LabelledRenders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_training, "_SETTLING", 2)
    monkeypatch.setattr(verifier_training, "_LOG_EVERY", 2)
    (tmp_path / "renders").mkdir()
    np.savez(
        tmp_path / "renders" / "00000.npz",
        **{name: np.concatenate([values] * 4) for name, values in vars(truth).items()},
    )
    options = LoopOptions(steps=2, warmup_steps=1)
    train_verifier(tmp_path, options, 128)
    train_verifier(tmp_path, replace(options, steps=4), 128)
    steps = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert steps == [2, 4]
    about = json.loads((tmp_path / "verifier.json").read_text())
    assert about["provenance"]["views"] == 4 * 32
    assert len(Verifier.load(tmp_path).see(truth.pictures[:2])) == 2


def test_a_run_can_begin_from_a_verifier(
    tmp_path: Path, truth: LabelledRenders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifier_training, "_SETTLING", 8)
    (tmp_path / "renders").mkdir()
    np.savez(
        tmp_path / "renders" / "00000.npz",
        **{name: np.concatenate([values] * 4) for name, values in vars(truth).items()},
    )
    options = LoopOptions(steps=1, learning_rate=1e-9)
    train_verifier(tmp_path, options, 128, start=SHIPPED)
    began, went_on = read_network(SHIPPED).state_dict(), read_network(tmp_path).state_dict()
    weights = [name for name in began if name.endswith("convolution.weight")]
    assert weights
    for name in weights:
        torch.testing.assert_close(went_on[name], began[name])

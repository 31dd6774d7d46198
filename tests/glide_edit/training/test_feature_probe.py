"""Tags: what is where in a picture of the toybox, and that a network's cells learn to say it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.training.batches import BatchPlan
from glide_edit.training.loop import LoopOptions, train
from glide_edit.training.sources import Item, RenderedToybox
from glide_edit.training.tags import TAGS, tagging_loss, tags_of
from glide_edit.training.views import Mixture
from tests.glide_edit.training.test_loop import CPU, make_trainee


def toy_of(seed: int) -> Item:
    return RenderedToybox(16).draw(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_tags_say_what_is_where(seed: int) -> None:
    item = toy_of(seed)
    tags = tags_of(item, 2)
    assert item.scene is not None
    said = {TAGS[k] for k in tags.flatten(1).amax(1).nonzero()[:, 0].tolist()}
    assert said == {word for toy in item.scene.toys for word in (toy.kind, toy.colour, toy.material)}
    toy, mask = item.scene.toys[0], item.objects[0]
    quarters = [[mask[:8, :8].mean(), mask[:8, 8:].mean()], [mask[8:, :8].mean(), mask[8:, 8:].mean()]]
    assert (tags[TAGS.index(toy.kind)] >= torch.tensor(quarters) - 1e-6).all()


def test_pictures_of_which_nothing_is_known_do_not_count() -> None:
    known = tags_of(toy_of(0), 4)
    unknown = tags_of(replace(toy_of(1), scene=None), 4)
    assert unknown.isnan().all()
    said = torch.randn(2, len(TAGS), 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    both = tagging_loss(said, torch.stack([known, unknown]))
    assert torch.equal(both, tagging_loss(said[:1], known[None]))
    both.backward()
    assert said.grad is not None
    assert said.grad[0].ne(0).all()
    assert said.grad[1].eq(0).all()
    assert tagging_loss(said, torch.stack([unknown, unknown])).item() == 0


def test_cells_that_say_what_is_there_are_right() -> None:
    tags = (tags_of(toy_of(0), 2)[None] > 0.5).float()
    assert float(tagging_loss(20 * tags - 10, tags)) < 0.01
    assert float(tagging_loss(10 - 20 * tags, tags)) > 100


def test_each_reading_level_has_its_own_layer(base_config: Any) -> None:
    config = replace(base_config, channels=(16, 32, 64), blocks=(1, 1, 2), attention=(False, True, True))
    trainee = make_trainee(config, tagging=True)
    assert trainee.taggers is not None
    assert trainee.taggers.side == 4  # 16 px, patches of 2, one level down
    plan = BatchPlan([(RenderedToybox(16), 1.0, Mixture())], 2, 0, tag_side=4)
    batch = plan.make(0)
    assert batch.tags is not None
    assert batch.tags.shape == (2, len(TAGS), 4, 4)
    with trainee.taggers.watching(trainee.network) as seen:
        trainee.loss(replace(batch, tags=None), torch.Generator().manual_seed(0))
    assert [tuple(cells.shape[1:]) for cells in seen] == [(64, 2, 2), (32, 4, 4)]
    plain = trainee.loss(replace(batch, tags=None), torch.Generator().manual_seed(0))
    tagged = trainee.loss(batch, torch.Generator().manual_seed(0))
    assert tagged > plain
    assert not trainee.network.up[1].attentions[-1]._forward_hooks  # type: ignore[union-attr, index]


def test_cells_learn_to_say_what_is_there(base_config: Any, tmp_path: Path) -> None:
    class FewToys(RenderedToybox):
        def draw(self, rng: np.random.Generator) -> Item:
            return super().draw(np.random.default_rng(int(rng.integers(2))))

    trainee = make_trainee(base_config, tagging=True)
    plan = BatchPlan([(FewToys(16), 1.0, Mixture(known=0, drawing=0))], 4, 0, tag_side=8)
    fixed = plan.make(1000)

    def said_wrong() -> float:
        with torch.no_grad():
            both = [
                trainee.loss(b, torch.Generator().manual_seed(0)) for b in (fixed, replace(fixed, tags=None))
            ]
        return float(both[0] - both[1])

    before = said_wrong()
    train(trainee, plan, LoopOptions(steps=60, learning_rate=4e-3, warmup_steps=5), tmp_path, {}, CPU)
    assert said_wrong() < 0.4 * before

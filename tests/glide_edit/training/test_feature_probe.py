"""Feature probes: the tags of a picture's cells, and that a network's cells learn to say them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.training.batches import BatchPlan
from glide_edit.training.feature_probe import TAGS, tag_loss, tag_map
from glide_edit.training.loop import train
from glide_edit.training.settings import LoopOptions
from glide_edit.training.sources import Item, RenderedToybox
from glide_edit.training.views import Mixture
from glide_edit.training.weights import MasterWeights
from tests.glide_edit.training.test_loop import CPU, make_module


def toy_of(seed: int) -> Item:
    return RenderedToybox(16).draw(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(4))
def test_tags_are_where_their_toys_are(seed: int) -> None:
    item = toy_of(seed)
    tags = tag_map(item, 2)
    assert item.scene is not None
    said = {TAGS[k] for k in tags.flatten(1).amax(1).nonzero()[:, 0].tolist()}
    assert said == {word for toy in item.scene.toys for word in (toy.kind, toy.colour, toy.material)}
    toy, mask = item.scene.toys[0], item.objects[0]
    quarters = [[mask[:8, :8].mean(), mask[:8, 8:].mean()], [mask[8:, :8].mean(), mask[8:, 8:].mean()]]
    assert (tags[TAGS.index(toy.kind)] >= torch.tensor(quarters) - 1e-6).all()


def test_pictures_without_a_scene_do_not_count() -> None:
    known = tag_map(toy_of(0), 4)
    unknown = tag_map(replace(toy_of(1), scene=None), 4)
    assert unknown.isnan().all()
    said = torch.randn(2, len(TAGS), 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    both = tag_loss(said, torch.stack([known, unknown]))
    assert torch.equal(both, tag_loss(said[:1], known[None]))
    both.backward()
    assert said.grad is not None
    assert said.grad[0].ne(0).all()
    assert said.grad[1].eq(0).all()
    assert tag_loss(said, torch.stack([unknown, unknown])).item() == 0


def test_cells_with_the_right_tags_have_a_small_loss() -> None:
    tags = (tag_map(toy_of(0), 2)[None] > 0.5).float()
    assert float(tag_loss(20 * tags - 10, tags)) < 0.01
    assert float(tag_loss(10 - 20 * tags, tags)) > 100


def test_each_level_with_attention_has_its_own_layer(base_config: Any) -> None:
    config = replace(base_config, channels=(16, 32, 64), blocks=(1, 1, 2), attention=(False, True, True))
    module = make_module(config, probes=True)
    assert module.feature_probe is not None
    assert module.feature_probe.side == 4  # 16 px, patches of 2, one level down
    plan = BatchPlan([(RenderedToybox(16), 1.0, Mixture())], 2, 0, tag_side=4)
    batch = plan.make(0)
    assert batch.tags is not None
    assert batch.tags.shape == (2, len(TAGS), 4, 4)
    assert [layer.in_channels for layer in module.feature_probe.layers] == [32, 64]
    plain = module.loss(replace(batch, tags=None), torch.Generator().manual_seed(0))
    tagged = module.loss(batch, torch.Generator().manual_seed(0))
    assert tagged > plain


def test_cells_learn_their_tags(base_config: Any, tmp_path: Path) -> None:
    class FewToys(RenderedToybox):
        def draw(self, rng: np.random.Generator) -> Item:
            return super().draw(np.random.default_rng(int(rng.integers(2))))

    module = make_module(base_config, probes=True)
    plan = BatchPlan([(FewToys(16), 1.0, Mixture(known=0, drawing=0))], 4, 0, tag_side=8)
    fixed = plan.make(1000)

    def said_wrong() -> float:
        with torch.no_grad():
            both = [
                module.loss(b, torch.Generator().manual_seed(0)) for b in (fixed, replace(fixed, tags=None))
            ]
        return float(both[0] - both[1])

    before = said_wrong()
    train(module, plan, LoopOptions(steps=60, learning_rate=4e-3, warmup_steps=5), tmp_path, {}, CPU)
    assert said_wrong() < 0.4 * before


def test_checkpoints_keep_the_names_that_probes_once_had(base_config: Any) -> None:
    """Those of runs that were begun before the probes were called probes go on."""
    module = make_module(base_config, probes=True)
    state = MasterWeights(module, 1e-3, 0.9).state()
    probes = {name for name in state if not name.partition("/")[2].startswith(("network.", "transformer."))}
    layers = ("taggers.layers.0.weight", "taggers.layers.0.bias", "reader.layer.weight", "reader.layer.bias")
    assert probes == {f"{kind}/{layer}" for kind in ("master", "ema") for layer in layers}
    changed = {name: value + 1 for name, value in state.items()}
    MasterWeights(module, 1e-3, 0.9).restore(changed, 1)
    assert module.feature_probe is not None
    assert module.text_probe is not None
    assert torch.equal(module.feature_probe.layers[0].weight, changed["master/taggers.layers.0.weight"])
    assert torch.equal(module.text_probe.layer.weight, changed["master/reader.layer.weight"])

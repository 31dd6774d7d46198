"""Text probes: which toy a word refers to, and that a text encoder learns what belongs to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training.feature_probe import TAGS
from glide_edit.training.sources import Item, RenderedToybox
from glide_edit.training.text_probe import PLACE_WEIGHT, TextProbe, WordTargets, word_targets

CAPTIONS = [f"a {a} ball and a {b} cube" for a, b in permutations(("red", "blue", "green"), 2)]


def toys(seed: int) -> Item:
    return RenderedToybox(32).draw(np.random.default_rng(seed))


def tags_in(target: torch.Tensor) -> set[str]:
    return {tag for tag, true in zip(TAGS, target[:-2].tolist(), strict=True) if true}


@pytest.mark.parametrize("seed", range(6))
def test_a_word_that_only_one_toy_has_refers_to_it(seed: int) -> None:
    item = toys(seed)
    assert item.scene is not None
    words = [(toy.kind, toy.colour, toy.material) for toy in item.scene.toys]
    alone = {word for own in words for word in own if sum(own.count(word) for own in words) == 1}
    targets = word_targets(item)
    assert set(targets) == alone
    for own, mask in zip(words, item.objects, strict=True):
        for word in alone.intersection(own):
            assert tags_in(targets[word]) == set(own)
            ys, xs = np.nonzero(mask)
            assert targets[word][-2:].tolist() == pytest.approx(
                [xs.mean() / 15.5 - 1, ys.mean() / 15.5 - 1], abs=0.05
            )


def test_a_photograph_has_no_targets() -> None:
    assert word_targets(replace(toys(0), scene=None)) == {}


def target(kind: str, colour: str, x: float) -> torch.Tensor:
    return torch.tensor([*(tag in (kind, colour) for tag in TAGS), x, 0.0], dtype=torch.float32)


def targets_of(caption: str) -> WordTargets:
    _, first, _, _, _, second, _ = caption.split()
    ball, cube = target("ball", first, -0.5), target("cube", second, 0.5)
    return {"ball": ball, first: ball, "cube": cube, second: cube}


@pytest.fixture
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(CAPTIONS, 400, 40)


def test_words_learn_what_belongs_to_them(tokenizer: BytePairTokenizer) -> None:
    """A bag of words cannot: of each caption there is one with the colours exchanged."""
    torch.manual_seed(0)
    probe = TextProbe(32, tokenizer)
    assert {"ball", "cube", "red", "blue", "green"} <= set(probe.words.values())
    transformer = TextTransformer(TextTransformerConfig(tokenizer.vocabulary_size, 32, 2, 4))
    tokens, targets = tokenizer.encode(CAPTIONS), [targets_of(caption) for caption in CAPTIONS]
    parameters = [*transformer.parameters(), *probe.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3)

    def loss() -> torch.Tensor:
        return probe.loss(transformer(tokens.ids, tokens.token_mask).states, tokens.ids, targets)

    before = loss().item()
    for _ in range(250):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.05 * before


def test_only_words_with_a_target_count(tokenizer: BytePairTokenizer) -> None:
    probe = TextProbe(8, tokenizer)
    tokens = tokenizer.encode(CAPTIONS[:2])
    states = torch.randn(*tokens.ids.shape, 8, requires_grad=True)
    assert probe.loss(states, tokens.ids, [{}, {}]).item() == 0
    only = probe.loss(states, tokens.ids, [{"ball": target("ball", "red", 0.5)}, {}])
    # Nothing is learned yet: each tag is as likely as not, and every place in the middle.
    assert only.item() == pytest.approx(len(TAGS) * np.log(2) + PLACE_WEIGHT * 0.5**2, rel=1e-5)
    torch.nn.init.ones_(probe.layer.weight)
    probe.loss(states, tokens.ids, [{"ball": target("ball", "red", 0.5)}, {}]).backward()
    assert states.grad is not None
    touched = states.grad.abs().sum(-1).nonzero().tolist()
    ball = next(token for token, word in probe.words.items() if word == "ball")
    assert touched == [[0, tokens.ids[0].tolist().index(ball)]]

"""Meanings of words: which toy a word speaks of, and that a text encoder learns to say what belongs to it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig
from glide_edit.training.meanings import PLACE_WEIGHT, Meanings, TextProbe, meanings_of
from glide_edit.training.sources import Item, RenderedToybox
from glide_edit.training.tags import TAGS

CAPTIONS = [f"a {a} ball and a {b} cube" for a, b in permutations(("red", "blue", "green"), 2)]


def toys(seed: int) -> Item:
    return RenderedToybox(32).draw(np.random.default_rng(seed))


def said(meaning: torch.Tensor) -> set[str]:
    return {tag for tag, true in zip(TAGS, meaning[:-2].tolist(), strict=True) if true}


@pytest.mark.parametrize("seed", range(6))
def test_a_word_that_one_toy_has_means_that_toy(seed: int) -> None:
    item = toys(seed)
    assert item.scene is not None
    words = [(toy.kind, toy.colour, toy.material) for toy in item.scene.toys]
    alone = {word for own in words for word in own if sum(own.count(word) for own in words) == 1}
    meanings = meanings_of(item)
    assert set(meanings) == alone
    for own, mask in zip(words, item.objects, strict=True):
        for word in alone.intersection(own):
            assert said(meanings[word]) == set(own)
            ys, xs = np.nonzero(mask)
            assert meanings[word][-2:].tolist() == pytest.approx(
                [xs.mean() / 15.5 - 1, ys.mean() / 15.5 - 1], abs=0.05
            )


def test_nothing_is_meant_in_a_photograph() -> None:
    assert meanings_of(replace(toys(0), scene=None)) == {}


def meaning(kind: str, colour: str, x: float) -> torch.Tensor:
    return torch.tensor([*(tag in (kind, colour) for tag in TAGS), x, 0.0], dtype=torch.float32)


def meant(caption: str) -> Meanings:
    _, first, _, _, _, second, _ = caption.split()
    ball, cube = meaning("ball", first, -0.5), meaning("cube", second, 0.5)
    return {"ball": ball, first: ball, "cube": cube, second: cube}


@pytest.fixture
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(CAPTIONS, 400, 40)


def test_words_learn_what_belongs_to_them(tokenizer: BytePairTokenizer) -> None:
    """A bag of words cannot: of each caption there is one with the colours exchanged."""
    torch.manual_seed(0)
    reader = TextProbe(32, tokenizer)
    assert {"ball", "cube", "red", "blue", "green"} <= set(reader.words.values())
    transformer = TextTransformer(TextTransformerConfig(tokenizer.vocabulary_size, 32, 2, 4))
    tokens, meanings = tokenizer.encode(CAPTIONS), [meant(caption) for caption in CAPTIONS]
    parameters = [*transformer.parameters(), *reader.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3)

    def loss() -> torch.Tensor:
        return reader.loss(transformer(tokens.ids, tokens.token_mask).states, tokens.ids, meanings)

    before = loss().item()
    for _ in range(250):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.05 * before


def test_the_error_is_of_the_words_that_mean_one_toy(tokenizer: BytePairTokenizer) -> None:
    reader = TextProbe(8, tokenizer)
    tokens = tokenizer.encode(CAPTIONS[:2])
    states = torch.randn(*tokens.ids.shape, 8, requires_grad=True)
    assert reader.loss(states, tokens.ids, [{}, {}]).item() == 0
    only = reader.loss(states, tokens.ids, [{"ball": meaning("ball", "red", 0.5)}, {}])
    # Nothing is learned yet: each tag is as likely as not, and every place in the middle.
    assert only.item() == pytest.approx(len(TAGS) * np.log(2) + PLACE_WEIGHT * 0.5**2, rel=1e-5)
    torch.nn.init.ones_(reader.layer.weight)
    reader.loss(states, tokens.ids, [{"ball": meaning("ball", "red", 0.5)}, {}]).backward()
    assert states.grad is not None
    touched = states.grad.abs().sum(-1).nonzero().tolist()
    ball = next(token for token, word in reader.words.items() if word == "ball")
    assert touched == [[0, tokens.ids[0].tolist().index(ball)]]

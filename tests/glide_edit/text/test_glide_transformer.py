from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from glide_edit.errors import InputError
from glide_edit.models import records
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.glide_transformer import GlideTextConfig, GlideTextTransformer
from glide_edit.text.tokenizer import Tokens

CONFIG = GlideTextConfig(vocabulary=50, width=24, layers=2, heads=3, context=8)


def make() -> GlideTextTransformer:
    torch.manual_seed(2)
    return GlideTextTransformer(CONFIG).eval()


def ids(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, CONFIG.vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def real(*lengths: int) -> Tensor:
    return torch.arange(CONFIG.context)[None] < torch.tensor(lengths)[:, None]


@torch.no_grad()
def test_what_stands_under_padding_is_not_read() -> None:
    transformer, tokens = make(), ids(1, 8)
    others = torch.cat([tokens[:, :5], ids(1, 3, seed=7)], dim=1)
    assert not torch.equal(tokens, others)
    states = transformer(tokens, real(5)).states
    assert states.shape == (1, 8, CONFIG.width)
    assert torch.equal(transformer(others, real(5)).states, states)


@torch.no_grad()
def test_every_place_sees_every_place_also_padding() -> None:
    transformer, tokens = make(), ids(1, 8)
    reference = transformer(tokens, real(5)).states
    changed = tokens.clone()
    changed[0, 2] = (changed[0, 2] + 1) % CONFIG.vocabulary
    assert ((transformer(changed, real(5)).states - reference).abs().amax(-1) > 1e-4).all()
    transformer.padding[6] += torch.randn(CONFIG.width, generator=torch.Generator().manual_seed(1))
    assert ((transformer(tokens, real(5)).states - reference).abs().amax(-1) > 1e-4).all()


@torch.no_grad()
def test_prompts_of_a_batch_do_not_see_each_other() -> None:
    transformer, tokens = make(), ids(3, 8)
    together = transformer(tokens, real(8, 2, 0)).states
    for k, length in enumerate((8, 2, 0)):
        alone = transformer(tokens[k : k + 1], real(length)).states
        assert torch.allclose(together[k], alone[0], atol=1e-5)


def test_gradients_reach_every_parameter() -> None:
    transformer = make()
    states = transformer(ids(2, 8), real(8, 3)).states
    (states * torch.randn_like(states)).sum().backward()
    dead = [name for name, p in transformer.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


def test_it_serves_the_text_encoder() -> None:
    class Letters:
        context = CONFIG.context
        vocabulary_size = CONFIG.vocabulary

        def encode(self, prompts: Any) -> Tokens:
            rows = [[ord(c) % 50 for c in prompt[:8]] + [0] * (8 - len(prompt)) for prompt in prompts]
            return Tokens(torch.tensor(rows), real(*map(len, prompts)), (0,) * len(prompts))

    text = TextEncoder(Letters(), make()).encode(["red", ""])
    assert text.states.shape == (2, 8, CONFIG.width)
    assert text.token_mask.sum(1).tolist() == [3, 0]
    assert not text.states.requires_grad


@pytest.mark.parametrize(
    "changes", [{"width": 25}, {"layers": 0}, {"vocabulary": 0}, {"context": -1}, {"heads": 0}]
)
def test_an_impossible_configuration_is_refused(changes: Any) -> None:
    with pytest.raises(InputError, match="text transformer"):
        replace(CONFIG, **changes)


def test_a_configuration_comes_back_from_json() -> None:
    record = {"vocabulary": 50, "width": 24, "layers": 2, "heads": 3, "context": 8}
    assert records.into(GlideTextConfig, record, "config") == CONFIG

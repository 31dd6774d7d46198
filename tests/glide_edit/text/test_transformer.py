from dataclasses import replace
from typing import Any

import pytest
import torch

from glide_edit.errors import InputError
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.tokenizer import BytePairTokenizer
from glide_edit.text.transformer import TextTransformer, TextTransformerConfig

CONFIG = TextTransformerConfig(vocabulary=300, width=24, layers=2, heads=3, context=16)


def make() -> TextTransformer:
    torch.manual_seed(2)
    return TextTransformer(CONFIG).eval()


def ids(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, CONFIG.vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def real(*lengths: int, padded_to: int) -> torch.Tensor:
    return torch.arange(padded_to)[None] < torch.tensor(lengths)[:, None]


@torch.no_grad()
@pytest.mark.parametrize("padded_to", [6, 9, 16])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_real_tokens_do_not_see_padding(padded_to: int, dtype: torch.dtype) -> None:
    transformer = make().to(dtype)
    short = transformer(ids(1, 5), real(5, padded_to=5)).states
    # Padding need not be zeros: whatever is there must not be read.
    padded_ids = torch.cat([ids(1, 5), ids(1, padded_to - 5, seed=7)], dim=1)
    padded = transformer(padded_ids, real(5, padded_to=padded_to))
    assert padded.states.shape == (1, padded_to, CONFIG.width)
    tolerance = 1e-5 if dtype == torch.float32 else 0.02
    assert torch.allclose(padded.states[:, :5], short, atol=tolerance)
    seen = transformer(padded_ids, real(padded_to, padded_to=padded_to)).states
    assert not torch.allclose(seen[:, :5], short, atol=0.05)


@torch.no_grad()
def test_every_real_token_sees_every_other_and_its_place() -> None:
    transformer = make()
    tokens, token_mask = ids(1, 5), real(5, padded_to=5)
    reference = transformer(tokens, token_mask).states
    for k in range(5):
        changed = tokens.clone()
        changed[0, k] = (changed[0, k] + 1) % CONFIG.vocabulary
        differences = (transformer(changed, token_mask).states - reference).abs().amax(-1)[0]
        assert (differences > 1e-4).all(), k
    turned = transformer(tokens.flip(1), token_mask).states.flip(1)
    assert not torch.allclose(turned, reference, atol=1e-3)


@torch.no_grad()
def test_prompts_of_a_batch_do_not_see_each_other() -> None:
    transformer = make()
    tokens, token_mask = ids(3, 7), real(7, 2, 4, padded_to=7)
    together = transformer(tokens, token_mask).states
    for k, length in enumerate((7, 2, 4)):
        alone = transformer(tokens[k : k + 1, :length], real(length, padded_to=length)).states
        assert torch.allclose(together[k, :length], alone[0], atol=1e-5)


def test_padding_only_gives_numbers() -> None:
    states = make()(ids(1, 4), torch.zeros(1, 4, dtype=torch.bool)).states
    assert states.isfinite().all()


def test_gradients_reach_every_parameter() -> None:
    transformer = make()
    states = transformer(ids(2, CONFIG.context), real(CONFIG.context, 3, padded_to=CONFIG.context)).states
    (states * torch.randn_like(states)).sum().backward()
    dead = [name for name, p in transformer.named_parameters() if p.grad is None or not p.grad.any()]
    assert dead == []


@pytest.mark.parametrize(
    "changes", [{"width": 25}, {"layers": 0}, {"vocabulary": 0}, {"context": -1}, {"heads": 0}]
)
def test_an_impossible_configuration_is_refused(changes: Any) -> None:
    with pytest.raises(InputError, match="text transformer"):
        replace(CONFIG, **changes)


class TestEncoder:
    encoder = TextEncoder(BytePairTokenizer.train(["a red ball"] * 3, 300, CONFIG.context), make())

    def test_prompts_become_states_without_gradients(self) -> None:
        text = self.encoder.encode(["a red ball", "", "red"])
        assert text.states.shape == (3, 3, CONFIG.width)
        assert text.token_mask.tolist() == [[True] * 3, [False] * 3, [True, False, False]]
        assert not text.states.requires_grad
        assert torch.allclose(text.states[2, :1], self.encoder.encode(["red"]).states[0], atol=1e-5)

    def test_a_prompt_may_be_longer_than_the_context(self) -> None:
        long = "red " * 50
        assert self.encoder.encode([long]).states.shape == (1, CONFIG.context, CONFIG.width)
        assert self.encoder.dropped_tokens(long) == 50 - CONFIG.context
        assert self.encoder.dropped_tokens("a red ball") == 0

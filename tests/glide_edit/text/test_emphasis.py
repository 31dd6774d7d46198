"""Weights in prompts: how they are written, and what is made of them."""

from __future__ import annotations

import time

import hypothesis.strategies as st
import pytest
from hypothesis import given

from glide_edit.errors import InputError
from glide_edit.text.prompt_weights import MOST_CHARACTERS, MOST_WEIGHT, MOST_WEIGHTED, read_words


@pytest.mark.parametrize(
    ("prompt", "shares"),
    [
        ("a red ball", {"a red ball": 1}),
        ("a (red:1.5) ball", {"a red ball": 1.5, "a ball": -0.5}),
        ("a (red:0) ball", {"a red ball": 0, "a ball": 1}),
        ("a ( red : .5 ) ball", {"a red ball": 0.5, "a ball": 0.5}),
        ("(a red ball:2)", {"a red ball": 2, "": -1}),
        ("(a:2) (b:3)", {"a b": 4, "b": -1, "a": -2}),
        ("(a b:2) and (a:1)", {"a b and a": 2, "and a": -1, "a b and": 0}),
    ],
)
def test_what_words_add_is_taken_so_many_times(prompt: str, shares: dict[str, float]) -> None:
    assert read_words(prompt).shares() == pytest.approx(shares)


@pytest.mark.parametrize(
    ("prompt", "plain"),
    [
        ("a ball (red)", "a ball (red)"),
        ("a sheet (16:9)", "a sheet (16:9)"),
        ("(a: b)", "(a: b)"),
        (":) and (:", ":) and (:"),
        ("((", "(("),
        ("a:2)", "a:2)"),
        (r"\(red:2\)", "(red:2)"),
        (r"(red\:2)", "(red:2)"),
        ("a\\b", "a\\b"),
        ("end\\", "end\\"),
        ("(an (old) ball)", "(an (old) ball)"),
        ("😀 шар 球 \u200d", "😀 шар 球 \u200d"),
    ],
)
def test_other_brackets_are_characters(prompt: str, plain: str) -> None:
    words = read_words(prompt)
    assert (words.plain, words.parts) == (plain, ())


def test_literal_brackets_may_be_weighted() -> None:
    assert read_words(r"a (ball \(red\):2)").shares() == pytest.approx({"a ball (red)": 2, "a": -1})
    assert read_words("a (ball (red):2)").shares() == pytest.approx({"a ball (red)": 2, "a": -1})


def test_control_characters_are_left_out_and_counted() -> None:
    words = read_words("a\x00 red\x1b[31m ball\n\tthere")
    assert (words.plain, words.dropped) == ("a red[31m ball\n\tthere", 2)
    assert read_words("\x00 \x07").plain == ""


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("(a:11)", r"The weight of \(a:…\) must be at most 10, not 11"),
        ("((a:2) b:3)", "within each other"),
        (" ".join(f"(x{k}:2)" for k in range(MOST_WEIGHTED + 1)), "8 weighted parts at most, not 9"),
    ],
)
def test_what_has_no_meaning_is_refused(prompt: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_words(prompt)


@given(st.text(alphabet="ab ():.\\12\x00é", max_size=40))
def test_whatever_is_typed_is_read_or_refused(prompt: str) -> None:
    try:
        words = read_words(prompt)
    except InputError:
        return
    assert sum(words.shares().values()) == pytest.approx(1)
    assert next(iter(words.shares())) == words.plain
    assert all(0 <= start < end <= len(words.plain) for start, end, _ in words.parts)
    assert all(0 <= weight <= MOST_WEIGHT for _, _, weight in words.parts)


@given(st.text(alphabet="ab ():.12", max_size=30))
def test_escaping_keeps_any_text(text: str) -> None:
    escaped = "".join(f"\\{c}" if c in "():" else c for c in text)
    words = read_words(escaped)
    assert words.parts == ()
    assert words.plain == (text if text.strip() else "")


def test_a_long_prompt_is_refused_before_it_is_parsed() -> None:
    read_words("(" * MOST_CHARACTERS)
    with pytest.raises(InputError, match="10,000 characters at most"):
        read_words("(" * (MOST_CHARACTERS + 1))


def test_brackets_are_read_in_linear_time() -> None:
    third = MOST_CHARACTERS // 3
    prompt = "(" * third + ":" * third + ")" * third
    before = time.process_time()
    assert read_words(prompt).plain == prompt
    assert time.process_time() - before < 0.1

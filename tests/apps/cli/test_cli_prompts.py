"""Several prompts in one call, and prompts from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glide_edit.images import open_picture, read_text


def test_several_prompts_are_drawn_in_order(cli, tiny: Path, here: Path) -> None:
    result = cli("generate", "a red ball", "grass", "--n", 2, "--model", tiny / "base", "--json")
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["files"] for record in records] == [
        ["generate-1-0.png", "generate-1-1.png"],
        ["generate-2-0.png", "generate-2-1.png"],
    ]
    assert json.loads(read_text("generate-2-1.png")["glide-edit"])["request"]["prompt"] == "grass"
    alone = cli("generate", "grass", "--out", "alone.png", "--model", tiny / "base")
    assert alone.exit_code == 0
    assert open_picture("alone.png").sha256 == open_picture("generate-2-0.png").sha256


def test_a_file_has_one_prompt_a_line(cli, tiny: Path, here: Path) -> None:
    (here / "prompts.txt").write_text("\ufeffa red ball\r\n\n  😀 шар \n", encoding="utf-8")
    result = cli("generate", "--prompt-file", "prompts.txt", "-o", "p.png", "--model", tiny / "base")
    assert result.exit_code == 0, result.output
    said = [json.loads(read_text(f"p-{k}.png")["glide-edit"])["request"]["prompt"] for k in (1, 2)]
    assert said == ["a red ball", "😀 шар"]


@pytest.mark.parametrize(
    ("arguments", "content", "says"),
    [
        ([], b"a", "Give the prompt once"),
        (["words", "--prompt-file", "prompts.txt"], b"a", "Give the prompt once"),
        (["--prompt", "words", "--prompt-file", "prompts.txt"], b"a", "Give the prompt once"),
        (["--prompt-file", "nothing.txt"], b"a", "nothing.txt cannot be read"),
        (["--prompt-file", "."], b"a", ". cannot be read"),
        (["--prompt-file", "prompts.txt"], b"\n \n", "prompts.txt has no prompts"),
        (["--prompt-file", "prompts.txt"], b"", "prompts.txt has no prompts"),
        (["--prompt-file", "prompts.txt"], b"\xff\xfe\x00a", "prompts.txt is not text in UTF-8"),
        (["--prompt-file", "prompts.txt"], b"a\n(b:99)", "at most 10, not 99"),
        (["a", "\x01"], b"a", "The prompt is empty"),
        (["a", "--negative-prompt", "(b:99)"], b"a", "at most 10, not 99"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    cli, here: Path, arguments: list[str], content: bytes, says: str
) -> None:
    (here / "prompts.txt").write_bytes(content)
    before = sorted(here.iterdir())
    result = cli("generate", *arguments, "--model", "surprise")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 1
    assert says in result.stderr
    assert sorted(here.iterdir()) == before


def test_a_negative_prompt_is_in_the_recipe(cli, tiny: Path) -> None:
    assert (
        cli("generate", "a", "--negative-prompt", "b", "-o", "a.png", "--model", tiny / "base").exit_code == 0
    )
    assert json.loads(read_text("a.png")["glide-edit"])["request"]["negative_prompt"] == "b"

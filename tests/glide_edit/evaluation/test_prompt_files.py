"""Anybody's own prompts: how files are read, and what is written."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation import drawing, prompt_files
from glide_edit.evaluation.drawing import draw
from glide_edit.evaluation.prompt_files import FilePrompt, draw_file, mean_by_category, read_prompts
from glide_edit.images import open_picture
from glide_edit.operations.clip import OpenClip
from tests.glide_edit.clips import needs_open_clip, tiny_open_clip
from tests.glide_edit.operations.stand_ins import tiny_model

BALLS = tuple(FilePrompt(f"a {colour} ball", colour) for colour in ("red", "blue", "red"))

DRAWBENCH = (
    "\ufeffPrompts,Category\n"
    "A red colored car.,Colors\n"
    '"A brown bird and a blue bear, both small.",Colors\n'
    '"A sign that says ""Hello"".",Text\n'
    "\n"
    " ,Colors\n"
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_drawbench_as_published(tmp_path: Path) -> None:
    assert read_prompts(write(tmp_path, "drawbench.csv", DRAWBENCH)) == (
        FilePrompt("A red colored car.", "Colors"),
        FilePrompt("A brown bird and a blue bear, both small.", "Colors"),
        FilePrompt('A sign that says "Hello".', "Text"),
    )


def test_a_table_with_tabs_and_further_columns(tmp_path: Path) -> None:
    table = "Prompt\tCategory\tChallenge\nan igloo\tOutdoor\tBasic\na mug\n"
    assert read_prompts(write(tmp_path, "parti.TSV", table)) == (
        FilePrompt("an igloo", "Outdoor"),
        FilePrompt("a mug", ""),
    )


def test_text_has_a_prompt_a_line(tmp_path: Path) -> None:
    path = write(tmp_path, "mine.txt", "a red ball, on grass\r\n\n  a cube  \n")
    assert read_prompts(path) == (FilePrompt("a red ball, on grass"), FilePrompt("a cube"))


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("empty.txt", "\n \n", "no prompts"),
        ("empty.csv", "", "no column Prompts"),
        ("other.csv", "Words,Category\na ball,x\n", "no column Prompts"),
        ("heading.csv", "Prompts,Category\n", "no prompts"),
    ],
)
def test_a_file_without_prompts_is_refused(tmp_path: Path, name: str, text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read_prompts(write(tmp_path, name, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_prompts(tmp_path / "picture.csv")
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "missing.csv")


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / "scores.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_prompt_gets_its_picture(tmp_path: Path) -> None:
    drawn = draw_file(tiny_model(), BALLS, tmp_path, seed=4)
    assert [each.image for each in drawn] == ["0001.png", "0002.png", "0003.png"]
    (expected,) = draw(tiny_model(), [each.text for each in BALLS], (4, 5, 6))
    for each, picture in zip(drawn, expected, strict=True):
        assert np.array_equal(open_picture(tmp_path / each.image).pixels, picture)
    assert [(row["seed"], row["prompt"], row["category"], row["clip_score"]) for row in rows(tmp_path)] == [
        ("4", "a red ball", "red", ""),
        ("5", "a blue ball", "blue", ""),
        ("6", "a red ball", "red", ""),
    ]
    assert open_picture(tmp_path / "sheet.png").width > 8 * 128
    assert mean_by_category(drawn) == {}


@needs_open_clip
def test_a_clip_scores_each_picture_with_its_own_prompt(tmp_path: Path) -> None:
    clip = tiny_open_clip(tmp_path / "clip")
    (tmp_path / "out").mkdir()
    drawn = draw_file(tiny_model(), BALLS, tmp_path / "out", clip=OpenClip("tiny", clip))
    (pictures,) = draw(tiny_model(), [each.text for each in BALLS], (0, 1, 2))
    for each, picture in zip(drawn, pictures, strict=True):
        x = drawing.torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
        cosine = (clip.image_embeddings(x) * clip.text_embeddings([each.prompt.text])).sum()
        assert each.clip_score == pytest.approx(100 * float(cosine), abs=1e-3)
    assert len({each.clip_score for each in drawn}) == 3
    scores = [float(each.clip_score or 0) for each in drawn]
    assert mean_by_category(drawn) == pytest.approx({"red": (scores[0] + scores[2]) / 2, "blue": scores[1]})
    assert [float(row["clip_score"]) for row in rows(tmp_path / "out")] == pytest.approx(scores, abs=1e-3)


def test_what_was_finished_is_listed_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "MOST_TOGETHER", 2)

    def stopped(done: int, count: int) -> None:
        assert (done, count) == (2, 3)
        raise KeyboardInterrupt

    assert len(draw_file(tiny_model(), BALLS, tmp_path, progress=stopped)) == 2
    assert [row["image"] for row in rows(tmp_path)] == ["0001.png", "0002.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0001.png",
        "0002.png",
        "scores.csv",
        "sheet.png",
    ]


def test_stopped_at_once_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prompt_files, "draw", stopped)
    with pytest.raises(KeyboardInterrupt):
        draw_file(tiny_model(), BALLS, tmp_path)
    assert not list(tmp_path.iterdir())

"""Anybody's own prompts: read from a file, drawn, and scored by a CLIP."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from glide_edit.errors import InputError
from glide_edit.evaluation.drawing import Pictures, Settings, draw
from glide_edit.evaluation.item_bench import Tell, until_interrupted
from glide_edit.evaluation.report import THUMBNAIL, Tile, contact_sheet, thumbnails
from glide_edit.evaluation.verifier import to_input
from glide_edit.images import save_picture, write_atomically
from glide_edit.models.model import Model
from glide_edit.operations.clip import OpenClip

SCORES_NAME, SHEET_NAME = "scores.csv", "sheet.png"

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_PROMPT_COLUMNS, _CATEGORY_COLUMN = ("prompts", "prompt"), "category"


@dataclass(frozen=True)
class FilePrompt:
    """A prompt of a file; the category is empty where the file has none."""

    text: str
    category: str = ""


@dataclass(frozen=True)
class Scored:
    """A prompt that was drawn: the picture's file name and seed, and 100 times the cosine of the CLIP
    embeddings of picture and prompt (as torchmetrics' CLIPScore), None without a CLIP."""

    image: str
    seed: int
    prompt: FilePrompt
    clip_score: float | None


def read_prompts(path: Path) -> tuple[FilePrompt, ...]:
    """The prompts of a file: a prompt a line, or with the ending .csv or .tsv a table with a heading.

    Of a table the columns Prompts (or Prompt) and Category are read, as DrawBench and PartiPrompts have
    them. Blank prompts are left out. Raises InputError where the file cannot be read as UTF-8 text, a table
    lacks the column, or there is no prompt.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"{path} cannot be read: {reason}.") from error
    delimiter = _DELIMITERS.get(path.suffix.lower())
    found = _table(path, text, delimiter) if delimiter else [FilePrompt(line) for line in text.splitlines()]
    prompts = tuple(FilePrompt(each.text.strip(), each.category) for each in found if each.text.strip())
    if not prompts:
        raise InputError(f"{path} holds no prompts.")
    return prompts


def draw_file(
    model: Model,
    prompts: Sequence[FilePrompt],
    out: Path,
    seed: int = 0,
    settings: Settings | None = None,
    clip: OpenClip | None = None,
    progress: Tell = lambda done, total: None,
) -> list[Scored]:
    """Draw the prompts into the folder ``out``: 0001.png and so on, scores.csv, and sheet.png.

    The first picture has the seed ``seed``, the next the one after it. ``progress`` is called with (done,
    count). Ctrl-C ends it early, with the pictures that were finished.

    Raises:
        InputError: a seed below 0, what ``draw`` refuses, or a file cannot be written.
        KeyboardInterrupt: before anything was finished.
    """
    if seed < 0:
        raise InputError(f"A seed is 0 or more, not {seed}.")
    texts, seeds = [each.text for each in prompts], range(seed, seed + len(prompts))

    def results() -> Iterator[tuple[Scored, Tile]]:
        done = 0
        for pictures in draw(model, texts, seeds, settings):
            asked = prompts[done : done + len(pictures)]
            scores = _clip_scores(clip, pictures, asked)
            for picture, prompt, score in zip(pictures, asked, scores, strict=True):
                name = f"{done + 1:04d}.png"
                save_picture(picture, out / name, force=True)
                words = prompt.text if score is None else f"{prompt.text} ({score:.1f})"
                yield Scored(name, seeds[done], prompt, score), Tile(thumbnails(picture), words)
                done += 1
            progress(done, len(prompts))

    found, _ = until_interrupted(results())
    drawn = [scored for scored, _ in found]
    _write_scores(out / SCORES_NAME, drawn)
    sheet = contact_sheet([tile for _, tile in found], across=8, size=THUMBNAIL)
    save_picture(sheet, out / SHEET_NAME, force=True)
    return drawn


def mean_by_category(drawn: Sequence[Scored]) -> dict[str, float]:
    """The mean CLIP score of each category, in the order of the file; nothing without scores."""
    scores: dict[str, list[float]] = {}
    for each in drawn:
        if each.clip_score is not None:
            scores.setdefault(each.prompt.category, []).append(each.clip_score)
    return {category: float(np.mean(values)) for category, values in scores.items()}


def _table(path: Path, text: str, delimiter: str) -> list[FilePrompt]:
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    heading = [name.strip().lower() for name in rows[0]] if rows else []
    column = next((heading.index(name) for name in _PROMPT_COLUMNS if name in heading), None)
    if column is None:
        raise InputError(f"{path} has no column Prompts in its first line.")
    category = heading.index(_CATEGORY_COLUMN) if _CATEGORY_COLUMN in heading else None
    return [
        FilePrompt(row[column], row[category].strip() if category is not None and category < len(row) else "")
        for row in rows[1:]
        if column < len(row)
    ]


def _clip_scores(
    clip: OpenClip | None, pictures: Pictures, prompts: Sequence[FilePrompt]
) -> list[float] | list[None]:
    if clip is None:
        return [None] * len(pictures)
    text = clip.network.text_embeddings([each.text for each in prompts])
    x = to_input(pictures).to(text.device)
    with torch.no_grad():
        return (100 * (clip.network.image_embeddings(x) * text).sum(1)).tolist()


def _write_scores(path: Path, drawn: Sequence[Scored]) -> None:
    """A line for each picture; ``clip_score`` stays empty without a CLIP."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "seed", "prompt", "category", "clip_score"))
    for each in drawn:
        score = "" if each.clip_score is None else f"{each.clip_score:.3f}"
        writer.writerow((each.image, each.seed, each.prompt.text, each.prompt.category, score))
    write_atomically(path, text.getvalue().encode(), force=True)

"""A contact sheet: a row for each prompt, a column for each seed.

python grid.py sheet.png "a red ball" "a blue cube" --seeds 0 1 2
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from glide_edit import Editor

TITLE = 14
"""Pixels above each row for its prompt."""


def contact_sheet(rows: dict[str, tuple[Image.Image, ...]]) -> Image.Image:
    columns = max(len(pictures) for pictures in rows.values())
    width, height = next(iter(rows.values()))[0].size
    sheet = Image.new("RGB", (columns * width, len(rows) * (height + TITLE)), "white")
    draw = ImageDraw.Draw(sheet)
    for row, (prompt, pictures) in enumerate(rows.items()):
        top = row * (height + TITLE)
        draw.text((2, top), prompt, fill="black")
        for column, picture in enumerate(pictures):
            sheet.paste(picture, (column * width, top + TITLE))
    return sheet


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("prompts", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args(arguments)
    prompts: list[str] = given.prompts
    seeds: list[int] = given.seeds
    editor = Editor.load(given.model)
    rows: dict[str, tuple[Image.Image, ...]] = {}
    for prompt in prompts:
        result = editor.generate(prompt, seeds=seeds, guidance=2.5, sampler="ddim", steps=8)
        rows[prompt] = result.images
    contact_sheet(rows).save(given.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Remove a thing from every picture of a folder. Masks have the pictures' names: photos/a.jpg, masks/a.png.

python batch_remove.py photos masks out
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from glide_edit import Editor, GlideEditError, MaskError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff"}


def remove_all(editor: Editor, photos: Path, masks: Path, out: Path) -> list[str]:
    """Write what can be removed to ``out``; a sentence for each picture where it could not be."""
    out.mkdir(parents=True, exist_ok=True)
    problems: list[str] = []
    for photo in sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES):
        target = out / f"{photo.stem}.png"
        if target.exists():
            continue
        try:
            result = editor.remove(photo, masks / f"{photo.stem}.png", grow=4, seed=1)
            receipt = result.save(target)
        except (GlideEditError, MaskError) as error:
            problems.append(f"{photo.name}: {error}")
            continue
        assert receipt is not None
        print(f"{target.name}: {receipt}, {result.seconds:.1f} s")
    return problems


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos", type=Path)
    parser.add_argument("masks", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args(arguments)
    problems = remove_all(Editor.load(given.model), given.photos, given.masks, given.out)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

"""Make the pictures of docs/guide.

    scripts/guide CHAPTER ...

A chapter is a module of scripts/guide_chapters, named as its page, whose function ``make(folder)`` writes the
page's pictures into docs/guide/CHAPTER.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ("editing", "masks", "prompts", "sketch")


def main() -> None:
    asked = sys.argv[1:]
    if not asked or set(asked) - set(CHAPTERS):
        sys.exit(f"Say which chapters to make: {', '.join(CHAPTERS)}.")
    for name in asked:
        folder = ROOT / "docs" / "guide" / name
        folder.mkdir(parents=True, exist_ok=True)
        import_module(f"guide_chapters.{name}").make(folder)


if __name__ == "__main__":
    main()

"""Make the pictures of docs/guide.

    scripts/guide CHAPTER ...

A chapter is a module of scripts/guide_chapters with the name of its page and a function ``make(folder)``,
which writes the page's pictures into docs/guide/CHAPTER. ``guide_chapters.pages`` runs the commands of a page
and lays pictures side by side.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ROOT / "scripts" / "guide_chapters"
HELPERS = ("__init__", "pages")


def main() -> None:
    known = sorted(path.stem for path in CHAPTERS.glob("*.py") if path.stem not in HELPERS)
    asked = sys.argv[1:]
    if not asked or set(asked) - set(known):
        sys.exit(f"Say which chapters to make: {', '.join(known)}.")
    for name in asked:
        folder = ROOT / "docs" / "guide" / name
        folder.mkdir(parents=True, exist_ok=True)
        import_module(f"guide_chapters.{name}").make(folder)


if __name__ == "__main__":
    main()

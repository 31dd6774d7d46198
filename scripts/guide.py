"""Make the pictures of docs/guide.

    scripts/guide CHAPTER ...

A chapter is a module of scripts/guide_chapters, named as its page, whose function ``make(folder)`` writes the
page's pictures into docs/guide/CHAPTER. Chapters use the functions of this module.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from glide_edit import save_picture

Pixels = NDArray[np.uint8]
ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = ("editing", "masks", "prompts", "sketch")
LARGEST_FILE = 150_000
"""bytes; pages are to load quickly."""


def commands(page: Path) -> list[list[str]]:
    """The arguments of each `glide-edit` command in the page's sh blocks, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("glide-edit ")]


@contextmanager
def folder_after(page: Path, example_files: Sequence[str]) -> Iterator[Path]:
    """A folder with files of docs/examples and the outputs of the page's commands. Raises RuntimeError where
    a command fails."""
    from typer.testing import CliRunner

    from apps.cli.main import app

    with TemporaryDirectory() as name:
        for file in example_files:
            (Path(name) / file).write_bytes((ROOT / "docs" / "examples" / file).read_bytes())
        with chdir(name):
            for arguments in commands(page):
                result = CliRunner().invoke(app, arguments, prog_name="glide-edit")
                print(f"$ glide-edit {shlex.join(arguments)}\n{result.output}", end="")
                if result.exit_code != 0:
                    raise RuntimeError(f"{shlex.join(arguments)} ended with code {result.exit_code}")
        yield Path(name)


def write(path: Path, pixels: Pixels) -> None:
    """Save a picture of a page. Raises RuntimeError for a file larger than LARGEST_FILE."""
    save_picture(pixels, path, force=True, quality=85)
    size = path.stat().st_size
    print(f"{path.relative_to(ROOT)}: {pixels.shape[1]} x {pixels.shape[0]}, {size:,} bytes")
    if size > LARGEST_FILE:
        raise RuntimeError(f"{path.name} is larger than {LARGEST_FILE:,} bytes: make it smaller")


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

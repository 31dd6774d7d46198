"""The commands of the guide work as they stand on its pages."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


def guide() -> ModuleType:
    """scripts/guide.py, which is no part of the program."""
    spec = importlib.util.spec_from_file_location("guide", ROOT / "scripts" / "guide.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("chapter", "files", "at_least"), [("masks", ["photo.jpg"], 24)])
def test_every_command_of_a_page_works(chapter: str, files: list[str], at_least: int) -> None:
    page = ROOT / "docs" / "guide" / f"{chapter}.md"
    assert len(guide().commands(page)) >= at_least
    with guide().folder_after(page, files) as made:
        outputs = [words[words.index("-o") + 1] for words in guide().commands(page) if "-o" in words]
        assert {path.name for path in made.iterdir()} >= set(outputs)

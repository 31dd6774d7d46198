"""``metadata.jsonl``, which names the pictures of a folder: one JSON object a line, with ``file_name``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from glide_edit.errors import TrainingError

METADATA = "metadata.jsonl"


@dataclass(frozen=True)
class Line:
    """A line of ``metadata``, counted from 1, and its object."""

    metadata: Path
    number: int
    entry: dict[str, Any]

    def error(self, problem: str) -> TrainingError:
        return TrainingError(f"{self.metadata}, line {self.number}: {problem}")

    def path(self, key: str, name: object) -> Path:
        """The file of that name. Links out of the folder are allowed, names that lead out of it are not.

        Raises:
            TrainingError: it is not the name of a file, leads out of the folder, or there is no such file.
        """
        if not isinstance(name, str) or not name or "\0" in name:
            raise self.error(f"{key} must be the name of a file.")
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise self.error(f"{key} leaves the folder: {name}.")
        path = self.metadata.parent / name
        if not path.is_file():
            raise self.error(f"there is no file {path}.")
        return path


def read_metadata(folder: Path) -> list[Line]:
    """The lines that are not empty.

    Raises:
        TrainingError: there is no metadata, it cannot be read, or a line is not a JSON object.
    """
    metadata = folder / METADATA
    try:
        # Not splitlines(): captions may hold other characters that it takes for the end of a line.
        texts = metadata.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise TrainingError(f"{folder} has no readable {METADATA} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise TrainingError(f"{metadata} is not UTF-8 text.") from error
    lines = []
    for number, text in enumerate(texts, 1):
        if not text.strip():
            continue
        try:
            line = Line(metadata, number, json.loads(text))
        except (ValueError, RecursionError) as error:
            raise Line(metadata, number, {}).error(f"it is not JSON ({error}).") from error
        if not isinstance(line.entry, dict):
            raise line.error("it is not a JSON object.")
        lines.append(line)
    return lines

"""The models that are loaded, shared by all visits."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path

from glide_edit.editor import Editor
from glide_edit.errors import ModelNotFound
from glide_edit.models import Runtime, list_models
from glide_edit.models.registry import KNOWN


@dataclass(frozen=True)
class Running:
    """On what the models run, as the options of the command line say it."""

    device: str = "auto"
    precision: str = "auto"


class Shelf:
    """Editors by name, each loaded when it is first asked for.

    A run holds the editor it began with, so that choosing another or unloading this one never breaks it.
    Only ``offered`` names are loaded: a page cannot name a folder of the server, nor see the path of the one
    that the studio was started with.
    """

    def __init__(self, first: str, running: Running | None = None) -> None:
        self.first = first if first in KNOWN else Path(first).resolve().name
        self._first_from = first
        self._running = running or Running()
        self._editors: dict[str, Editor] = {}
        self._guard = threading.Lock()

    @property
    def offered(self) -> list[str]:
        """Names that can be chosen: the one the studio was started with, and known models that are here."""
        here = [info.name for info in list_models() if info.available]
        return list(dict.fromkeys([self.first, *here]))

    def runtime(self, name: str) -> Runtime | None:
        """On what a model is loaded, None where it is not."""
        editor = self._editors.get(name)
        return None if editor is None else editor.runtime

    def editor(self, name: str) -> Editor:
        """The editor of that name; loads it, and only one at a time.

        Raises:
            ModelNotFound: a name that is not offered.
            GlideEditError: what loading raises.
        """
        with self._guard:
            if name not in self._editors:
                if name not in self.offered:
                    raise ModelNotFound(f"No model {name!r} is here: choose {', '.join(self.offered)}.")
                where = self._first_from if name == self.first else name
                self._editors[name] = Editor.load(where, self._running.device, self._running.precision)
            return self._editors[name]

    def unload(self, name: str) -> None:
        """Let go of a model; what runs with it ends as it began."""
        with self._guard:
            self._editors.pop(name, None)

"""The models that are loaded, shared by all sessions."""

from __future__ import annotations

import threading
from pathlib import Path

from glide_edit.editor import Editor
from glide_edit.errors import ModelNotFound
from glide_edit.models import Runtime, list_models
from glide_edit.models.registry import KNOWN


class LoadedModels:
    """Editors by model name, each loaded on first use.

    A run keeps its editor, so it is safe to unload or to switch models meanwhile. Only ``available`` names
    are loaded: a page cannot name a folder of the server, nor see the path of the default model.
    """

    def __init__(
        self, default: str, device: str = "auto", precision: str = "auto", threads: int | None = None
    ) -> None:
        self.default = default if default in KNOWN else Path(default).resolve().name
        self._default_path = default
        self._device = device
        self._precision = precision
        self._threads = threads
        self._editors: dict[str, Editor] = {}
        self._lock = threading.Lock()

    @property
    def available(self) -> list[str]:
        """The default model and the known models that are installed."""
        installed = [info.name for info in list_models() if info.available]
        return list(dict.fromkeys([self.default, *installed]))

    def runtime(self, name: str) -> Runtime | None:
        """The runtime of a model, None where it is not loaded."""
        editor = self._editors.get(name)
        return None if editor is None else editor.runtime

    def editor(self, name: str) -> Editor:
        """The editor of a model, which is loaded if necessary, one at a time.

        Raises:
            ModelNotFound: the name is not available.
            GlideEditError: what loading raises.
        """
        with self._lock:
            if name not in self._editors:
                if name not in self.available:
                    raise ModelNotFound(f"No model {name!r} is here: choose {', '.join(self.available)}.")
                path = self._default_path if name == self.default else name
                self._editors[name] = Editor.load(
                    path, self._device, self._precision, tune_process=True, threads=self._threads
                )
            return self._editors[name]

    def unload(self, name: str) -> None:
        """Forget a model; runs that use it continue."""
        with self._lock:
            self._editors.pop(name, None)

"""The sessions of open pages: photographs, results, and a folder that is deleted when the page closes."""

from __future__ import annotations

import itertools
import secrets
import shutil
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from apps.studio.canvas_state import CanvasState
from glide_edit.images import Picture
from glide_edit.results import EditResult, Receipt
from masks import Mask

MAX_HISTORY_BYTES = 512 * 2**20
"""Of the pictures in a session's history; beyond it the oldest are dropped."""
MAX_KEPT = 12
"""Pictures in a strip of thumbnails that outlast the run that made them."""
MAX_UNDO = 12
"""Photographs in an ``UndoStack``."""
MAX_CANVAS_FILES = 12
"""A canvas is sent in three files, and the last ones may be asked for once more."""


@dataclass(frozen=True, eq=False)
class HistoryEntry:
    """A finished picture. ``complete`` is False for the partial result of a run that was stopped.

    ``thumbnail`` shows all of it, ``closeup`` what was edited.
    """

    number: int
    result: EditResult
    index: int
    thumbnail: str
    closeup: str = ""
    complete: bool = True

    @property
    def picture(self) -> Picture:
        return self.result.pictures[self.index]

    @property
    def receipt(self) -> Receipt | None:
        receipts = self.result.receipts
        return receipts[self.index] if receipts else None

    @property
    def seed(self) -> int:
        return self.result.seeds[self.index]


@dataclass(eq=False)
class Run:
    """A run in the queue: waiting, started or stopped. ``draft_seed`` is the seed of the draft to finish."""

    draft_seed: int | None = None
    is_started: bool = False
    is_stopped: bool = False


@dataclass(eq=False)
class Tab:
    """What a tab holds: an open ``photo``, its last ``run``, and pictures by their numbers in the history.

    One picture is ``viewed``. Others are in the strip below: ``kept`` from earlier runs, or of the ``latest``
    one, where the other candidates of ``drafts``, its result, can still be finished.
    """

    photo: Picture | None = None
    run: Run | None = None
    viewed: int | None = None
    kept: list[int] = field(default_factory=list)
    latest: list[int] = field(default_factory=list)
    drafts: EditResult | None = None

    def start_run(self) -> None:
        """Clear the strip, except for what is kept."""
        self.latest, self.drafts = [], None

    def keep(self, number: int) -> None:
        """Keep a picture; the one that was kept first goes where there are too many."""
        self.kept = [*(each for each in self.kept if each != number), number][-MAX_KEPT:]


class UndoStack:
    """The photographs an edit went through, each with its file name."""

    def __init__(self) -> None:
        self._photos: list[tuple[Picture, str]] = []
        self._at = -1

    @property
    def current(self) -> tuple[Picture, str] | None:
        return self._photos[self._at] if self._photos else None

    def push(self, picture: Picture, name: str) -> None:
        """Edit this picture from now on; nothing can be redone then."""
        self._photos = [*self._photos[: self._at + 1], (picture, name)][-MAX_UNDO:]
        self._at = len(self._photos) - 1

    def can_move(self, by: int) -> bool:
        return 0 <= self._at + by < len(self._photos)

    def move(self, by: int) -> None:
        """Undo (-1) or redo (1), where possible."""
        self._at += by * self.can_move(by)


@dataclass(eq=False)
class Session:
    """One open page.

    ``photo`` is the photograph in the Edit tab and ``selection`` what is painted on it. ``paper`` is the
    drawing that was opened in the Sketch tab, and ``ink`` the layer (H, W, 4) drawn over it; None for none.
    ``pinned`` is the number of the picture that History compares others with.
    """

    folder: Path
    model: str
    photo: UndoStack = field(default_factory=UndoStack)
    selection: CanvasState[Mask] = field(default_factory=lambda: CanvasState(Mask.empty((1, 1))))
    paper: Picture | None = None
    ink: CanvasState[NDArray[np.uint8] | None] = field(default_factory=lambda: CanvasState(None))
    history: list[HistoryEntry] = field(default_factory=list)
    pinned: int | None = None
    tabs: dict[str, Tab] = field(default_factory=dict)
    canvas_files: list[Path] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, number: int | str | None) -> HistoryEntry | None:
        return next((each for each in self.history if str(each.number) == str(number)), None)

    def tab(self, name: str) -> Tab:
        return self.tabs.setdefault(name, Tab())

    def add(self, entries: list[HistoryEntry]) -> None:
        """Add to the history, and drop the oldest where it is too large: last of all those in a strip."""
        self.history += entries
        kept = {number for tab in self.tabs.values() for number in tab.kept}
        for each in sorted(
            self.history[: -len(entries)], key=lambda each: (each.number in kept, each.number)
        ):
            if sum(entry.picture.pixels.nbytes for entry in self.history) <= MAX_HISTORY_BYTES:
                return
            self.history.remove(each)

    def new_file(self, name: str) -> Path:
        """A path that nobody can guess for a file of this name; it is deleted with the session."""
        folder = self.folder / secrets.token_urlsafe(12)
        folder.mkdir(parents=True)
        return folder / name

    def track(self, files: Iterable[Path]) -> None:
        """Remember the files in which the page sent its canvas, and delete older ones."""
        self.canvas_files += [
            file for file in files if file not in self.canvas_files and self.folder not in file.parents
        ]
        while len(self.canvas_files) > MAX_CANVAS_FILES:
            self.canvas_files.pop(0).unlink(missing_ok=True)

    def close(self) -> None:
        """Stop what runs and delete what was written."""
        for tab in self.tabs.values():
            if tab.run is not None:
                tab.run.is_stopped = True
        self.history.clear()
        self.tabs.clear()
        self.photo = UndoStack()
        for file in self.canvas_files:
            file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """The sessions by gradio's session hash, which only that page knows."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = model
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_hash: str | None) -> Session:
        """The session, a new one where there is none yet."""
        assert session_hash, "a page's events carry its session hash"
        with self._lock:
            if session_hash not in self._sessions:
                self._sessions[session_hash] = Session(self._folder / secrets.token_urlsafe(24), self._model)
            return self._sessions[session_hash]

    def close(self, session_hash: str | None) -> None:
        """Its page was closed."""
        with self._lock:
            session = self._sessions.pop(session_hash or "", None)
        if session is not None:
            session.close()

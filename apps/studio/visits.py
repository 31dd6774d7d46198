"""Who is at work in the studio, and what each has: photographs, results, a folder that goes in the end."""

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

from apps.studio.handover import Handover
from glide_edit.images import Picture
from glide_edit.results import EditResult, Receipt
from masks import Mask

MOST_BYTES = 512 * 2**20
"""Of finished pictures that a visit holds on to; beyond it the oldest are let go."""


@dataclass(frozen=True, eq=False)
class Made:
    """One finished picture of a visit. ``complete`` is False for what was kept of a run that was stopped.

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
class Strip:
    """What a tab shows small under its picture, by their numbers: what was ``kept`` of earlier runs, and what
    the latest one ``made``. Of ``drawn``, its result, the other candidates can be finished."""

    kept: list[int] = field(default_factory=list)
    made: list[int] = field(default_factory=list)
    drawn: EditResult | None = None

    def begin(self) -> None:
        """A new run: what was kept stays."""
        self.made, self.drawn = [], None

    def put_aside(self, number: int) -> None:
        """Keep a picture, in place of the first one where they become too many."""
        self.kept = [*(each for each in self.kept if each != number), number][-MOST_KEPT:]


MOST_KEPT = 12
"""Pictures in a strip that outlast the run that made them."""


class Ticket:
    """One press of Run, or of a draft to finish (of that ``seed``): waiting for its turn, running, or told to
    stop."""

    def __init__(self, seed: int | None = None) -> None:
        self._stop = threading.Event()
        self.seed = seed
        self.started = False

    def stop(self) -> None:
        self._stop.set()

    @property
    def is_stopped(self) -> bool:
        return self._stop.is_set()


class Trail:
    """The photographs an edit went through, with undo and redo."""

    def __init__(self) -> None:
        self._pictures: list[tuple[Picture, str]] = []
        self._at = -1

    @property
    def current(self) -> tuple[Picture, str] | None:
        """The picture that is edited now and the name of its file."""
        return self._pictures[self._at] if self._pictures else None

    @property
    def can_undo(self) -> bool:
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        return self._at + 1 < len(self._pictures)

    def go_on_with(self, picture: Picture, name: str) -> None:
        """Edit this one from now on; what could have been redone is forgotten."""
        self._pictures = [*self._pictures[: self._at + 1], (picture, name)][-MOST_UNDONE:]
        self._at = len(self._pictures) - 1

    def undo(self) -> None:
        self._at -= self.can_undo

    def redo(self) -> None:
        self._at += self.can_redo


MOST_UNDONE = 12
"""Photographs that ``Trail`` goes back through."""


MOST_SENT = 12
"""Files: what is on a canvas comes in three, and what was sent last may be asked for once more."""


@dataclass(eq=False)
class Visit:
    """One open page.

    ``selection`` is of the photograph in ``trail``. ``sheet`` is the drawing that was opened to sketch on,
    and ``ink`` the layer that was drawn over it, None for none. By the names of tabs, ``photos`` are what is
    open there, ``tickets`` their latest runs, ``strips`` what those made, ``picked`` the one that is looked
    at.
    """

    folder: Path
    model: str
    trail: Trail = field(default_factory=Trail)
    selection: Handover[Mask] = field(default_factory=lambda: Handover(Mask.empty((1, 1))))
    sheet: Picture | None = None
    ink: Handover[NDArray[np.uint8] | None] = field(default_factory=lambda: Handover(None))
    photos: dict[str, Picture] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    strips: dict[str, Strip] = field(default_factory=dict)
    picked: dict[str, int] = field(default_factory=dict)
    sent: list[Path] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def find(self, number: int | None) -> Made | None:
        return next((each for each in self.made if each.number == number), None)

    def strip(self, tab: str) -> Strip:
        return self.strips.setdefault(tab, Strip())

    def keep(self, new: list[Made]) -> None:
        """Take new pictures in, letting go of the oldest where they become too many: first of those that
        were not put aside."""
        self.made += new
        kept = {number for strip in self.strips.values() for number in strip.kept}
        leaving = sorted(self.made[: -len(new)], key=lambda each: (each.number in kept, each.number))
        for each in leaving:
            if sum(_size(made) for made in self.made) <= MOST_BYTES:
                return
            self.made.remove(each)

    def file(self, name: str) -> Path:
        """A path for a file of that name which only this visit knows, and which goes when it ends."""
        folder = self.folder / secrets.token_urlsafe(12)
        folder.mkdir(parents=True)
        return folder / name

    def note(self, files: Iterable[Path]) -> None:
        """Remember what the canvas was sent in, and remove what it was sent in before."""
        self.sent += [file for file in files if file not in self.sent and self.folder not in file.parents]
        while len(self.sent) > MOST_SENT:
            self.sent.pop(0).unlink(missing_ok=True)

    def end(self) -> None:
        """Stop what runs and remove what was written."""
        for ticket in self.tickets.values():
            ticket.stop()
        self.made.clear()
        self.photos.clear()
        self.strips.clear()
        self.trail = Trail()
        for file in self.sent:
            file.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Visits:
    """The visits by the hash of their session, which only that browser page knows."""

    def __init__(self, folder: Path, model: str) -> None:
        self._folder = folder
        self._model = model
        self._visits: dict[str, Visit] = {}
        self._guard = threading.Lock()

    def __len__(self) -> int:
        return len(self._visits)

    def of(self, session: str | None) -> Visit:
        """The visit of a session, begun where there is none."""
        assert session, "a page's events carry its session"
        with self._guard:
            if session not in self._visits:
                self._visits[session] = Visit(self._folder / secrets.token_urlsafe(24), self._model)
            return self._visits[session]

    def end(self, session: str | None) -> None:
        """The page was closed."""
        with self._guard:
            visit = self._visits.pop(session or "", None)
        if visit is not None:
            visit.end()


def _size(made: Made) -> int:
    return int(made.picture.pixels.nbytes)

"""What is on a page's canvas, as far as it has arrived here.

A page takes a second to hand its canvas over. So it does that after each stroke, while words are typed, and
not when Run is pressed: it counts strokes, and what is asked of the studio comes with that number.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from glide_edit.errors import InputError

LONGEST_WAIT = 20.0
"""Seconds that a run waits for the last stroke."""

T = TypeVar("T")


class Handover(Generic[T]):
    """What a visit has painted, and how many strokes made it."""

    def __init__(self, value: T) -> None:
        self._changed = threading.Condition()
        self._strokes = 0
        self._value = value

    def put(self, value: T, strokes: int) -> None:
        """The studio itself puts this on the canvas, after so many strokes; those under way are void."""
        with self._changed:
            self._strokes, self._value = max(strokes, self._strokes), value
            self._changed.notify_all()

    def arrive(self, value: T, strokes: int) -> None:
        """The canvas as it was after so many strokes; what is older than what is known does not count."""
        with self._changed:
            if strokes > self._strokes:
                self._strokes, self._value = strokes, value
                self._changed.notify_all()

    def after(self, strokes: int, seconds: float = LONGEST_WAIT) -> T:
        """What is there after so many strokes, once they have arrived.

        Raises:
            InputError: they did not arrive in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._strokes >= strokes, seconds):
                raise InputError("What you painted last has not arrived yet: wait a moment and try again.")
            return self._value

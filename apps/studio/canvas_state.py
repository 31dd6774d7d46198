"""What is painted on a page's canvas, as far as the server has received it.

A page needs a second to send its canvas, so it does that after each stroke, not when Run is pressed. It
counts the strokes, and each request names the number of strokes that it follows.
"""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

from glide_edit.errors import InputError

MAX_WAIT = 20.0
"""Seconds that a run waits for the last stroke."""

T = TypeVar("T")


class CanvasState(Generic[T]):
    """A value of the canvas, and the number of strokes after which it was read."""

    def __init__(self, value: T) -> None:
        self._changed = threading.Condition()
        self._strokes = 0
        self._value = value

    def replace(self, value: T, strokes: int) -> None:
        """Set what the server itself puts on the canvas; strokes up to this number no longer count."""
        with self._changed:
            self._strokes, self._value = max(strokes, self._strokes), value
            self._changed.notify_all()

    def receive(self, value: T, strokes: int) -> None:
        """Take what the page sent after this many strokes, unless something newer is known."""
        with self._changed:
            if strokes > self._strokes:
                self.replace(value, strokes)

    def wait_for(self, strokes: int, seconds: float = MAX_WAIT) -> T:
        """The value after this many strokes, once they have arrived.

        Raises:
            InputError: they did not arrive in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._strokes >= strokes, seconds):
                raise InputError("What you painted last has not arrived yet: wait a moment and try again.")
            return self._value

"""What is selected on a visit's photograph, as far as it has arrived from the page."""

from __future__ import annotations

import threading

from glide_edit.errors import InputError
from masks import Mask

NO_PHOTO = "Open a photograph first: drop one on the left, paste one, or take an example."
LONGEST_WAIT = 20.0
"""Seconds that a run waits for the last stroke."""


class Selection:
    """The mask, and how many strokes made it.

    A page takes a second to hand its canvas over. So it does that after each stroke, while words are typed,
    and not when Run is pressed; it counts strokes, and what is asked of the studio comes with that number.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._strokes = 0
        self._mask: Mask | None = None

    def put(self, mask: Mask, strokes: int) -> None:
        """The studio itself selects this, after so many strokes; those that are still under way are void."""
        with self._changed:
            self._strokes, self._mask = max(strokes, self._strokes), mask
            self._changed.notify_all()

    def arrive(self, mask: Mask, strokes: int) -> None:
        """The canvas as it was after so many strokes; what is older than what is known does not count."""
        with self._changed:
            if strokes > self._strokes:
                self._strokes, self._mask = strokes, mask
                self._changed.notify_all()

    def after(self, strokes: int, seconds: float = LONGEST_WAIT) -> Mask:
        """What is selected after so many strokes, once they have arrived.

        Raises:
            InputError: there is no photograph, or the strokes did not arrive in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._strokes >= strokes, seconds):
                raise InputError("What you painted last has not arrived yet: wait a moment and try again.")
            if self._mask is None:
                raise InputError(NO_PHOTO)
            return self._mask

"""Whose turn it is on a device: one run at a time, others wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from glide_edit.errors import InputError

_DEVICES: dict[str, Device] = {}
_DEVICES_GUARD = threading.Lock()


class Turn:
    """One run's hold on a device."""

    def __init__(self, mark: ContextVar[Turn | None]) -> None:
        self.over = False
        self._mark = mark
        self.renew()

    def renew(self) -> None:
        """Note who is at work: a stream may be passed from thread to thread."""
        self._thread = threading.get_ident()
        # Pools lend one thread to several callers in turn; each of them has its own context.
        self._mark.set(self)

    @property
    def is_the_callers(self) -> bool:
        """Whether the caller himself holds the device, so that waiting for it would never end."""
        return not self.over and self._thread == threading.get_ident()


class Device:
    """A device that is shared by all editors of the process."""

    def __init__(self, name: str) -> None:
        self._free = threading.Lock()
        self._mark: ContextVar[Turn | None] = ContextVar(f"the turn on {name}", default=None)

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait until the device is free, and hold it.

        Raises:
            InputError: the caller holds it himself, by a stream that is neither finished nor closed.
        """
        latest = self._mark.get()
        if latest is not None and latest.is_the_callers:
            raise InputError(
                "A stream that was started here is still open, and a device does one run at a time: "
                "finish it or close() it first."
            )
        with self._free:
            turn = Turn(self._mark)
            try:
                yield turn
            finally:
                turn.over = True


def shared_device(device: torch.device) -> Device:
    """The same object for the same device, however it is written ("cuda" is "cuda:0")."""
    name = f"{device.type}:{device.index or 0}"
    with _DEVICES_GUARD:
        if name not in _DEVICES:
            _DEVICES[name] = Device(name)
        return _DEVICES[name]

"""One run at a time on a device; others wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from glide_edit.errors import InputError

_LOCKS: dict[str, DeviceLock] = {}
_LOCKS_GUARD = threading.Lock()


class Lease:
    """One run's hold on a device."""

    def __init__(self, latest: ContextVar[Lease | None]) -> None:
        self.ended = False
        self._latest = latest
        self.renew()

    def renew(self) -> None:
        """Note which thread is at work: a stream may be passed from thread to thread."""
        self._thread = threading.get_ident()
        # Pools lend one thread to several callers in turn; each of them has its own context.
        self._latest.set(self)

    @property
    def is_the_callers(self) -> bool:
        """Whether the caller itself holds the device, so that waiting for it would never end."""
        return not self.ended and self._thread == threading.get_ident()


class DeviceLock:
    """The lock of a device that all editors of the process share."""

    def __init__(self, name: str) -> None:
        self._free = threading.Lock()
        self._latest: ContextVar[Lease | None] = ContextVar(f"the lease on {name}", default=None)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Wait until the device is free, and hold it.

        Raises:
            InputError: the caller holds it already, by a stream that is neither finished nor closed.
        """
        latest = self._latest.get()
        if latest is not None and latest.is_the_callers:
            raise InputError(
                "A stream that was started here is still open, and a device does one run at a time: "
                "finish it or close() it first."
            )
        with self._free:
            lease = Lease(self._latest)
            try:
                yield lease
            finally:
                lease.ended = True


def device_lock(device: torch.device) -> DeviceLock:
    """The same object for the same device, however it is written ("cuda" is "cuda:0")."""
    name = f"{device.type}:{device.index or 0}"
    with _LOCKS_GUARD:
        if name not in _LOCKS:
            _LOCKS[name] = DeviceLock(name)
        return _LOCKS[name]

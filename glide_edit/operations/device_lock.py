"""One run at a time on a device; others wait."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import torch

from glide_edit.errors import Cancelled, DeviceBusy, InputError

P = ParamSpec("P")
T = TypeVar("T")

_LOCKS: dict[str, DeviceLock] = {}
_LOCKS_GUARD = threading.Lock()

_RECHECK = 1.0
"""s. A generator that is collected while its thread is about to wait here frees the device unheard."""


@dataclass(eq=False)
class Caller:
    """Who takes the events of a run: a thread, and the event loop that runs in it, if one does.

    ``blocks`` says whether the loop stands still while this caller waits. ``gone``: nobody waits any more.
    """

    thread: int
    loop: asyncio.AbstractEventLoop | None
    blocks: bool = True
    gone: bool = False

    @classmethod
    def here(cls) -> Caller:
        return cls(threading.get_ident(), asyncio._get_running_loop())


_CALLER: ContextVar[Caller | None] = ContextVar("the caller that a thread works for", default=None)
_OPEN: ContextVar[tuple[tuple[Lease, Caller], ...]] = ContextVar("the streams that are open here", default=())
"""Each with who took its last event. Tasks and threads that are started here inherit it."""


class Lease:
    """One run's hold on a device: ``name`` is what is run, ``since`` its beginning (``time.monotonic``)."""

    def __init__(self, name: str) -> None:
        self.name, self.ended, self.since = name, False, time.monotonic()
        self._caller = _CALLER.get() or Caller.here()
        self.renew()

    def renew(self) -> None:
        """Note who takes the events: a stream may be passed from thread to thread."""
        caller = _CALLER.get() or Caller.here()
        if (caller.thread, caller.loop) != (self._caller.thread, self._caller.loop):
            self._caller = caller
        # Pools lend one thread to several callers in turn; each of them has its own context.
        others = (each for each in _OPEN.get() if not each[0].ended and each[0] is not self)
        _OPEN.set((*others, (self, self._caller)))

    def is_held_by(self, caller: Caller) -> bool:
        """Whether the caller itself holds the device, so that waiting for it would never end."""
        if self._caller.gone:
            return False  # the step under way is the last
        if caller.blocks and caller.loop is not None and caller.loop is self._caller.loop:
            return True  # waiting would stop the loop, whichever of its tasks has the stream
        return any(lease is self and taken_by is self._caller for lease, taken_by in _OPEN.get())


class DeviceLock:
    """The lock of a device that all editors of the process share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._holder: Lease | None = None
        self._waiting: deque[object] = deque()

    @property
    def waiting(self) -> int:
        """How many runs wait for the device."""
        return len(self._waiting)

    @contextmanager
    def lease(self, name: str, timeout: float | None = None) -> Iterator[Lease]:
        """Wait until the device is free, ``timeout`` seconds at most, and hold it; ``name`` says what for.

        Who came first gets it first.

        Raises:
            DeviceBusy: it was not free in time.
            InputError: the caller holds it already, by a stream that is neither finished nor closed.
            Cancelled: the caller was gone before the device was free.
        """
        caller, ticket = _CALLER.get() or Caller.here(), object()
        until = math.inf if timeout is None else time.monotonic() + timeout
        with self.changed:
            self._waiting.append(ticket)
            try:
                while not caller.gone and (self._holder is not None or self._waiting[0] is not ticket):
                    self._refuse(self._holder, caller, until, timeout)
                    self.changed.wait(min(_RECHECK, until - time.monotonic()))
                if caller.gone:
                    raise Cancelled("The run was cancelled before the device was free.")
                self._holder = lease = Lease(name)
            finally:
                self._waiting.remove(ticket)
                self.changed.notify_all()
        try:
            yield lease
        finally:
            lease.ended = True
            with self.changed:
                self._holder = None
                self.changed.notify_all()

    @staticmethod
    def _refuse(holder: Lease | None, caller: Caller, until: float, timeout: float | None) -> None:
        """Raise what ``lease`` raises where the caller is not to wait, or no longer."""
        if holder is not None and holder.is_held_by(caller):
            raise InputError(
                f"A stream that was started here is still open ({holder.name}), and a device "
                "does one run at a time: finish it or close() it first.",
                code="stream_still_open",
            )
        now = time.monotonic()
        if now < until:
            return
        run = "others wait" if holder is None else f"{holder.name}, begun {now - holder.since:.0f} s ago"
        raise DeviceBusy(
            f"The device is still busy with another run after {timeout:g} s: {run}. "
            "Wait longer, or stop that run."
        )


class InAnotherThread:
    """Lets another thread work for a task of an event loop: the task holds what the thread leases."""

    def __init__(self) -> None:
        self._caller = Caller(threading.get_ident(), asyncio.get_running_loop(), blocks=False)
        self._context = copy_context()
        self._context.run(_CALLER.set, self._caller)

    def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Called in the other thread: what ``work`` gives."""
        return self._context.run(work, *args, **kwargs)

    def take_over(self) -> None:
        """Called in the task after a call: it holds now what the other thread leased."""
        _OPEN.set(self._context.get(_OPEN, ()))

    def leave(self) -> None:
        """Called in the task: the thread does not wait for a device any more."""
        self._caller.gone = True
        with _LOCKS_GUARD:
            locks = tuple(_LOCKS.values())
        for lock in locks:
            with lock.changed:
                lock.changed.notify_all()


def device_lock(device: torch.device) -> DeviceLock:
    """The same object for the same device, however it is written ("cuda" is the current one, as "cuda:0")."""
    index = device.index
    if index is None:
        index = torch.cuda.current_device() if device.type == "cuda" and torch.cuda.is_available() else 0
    with _LOCKS_GUARD:
        return _LOCKS.setdefault(f"{device.type}:{index}", DeviceLock())

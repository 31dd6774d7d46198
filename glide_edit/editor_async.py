"""An editor in asyncio: the work is done in threads, and cancelling a task stops it."""

from __future__ import annotations

import asyncio
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from glide_edit.operations.device_lock import InAnotherThread
from glide_edit.results import EditResult, Progress

if TYPE_CHECKING:
    import torch

    from glide_edit.pipeline.plan import Plan
    from glide_edit.requests import Request
    from glide_edit.sampling import SampleStep


class AsyncEditor(ABC):
    """``aload``, ``arun`` and ``astream``: what ``load``, ``run`` and ``stream`` do, for asyncio.

    Cancelling the task that waits, or closing the stream, stops the work at its next step and frees the
    device; the task itself ends at once.
    """

    @classmethod
    @abstractmethod
    def load(
        cls,
        model: str | Path = "toybox",
        device: str | torch.device = "auto",
        precision: str = "auto",
        clip: str | None = None,
        *,
        tune_process: bool = False,
        threads: int | None = None,
    ) -> Self: ...

    @abstractmethod
    def stream(
        self,
        request: Request | Plan,
        *,
        on_step: Callable[[SampleStep], None] | None = None,
        timeout: float | None = None,
    ) -> Generator[Progress | EditResult, None, None]: ...

    @classmethod
    async def aload(
        cls,
        model: str | Path = "toybox",
        device: str | torch.device = "auto",
        precision: str = "auto",
        clip: str | None = None,
        *,
        tune_process: bool = False,
        threads: int | None = None,
    ) -> Self:
        """``load`` in a thread. Raises what it raises."""
        return await asyncio.to_thread(
            cls.load, model, device, precision, clip, tune_process=tune_process, threads=threads
        )

    async def arun(
        self,
        request: Request | Plan,
        *,
        callback: Callable[[Progress], Awaitable[None] | None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        timeout: float | None = None,
    ) -> EditResult:
        """``run`` in a thread. ``callback`` is called in the event loop, and awaited where it is ``async``;
        ``on_step`` is called in that thread. ``timeout`` is that of waiting for the device.

        Raises:
            InputError: as ``run``; also where this task has another stream on the same device open.
        """
        async with aclosing(self.astream(request, on_step=on_step, timeout=timeout)) as events:
            async for event in events:
                if isinstance(event, EditResult):
                    return event
                said = None if callback is None else callback(event)
                if inspect.isawaitable(said):
                    await said
        raise AssertionError("a stream ends with its result")

    async def astream(
        self,
        request: Request | Plan,
        *,
        on_step: Callable[[SampleStep], None] | None = None,
        timeout: float | None = None,
    ) -> AsyncGenerator[Progress | EditResult, None]:
        """``stream`` in a thread of its own: ``Progress`` events, and the ``EditResult`` last.

        Leave it early only within ``contextlib.aclosing``, as any asynchronous generator. Until its last
        event the device is this stream's: a run that is begun inside it, by a task or thread begun there as
        well, is an InputError, since it would wait for ever.
        """
        loop = asyncio.get_running_loop()
        thread, ours = ThreadPoolExecutor(1, "glide-edit"), InAnotherThread()
        work = thread.submit(ours.call, self.stream, request, on_step=on_step, timeout=timeout)
        try:
            events = await asyncio.wrap_future(work)
            while (
                event := await loop.run_in_executor(thread, partial(ours.call, _next, events))
            ) is not None:
                ours.take_over()
                yield event
        finally:
            ours.leave()
            # Behind the step that is under way, if one is: a generator cannot be closed while it runs.
            thread.submit(lambda: ours.call(work.result().close))
            thread.shutdown(wait=False)


def _next(events: Generator[Progress | EditResult, None, None]) -> Progress | EditResult | None:
    return next(events, None)

"""asyncio: results and progress arrive, other tasks go on meanwhile, and cancelling stops the work."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

import pytest

from glide_edit.editor_async import AsyncEditor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.requests import Generate
from glide_edit.results import EditResult, Progress
from tests.glide_edit.operations.stand_ins import noise

T = TypeVar("T")
REQUEST = Generate(prompt="a ball")
PICTURE = open_picture(noise(4, 4))


def in_a_loop(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own: a browser of other tests may have left a loop running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


class Standin(AsyncEditor):
    """An editor whose steps wait to be allowed; ``held`` is the device."""

    def __init__(self, steps: int = 3, free: bool = True) -> None:
        self.steps, self.done = steps, 0
        self.allowed = threading.Semaphore(1000 if free else 0)
        self.held = threading.Lock()
        self.began = threading.Event()

    @classmethod
    def load(
        cls,
        model: Any = "toybox",
        device: Any = "auto",
        precision: str = "auto",
        clip: Any = None,
        *,
        tune_process: bool = False,
        threads: int | None = None,
    ) -> Any:
        if model == "surprise":
            raise InputError("No model 'surprise'.")
        return cls()

    def stream(
        self, request: Any, *, on_step: Any = None, timeout: float | None = None
    ) -> Generator[Progress | EditResult, None, None]:
        if request is None:
            raise InputError("A request is needed.")
        return self._events(on_step)

    def _events(self, on_step: Any) -> Generator[Progress | EditResult, None, None]:
        with self.held:
            for step in range(1, self.steps + 1):
                self.began.set()
                assert self.allowed.acquire(timeout=20)
                self.done = step
                if on_step is not None:
                    on_step(step)
                yield Progress("base", step, self.steps, lambda: noise(2, 2))
            yield EditResult(request=REQUEST, pictures=(PICTURE,), receipts=(), model="stand-in")


def freed(editor: Standin) -> bool:
    """Whether the device is free within a while."""
    got = editor.held.acquire(timeout=20)
    if got:
        editor.held.release()
    return got


def test_a_run_gives_the_result_and_calls_back_in_the_event_loop() -> None:
    editor = Standin()
    seen: list[tuple[int, int]] = []
    stepped: list[int] = []

    loop_thread: list[int] = []

    async def main() -> EditResult:
        loop_thread.append(threading.get_ident())
        return await editor.arun(
            REQUEST,
            callback=lambda event: seen.append((event.step, threading.get_ident())),
            on_step=lambda step: stepped.append(threading.get_ident()),  # type: ignore[arg-type]
        )

    result = in_a_loop(main())
    assert result.pictures == (PICTURE,)
    assert seen == [(step, loop_thread[0]) for step in (1, 2, 3)]
    assert len(stepped) == 3
    assert loop_thread[0] not in stepped
    assert freed(editor)


def test_an_async_callback_is_awaited() -> None:
    seen: list[int] = []

    async def tell(event: Progress) -> None:
        await asyncio.sleep(0)
        seen.append(event.step)

    in_a_loop(Standin().arun(REQUEST, callback=tell))
    assert seen == [1, 2, 3]


def test_a_stream_gives_every_event_and_ends_with_the_result() -> None:
    async def main() -> list[Any]:
        return [event async for event in Standin().astream(REQUEST)]

    events = in_a_loop(main())
    assert [event.step for event in events[:-1]] == [1, 2, 3]
    assert isinstance(events[-1], EditResult)


def test_other_tasks_go_on_while_a_step_is_computed() -> None:
    editor = Standin(free=False)

    async def main() -> int:
        run = asyncio.create_task(editor.arun(REQUEST))
        turns = 0
        while not editor.began.is_set():
            await asyncio.sleep(0)
            turns += 1
        for _ in range(100):
            await asyncio.sleep(0)
            turns += 1
        assert editor.done == 0
        editor.allowed.release(1000)
        await run
        return turns

    assert in_a_loop(main()) > 100


def test_cancelling_ends_the_task_at_once_and_the_work_at_the_next_step() -> None:
    editor = Standin(steps=50, free=False)

    async def main() -> float:
        run = asyncio.create_task(editor.arun(REQUEST))
        await asyncio.to_thread(editor.began.wait, 20)
        began = time.perf_counter()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        return time.perf_counter() - began

    try:
        # The step under way has not been allowed to end: the task did not wait for it.
        seconds = in_a_loop(main())
        assert editor.held.locked()
    finally:
        editor.allowed.release(1000)
    assert seconds < 5
    assert freed(editor)
    assert editor.done == 1


def test_a_timeout_stops_it_too() -> None:
    editor = Standin(steps=10_000, free=False)

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await editor.arun(REQUEST)

    with pytest.raises(TimeoutError):
        in_a_loop(main())
    editor.allowed.release(10_000)
    assert freed(editor)
    assert editor.done <= 1


def test_leaving_a_stream_frees_the_device() -> None:
    editor = Standin(steps=50)

    async def main() -> None:
        async with aclosing(editor.astream(REQUEST)) as events:
            async for event in events:
                assert isinstance(event, Progress)
                if event.step == 2:
                    break

    in_a_loop(main())
    assert freed(editor)
    assert editor.done == 2


def test_errors_come_through() -> None:
    nothing: Any = None
    with pytest.raises(InputError, match="A request is needed"):
        in_a_loop(Standin().arun(nothing))

    def broken(step: Any) -> None:
        raise RuntimeError("of the caller's")

    editor = Standin()
    with pytest.raises(RuntimeError, match="of the caller's"):
        in_a_loop(editor.arun(REQUEST, on_step=broken))
    assert freed(editor)


def test_loading_happens_in_a_thread() -> None:
    assert isinstance(in_a_loop(Standin.aload("toybox", "cpu")), Standin)
    with pytest.raises(InputError, match="surprise"):
        in_a_loop(Standin.aload("surprise"))


def test_runs_wait_for_the_device_one_after_the_other() -> None:
    editor = Standin()

    async def main() -> list[EditResult]:
        return list(await asyncio.gather(*(editor.arun(REQUEST) for _ in range(4))))

    assert len(in_a_loop(main())) == 4

"""A device does one run at a time: others wait, nobody waits for himself, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import contextvars
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import DeviceBusy, InputError
from glide_edit.operations.device_lock import device_lock
from glide_edit.requests import Generate
from glide_edit.results import EditResult
from tests.glide_edit.operations.stand_ins import stand_in_editor, told

REQUEST = Generate(prompt="a ball", steps=3)
PATIENCE = 30
"""s, after which a test calls it a deadlock."""


@pytest.fixture
def editor() -> Iterator[Editor]:
    editor = stand_in_editor(torch.zeros_like)
    yield editor
    # Whatever a test did, the device is free afterwards.
    in_thread(lambda: editor.run(REQUEST))()


def in_thread(work: Callable[[], Any]) -> Callable[[], Any]:
    """Start; what comes back waits for the end and gives the answer."""
    answer: list[Any] = []

    def run() -> None:
        try:
            answer.append(work())
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join() -> Any:
        thread.join(PATIENCE)
        assert answer, "a deadlock"
        if isinstance(answer[0], BaseException):
            raise answer[0]
        return answer[0]

    return join


def test_another_thread_waits_until_a_stream_is_over(editor: Editor) -> None:
    stream = editor.stream(REQUEST)
    next(stream)
    other = stand_in_editor(torch.ones_like)
    waiting = in_thread(lambda: other.run(REQUEST))
    threading.Event().wait(0.2)
    assert told(other) == []
    assert len(list(stream)) == 3
    assert isinstance(waiting(), EditResult)


def test_who_waits_no_longer_is_told_for_whom(editor: Editor) -> None:
    stream = editor.stream(REQUEST)
    next(stream)
    for timeout in (0, 0.05):
        with pytest.raises(DeviceBusy, match=r"generate with .*begun \d+ s ago") as raised:
            in_thread(partial(editor.run, REQUEST, timeout=timeout))()
        assert raised.value.code == "device_busy"
    with pytest.raises(DeviceBusy):
        in_thread(lambda: asyncio.run(editor.arun(REQUEST, timeout=0)))()
    waiting = in_thread(partial(editor.run, REQUEST, timeout=PATIENCE))
    stream.close()
    assert isinstance(waiting(), EditResult)
    assert isinstance(editor.run(REQUEST, timeout=0), EditResult), "nobody has it"


def test_who_came_first_is_first(editor: Editor) -> None:
    lock, order = device_lock(torch.device("cpu")), list[int]()
    joins = []

    def turn(number: int) -> None:
        with lock.lease(f"run {number}"):
            order.append(number)

    with lock.lease("the first"):
        for number in range(12):
            joins.append(in_thread(partial(turn, number)))
            while lock.waiting < len(joins):
                time.sleep(0.001)
    for join in joins:
        join()
    assert order == list(range(12))


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_timeout_that_is_none(editor: Editor, timeout: float) -> None:
    with pytest.raises(InputError, match="timeout"):
        editor.run(REQUEST, timeout=timeout)


def test_many_threads_that_run_wait_fail_and_give_up_leave_the_device_free(editor: Editor) -> None:
    """64 threads in a fixed pattern: runs, streams that are left, callbacks that fail, waits that end."""
    expected = editor.run(REQUEST).pictures[0].pixels

    def left() -> None:
        with contextlib.closing(editor.stream(REQUEST)) as events:
            next(events)

    def failing() -> None:
        def callback(progress: Any) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            editor.run(REQUEST, callback=callback)

    def impatient() -> None:
        with contextlib.suppress(DeviceBusy):
            editor.run(REQUEST, timeout=0)

    def patient() -> None:
        assert np.array_equal(editor.run(REQUEST, timeout=PATIENCE).pictures[0].pixels, expected)

    for join in [in_thread((left, failing, impatient, patient)[k % 4]) for k in range(64)]:
        join()
    assert np.array_equal(editor.run(REQUEST, timeout=0).pictures[0].pixels, expected)


def test_the_device_is_free_when_the_result_is_there(editor: Editor) -> None:
    stream = editor.stream(REQUEST)
    for event in stream:
        if isinstance(event, EditResult):
            break
    # The generator is still suspended behind its last event.
    assert isinstance(editor.run(REQUEST), EditResult)
    assert isinstance(in_thread(lambda: editor.run(REQUEST))(), EditResult)


def _closed(editor: Editor) -> None:
    stream = editor.stream(REQUEST)
    next(stream)
    stream.close()


def _dropped(editor: Editor) -> None:
    for _ in editor.stream(REQUEST):
        break


def _failed(editor: Editor) -> None:
    def show(event: object) -> None:
        raise OSError("no display")

    with pytest.raises(OSError, match="no display"):
        collections.deque(map(show, editor.stream(REQUEST)))


def _interrupted(editor: Editor) -> None:
    def interrupt(x: torch.Tensor) -> torch.Tensor:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stand_in_editor(interrupt).run(REQUEST)


def _never_started(editor: Editor) -> None:
    globals()["kept"] = editor.stream(REQUEST)


@pytest.mark.parametrize("abandon", [_closed, _dropped, _failed, _interrupted, _never_started])
def test_a_stream_that_is_abandoned_frees_the_device(editor: Editor, abandon: Any) -> None:
    abandon(editor)
    assert isinstance(in_thread(lambda: editor.run(REQUEST))(), EditResult)
    assert isinstance(editor.run(REQUEST), EditResult)


def test_a_run_inside_ones_own_stream_is_an_error_and_not_a_deadlock(editor: Editor) -> None:
    other = stand_in_editor(torch.ones_like)

    def nested() -> int:
        count = 0
        for _ in editor.stream(REQUEST):
            count += 1
            if count <= 3:
                with pytest.raises(InputError, match=r"still open.*finish it or close"):
                    other.run(REQUEST)
        return count

    assert in_thread(nested)() == 4
    assert told(other) == []


def test_a_stream_may_be_passed_to_another_thread(editor: Editor) -> None:
    """Then whoever began it waits like anybody else."""
    stream = editor.stream(REQUEST)
    next(stream)
    taken, go_on = threading.Event(), threading.Event()

    def finish() -> int:
        next(stream)
        taken.set()
        go_on.wait(PATIENCE)
        return len(list(stream))

    finishing = in_thread(finish)
    assert taken.wait(PATIENCE)
    threading.Timer(0.2, go_on.set).start()
    assert isinstance(editor.run(REQUEST), EditResult)
    assert finishing() == 2


def test_callers_that_share_a_thread_wait_for_each_other(editor: Editor) -> None:
    """A server's pool lends one thread to one caller after another, each with a context of his own."""
    stream = editor.stream(REQUEST)
    one, other = contextvars.copy_context(), contextvars.copy_context()

    def shared_thread() -> Any:
        one.run(next, stream)
        threading.Timer(0.2, stream.close).start()
        return other.run(editor.run, REQUEST)

    assert isinstance(in_thread(shared_thread)(), EditResult)


def test_an_error_that_is_kept_keeps_no_device(editor: Editor) -> None:
    """Its traceback keeps the loop's frame and with it the generator, which can be closed all the same."""
    stream = editor.stream(REQUEST)

    def look() -> None:
        for _ in stream:
            raise OSError("no display")

    with pytest.raises(OSError, match="no display") as kept:
        look()
    stream.close()
    assert isinstance(editor.run(REQUEST), EditResult)
    assert kept.value.__traceback__ is not None


# asyncio ---------------------------------------------------------------------------------------------------


async def _run_in_a_callback(editor: Editor) -> None:
    await editor.arun(REQUEST, callback=lambda event: editor.run(REQUEST))  # type: ignore[arg-type, return-value]


async def _run_in_a_step(editor: Editor) -> None:
    await editor.arun(REQUEST, on_step=lambda step: editor.run(REQUEST))  # type: ignore[arg-type, return-value]


async def _run_in_a_stream(editor: Editor) -> None:
    async with aclosing(editor.astream(REQUEST)) as events:
        async for _ in events:
            editor.run(REQUEST)


async def _arun_in_a_stream(editor: Editor) -> None:
    async with aclosing(editor.astream(REQUEST)) as events:
        async for _ in events:
            await editor.arun(REQUEST)


async def _tasks_in_a_stream(editor: Editor) -> None:
    async with aclosing(editor.astream(REQUEST)) as events:
        async for _ in events:
            await asyncio.gather(editor.arun(REQUEST), asyncio.to_thread(editor.run, REQUEST))


async def _arun_in_a_plain_stream(editor: Editor) -> None:
    with contextlib.closing(editor.stream(REQUEST)) as stream:
        next(stream)
        await editor.arun(REQUEST)


async def _thread_in_a_plain_stream(editor: Editor) -> None:
    with contextlib.closing(editor.stream(REQUEST)) as stream:
        next(stream)
        await asyncio.to_thread(editor.run, REQUEST)


async def _run_beside_a_task(editor: Editor) -> None:
    """The loop stands still in ``run``, so that its other task never takes the next event."""
    began = asyncio.Event()
    task = asyncio.create_task(editor.arun(REQUEST, callback=lambda event: began.set()))
    await began.wait()
    try:
        editor.run(REQUEST)
    finally:
        await task


@pytest.mark.parametrize(
    "nested",
    [
        _run_in_a_callback,
        _run_in_a_step,
        _run_in_a_stream,
        _arun_in_a_stream,
        _tasks_in_a_stream,
        _arun_in_a_plain_stream,
        _thread_in_a_plain_stream,
        _run_beside_a_task,
    ],
)
def test_a_run_that_would_wait_for_its_own_task_is_an_error(
    editor: Editor, nested: Callable[[Editor], Awaitable[None]]
) -> None:
    async def main() -> None:
        await nested(editor)

    with pytest.raises(InputError, match="still open \\(generate with stand-in") as caught:
        in_thread(lambda: asyncio.run(main()))()
    assert caught.value.code == "stream_still_open"


def test_tasks_beside_each_other_wait(editor: Editor) -> None:
    async def main() -> list[EditResult]:
        return list(await asyncio.gather(*(editor.arun(REQUEST) for _ in range(4))))

    assert len(in_thread(lambda: asyncio.run(main()))()) == 4


def _leave(editor: Editor) -> Any:
    async def main() -> None:
        async with aclosing(editor.astream(REQUEST)) as events:
            async for _ in events:
                break

    return main()


def _time_out(editor: Editor) -> Any:
    async def main() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await editor.arun(REQUEST)

    return main()


@pytest.mark.parametrize("leave", [_leave, _time_out])
def test_after_a_run_that_was_left_the_same_task_waits_for_its_last_step(leave: Any) -> None:
    def slow(x_t: torch.Tensor) -> torch.Tensor:
        threading.Event().wait(0.3)
        return torch.zeros_like(x_t)

    editor = stand_in_editor(slow)

    async def main() -> list[EditResult]:
        await leave(editor)
        first = await editor.arun(REQUEST)
        await leave(editor)
        return [first, editor.run(REQUEST)]

    assert len(in_thread(lambda: asyncio.run(main()))()) == 2


def test_a_task_that_is_cancelled_while_it_waits_draws_nothing(editor: Editor) -> None:
    other = stand_in_editor(torch.ones_like)
    stream = editor.stream(REQUEST)
    next(stream)

    async def main() -> None:
        waiting = asyncio.create_task(other.arun(REQUEST))
        await asyncio.sleep(0.3)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    in_thread(lambda: asyncio.run(main()))()
    stream.close()
    assert isinstance(editor.run(REQUEST), EditResult)
    threading.Event().wait(0.2)
    assert told(other) == []


def test_a_device_is_the_same_however_it_is_written() -> None:
    assert device_lock(torch.device("cuda")) is device_lock(torch.device("cuda:0"))
    assert device_lock(torch.device("cuda:1")) is not device_lock(torch.device("cuda:0"))
    assert device_lock(torch.device("cpu")) is stand_in_editor(torch.zeros_like)._lock


def test_cuda_is_the_device_that_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert device_lock(torch.device("cuda")) is device_lock(torch.device("cuda:1"))

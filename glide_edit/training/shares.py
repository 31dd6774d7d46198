"""A step's work shared out over the cores: each works alone on some views, then on some of the weights.

PyTorch's own threads meet after every operation, thousands of times a step, and wait for the slower one: most
of the time, where something else runs on the machine. Threads that each have their views meet three times a
step. The gradients are the same up to rounding, and summed in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from threading import Barrier
from typing import TypeVar

import torch
from torch import Tensor

A = TypeVar("A")
R = TypeVar("R")

FEWEST_VIEWS = 4
"""A share has at least so many: the gradient of the weights takes as long for fewer."""

Gradients = Sequence[Tensor | None]
"""One for each parameter, None where the loss does not depend on it."""


class Workers:
    """``count`` threads, each of which computes on ``cores`` cores; with one thread the caller's own.

    Close it to end them.
    """

    def __init__(self, count: int = 1, cores: int = 1) -> None:
        self.count = count
        self._pool = None
        if count > 1:
            caller = torch.get_num_threads()
            self._pool = ThreadPoolExecutor(count, "training", _compute_on, (cores,))
            # A pool begins a thread only when the others are busy.
            list(self._pool.map(lambda barrier: barrier.wait(), [Barrier(count)] * count))
            # What new threads begin with is set along by each thread that sets its own number.
            torch.set_num_threads(caller)

    def map(self, work: Callable[[A], R], items: Iterable[A]) -> list[R]:
        """The results in order; a single one is computed by the caller, on all of its cores.

        The first error is raised when all have ended.
        """
        items = list(items)
        if self._pool is None or len(items) == 1:
            return [work(item) for item in items]
        running = [self._pool.submit(work, item) for item in items]
        for future in running:
            future.exception()
        return [future.result() for future in running]

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def _compute_on(cores: int) -> None:
    # The first question sets a thread to the process's number; only then its own can be set.
    torch.get_num_threads()
    torch.set_num_threads(cores)


def workers_of(device: torch.device, views: int) -> Workers:
    """The threads for steps of that many views: on a CPU one for each of PyTorch's threads, as long as each
    has views enough."""
    threads = torch.get_num_threads()
    if device.type != "cpu":
        return Workers()
    count = max(1, min(threads, views // FEWEST_VIEWS))
    return Workers(count, max(1, threads // count))


def slices(count: int, parts: int) -> list[slice]:
    """0 ... ``count`` - 1 in at most ``parts`` runs of nearly the same length, none of them empty."""
    parts = max(1, min(parts, count))
    ends = [count * k // parts for k in range(parts + 1)]
    return [slice(first, end) for first, end in pairwise(ends)]


def gradients_of(
    terms: Sequence[Callable[[], Tensor]], parameters: Sequence[Tensor], workers: Workers
) -> tuple[float, list[Gradients]]:
    """The sum of the terms, and each term's gradients; the terms are computed at the same time."""

    def work(term: Callable[[], Tensor]) -> tuple[Tensor, Gradients]:
        value = term()
        return value.detach(), torch.autograd.grad(value, parameters, allow_unused=True)

    done = workers.map(work, terms)
    return float(sum(value for value, _ in done)), [gradients for _, gradients in done]

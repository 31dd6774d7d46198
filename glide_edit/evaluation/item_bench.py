"""The harness of the benches of edits and sketches: items drawn and judged a batch at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, Generic, TypeVar

from glide_edit.errors import InputError
from glide_edit.evaluation.report import Report, Table

Item = TypeVar("Item")
Made = TypeVar("Made")
Judged = TypeVar("Judged")

TOGETHER = 32
"""Items in a batch."""

Tell = Callable[[int, int], None]
"""Progress callback, called with (done, total)."""


def check_asked(count: int, seed: int, needs: str) -> None:
    """Raises InputError for a count below 1, as "The bench needs {needs} or more", or a seed below 0."""
    if count < 1:
        raise InputError(f"The bench needs {needs} or more, not {count}.")
    if seed < 0:
        raise InputError(f"A seed is 0 or more, not {seed}.")


def until_interrupted(results: Iterable[Judged]) -> tuple[list[Judged], bool]:
    """The results, and whether they are all; Ctrl-C ends them, and is raised if it comes before the first."""
    found: list[Judged] = []
    try:
        for each in results:
            found.append(each)
    except KeyboardInterrupt:
        if not found:
            raise
        return found, False
    return found, True


@dataclass(frozen=True)
class ItemBench(Generic[Item, Made, Judged]):
    """A bench: ``draw`` makes pictures of a batch of items, ``judge`` scores one, and ``summary`` gives the
    report's measures, tables and details. A batch is ``together`` items, or else TOGETHER."""

    name: str
    model: str
    protocol: Mapping[str, Any]
    total: int
    items: Generator[Item, None, None]
    draw: Callable[[Sequence[Item]], Sequence[Made]]
    judge: Callable[[Item, Made], Judged]
    summary: Callable[[list[Judged]], tuple[Mapping[str, float], tuple[Table, ...], Mapping[str, Any]]]
    together: int | None = None

    def run(self, tell: Tell) -> tuple[Report, list[Judged]]:
        """Draw and judge all items. Ctrl-C ends it early, with a report of the items judged by then.

        Raises:
            KeyboardInterrupt: before the first item was judged.
            GlideEditError: what ``draw`` raises.
        """
        began = time.perf_counter()
        judged, complete = until_interrupted(self._judged(tell))
        measures, tables, details = self.summary(judged)
        report = Report(
            bench=self.name,
            model=self.model,
            protocol=self.protocol,
            measures=measures,
            tables=tables,
            seconds=time.perf_counter() - began,
            complete=complete,
            details=details,
        )
        return report, judged

    def _judged(self, tell: Tell) -> Generator[Judged, None, None]:
        done = count(1)
        with closing(self.items) as items, ThreadPoolExecutor(os.cpu_count(), "judges") as pool:
            while batch := list(islice(items, self.together or TOGETHER)):
                for judged in pool.map(self.judge, batch, self.draw(batch)):
                    yield judged
                    tell(next(done), self.total)

"""How many seconds of a run are left, from steps that were measured in earlier runs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from glide_edit.results import Progress

StepTimes = dict[tuple[str, str, int], float]
"""Seconds per step, by model, stage and how many pictures are drawn side by side."""


class StageRun(NamedTuple):
    """A stage that runs once, on several pictures side by side."""

    stage: str
    steps: int
    pictures: int


class Eta:
    """The remaining time of one run of ``stages``, in the order in which they run; it adds to ``times``."""

    def __init__(self, times: StepTimes, model: str, stages: Sequence[StageRun]) -> None:
        self._times = times
        self._model = model
        self._stages = list(stages)
        self._last = time.perf_counter()

    def seconds_left(self, event: Progress) -> float | None:
        """Seconds until the end; None while a stage of this run has never been measured."""
        now = time.perf_counter()
        if event.step > 1:  # the first step of a stage includes its preparation
            self._record(self._key(self._stages[0]), now - self._last)
        self._last = now
        remaining = [event.total - event.step, *(each.steps for each in self._stages[1:])]
        seconds = [self._times.get(self._key(each)) for each in self._stages]
        if event.step == event.total and len(self._stages) > 1:
            del self._stages[0]
        known = [each for each in seconds if each is not None]
        if len(known) < len(seconds):
            return None
        return sum(steps * each for steps, each in zip(remaining, known, strict=True))

    def _key(self, stage: StageRun) -> tuple[str, str, int]:
        return self._model, stage.stage, stage.pictures

    def _record(self, key: tuple[str, str, int], seconds: float) -> None:
        """Update the moving average."""
        old = self._times.get(key)
        self._times[key] = seconds if old is None else 0.7 * old + 0.3 * seconds

"""How many seconds of a run are left, from steps that were measured in earlier runs."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from glide_edit.pipeline.plan import SamplerRun
from glide_edit.results import Progress

StepTimes = dict[tuple[str, str, int], float]
"""Seconds per step, by model, stage and how many pictures or tiles a step draws."""


class Eta:
    """The remaining time of one edit, whose samplers run in the order of ``runs``; it adds to ``times``."""

    def __init__(self, times: StepTimes, model: str, runs: Iterable[SamplerRun]) -> None:
        planned = list(runs)
        self._times = times
        self._keys = [(model, each.label, each.pictures * max(1, each.tiles)) for each in planned]
        self._steps = [each.steps for each in planned]
        self._last = time.perf_counter()

    def seconds_left(self, event: Progress) -> float | None:
        """Seconds until the end; None while a stage of this run has never been measured."""
        now = time.perf_counter()
        if event.step > 1:  # the first step of a stage includes its preparation
            key, measured = self._keys[0], now - self._last
            self._times[key] = 0.7 * self._times.get(key, measured) + 0.3 * measured
        self._last = now
        self._steps[0] = event.total - event.step
        left = [
            steps * self._times.get(key, math.nan) for key, steps in zip(self._keys, self._steps, strict=True)
        ]
        if event.step == event.total and len(self._keys) > 1:
            del self._keys[0], self._steps[0]
        return None if math.isnan(sum(left)) else sum(left)

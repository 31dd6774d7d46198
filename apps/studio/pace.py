"""How much time is left, told only where it is known: from steps that were measured, never guessed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from glide_edit.pipeline.plan import Plan
from glide_edit.results import Progress

Key = tuple[str, str, int]
"""Model, stage and how many pictures or tiles a step draws: such steps take the same time again."""


class Pace:
    """Seconds a step, as measured in earlier runs of this studio."""

    def __init__(self) -> None:
        self._seconds: dict[Key, float] = {}

    def clock(self, plan: Plan, *, from_draft: bool = False) -> Clock:
        """A clock for one run; ``from_draft``: the first stage's part is done already."""
        runs = [(run.label, run.steps, run.pictures * run.tiles) for run in plan.runs(from_drafts=from_draft)]
        return Clock(self, plan.model, runs)

    def learn(self, key: Key, seconds: float) -> None:
        known = self._seconds.get(key)
        self._seconds[key] = seconds if known is None else 0.7 * known + 0.3 * seconds

    def seconds(self, key: Key) -> float | None:
        return self._seconds.get(key)


@dataclass
class Clock:
    """``plan`` is (stage, steps, pictures or tiles) in the order in which they are run."""

    pace: Pace
    model: str
    plan: list[tuple[str, int, int]]
    _at: int = 0
    _before: float = field(default_factory=time.perf_counter)

    def left(self, event: Progress) -> float | None:
        """Seconds until the end; None while a stage of this run has never been measured."""
        now = time.perf_counter()
        role, _, group = self.plan[self._at]
        if event.step > 1:  # the first step of a stage holds its preparation as well
            self.pace.learn((self.model, role, group), now - self._before)
        self._before = now
        remaining = [event.total - event.step, *(steps for _, steps, _ in self.plan[self._at + 1 :])]
        each = [self.pace.seconds((self.model, role, group)) for role, _, group in self.plan[self._at :]]
        if event.step == event.total:
            self._at = min(self._at + 1, len(self.plan) - 1)
        known = [seconds for seconds in each if seconds is not None]
        if len(known) < len(each):
            return None
        return sum(count * seconds for count, seconds in zip(remaining, known, strict=True))

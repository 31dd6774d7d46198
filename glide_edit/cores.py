"""The processor's cores: how many this process may use, and how many of them other programs leave free."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

CPU_TOPOLOGY = Path("/sys/devices/system/cpu")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

WINDOW = 0.05
"""Seconds over which use is measured at least: systems count it in hundredths of a second."""


def count() -> int:
    """How many cores this process may use, by its affinity and its container's quota."""
    cores = len({_siblings(cpu) for cpu in _affinity()})
    return max(1, min(cores, _quota(cores)))


class OthersUse:
    """How many cores other programs use, of those that this process may: measured since it was last asked.

    Programs of a lower priority do not count unless this one is of a lower priority too: they make way.
    """

    def __init__(self) -> None:
        self._cpus = sorted(_affinity())
        self._process = psutil.Process()
        self._counts_polite = os.name != "posix" or self._process.nice() > 0
        self._before = self._read()

    def cores(self) -> float | None:
        """Their average since the last answer; None when that is too short ago to tell."""
        now = self._read()
        elapsed = now.time - self._before.time
        if elapsed < WINDOW:
            return None
        used = (now.all_busy - now.own_busy) - (self._before.all_busy - self._before.own_busy)
        self._before = now
        return max(0.0, used / elapsed)

    def _read(self) -> _Use:
        each = psutil.cpu_times(percpu=True)
        cpus = [each[cpu] for cpu in self._cpus if cpu < len(each)] or each
        busy = sum(sum(times) - times.idle - getattr(times, "iowait", 0.0) - _guests(times) for times in cpus)
        if not self._counts_polite:
            busy -= sum(times.nice - getattr(times, "guest_nice", 0.0) for times in cpus)
        own = self._process.cpu_times()
        return _Use(time.monotonic(), busy, own.user + own.system)


@dataclass(frozen=True)
class _Use:
    """Seconds: when it was read, for how long these cores were busy, and with this process."""

    time: float
    all_busy: float
    own_busy: float


class ThreadCount:
    """How many threads to work with: ``most`` where no other program is at work, fewer beside others."""

    def __init__(self, most: int) -> None:
        self._most = self._latest = most
        self._cores = count()
        self._others = OthersUse()

    def now(self) -> int:
        """As many as there are cores that others do not use, 1 to ``most``."""
        others = self._others.cores()
        if others is not None:
            self._latest = max(1, min(self._most, round(self._cores - others)))
        return self._latest


_thread_count: ThreadCount | None = None


def follow_load(most: int | None) -> None:
    """From now on use the cores that others leave, up to ``most``; None: leave PyTorch's threads alone."""
    global _thread_count
    _thread_count = None if most is None or most == 1 else ThreadCount(most)


def adapt() -> None:
    """Set PyTorch's threads to what is free now; nothing happens unless ``follow_load`` asked for it.

    Called between the steps of long work. Threads that wait for each other on a busy machine cost far more
    than they bring: two on two cores that two other processes use take longer than one.
    """
    if _thread_count is not None and (threads := _thread_count.now()) != torch.get_num_threads():
        torch.set_num_threads(threads)


def _guests(times: object) -> float:
    """Linux counts the time of virtual machines within user time as well."""
    return getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)


def _affinity() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def _siblings(cpu: int) -> str:
    """The hyperthreads that share a core with this one: two of them are no faster than one here."""
    path = CPU_TOPOLOGY / f"cpu{cpu}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return str(cpu)


def _quota(cores: int) -> int:
    """The whole cores that a container's quota is worth (Linux, cgroup v2); ``cores`` without one."""
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return cores if quota == "max" else int(quota) // int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return cores

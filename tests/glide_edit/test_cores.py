"""How many cores there are and how many others leave: on machines put in by hand and beside a neighbour."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import psutil
import pytest
import torch

from glide_edit import cores


class Times(NamedTuple):
    """As Linux gives them; a guest's time is within the user's."""

    user: float
    idle: float
    nice: float = 0.0
    iowait: float = 0.0
    guest: float = 0.0


@dataclass
class Clock:
    """A machine of two cores: seconds that passed, that each core was busy and that this process worked."""

    now: float = 0.0
    busy: list[float] = field(default_factory=lambda: [0.0, 0.0])
    own: float = 0.0
    polite: float = 0.0
    niceness: int = 0

    def passes(self, seconds: float, *, others: float, own: float) -> None:
        """``others`` and ``own`` are cores in use."""
        self.now += seconds
        self.own += own * seconds
        self.busy = [each + (others + own) / 2 * seconds for each in self.busy]

    def cpu_times(self, percpu: bool) -> list[Times]:
        assert percpu
        return [
            Times(each + 5 - self.polite / 2, self.now - each, self.polite / 2, iowait=3, guest=5)
            for each in self.busy
        ]

    def process(self) -> Any:
        return SimpleNamespace(
            cpu_times=lambda: SimpleNamespace(user=self.own, system=0.0), nice=lambda: self.niceness
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(psutil, "cpu_times", made.cpu_times)
    monkeypatch.setattr(psutil, "Process", made.process)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    monkeypatch.setattr(cores, "_affinity", lambda: {0, 1})
    monkeypatch.setattr(cores, "count", lambda: 2)
    return made


@pytest.mark.parametrize(
    ("others", "own", "threads"),
    [(0.0, 2.0, 2), (0.2, 1.8, 2), (0.7, 1.3, 1), (1.0, 1.0, 1), (1.3, 0.7, 1), (2.0, 0.0, 1), (0.0, 0.0, 2)],
)
def test_threads_are_the_cores_that_others_leave(
    clock: Clock, others: float, own: float, threads: int
) -> None:
    count = cores.ThreadCount(2)
    clock.passes(1.0, others=others, own=own)
    assert count.now() == threads


def test_they_come_back_when_the_others_are_gone(clock: Clock) -> None:
    count = cores.ThreadCount(2)
    seen = []
    for others in (0.0, 1.2, 1.2, 0.1, 0.0):
        clock.passes(0.1, others=others, own=2 - others)
        seen.append(count.now())
    assert seen == [2, 1, 1, 2, 2]


@pytest.mark.parametrize(("niceness", "threads"), [(0, 2), (19, 1)])
def test_programs_of_a_lower_priority_make_way(clock: Clock, niceness: int, threads: int) -> None:
    clock.niceness = niceness
    count = cores.ThreadCount(2)
    clock.passes(1.0, others=1.0, own=1.0)
    clock.polite = 1.0
    assert count.now() == threads


def test_too_short_a_time_tells_nothing(clock: Clock) -> None:
    count = cores.ThreadCount(2)
    for _ in range(4):
        clock.passes(0.01, others=2, own=0)
        assert count.now() == 2
    clock.passes(0.02, others=2, own=0)  # 0.06 s together
    assert count.now() == 1


def test_never_more_than_asked_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "count", lambda: 8)
    count = cores.ThreadCount(3)
    clock.passes(1, others=0, own=0)
    assert count.now() == 3


@pytest.mark.parametrize(
    ("quota", "cores_of"),
    [("max 100000", 6), ("250000 100000", 2), ("50000 100000", 1), ("odd", 6), ("1 0", 6)],
)
def test_a_containers_quota_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores_of: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(cores, "CPU_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(cores, "CPU_TOPOLOGY", tmp_path)
    monkeypatch.setattr(cores, "_affinity", lambda: set(range(6)))
    assert cores.count() == cores_of


@pytest.fixture
def threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    cores.follow_load(None)
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_restored")
def test_pytorch_follows_only_when_asked(clock: Clock) -> None:
    torch.set_num_threads(2)
    clock.passes(1, others=2, own=0)
    cores.adapt()
    assert torch.get_num_threads() == 2
    cores.follow_load(2)
    clock.passes(1, others=2, own=0)
    cores.adapt()
    assert torch.get_num_threads() == 1
    cores.follow_load(None)
    torch.set_num_threads(2)
    cores.adapt()
    assert torch.get_num_threads() == 2


def test_a_busy_neighbour_is_seen() -> None:
    """A real one: as long as it runs it takes a core or its share of one."""
    others = cores.OthersUse()
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as neighbour:
        time.sleep(0.7)
        used = others.cores()
        neighbour.kill()
    assert used is not None
    assert used > 0.2


SPINNING = """
import time
{first}
import torch
torch.set_num_threads(2)
x = torch.randn(4_000_000)
worst = 0.0
for _ in range(5):
    x.exp()
    began = time.process_time()
    time.sleep(0.03)
    worst = max(worst, time.process_time() - began)
print(worst)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's OpenMP comes with PyTorch on Linux")
def test_idle_threads_give_up_their_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checked with the OpenMP that PyTorch brings: after work its threads burn a few milliseconds."""
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)

    def burned(first: str) -> float:
        code = SPINNING.format(first=first)
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return float(done.stdout)

    assert burned("from glide_edit.openmp import spin_briefly; spin_briefly()") < 0.012


def test_what_the_user_says_of_waiting_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit import openmp

    monkeypatch.setattr(openmp.os, "environ", {"OMP_WAIT_POLICY": "active"})
    openmp.spin_briefly()
    assert openmp.os.environ == {"OMP_WAIT_POLICY": "active"}
    monkeypatch.setattr(openmp.os, "environ", {})
    openmp.spin_briefly()
    assert openmp.os.environ == {"GOMP_SPINCOUNT": "30000", "KMP_BLOCKTIME": "2"}

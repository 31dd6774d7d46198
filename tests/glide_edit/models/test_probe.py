"""The figures of this CPU: taken in time, kept, and taken again where what was kept cannot be used."""

from __future__ import annotations

import json
import time
from dataclasses import astuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from glide_edit import cores
from glide_edit.models import probe
from glide_edit.models.probe import Figure

KEPT = (Figure("float32", True, 1, 8.0), Figure("float32", True, 2, 4.5))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The numbers of threads that were measured, in place of measuring; nothing is kept before."""
    asked: list[int] = []

    def measure(threads: int) -> tuple[Figure, ...]:
        asked.append(threads)
        return KEPT

    monkeypatch.setenv("GLIDE_EDIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(probe, "measure", measure)
    return asked


def busy(monkeypatch: pytest.MonkeyPatch, used: float) -> None:
    monkeypatch.setattr(cores, "OthersUse", lambda: SimpleNamespace(cores=lambda: used))


def test_an_idle_machine_is_measured_with_all_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 0.0)
    before = torch.get_num_threads()
    found = probe.measure(2)
    assert torch.get_num_threads() == before
    assert {(each.dtype, each.channels_last, each.threads) for each in found} >= {
        ("float32", False, 1),
        ("float32", True, 1),
    }
    assert {each.threads for each in found} == {1, 2}
    assert all(0 < each.milliseconds < 10_000 for each in found)


def test_on_a_busy_machine_threads_alone_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 1.0)
    assert {each.threads for each in probe.measure(2)} == {1}


def test_rounds_end_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each way is tried twice, the first time to prepare it; after that the clock decides."""
    calls = []
    monkeypatch.setattr(probe, "_block", lambda dtype, channels_last: lambda: calls.append(dtype))
    ways = [("float32", True, 1), ("bfloat16", True, 1)]
    probe._timed(ways, time.thread_time, deadline=0.0)
    assert calls == ["float32", "bfloat16"] * 2
    calls.clear()
    probe._timed(ways, time.thread_time, deadline=time.perf_counter() + 1000)
    assert len(calls) == 2 * (probe.ROUNDS + 1)


def test_a_precision_out_of_proportion_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def block(dtype: str, channels_last: bool, channels: int = 96, size: int = 32) -> object:
        return lambda: time.sleep(0.02 if dtype == "bfloat16" else 0.0)

    monkeypatch.setattr(probe, "_block", block)
    assert not probe._is_bearable(torch.bfloat16)
    assert {each.dtype for each in probe.measure(1)} == {"float32"}


def test_it_is_measured_once(measured: list[int]) -> None:
    assert probe.figures(2) == probe.figures(2) == KEPT
    assert measured == [2]
    probe.figures(4)
    assert measured == [2, 4]
    probe.forget()
    probe.figures(2)
    assert measured == [2, 4, 2]


def test_the_environment_of_onednn_is_part_of_the_key(
    measured: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    probe.figures(2)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    probe.figures(2)
    assert measured == [2, 2]


def test_what_a_busy_machine_told_is_kept_too(measured: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Or each command would measure again, on a machine that is never idle."""
    monkeypatch.setattr(probe, "measure", lambda threads: measured.append(threads) or KEPT[:1])
    assert probe.figures(2) == probe.figures(2) == KEPT[:1]
    assert measured == [2]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"KEY": []}',
        b'{"KEY": [["float32", true, 1]]}',
        b'{"KEY": [["float64", true, 1, 2.0]]}',
        b'{"KEY": [["float32", 1, 1, 2.0]]}',
        b'{"KEY": [["float32", true, 0, 2.0]]}',
        b'{"KEY": [["float32", true, 1, -2.0]]}',
        b'{"KEY": [["float32", true, 1, NaN]]}',
        b'{"KEY": [[[], true, 1, 2.0]]}',
        b'{"KEY": {"a": 1}}',
        b'{"KEY": null}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_damaged_file_is_measured_over(measured: list[int], content: bytes) -> None:
    path = probe.cache_file()
    path.parent.mkdir()
    path.write_bytes(content.replace(b"KEY", json.dumps(probe._key(2))[1:-1].encode()))
    assert probe.figures(2) == KEPT
    assert measured == [2]
    assert json.loads(path.read_bytes())[probe._key(2)] == [list(astuple(each)) for each in KEPT]


def test_a_folder_that_cannot_be_written(measured: list[int]) -> None:
    probe.cache_file().parent.write_text("a file in its place")
    assert probe.figures(2) == probe.figures(2) == KEPT
    assert measured == [2, 2]

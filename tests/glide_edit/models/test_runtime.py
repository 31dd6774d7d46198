"""Every machine's choice, on this one: what PyTorch and the system report is put in by hand."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from glide_edit import cores
from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.models import Runtime, apply, choose_runtime, load_model, probe
from tests.glide_edit.operations.stand_ins import write_tiny


@dataclass
class Machine:
    """What is told of the machine."""

    monkeypatch: pytest.MonkeyPatch
    system: Path
    capabilities: list[tuple[int, int]] = field(default_factory=list)

    def cpu(self, *milliseconds: tuple[str, bool, int, float]) -> None:
        """What was measured: precision, whether channels-last, threads, milliseconds."""
        found = tuple(probe.Figure(*row) for row in milliseconds)
        self.monkeypatch.setattr(probe, "figures", lambda threads: found)

    def cuda(self, *capabilities: tuple[int, int]) -> None:
        self.monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(capabilities))
        self.monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
        self.monkeypatch.setattr(
            torch.cuda, "get_device_capability", lambda device: capabilities[torch.device(device).index or 0]
        )

    def mps(self, there: bool = True) -> None:
        self.monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)

    def cores(self, siblings: dict[int, str]) -> None:
        self.monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        self.monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(siblings), raising=False)
        for cpu, text in siblings.items():
            folder = self.system / f"cpu{cpu}" / "topology"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "thread_siblings_list").write_text(text + "\n")
        self.monkeypatch.setattr(cores, "CPU_TOPOLOGY", self.system)


SLOW_HALVES = (
    ("float32", False, 1, 8.4),
    ("float32", True, 1, 8.0),
    ("bfloat16", True, 1, 12.0),
    ("float32", True, 2, 4.2),
    ("bfloat16", True, 2, 6.2),
)
FAST_HALVES = (
    ("float32", False, 1, 9.0),
    ("float32", True, 1, 8.0),
    ("bfloat16", True, 1, 2.0),
    ("float32", True, 2, 4.2),
    ("bfloat16", True, 2, 1.0),
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    """A CPU with two cores that is slow with bfloat16, and nothing else."""
    plain = Machine(monkeypatch, tmp_path)
    plain.cores({0: "0", 1: "1"})
    plain.cpu(*SLOW_HALVES)
    plain.cuda()
    plain.mps(False)
    return plain


def test_the_faster_precision_is_chosen_whatever_the_processor_is_called(machine: Machine) -> None:
    chosen = choose_runtime()
    assert (chosen.device, chosen.dtype, chosen.channels_last) == (torch.device("cpu"), torch.float32, True)
    assert chosen.threads == 2
    assert chosen.reason == (
        "CPU: float32 weights, channels-last, 2 threads (measured: bfloat16 takes 1.5 times as long)"
    )
    machine.cpu(*FAST_HALVES)
    chosen = choose_runtime()
    assert (chosen.dtype, chosen.channels_last) == (torch.bfloat16, True)
    assert chosen.reason == (
        "CPU: bfloat16 weights, channels-last, 2 threads (measured: float32 takes 4.0 times as long)"
    )
    assert [str(each) for each in chosen.figures[-2:]] == [
        "float32, channels-last, 2 threads: 4.20 ms",
        "bfloat16, channels-last, 2 threads: 1.00 ms",
    ]


def test_the_less_exact_precision_must_gain_a_tenth(machine: Machine) -> None:
    machine.cpu(("float32", True, 1, 8.0), ("bfloat16", True, 1, 7.5))
    assert choose_runtime().dtype == torch.float32
    machine.cpu(("float32", True, 1, 8.0), ("bfloat16", True, 1, 7.0))
    assert choose_runtime().dtype == torch.bfloat16


def test_a_layout_that_is_measured_faster_is_taken(machine: Machine) -> None:
    machine.cpu(("float32", False, 1, 6.0), ("float32", True, 1, 8.0))
    chosen = choose_runtime()
    assert not chosen.channels_last
    assert chosen.reason == "CPU: float32 weights, 2 threads (bfloat16 is emulated here)"


def test_a_second_thread_that_gains_nothing_is_left_out(machine: Machine) -> None:
    machine.cpu(("float32", True, 1, 8.0), ("float32", True, 2, 9.0))
    assert choose_runtime().threads == 1
    machine.cpu(("float32", True, 1, 8.0))  # a busy machine, where nothing was learned of two
    assert choose_runtime().threads == 2


@pytest.mark.parametrize(
    ("capability", "dtype"),
    [((7, 5), torch.float32), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16), ((12, 0), torch.bfloat16)],
)
def test_cuda_goes_first_and_new_cards_get_bfloat16(
    machine: Machine, capability: tuple[int, int], dtype: torch.dtype
) -> None:
    machine.cpu(*FAST_HALVES)
    machine.cuda(capability)
    chosen = choose_runtime()
    assert (chosen.device.type, chosen.dtype) == ("cuda", dtype)
    assert chosen.reason.startswith(f"CUDA of capability {capability[0]}.{capability[1]}: ")
    assert choose_runtime("cpu").dtype == torch.bfloat16


def test_one_of_several_cards(machine: Machine) -> None:
    machine.cuda((9, 0), (7, 0))
    assert choose_runtime("cuda").dtype == torch.bfloat16
    second = choose_runtime("cuda:1")
    assert (second.device, second.dtype) == (torch.device("cuda:1"), torch.float32)
    with pytest.raises(InputError, match="possible are auto, cpu, cuda, cuda:0, cuda:1"):
        choose_runtime("cuda:2")


def test_mps_is_used_only_when_asked_for(machine: Machine) -> None:
    machine.mps()
    assert choose_runtime().device.type == "cpu"
    chosen = choose_runtime("mps")
    assert (chosen.device.type, chosen.dtype, chosen.channels_last) == ("mps", torch.float32, False)
    assert chosen.reason == "Apple GPU: float32 weights"
    with pytest.raises(InputError, match="not possible on mps"):
        choose_runtime("mps", "bfloat16")


@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps", "gpu", "", "CPU", "cpu:0"])
def test_a_device_that_is_not_there(machine: Machine, device: str) -> None:
    with pytest.raises(InputError, match=r"No device .* possible are auto, cpu\.$"):
        choose_runtime(device)


@pytest.mark.parametrize("precision", ["half", "bf16", "", "double"])
def test_an_unknown_precision(machine: Machine, precision: str) -> None:
    with pytest.raises(InputError, match="possible are auto, float32, bfloat16, float16"):
        choose_runtime(precision=precision)


def test_what_is_asked_for_is_done_and_said(machine: Machine) -> None:
    slow = choose_runtime("cpu", "bfloat16")
    assert (slow.dtype, slow.threads) == (torch.bfloat16, 2)
    assert slow.reason == (
        "CPU: bfloat16 weights as asked, channels-last, 2 threads (measured: float32 takes 0.7 times as long)"
    )
    machine.cpu(*FAST_HALVES)
    assert choose_runtime("cpu", "float32").dtype == torch.float32
    machine.cpu(("float32", True, 1, 8.0))
    assert choose_runtime("cpu", "bfloat16").reason == (
        "CPU: bfloat16 weights as asked, emulated and very slow here, channels-last"
    )


def test_float16_is_for_those_who_ask(machine: Machine) -> None:
    slow = choose_runtime("cpu", "float16")
    assert slow.dtype == torch.float16
    assert slow.reason == "CPU: float16 weights as asked, slow here, channels-last"
    machine.cuda((7, 0))
    assert choose_runtime().dtype == torch.float32
    assert choose_runtime("cuda", "float16").reason == (
        "CUDA of capability 7.0: float16 weights as asked, channels-last"
    )
    machine.mps()
    with pytest.raises(InputError, match="float16 is not possible on mps"):
        choose_runtime("mps", "float16")


def test_a_device_may_be_pytorchs_own(machine: Machine) -> None:
    machine.cuda((9, 0), (7, 0))
    assert choose_runtime(torch.device("cuda", 1)) == choose_runtime("cuda:1")
    assert choose_runtime(torch.device("cpu")) == choose_runtime("cpu")


def test_an_edit_in_float16(tmp_path: Path) -> None:
    """Close to the same edit in float32, on a CPU."""
    drawn = []
    for precision in ("float32", "float16"):
        model = load_model(write_tiny(tmp_path / "tiny"), choose_runtime("cpu", precision))
        result = Editor(model).generate("a red ball", seed=4, guidance=1.0)
        drawn.append(np.asarray(result.pictures[0].pixels).astype(float))
    assert drawn[0].std() > 5
    assert np.abs(drawn[0] - drawn[1]).mean() < 1
    assert not np.array_equal(*drawn)


def test_this_very_machine_has_an_answer() -> None:
    chosen = choose_runtime()
    assert chosen.dtype in (torch.float32, torch.bfloat16)
    assert chosen.threads >= 1
    assert "\n" not in chosen.reason


class TestThreads:
    @pytest.fixture(autouse=True)
    def busy(self, machine: Machine) -> None:
        """Nothing was learned of more threads than one, so that there is one a core."""
        machine.cpu(("float32", True, 1, 8.0))

    def test_one_a_core(self, machine: Machine) -> None:
        machine.cores({0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3", 6: "6-7"})
        assert choose_runtime().threads == 3

    def test_without_word_of_siblings_one_a_processor(self, machine: Machine) -> None:
        machine.cores({})
        machine.monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 5}, raising=False)
        assert choose_runtime().threads == 3

    def test_systems_without_affinity(self, machine: Machine) -> None:
        machine.cores({})
        machine.monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        machine.monkeypatch.setattr(os, "cpu_count", lambda: 4)
        assert choose_runtime().threads == 4
        machine.monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert choose_runtime().threads == 1

    @pytest.mark.parametrize(("value", "threads"), [("3", 3), (" 2,1", 2), ("0", 5), ("many", 5), ("", 5)])
    def test_the_usual_variable_is_respected(self, machine: Machine, value: str, threads: int) -> None:
        machine.cores({cpu: str(cpu) for cpu in range(5)})
        machine.monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert choose_runtime().threads == threads

    @pytest.fixture
    def restored(self) -> Iterator[None]:
        before = torch.get_num_threads()
        yield
        torch.set_num_threads(before)

    @pytest.mark.usefixtures("restored")
    def test_choosing_changes_nothing_and_applying_does(self) -> None:
        before = torch.get_num_threads()
        chosen = Runtime(torch.device("cpu"), torch.float32, True, before + 1, "a test")
        choose_runtime()
        assert torch.get_num_threads() == before
        apply(chosen)
        assert torch.get_num_threads() == before + 1

    def test_they_can_be_asked_for(self, machine: Machine) -> None:
        machine.monkeypatch.setenv("OMP_NUM_THREADS", "3")
        assert choose_runtime(threads=2).threads == 2
        with pytest.raises(InputError, match="threads must be 1 or more, not 0"):
            choose_runtime(threads=0)

    def test_only_what_nobody_asked_for_follows_the_load(self, machine: Machine) -> None:
        assert choose_runtime().follows_load
        assert choose_runtime("cpu", "float16").follows_load
        assert not choose_runtime(threads=2).follows_load
        machine.monkeypatch.setenv("OMP_NUM_THREADS", "2")
        assert not choose_runtime().follows_load

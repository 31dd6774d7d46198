"""Which device and which precision a model runs with: decided here and nowhere else."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from glide_edit.errors import InputError
from glide_edit.models.memory import keep_freed_memory

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

_CPU_UNITS = {"amx_bf16": "AMX-BF16", "avx512_bf16": "AVX512-BF16"}
"""What makes bfloat16 faster than float32 on a CPU: the flag in /proc/cpuinfo and the name to print."""

CPU_INFO = Path("/proc/cpuinfo")
CPU_TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True)
class Runtime:
    """The decision. ``threads`` are the CPU threads a network may use; ``reason`` is one line to print."""

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    threads: int
    reason: str


def choose_runtime(
    device: str | torch.device = "auto", precision: str = "auto", threads: int | None = None
) -> Runtime:
    """Decide where and how to run. Nothing is changed: ``apply`` does that.

    ``device`` is "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps" or a
    ``torch.device``; ``precision`` is "auto", "float32", "bfloat16" or "float16". By itself bfloat16 is
    chosen where the hardware multiplies it: CUDA of capability 8 or more, a CPU with AMX-BF16 or AVX512-BF16.
    ``threads`` None is OMP_NUM_THREADS, or one for each core.

    Raises:
        InputError: an unknown device or precision, one this machine does not have, or no thread at all.
    """
    if precision not in ("auto", *PRECISIONS):
        raise InputError(f"Unknown precision {precision!r}; possible are auto, {', '.join(PRECISIONS)}.")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be 1 or more, not {threads}.")
    place = _device(str(device))
    name, unit = _hardware(place)
    dtype = PRECISIONS.get(precision, torch.bfloat16 if unit else torch.float32)
    if place.type == "mps" and dtype != torch.float32:
        raise InputError(
            f"{dtype_name(dtype)} is not possible on mps: leave the precision out, or say float32."
        )
    # Measured: on a CPU float32 convolutions gain from channels-last as well.
    channels_last = place.type != "mps"
    words = [f"{dtype_name(dtype)} weights{'' if precision == 'auto' else ' as asked'}"]
    if (dtype == torch.bfloat16 and not unit) or (dtype == torch.float16 and place.type == "cpu"):
        words.append("slow here")
    if channels_last:
        words.append("channels-last")
    return Runtime(place, dtype, channels_last, threads or _threads(), f"{name}: {', '.join(words)}")


def dtype_name(dtype: torch.dtype) -> str:
    """As in ``PRECISIONS``: "float32"."""
    return str(dtype).removeprefix("torch.")


def apply(runtime: Runtime) -> None:
    """Set up the whole process for the runtime: PyTorch's number of threads, and on a CPU how memory is kept.

    Programs do this once, libraries only where their user asks for it.
    """
    torch.set_num_threads(runtime.threads)
    if runtime.device.type == "cpu":
        keep_freed_memory()


def _device(device: str) -> torch.device:
    possible = _possible()
    if device == "auto":
        return torch.device("cuda" if "cuda" in possible else "cpu")
    if device not in possible:
        raise InputError(f"No device {device!r} on this machine; possible are auto, {', '.join(possible)}.")
    return torch.device(device)


def _possible() -> list[str]:
    names = ["cpu"]
    if torch.cuda.is_available():
        names += ["cuda", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return names


def _hardware(device: torch.device) -> tuple[str, bool]:
    """A name to print, and whether bfloat16 is multiplied in hardware there."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"CUDA of capability {major}.{minor}", major >= 8
    if device.type == "mps":
        return "Apple GPU", False
    unit = _cpu_unit()
    if unit is None:
        return f"CPU without {' or '.join(_CPU_UNITS.values())}", False
    return f"CPU with {_CPU_UNITS[unit]}", True


def _cpu_unit() -> str | None:
    """The flag of the CPU's bfloat16 unit, the faster one where it has both."""
    try:
        has = {
            "amx_bf16": torch.cpu._is_amx_tile_supported(),
            "avx512_bf16": torch.cpu._is_avx512_bf16_supported(),
        }
    except AttributeError:  # a private interface: it may go
        flags = _cpu_flags()
        has = {flag: flag in flags for flag in _CPU_UNITS}
    return next((flag for flag, there in has.items() if there), None)


def _cpu_flags() -> set[str]:
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith("flags") for flag in line.partition(":")[2].split()}


def _threads() -> int:
    """OMP_NUM_THREADS where it is set, else one a core this process may run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return max(1, len({_siblings(cpu) for cpu in _affinity()}))


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

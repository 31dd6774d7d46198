"""Which device and which precision a model runs with: decided here and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from glide_edit import cores
from glide_edit.errors import InputError
from glide_edit.models import probe
from glide_edit.models.memory import keep_freed_memory

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Runtime:
    """The decision. ``threads`` are the CPU threads a network may use; ``reason`` is one line to print.

    ``follows_load``: fewer threads are used while other programs need the cores. ``figures`` are what the
    decision was made by.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    threads: int
    reason: str
    follows_load: bool = False
    figures: tuple[probe.Figure, ...] = ()


def choose_runtime(
    device: str | torch.device = "auto", precision: str = "auto", threads: int | None = None
) -> Runtime:
    """Decide where and how to run. Nothing is changed: ``apply`` does that.

    ``device`` is "auto" (CUDA where there is one, else the CPU), "cpu", "cuda", "cuda:1", "mps" or a
    ``torch.device``; ``precision`` is "auto", "float32", "bfloat16" or "float16". What is not said is decided
    by trying on a CPU (``probe``); on CUDA of capability 8 or more it is bfloat16. ``threads`` None is
    OMP_NUM_THREADS, or up to one for each core as other programs leave them free.

    Raises:
        InputError: an unknown device or precision, one this machine does not have, or no thread at all.
    """
    if precision not in ("auto", *PRECISIONS):
        raise InputError(f"Unknown precision {precision!r}; possible are auto, {', '.join(PRECISIONS)}.")
    if threads is not None and threads < 1:
        raise InputError(f"threads must be 1 or more, not {threads}.")
    asked = threads or _threads_of_environment()
    place = _device(str(device))
    if place.type == "cpu":
        return _on_cpu(place, precision, asked)
    name, fast = ("Apple GPU", False) if place.type == "mps" else _cuda(place)
    dtype = PRECISIONS.get(precision, torch.bfloat16 if fast else torch.float32)
    if place.type == "mps" and dtype != torch.float32:
        raise InputError(
            f"{dtype_name(dtype)} is not possible on mps: leave the precision out, or say float32."
        )
    channels_last = place.type != "mps"
    words = [f"{dtype_name(dtype)} weights{'' if precision == 'auto' else ' as asked'}"]
    if dtype == torch.bfloat16 and not fast:
        words.append("slow here")
    if channels_last:
        words.append("channels-last")
    return Runtime(place, dtype, channels_last, asked or cores.count(), f"{name}: {', '.join(words)}")


def _on_cpu(place: torch.device, precision: str, asked: int | None) -> Runtime:
    most = asked or cores.count()
    if precision == "float16":  # for those who ask: no CPU of today is fast with it
        reason = "CPU: float16 weights as asked, slow here, channels-last"
        return Runtime(place, torch.float16, True, most, reason, asked is None)
    found = probe.figures(most)
    if precision not in ("auto", *(each.dtype for each in found)):
        reason = f"CPU: {precision} weights as asked, emulated and very slow here, channels-last"
        return Runtime(place, PRECISIONS[precision], True, most, reason, asked is None)
    best = probe.fastest(found, None if precision == "auto" else precision)
    # On a busy machine nothing was learned of more threads than one.
    threads = most if asked or all(each.threads == 1 for each in found) else best.threads
    words = [f"{best.dtype} weights{'' if precision == 'auto' else ' as asked'}"]
    if best.channels_last:
        words.append("channels-last")
    words.append(f"{threads} thread{'' if threads == 1 else 's'}")
    reason = f"CPU: {', '.join(words)} ({_compared(found, best.dtype)})"
    dtype = PRECISIONS[best.dtype]
    return Runtime(place, dtype, best.channels_last, threads, reason, asked is None, found)


def _compared(found: Sequence[probe.Figure], dtype: str) -> str:
    """How the other precision was measured against ``dtype``."""
    alone = [each for each in found if each.threads == 1]
    ours, others = (
        [each.milliseconds for each in alone if (each.dtype == dtype) == same] for same in (True, False)
    )
    if not others:
        return "bfloat16 is emulated here"
    other = "float32" if dtype == "bfloat16" else "bfloat16"
    return f"measured: {other} takes {min(others) / min(ours):.1f} times as long"


def dtype_name(dtype: torch.dtype) -> str:
    """As in ``PRECISIONS``: "float32"."""
    return str(dtype).removeprefix("torch.")


def apply(runtime: Runtime) -> None:
    """Set up the whole process for the runtime: PyTorch's number of threads, and on a CPU how memory is kept.

    Programs do this once, libraries only where their user asks for it.
    """
    torch.set_num_threads(runtime.threads)
    cores.follow_load(runtime.threads if runtime.follows_load else None)
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


def _cuda(device: torch.device) -> tuple[str, bool]:
    """A name to print, and whether bfloat16 is multiplied in hardware there."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"CUDA of capability {major}.{minor}", major >= 8


def _threads_of_environment() -> int | None:
    """OMP_NUM_THREADS, where it is set to a number."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(asked) if asked.isdecimal() and int(asked) > 0 else None

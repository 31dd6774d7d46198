"""Which precision, memory layout and number of threads are fastest on this CPU: found by trying.

What a processor says of itself does not tell: with AVX512-BF16 alone bfloat16 may be half as fast as float32,
with AMX it is several times faster, and a second thread may gain nothing. So a block like those of the
networks is run in each way, in 0.3 s at most, and the figures are kept in the user's cache folder.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit import cores
from glide_edit.errors import InputError
from glide_edit.images import write_atomically
from glide_edit.models.fetch import cache_folder

BUDGET = 0.3
"""Seconds for all figures together."""

ROUNDS = 12
"""How often each way is tried at most; the fastest counts, since whatever else runs only ever adds."""

MARGIN = 0.9
"""What is less exact than float32, or leaves cores unused, must take at most this share of the time."""

BUSY = 0.25
"""When other programs use this many cores, nothing is learned of more threads than one."""

HOPELESS = 4.0
"""A precision this many times slower than float32 on a tiny convolution is not tried on the block."""

CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Figure:
    """A way to run a network, and how long a block took: ``dtype`` is "float32" or "bfloat16"."""

    dtype: str
    channels_last: bool
    threads: int
    milliseconds: float

    @property
    def is_sound(self) -> bool:
        """Whether it can be a figure: a file may hold anything."""
        return (
            self.dtype in ("float32", "bfloat16")
            and isinstance(self.channels_last, bool)
            and type(self.threads) is int
            and self.threads > 0
            and isinstance(self.milliseconds, float)
            and self.milliseconds > 0
        )

    def __str__(self) -> str:
        layout = "channels-last" if self.channels_last else "contiguous"
        threads = f"{self.threads} thread{'' if self.threads == 1 else 's'}"
        return f"{self.dtype}, {layout}, {threads}: {self.milliseconds:.2f} ms"


def figures(threads: int) -> tuple[Figure, ...]:
    """The figures of this CPU for 1 to ``threads`` threads: from the cache, or measured now and kept there.

    They are kept by processor, PyTorch, number of threads and what the environment asks of oneDNN.
    """
    kept, key = _read(), _key(threads)
    if key not in kept:
        kept[key] = measure(threads)
        rows = {name: [astuple(each) for each in found] for name, found in kept.items()}
        with suppress(OSError, InputError):  # a folder that cannot be written: measured again the next time
            cache_file().parent.mkdir(parents=True, exist_ok=True)
            write_atomically(cache_file(), json.dumps(rows, indent=1).encode(), force=True)
    return kept[key]


def forget() -> None:
    """Have everything measured again when it is next needed: the machine was busy, say."""
    with suppress(OSError):
        cache_file().unlink(missing_ok=True)


def cache_file() -> Path:
    """Where figures are kept."""
    return cache_folder() / "cpu-figures.json"


def fastest(given: Sequence[Figure], dtype: str | None = None) -> Figure:
    """The way to run, of precision ``dtype`` where one is named: that of least time, but for ``MARGIN``.

    Precision and layout are compared with one thread, whose figures hold on a busy machine too.
    """
    alone = [each for each in given if each.threads == 1 and dtype in (None, each.dtype)]
    way = _least(sorted(alone, key=lambda each: (each.dtype != "float32", not each.channels_last)))
    threads = [each for each in given if (each.dtype, each.channels_last) == (way.dtype, way.channels_last)]
    return _least(sorted(threads, key=lambda each: -each.threads))


def _least(preferred: Sequence[Figure]) -> Figure:
    """The one of least time, where those that come later must be better by ``MARGIN``."""
    best = preferred[0]
    for each in preferred[1:]:
        if each.milliseconds < best.milliseconds * MARGIN:
            best = each
    return best


def measure(threads: int) -> tuple[Figure, ...]:
    """Try float32 in both layouts and bfloat16 with one thread, then each precision's best with more.

    Where other programs use the cores meanwhile, more threads only wait for each other: their figures are
    left out then.
    """
    began, others = time.perf_counter(), cores.OthersUse()
    ways = [("float32", False), ("float32", True)]
    with _threads_restored(), torch.inference_mode():
        torch.set_num_threads(1)
        if _is_bearable(torch.bfloat16):
            ways.append(("bfloat16", True))
        # The thread's own seconds: what it waits for a core does not count.
        alone = _timed([(*way, 1) for way in ways], time.thread_time, began + BUDGET / 2)
        if _is_busy(others):
            return tuple(alone)
        best = [fastest(alone, dtype) for dtype in dict.fromkeys(dtype for dtype, _ in ways)]
        more = [(each.dtype, each.channels_last, count) for count in _counts(threads) for each in best]
        together = _timed(more, time.perf_counter, began + BUDGET)
        return (*alone, *(() if _is_busy(others) else together))


def _is_busy(others: cores.OthersUse) -> bool:
    return (others.cores() or 0.0) >= BUSY


def _counts(threads: int) -> Iterator[int]:
    """All threads, half as many, a quarter, ... but not 1."""
    while threads > 1:
        yield threads
        threads //= 2


def _timed(
    ways: Sequence[tuple[str, bool, int]], clock: Callable[[], float], deadline: float
) -> list[Figure]:
    """Each way's least time: they are tried in turns, so that what else runs meets them all."""
    blocks = [_block(dtype, channels_last) for dtype, channels_last, _ in ways]
    least = [float("inf")] * len(ways)
    for number in range(ROUNDS + 1):
        for index, ((_, _, threads), block) in enumerate(zip(ways, blocks, strict=True)):
            torch.set_num_threads(threads)
            began = clock()
            block()
            taken = clock() - began
            if number:  # the first time everything is prepared
                least[index] = min(least[index], taken)
        if number and time.perf_counter() > deadline:
            break
    return [Figure(*way, 1000 * taken) for way, taken in zip(ways, least, strict=True)]


def _block(dtype: str, channels_last: bool, channels: int = 96, size: int = 32) -> Callable[[], Tensor]:
    """Norm, SiLU and a 3 x 3 convolution, as often as in a residual block, on the pair of guided branches."""
    generator = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x, weight = (
        torch.randn(shape, generator=generator).to(getattr(torch, dtype)).contiguous(memory_format=layout)
        for shape in ((2, channels, size, size), (channels, channels, 3, 3))
    )

    def block() -> Tensor:
        h = x
        for _ in range(2):
            h = F.conv2d(F.silu(F.group_norm(h, channels // 16)), weight, padding=1)
        return h

    return block


def _is_bearable(dtype: torch.dtype) -> bool:
    """Whether a tiny block takes no time out of proportion in ``dtype``: it may be emulated."""
    taken = {}
    for each in (torch.float32, dtype):
        block = _block(str(each).removeprefix("torch."), channels_last=True, channels=16, size=8)
        block()
        began = time.perf_counter()
        block()
        taken[each] = time.perf_counter() - began
    return taken[dtype] < HOPELESS * max(taken[torch.float32], 0.001)


@contextmanager
def _threads_restored() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _key(threads: int) -> str:
    asked = {
        name: os.environ[name] for name in ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY") if name in os.environ
    }
    return " | ".join(
        [_processor(), f"torch {torch.__version__}", f"{threads} threads", *map("=".join, asked.items())]
    )


def _processor() -> str:
    """Its name, as the system gives it, and how PyTorch uses it."""
    try:
        lines = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    flags = next((line for line in lines if line.startswith("flags")), "")
    units = [name for name in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if f" {name} " in f"{flags} "]
    return " ".join([next(named, platform.processor() or platform.machine()), *units[:1]])


def _read() -> dict[str, tuple[Figure, ...]]:
    """What is in the cache file; nothing where it is missing, damaged or of another version."""
    try:
        rows = json.loads(cache_file().read_bytes())
        found = {key: tuple(Figure(*row) for row in each) for key, each in rows.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {key: each for key, each in found.items() if each and all(figure.is_sound for figure in each)}

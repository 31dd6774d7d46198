"""Safetensors files read in one pass, so that what is hashed and what is loaded are the same bytes.

The format (https://huggingface.co/docs/safetensors): the length of the header in 8 bytes, the header as JSON,
and the values of all tensors side by side. The library maps a file into memory, where it may still change.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_LONGEST_HEADER = 100_000_000
"""Bytes, as in the library."""
_BLOCK = 1 << 24
"""Bytes that are read at once; more where one tensor is larger."""


@dataclass(frozen=True)
class Entry:
    """A tensor of the header: its values are the bytes from ``begin`` to ``end`` after it."""

    name: str
    dtype: torch.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


class WeightFile:
    """A safetensors file, opened and its header read. Use it as a context manager, and read it once.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no safetensors file, or a damaged one.
    """

    def __init__(self, path: Path) -> None:
        self._sha256 = hashlib.sha256()
        self._file: BinaryIO = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by __exit__
        try:
            self.entries = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, convert: Callable[[Tensor], Tensor]) -> tuple[dict[str, Tensor], str]:
        """All tensors by name, each as ``convert`` makes it, and the sha256 of the file in hexadecimal.

        What ``convert`` is given is overwritten later: it must copy. Hashing goes on beside it in a thread.

        Raises:
            OSError, ValueError: the file cannot be read, is too short or goes on after its last tensor.
        """
        groups = list(_groups(self.entries))
        size = max((group[-1].end - group[0].begin for group in groups), default=0)
        # While one is hashed the other is filled.
        buffers = [torch.empty(size, dtype=torch.uint8) for _ in groups[:2]]
        hashing: list[Future[None] | None] = [None, None]
        tensors: dict[str, Tensor] = {}
        with ThreadPoolExecutor(1) as hasher:
            for number, group in enumerate(groups):
                buffer, waiting = buffers[number % 2], hashing[number % 2]
                if waiting is not None:
                    waiting.result()
                begin = group[0].begin
                filled = buffer.numpy().data[: group[-1].end - begin]
                self._fill(filled)
                hashing[number % 2] = hasher.submit(self._sha256.update, filled)
                for entry in group:
                    values = buffer[entry.begin - begin : entry.end - begin]
                    tensors[entry.name] = convert(_viewed(values, entry))
        if self._file.read(1):
            raise ValueError("it goes on after its last tensor")
        return tensors, self._sha256.hexdigest()

    def _read_header(self) -> tuple[Entry, ...]:
        length = int.from_bytes(self._take(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError("its header is too long")
        header = json.loads(self._take(length))
        if not isinstance(header, dict):
            raise ValueError("its header is no object")
        header.pop("__metadata__", None)
        try:
            entries = [_entry(name, **fields) for name, fields in header.items()]
        except (TypeError, KeyError) as error:
            raise ValueError(f"its header cannot be understood: {error!r}") from error
        entries.sort(key=lambda entry: (entry.begin, entry.end))
        end = 0
        for entry in entries:
            if entry.begin != end:
                raise ValueError(f"the values of {entry.name} are not where they should be")
            end = entry.end
        return tuple(entries)

    def _take(self, count: int) -> bytes:
        data = bytearray(count)
        self._fill(memoryview(data))
        self._sha256.update(data)
        return bytes(data)

    def _fill(self, buffer: memoryview) -> None:
        done = 0
        while done < len(buffer):
            count = self._file.readinto(buffer[done:])  # type: ignore[attr-defined]  # unbuffered, so it is there
            if not count:
                raise ValueError("it is cut short")
            done += count


def _entry(name: str, dtype: str, shape: list[int], data_offsets: list[int]) -> Entry:
    begin, end = data_offsets
    if any(not isinstance(each, int) or each < 0 for each in (begin, end, *shape)):
        raise ValueError(f"{name} has a strange size")
    if end - begin != math.prod(shape) * _DTYPES[dtype].itemsize:
        raise ValueError(f"{name} has not as many values as its shape says")
    return Entry(name, _DTYPES[dtype], tuple(shape), begin, end)


def _groups(entries: tuple[Entry, ...]) -> Iterator[list[Entry]]:
    """The entries in order, in groups of about a block."""
    group: list[Entry] = []
    for entry in entries:
        if group and entry.end - group[0].begin > _BLOCK:
            yield group
            group = []
        group.append(entry)
    if group:
        yield group


def _viewed(values: Tensor, entry: Entry) -> Tensor:
    """Bytes as the tensor that they are."""
    if values.storage_offset() % entry.dtype.itemsize:  # torch's views begin at whole numbers of elements
        values = values.clone()
    view: Any = values.view(entry.dtype)
    return view.reshape(entry.shape)

"""How glibc manages the process's memory; with another C library these functions do nothing."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

# <malloc.h>; the largest threshold is that of a C int.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _MOST = -1, -3, 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next tensor, for the whole process; True where that is possible.

    By itself glibc gives tensors of 32 MB and more back to the system at once. A network that makes new ones
    at every layer then waits for fresh pages: a fifth of an upsampler's step at 256 px (docs/performance.md).
    """
    library = _glibc()
    if library is None:
        return False
    return bool(library.mallopt(_M_MMAP_THRESHOLD, _MOST)) and bool(library.mallopt(_M_TRIM_THRESHOLD, _MOST))


def give_back_freed_memory() -> None:
    """Return free memory to the system: the next network needs it in pieces of other sizes."""
    library = _glibc()
    if library is not None:
        library.malloc_trim(0)


@cache
def _glibc() -> Any:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    # Another C library, such as musl, has none of these.
    return library if all(hasattr(library, name) for name in ("mallopt", "malloc_trim")) else None

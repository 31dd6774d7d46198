"""How the process's memory is managed on the CPU."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# <malloc.h>; the largest threshold is that of a C int.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _MOST = -1, -3, 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Have glibc keep freed memory for the next tensor, for the whole process; True where that is possible.

    By itself it gives tensors of 32 MB and more back to the system at once. A network that makes new ones at
    every layer then waits for fresh pages: a fifth of an upsampler's step at 256 px (docs/performance.md).
    The process stays as large as it once was; what is free at the first call is given back before.
    """
    if sys.platform != "linux":
        return False
    try:
        library = ctypes.CDLL(None)
        mallopt, malloc_trim = library.mallopt, library.malloc_trim
    except AttributeError:  # another C library, such as musl
        return False
    malloc_trim(0)
    return bool(mallopt(_M_MMAP_THRESHOLD, _MOST)) and bool(mallopt(_M_TRIM_THRESHOLD, _MOST))

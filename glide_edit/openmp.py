"""How the threads of PyTorch's OpenMP wait for work: to be said before torch is loaded."""

from __future__ import annotations

import os

SPINS = 30_000
"""About 2 ms. Measured on two cores: an edit takes as long as with libgomp's own 300,000, beside two busy
processes 0.6 of that time; with 3,000 or none a quiet edit takes longer, since waking a thread takes time."""

_ASKED = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def spin_briefly() -> None:
    """Have idle threads give up their core soon, unless the user's environment says how they are to wait.

    GNU's OpenMP, in PyTorch's wheels for Linux, reads the first variable, LLVM's and Intel's the second (ms).
    """
    if not any(name in os.environ for name in _ASKED):
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
        os.environ["KMP_BLOCKTIME"] = "2"

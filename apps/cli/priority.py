"""Long work that leaves the processor to other programs."""

from __future__ import annotations

import os
from typing import Annotated

import typer

LOWEST_PRIORITY = 19
"""What ``os.nice`` takes at most, counted from the normal priority; more has no effect."""

Nice = Annotated[
    bool, typer.Option("--nice/--no-nice", help="Leave the processor to other programs that want it.")
]


def take_what_is_left() -> None:
    """Lower the process's priority as far as it goes, where there is such a thing.

    On Linux it is the calling thread's, and that of the threads and processes it starts from now on: call it
    before torch is loaded, whose threads do the work.
    """
    if hasattr(os, "nice"):
        os.nice(LOWEST_PRIORITY)

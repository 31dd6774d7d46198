"""Progress on stderr, on terminals only: rich bars that vanish when the work is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress


@contextmanager
def live() -> Iterator[Progress]:
    """A rich progress display; its tasks show their description, a bar and the field ``said``.

    Where stderr is not a terminal nothing is shown, and the caller need not care.
    """
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30),
        TextColumn("{task.fields[said]}", markup=False),
    )
    shown = console.is_terminal
    with Progress(
        *columns, console=console, transient=True, refresh_per_second=4, disable=not shown
    ) as display:
        yield display


@contextmanager
def counting(description: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that is counted: call what is yielded with (done, count)."""
    with live() as display:
        task = display.add_task(description, total=None, said="")

        def tell(done: int, count: int) -> None:
            display.update(task, completed=done, total=count, said=f"{done:,} of {count:,}")

        yield tell

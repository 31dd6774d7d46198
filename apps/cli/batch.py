"""`glide-edit batch`: many edits in one load."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apps.cli import options
from apps.cli.errors import STOPPED, printable
from apps.cli.priority import Nice, take_what_is_left
from apps.cli.progress import live
from glide_edit.errors import GlideEditError

if TYPE_CHECKING:
    from rich.progress import Progress as Display

    from glide_edit.batch import BatchLine, LineOutcome, LineProgress
    from glide_edit.editor import Editor

FAILED = 2

Edits = Annotated[
    str,
    typer.Argument(
        metavar="EDITS",
        help="A file with an edit a line, as JSON, or .csv with a header; - reads JSON lines from stdin.",
    ),
]
OutFolder = Annotated[
    Path,
    typer.Option(
        "--out", "-o", metavar="FOLDER", help="Where to write; a batch that was stopped is resumed."
    ),
]


@options.takes_groups
def batch(edits: Edits, out: OutFolder, *, running: options.Running, nice: Nice = True) -> None:
    """Carry out a file of edits, each line on its own, with one load of the model.

    What an earlier run of the same command did is not done again. A line that fails does not stop the others:
    it is reported at the end, and the exit code is 2. results.jsonl in FOLDER lists everything.
    """
    if nice:
        take_what_is_left()
    from glide_edit.batch import parse_lines, read_lines

    if edits == "-":
        lines, folder = parse_lines(sys.stdin.buffer.read(), "stdin"), Path()
    else:
        lines, folder = read_lines(edits), Path(edits).parent

    outcomes = _Outcomes(len(lines), as_json=running.as_json)
    with live() as display:
        display.add_task(f"loading {running.model}", total=None, said="")
        editor = running.load()
        try:
            stopped = _run(editor, lines, out, folder, running, outcomes, display)
        except GlideEditError:
            if outcomes.all:
                outcomes.close(stopped=True)  # they say where pictures were kept that could not be saved
            raise
    outcomes.close(stopped=stopped)
    if stopped:
        raise typer.Exit(STOPPED)
    if outcomes.counts["failed"]:
        raise typer.Exit(FAILED)


def _run(
    editor: Editor,
    lines: tuple[BatchLine, ...],
    out: Path,
    folder: Path,
    running: options.Running,
    outcomes: _Outcomes,
    display: Display,
) -> bool:
    """Whether it was stopped with Ctrl-C."""
    from glide_edit.batch import LineOutcome, run_batch

    try:
        with closing(run_batch(editor, lines, out, folder=folder, force=running.force)) as events:
            for event in events:
                if isinstance(event, LineOutcome):
                    outcomes.add(event)
                else:
                    _show(display, event, len(outcomes.all), len(lines))
    except KeyboardInterrupt:
        return True
    return False


def _show(display: Display, event: LineProgress, done: int, count: int) -> None:
    step = event.progress
    said = f"{done:,} of {count:,} done; {step.stage}, step {step.step} of {step.total}"
    display.update(
        display.task_ids[0], description=f"line {event.number}", completed=done, total=count, said=said
    )


@dataclass
class _Outcomes:
    """The outcomes of the lines, reported one by one and at the end."""

    count: int
    as_json: bool
    all: list[LineOutcome] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        return Counter(outcome.state for outcome in self.all)

    def add(self, outcome: LineOutcome) -> None:
        self.all.append(outcome)
        if self.as_json or outcome.state == "failed":
            return
        before = " (done before)" if outcome.state == "skipped" else ""
        typer.echo(f"line {outcome.number}: {printable(', '.join(outcome.files))}{before}")

    def close(self, *, stopped: bool) -> None:
        """The report: one JSON object, or the failures and a sentence on stderr."""
        counts = {state: self.counts[state] for state in ("done", "skipped", "failed")}
        if self.as_json:
            lines = [{**outcome.record, "state": outcome.state} for outcome in self.all]
            typer.echo(json.dumps({**counts, "complete": not stopped, "lines": lines}))
            return
        for outcome in self.all:
            if outcome.error is not None:
                typer.echo(f"line {outcome.number}: error: {printable(outcome.error)}", err=True)
        said = f"{counts['done']} done, {counts['skipped']} done before, {counts['failed']} failed"
        left = f"; stopped before {self.count - len(self.all)} more" if stopped else ""
        typer.echo(f"{said}{left}", err=True)

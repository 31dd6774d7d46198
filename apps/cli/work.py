"""Carrying out a request on the command line: load, show progress, save, say what was written."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import typer

from apps.cli.errors import STOPPED, printable
from apps.cli.options import Running
from apps.cli.outputs import receipt_line
from apps.cli.progress import live
from glide_edit.editor import Editor
from glide_edit.images import Picture
from glide_edit.operations.work import work_for
from glide_edit.recipes import Comparison, Recipe
from glide_edit.requests import Inpaint, Request
from glide_edit.results import EditResult, Progress, Receipt


@dataclass(frozen=True)
class Work:
    """Where a request's pictures go (a path each), how it is run, and what is to be said of it.

    ``compare`` holds the first picture against one that was there before, where there is one.
    """

    targets: Sequence[Path]
    running: Running
    notes: tuple[str, ...] = ()
    compare: Callable[[Picture], Comparison | None] | None = None
    told: tuple[str, ...] = ()
    """Notes of the result that were printed before it."""


def carry_out(request: Request, work: Work) -> None:
    """Run a request and write its pictures; on Ctrl-C those that were finished by then.

    Raises:
        GlideEditError, MaskError: what loading, running and saving raise.
        typer.Exit: stopped, with code 130.
    """
    carry_out_all([(request, work)])


def carry_out_all(tasks: Sequence[tuple[Request, Work]]) -> None:
    """The same for several requests one after the other, with the model loaded once."""
    running = tasks[0][1].running
    if not running.as_json:
        _tell_notes([note for _, work in tasks for note in work.notes])
    with live() as display:
        task = display.add_task(f"loading {running.model}", total=None, said="")
        editor = Editor.load(running.model, running.device, running.precision, running.clip)
        for request, work in tasks:
            _carry_out(editor, request, work, partial(display.update, task))


def _carry_out(editor: Editor, request: Request, work: Work, show: Callable[..., None]) -> None:
    warnings = tuple(each.text for each in editor.diagnose(request) if each.severity == "warning")
    if not work.running.as_json:
        _tell_notes(warnings)
    work = replace(work, told=warnings)
    began, finished = time.perf_counter(), list[Picture]()
    stopped = False
    result: EditResult | None = None
    try:
        for event in editor.stream(request):
            if isinstance(event, EditResult):
                result = event
                break
            finished += event.pictures
            show(
                description=event.stage,
                completed=event.step,
                total=event.total,
                said=_said(event, request.n),
            )
    except KeyboardInterrupt:
        stopped = True
        result = _partial(editor, request, finished, time.perf_counter() - began) if finished else None
    if result is not None:
        receipts = [result.save(path, k, force=work.running.force) for k, path in _numbered(result, work)]
        _report(editor, result, receipts, work, complete=not stopped)
    if stopped:
        typer.echo(f"stopped: {len(finished)} of {request.n} pictures were finished", err=True)
        raise typer.Exit(STOPPED)


def _said(event: Progress, n: int) -> str:
    step = f"step {event.step} of {event.total}"
    return step if n == 1 else f"{step}, {event.finished} of {n} pictures done"


def _partial(editor: Editor, request: Request, pictures: Sequence[Picture], seconds: float) -> EditResult:
    """What was finished, as a result that can be saved like any other."""
    return EditResult(
        request=request,
        pictures=tuple(pictures),
        receipts=(),
        model=editor.model.label,
        seconds=seconds,
        allowed=work_for(request).allowed,
    )


def _numbered(result: EditResult, work: Work) -> list[tuple[int, Path]]:
    return list(enumerate(work.targets[: len(result.pictures)]))


def _report(
    editor: Editor, result: EditResult, receipts: Sequence[Receipt | None], work: Work, *, complete: bool
) -> None:
    missing = (result.missing_from(path, index) for index, path in _numbered(result, work))
    notes = (*result.notes, *(said for said in missing if said))
    compared = work.compare(result.pictures[0]) if work.compare is not None else None
    if work.running.as_json:
        record = _record(result, receipts, (*work.notes, *notes), work, complete=complete)
        typer.echo(json.dumps({**record, "compared": asdict(compared)} if compared else record))
        return
    _tell_notes([note for note in notes if note not in work.told])
    grown = isinstance(result.request, Inpaint) and result.request.grow > 0
    for (index, path), receipt in zip(_numbered(result, work), receipts, strict=True):
        if receipt is not None:
            typer.echo(receipt_line(path, receipt, grown=grown))
        else:
            picture, seed = result.pictures[index], result.request.seeds[index]
            typer.echo(f"{printable(str(path))}: {picture.width} x {picture.height} pixels, seed {seed}")
    if compared is not None:
        typer.echo(printable(str(compared)))
    typer.echo(f"{result.seconds:.1f} s with {result.model} on {editor.runtime.reason}", err=True)


def _record(
    result: EditResult,
    receipts: Sequence[Receipt | None],
    notes: Sequence[str],
    work: Work,
    *,
    complete: bool,
) -> dict[str, object]:
    """What ``--json`` prints. The recipe is that of all pictures together."""
    count = len(result.pictures)
    recipe = Recipe(result.model, result.request.to_json())
    return {
        "files": [str(path) for path in work.targets[:count]],
        "receipts": [None if receipt is None else receipt.to_json() for receipt in receipts],
        "seeds": list(result.request.seeds[:count]),
        "seconds": round(result.seconds, 3),
        "notes": list(notes),
        "model": result.model,
        "recipe": recipe.to_json(),
        "complete": complete,
    }


def _tell_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {printable(note)}", err=True)

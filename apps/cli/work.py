"""Carrying out a request on the command line: load, show progress, save, say what was written."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import typer

from apps.cli.errors import STOPPED, printable
from apps.cli.options import Running
from apps.cli.outputs import check_targets, numbered, receipt_line
from apps.cli.progress import live
from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import Picture, rescuing, save_picture
from glide_edit.pipeline.partial_result import PartialResult
from glide_edit.recipes import Comparison, Recipe
from glide_edit.requests import Inpaint, Outpaint, Request
from glide_edit.results import EditResult, Progress, Receipt


@dataclass(frozen=True)
class Work:
    """Where a request's pictures go (a path each, and one for a sheet), how it is run, what is said of it.

    ``compare`` holds the first picture against one that was there before, where there is one.
    """

    targets: Sequence[Path]
    running: Running
    notes: tuple[str, ...] = ()
    compare: Callable[[Picture], Comparison | None] | None = None
    told: tuple[str, ...] = ()
    """Notes of the result that were printed before it."""
    sheet: Path | None = None


def carry_out(request: Request, work: Work) -> None:
    """Run a request and write its pictures; on Ctrl-C those that were finished by then.

    Raises:
        GlideEditError, MaskError: what loading, running and saving raise.
        typer.Exit: stopped, with code 130.
    """
    carry_out_all([(request, work)])


def carry_out_all(tasks: Sequence[tuple[Request, Work]]) -> list[EditResult]:
    """The same for several requests one after the other, with the model loaded once."""
    running = tasks[0][1].running
    sheets = _sheets(tasks, running)
    if not running.as_json:
        _tell_notes([note for _, work in tasks for note in work.notes])
    with live() as display:
        task = display.add_task(f"loading {running.model}", total=None, said="")
        editor = running.load()
        return [
            _carry_out(editor, request, replace(work, sheet=sheet), partial(display.update, task))
            for (request, work), sheet in zip(tasks, sheets, strict=True)
        ]


def _sheets(tasks: Sequence[tuple[Request, Work]], running: Running) -> list[Path | None]:
    """Where the sheet of each request goes, if anywhere; checked before the work."""
    if running.sheet is None:
        return [None] * len(tasks)
    if any(request.candidates is None for request, _ in tasks):
        raise InputError("--sheet shows --candidates: say how many.")
    sheets = numbered(running.sheet, len(tasks))
    check_targets(sheets, force=running.force)
    pictures = {path.absolute() for _, work in tasks for path in work.targets}
    if twice := [path for path in sheets if path.absolute() in pictures]:
        raise InputError(f"--sheet and the pictures would be the same file: {twice[0].name}.")
    return [*sheets]


def _carry_out(editor: Editor, request: Request, work: Work, show: Callable[..., None]) -> EditResult:
    warnings = tuple(each.text for each in editor.diagnose(request) if each.severity == "warning")
    if not work.running.as_json:
        _tell_notes(warnings)
    work = replace(work, told=warnings)
    plan = editor.plan(request)
    so_far = PartialResult(plan)
    stopped = False
    result: EditResult | None = None
    try:
        for event in editor.stream(plan):
            if isinstance(event, EditResult):
                result = event
                break
            so_far.add(event)
            show(
                description=event.stage,
                completed=event.step,
                total=event.total,
                said=_said(event, request.n),
            )
    except KeyboardInterrupt:
        stopped = True
        result = so_far.finished()
    if result is not None:
        receipts = result.save_all(work.targets[: len(result.pictures)], force=work.running.force)
        if work.sheet is not None and result.sheet is not None:
            with rescuing(result.sheet, work.sheet):
                save_picture(result.sheet, work.sheet, force=work.running.force)
        _report(editor, result, receipts, work, complete=not stopped)
    if stopped:
        typer.echo(f"stopped: {len(so_far.pictures)} of {request.n} pictures were finished", err=True)
        raise typer.Exit(STOPPED)
    assert result is not None, "a stream ends with its result"
    return result


def _said(event: Progress, n: int) -> str:
    step = f"step {event.step} of {event.total}"
    return step if n == 1 else f"{step}, {event.finished} of {n} pictures done"


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
    request, allowed = result.request, result.allowed
    grown = isinstance(request, Inpaint) and allowed is not None and not (allowed - request.mask).is_empty
    for (index, path), receipt in zip(_numbered(result, work), receipts, strict=True):
        if receipt is not None:
            new = isinstance(result.request, Outpaint)
            typer.echo(receipt_line(path, receipt, grown=grown, new=new))
        else:
            picture, seed = result.pictures[index], result.seeds[index]
            typer.echo(f"{printable(str(path))}: {picture.width} x {picture.height} pixels, seed {seed}")
    if work.sheet is not None and result.sheet is not None:
        typer.echo(f"{printable(str(work.sheet))}: {len(result.ranking)} candidates, the best first")
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
        "seeds": list(result.seeds[:count]),
        "seconds": round(result.seconds, 3),
        "notes": list(notes),
        "model": result.model,
        "recipe": recipe.to_json(),
        "complete": complete,
        **({"ranking": [asdict(score) for score in result.ranking]} if result.ranking else {}),
        **({"sheet": str(work.sheet)} if work.sheet is not None and result.sheet is not None else {}),
    }


def _tell_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"note: {printable(note)}", err=True)

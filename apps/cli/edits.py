"""`glide-edit inpaint`, `generate` and the other operations, and `plan`: from arguments to requests.

The options of a command are the fields of its request, each defined in ``glide_edit.requests``.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from apps.cli.errors import printable
from apps.cli.importing import many_imports
from apps.cli.mask_values import usable_mask_file
from apps.cli.options import (
    MaskMeans,
    Out,
    Running,
    group_of,
    group_parameters,
    keyword,
    made_when_needed,
    parameter_of,
    with_parameters,
)
from apps.cli.outputs import check_targets, numbered, suffix_for
from apps.cli.progress import live
from glide_edit.errors import InputError

if TYPE_CHECKING:
    from glide_edit.requests import Request, Setting

app = typer.Typer()
"""The command of every operation."""
PLAN = typer.Typer(
    name="plan",
    help="Say what an edit would do and cost, without doing it: the operation and its arguments.",
    no_args_is_help=True,
)
"""`plan` with the same ones."""


@dataclass(frozen=True)
class Operation:
    """What a command is beside its request.

    Attributes:
        name: of the operation and the command.
        help: what `--help` says of it.
        after: what goes after the picture's name in that of the result.
        picture: what the help calls the picture it starts from; nothing where it starts from none.
        prompt: whether that is a required option, one that may be left out, a last argument, or several.
        new: whether the result is a new picture, a PNG, and not the photograph with a part changed.
    """

    name: str
    help: str
    after: str = ""
    picture: str = "PHOTO"
    prompt: Literal["required", "optional", "argument", "several", "none"] = "optional"
    new: bool = False

    @property
    def kind(self) -> type[Request]:
        from glide_edit.requests import OPERATIONS

        return OPERATIONS[self.name]


COMMANDS = (
    Operation(
        "inpaint",
        """Repaint the selected part of a picture. All pixels outside the selection stay as they are.

        Writes PHOTO's name with -edit beside it, as PNG where PHOTO is lossy.
        """,
        after="edit",
        prompt="required",
    ),
    Operation(
        "generate",
        """Draw pictures from words alone. Writes generate-SEED.png in the current folder.

        With several prompts, the model is loaded once, and the prompt's number goes before the seed.
        """,
        picture="",
        prompt="several",
        new=True,
    ),
    Operation(
        "sketch",
        """Turn a line drawing into a picture. Writes DRAWING's name with -picture beside it, as PNG.""",
        after="picture",
        picture="DRAWING",
        prompt="required",
        new=True,
    ),
    Operation(
        "remove",
        """Take what is selected out of a picture: it is filled with what surrounds it.

        --grow takes in more around the selection, such as a shadow. Writes PHOTO's name with -removed
        beside it.
        """,
        after="removed",
        prompt="none",
    ),
    Operation(
        "outpaint",
        """Draw what lies beyond a picture's sides. The picture itself stays as it is.

        Writes PHOTO's name with -larger beside it, as PNG where PHOTO is lossy.
        """,
        after="larger",
    ),
    Operation(
        "upscale",
        """Make a picture 2 or 4 times as wide and high. Writes PHOTO's name with -2x or -4x beside it.""",
        after="{factor}x",
    ),
    Operation(
        "vary",
        """Draw another picture like a given one. Writes FILE's name with -vary beside it, as PNG.

        The result has the picture's shape; its longer side is the model's own.
        """,
        after="vary",
        picture="FILE",
        prompt="argument",
        new=True,
    ),
)

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="PROMPT...", help="What to draw, in words; each prompt in quotes."),
]
Prompt = Annotated[str | None, typer.Option("--prompt", "-p", metavar="TEXT", help="The same, as an option.")]
PromptFile = Annotated[
    Path | None,
    typer.Option(
        "--prompt-file", metavar="FILE", help="A text file with one prompt a line; empty lines are left out."
    ),
]
LastWords = Annotated[
    str, typer.Argument(metavar="PROMPT", help="What it shows, or should show.", show_default=False)
]
Strengths = Annotated[
    str | None,
    typer.Option(
        "--strengths",
        metavar="LOW:HIGH[:N]",
        help="Try N strengths (6) in a row, as 0.4:0.9; their sheet is FILE-strengths.png, or --sheet.",
    ),
]


@dataclass(frozen=True)
class Edit:
    """What a command asks for: one request, or one for each prompt or strength.

    Attributes:
        source: the file that it starts from.
        out: where the results go, where that was said.
        notes: what a person should know of it.
        sweep: whether the requests are one at several strengths.
    """

    requests: Sequence[Request]
    source: Path | None
    out: Path | None
    notes: tuple[str, ...] = ()
    sweep: bool = False


def _command_of(
    operation: Operation, then: Callable[[Operation, Edit, Running], None]
) -> Callable[..., None]:
    """The command that makes requests of its arguments and hands them to ``then``."""

    def command(**values: Any) -> None:
        running = group_of(Running, values)
        then(operation, _edit_of(operation, values), running)

    with_parameters(command, _parameters(operation))
    return command


def _parameters(operation: Operation) -> list[inspect.Parameter]:
    from glide_edit.requests import Request, settings_of

    own: list[inspect.Parameter] = []
    common: list[inspect.Parameter] = []
    old_names = operation.kind.old_names
    shared = {each.name for each in settings_of(Request)}
    for each in settings_of(operation.kind):
        if each.kind == "picture":
            argument = typer.Argument(metavar=operation.picture, help=f"{each.help}.")
            own.append(keyword(each.name, Annotated[Path, argument]))
        elif each.name == "prompt":
            words = _prompt_parameters(operation, each)
        else:
            (common if each.name in shared else own).append(parameter_of(each))
        own += [parameter_of(each, old_name=old) for old in old_names if old_names[old] == each.name]
        if each.name == "strength" and operation.new:
            own.append(keyword("strengths", Strengths, None))
        if each.name == "mask":
            own.append(keyword("mask_means", MaskMeans, "change"))
    own = sorted([*own, *words], key=lambda each: each.default is not each.empty)  # the required ones first
    return [*own, keyword("out", Out, None), *common, *group_parameters(Running)]


def _prompt_parameters(operation: Operation, prompt: Setting) -> list[inspect.Parameter]:
    if operation.prompt == "argument":
        return [keyword("prompt", LastWords, "")]
    if operation.prompt == "several":
        ways = {"words": Words, "prompt": Prompt, "prompt_file": PromptFile}
        return [keyword(name, annotation, None) for name, annotation in ways.items()]
    if operation.prompt == "none":
        return []
    return [parameter_of(prompt, required=operation.prompt == "required")]


# -- from values to requests ---------------------------------------------------------------------------------


def _edit_of(operation: Operation, values: dict[str, Any]) -> Edit:
    from glide_edit.requests import parse_seeds, parse_steps, settings_of

    notes = _take_old_names(operation.kind, values)
    if values["seeds"] is not None and (values["n"], values["seed"]) != (1, 0):
        raise InputError("Give either --seeds, or --seed and --n: together they contradict each other.")
    values["seeds"] = () if values["seeds"] is None else parse_seeds(values["seeds"])
    if values["stage_steps"] is not None:
        values["stage_steps"] = parse_steps(values["stage_steps"])
    out, strengths, means = (values.pop(name, None) for name in ("out", "strengths", "mask_means"))
    if operation.prompt == "several":
        prompts = given_prompts(*(values.pop(name) for name in ("words", "prompt", "prompt_file")))
        return Edit([operation.kind(**values, prompt=prompt) for prompt in prompts], None, out, notes)
    from glide_edit.images import open_picture

    source: Path | None = None
    for each in settings_of(operation.kind):
        path: Any = values.get(each.name)
        if each.kind == "picture":
            source, values[each.name] = path, open_picture(path)
        elif each.kind == "mask" and path is not None:
            values[each.name] = usable_mask_file(path, means if each.name == "mask" else "change")
            notes = (*notes, *_frames(path))
    request = operation.kind(**values)
    if strengths is None:
        return Edit([request], source, out, notes)
    from glide_edit.operations.strengths import over_strengths, read_strengths

    return Edit(over_strengths(request, read_strengths(strengths)), source, out, notes, sweep=True)


def _take_old_names(kind: type[Request], values: dict[str, Any]) -> tuple[str, ...]:
    """Move values to the names that fields have now; a note for each.

    Raises:
        InputError: a field is given by both its names, with different values.
    """
    from glide_edit.requests import settings_of
    from glide_edit.requests.request import with_new_names

    defaults = {each.name: each.default for each in settings_of(kind)}
    notes = []
    for old, new in kind.old_names.items():
        if (value := values.pop(old)) is not None:
            given = {old: value}
            if values[new] != defaults[new]:
                given[new] = values[new]
            values[new] = with_new_names(kind, given, warn=False)[new]
            notes.append(f"--{old} is called --{new.replace('_', '-')} now: the old name goes")
    return tuple(notes)


def _frames(path: Path) -> tuple[str, ...]:
    from glide_edit.images import count_frames
    from glide_edit.selections import RUN_LENGTHS

    if path.suffix.lower() == RUN_LENGTHS:
        return ()
    return (f"only the first frame of {path} is used",) if count_frames(path) > 1 else ()


def given_prompts(words: Sequence[str] | None, prompt: str | None, file: Path | None) -> list[str]:
    """The prompts of a call, given in one of three ways.

    Raises:
        InputError: given in no way or in several, or the file cannot be read or has no prompts.
    """
    if (not words) + (prompt is None) + (file is None) != 2:
        raise InputError(
            "Give the prompt once: glide-edit generate PROMPT, or --prompt TEXT, or --prompt-file FILE."
        )
    if file is None:
        return list(words) if words else [prompt or ""]
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is not text in UTF-8: save it as such, with one prompt a line.") from error
    prompts = [line.strip() for line in text.split("\n") if line.strip()]
    if not prompts:
        raise InputError(f"{file} has no prompts: write one a line.")
    return prompts


# -- carrying out, or planning -------------------------------------------------------------------------------


def carry_out(operation: Operation, edit: Edit, running: Running) -> None:
    """Run the requests and write their pictures; with several strengths also a sheet of them.

    Raises:
        GlideEditError, MaskError: what ``check_targets`` and ``carry_out_all`` raise.
        typer.Exit: stopped, with code 130.
    """
    from glide_edit.images import losses, rescuing, save_picture

    targets, notes = _targets(operation, edit), edit.notes
    sheet = None
    if edit.sweep:
        assert edit.source is not None
        sheet = running.sheet or edit.source.with_name(f"{edit.source.stem}-strengths.png")
        if sheet.absolute() in {target.absolute() for target in targets}:
            raise InputError(f"--sheet and the pictures would be the same file: {sheet.name}.")
        running = replace(running, sheet=None)
    request = edit.requests[0]
    like = None if operation.new else request.source
    check_targets(targets, like=like, size=request.result_size, force=running.force)
    check_targets([sheet] if sheet else [], force=running.force)
    if like is not None and edit.source is not None:
        why = suffix_for(edit.source, like)[1]
        notes = (*(losses(like, targets[0]) if edit.out else (why,) if why else ()), *notes)

    with many_imports():  # torch is imported now that nothing is wrong
        from apps.cli.work import Work, carry_out_all

    n = request.n
    parts = [targets[k : k + n] for k in range(0, len(targets), n)]
    works = [Work(part, running, notes) for part in parts]
    results = carry_out_all(list(zip(edit.requests, works, strict=True)))
    if sheet is not None:
        from glide_edit.operations.strengths import strengths_sheet

        made = strengths_sheet(results)
        with rescuing(made, sheet):
            save_picture(made, sheet, force=running.force)
        typer.echo(f"{printable(str(sheet))}: {len(results)} strengths", err=running.as_json)


def _targets(operation: Operation, edit: Edit) -> list[Path]:
    """Where each picture goes."""
    first = edit.requests[0]
    count = len(edit.requests) * first.n
    if edit.out is not None:
        return numbered(edit.out, count)
    if edit.source is None:
        before = [f"{k}-" for k in range(1, len(edit.requests) + 1)] if len(edit.requests) > 1 else [""]
        # Which of the candidates are kept is not known yet.
        names = [f"best-{k}" for k in range(1, first.n + 1)] if first.candidates else first.seeds
        return [Path(f"generate-{number}{name}.png") for number in before for name in names]
    assert first.source is not None, "it has been read from the file"
    suffix = ".png" if operation.new else suffix_for(edit.source, first.source)[0]
    after = operation.after.format(factor=getattr(first, "factor", None))
    return numbered(edit.source.with_name(f"{edit.source.stem}-{after}{suffix}"), count)


def show_plan(operation: Operation, edit: Edit, running: Running) -> None:
    """Print what the requests would do and cost; no picture is made and nothing is written."""
    if edit.out is not None:
        request = edit.requests[0]
        like = None if operation.new else request.source
        check_targets(_targets(operation, edit), like=like, size=request.result_size, force=running.force)

    with live() as display:
        display.add_task(f"loading {running.model}", total=None, said="")
        editor = running.load()
    plans = [editor.plan(request) for request in edit.requests]
    if running.as_json:
        records = [plan.to_json() for plan in plans]
        typer.echo(json.dumps(records[0] if len(records) == 1 else {"plans": records}))
        return
    for note in edit.notes:
        typer.echo(f"note: {printable(note)}", err=True)
    for line in "\n\n".join(map(str, plans)).splitlines():
        typer.echo(printable(line))


for _operation in COMMANDS:
    for _group, _then in ((app, carry_out), (PLAN, show_plan)):
        _made = made_when_needed(partial(_command_of, _operation, _then))
        _group.command(_operation.name, cls=_made, help=_operation.help)(lambda: None)

"""Options: those of requests, made from the definitions of their fields, and those that commands share."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from apps.cli.importing import many_imports

if TYPE_CHECKING:
    from glide_edit.editor import Editor
    from glide_edit.requests import Setting

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write. With --n above 1, -1, -2 and so on go before the ending.",
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="S,S-S",
        help="A picture for each of these seeds, as 1,5,9 or 10-19; in place of --seed and --n.",
    ),
]
SheetFile = Annotated[
    Path | None,
    typer.Option("--sheet", metavar="FILE", help="Where to write a picture of all candidates, ranked."),
]
ModelName = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|FOLDER", help="A known model, or a model folder.")
]
Clip = Annotated[
    str | None,
    typer.Option(
        "--clip",
        metavar="ARCH/WEIGHTS",
        help="An open_clip model to be guided by, as ViT-B-32/openai, in place of the model's own.",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 … or mps.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="NAME", help="auto, float32, bfloat16 or float16.")
]
PresetName = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="The preset for what says nothing of sampling; `models info` lists them [default: the model's].",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        metavar="N",
        min=1,
        help="CPU threads [default: what is fastest here, fewer beside other programs].",
    ),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite what is there already.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]
MaskMeans = Annotated[
    Literal["change", "keep"], typer.Option("--mask-means", help="What the white of a mask stands for.")
]
MaskOut = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", metavar="FILE", help="Where to write [default: a name made from the input's]."
    ),
]


@dataclass(frozen=True)
class Writing:
    """Where a mask, or a picture of one, goes and how it is reported."""

    out: MaskOut = None
    force: Force = False
    as_json: Json = False


@dataclass(frozen=True)
class Running:
    """With what and where the work is done, and how it is reported."""

    model: ModelName = "toybox"
    clip: Clip = None
    device: Device = "auto"
    precision: Precision = "auto"
    threads: Threads = None
    sheet: SheetFile = None
    force: Force = False
    as_json: Json = False

    def load(self) -> Editor:
        """The editor, in a process that is set up for it.

        Raises:
            GlideEditError: there is no such model, or it cannot be loaded here.
        """
        with many_imports():
            from glide_edit.editor import Editor

        return Editor.load(
            self.model, self.device, self.precision, self.clip, tune_process=True, threads=self.threads
        )


# -- options of requests -----------------------------------------------------------------------------------

_SHORT = {"prompt": ("-p",), "n": ("-n",), "seed": ("-s",)}
_TYPES: dict[str, Any] = {
    "text": str,
    "whole": int,
    "number": float,
    "switch": bool,
    "choice": str,
    "interval": tuple[float, float],
    "wholes": str,
    "mask": Path,
}
_METAVARS = {"text": "TEXT", "whole": "N", "number": "X", "interval": "LOW HIGH", "mask": "MASK"}


def parameter_of(each: Setting, *, required: bool = False, old_name: str | None = None) -> inspect.Parameter:
    """The option for a field of a request; with ``old_name`` a hidden one by that name."""
    name = old_name or each.name
    kind, metavar = _TYPES[each.kind], each.metavar or each.unit.upper() or _METAVARS.get(each.kind)
    if each.kind == "choice" and not isinstance(each.choices[0], str):
        kind, metavar = type(each.choices[0]), "|".join(map(str, each.choices))
    elif each.kind == "choice" and not each.metavar:
        kind = Literal[each.choices]
    optional = each.optional or each.kind == "wholes" or old_name is not None
    default: Any = None if each.kind == "wholes" or old_name is not None else each.default
    if each.required or required:
        default = inspect.Parameter.empty
    flag = f"--{name.replace('_', '-')}"
    flag = f"{flag}/--no-{flag[2:]}" if each.kind == "switch" else flag
    written, unset = each.written and f", as {each.written}", ""
    if each.unset and each.default is None:
        unset = f" [default: {each.unset}]"
    option = typer.Option(
        flag,
        *_SHORT.get(name, ()),
        metavar=metavar,
        help=f"{each.help}{written}{unset}.",
        show_default=bool(default) or default == 0,
        hidden=old_name is not None,
    )
    return keyword(name, Annotated[kind | None if optional else kind, option], default)


def keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def group_parameters(group: type) -> list[inspect.Parameter]:
    """An option for each field of a dataclass such as ``Running``."""
    annotations = typing.get_type_hints(group, include_extras=True)
    return [
        keyword(field.name, annotations[field.name], field.default) for field in dataclasses.fields(group)
    ]


def group_of(group: Any, values: dict[str, Any]) -> Any:
    """A dataclass such as ``Running`` with its fields taken out of ``values``."""
    return group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})


def with_parameters(command: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> None:
    """Let typer see these parameters in place of the command's own."""
    ordered = sorted(parameters, key=lambda parameter: parameter.kind)
    command.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}


def takes_groups(command: Callable[..., None] | partial[None]) -> Callable[..., None]:
    """Let a command take whole groups, as ``Running``: typer sees their fields as its options.

    What a partial has filled in is not an option.
    """
    inner, filled = (command.func, command.keywords) if isinstance(command, partial) else (command, {})
    hints = typing.get_type_hints(inner, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(inner).parameters.values():
        if parameter.name in groups:
            parameters += group_parameters(groups[parameter.name])
        elif parameter.name not in filled:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))

    def expanded(**values: Any) -> None:
        taken = {name: group_of(group, values) for name, group in groups.items()}
        command(**values, **taken)

    expanded.__name__, expanded.__doc__ = inner.__name__, inner.__doc__
    with_parameters(expanded, parameters)
    return expanded


def made_when_needed(make: Callable[[], Callable[..., None]]) -> type[TyperCommand]:
    """A command whose options are made when they are first looked at: the help on all commands needs none."""

    class MadeWhenNeeded(TyperCommand):
        def get_params(self, ctx: Any) -> list[Any]:
            if not self.params:
                app = typer.Typer(add_completion=False)
                app.command()(make())
                made = typer.main.get_command(app)
                self.params, self.callback = made.params, made.callback
            return super().get_params(ctx)

    return MadeWhenNeeded

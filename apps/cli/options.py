"""The options that commands share, each described once, and how a command takes a whole group of them."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from glide_edit.errors import InputError

Prompt = Annotated[str, typer.Option("--prompt", "-p", metavar="TEXT", help="What to draw, in words.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write. With --n above 1, -1, -2 and so on go before the ending.",
        show_default=False,
    ),
]
Count = Annotated[int, typer.Option("--n", "-n", metavar="N", help="How many pictures to make.")]
Seed = Annotated[
    int,
    typer.Option(
        "--seed", "-s", metavar="S", help="Seed of the first picture; the others have the seeds after it."
    ),
]
NegativePrompt = Annotated[
    str | None,
    typer.Option(
        "--negative-prompt",
        metavar="TEXT",
        help="What not to draw; a guidance above 1 pushes away from it.",
        show_default=False,
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="S,S-S",
        help="A picture for each of these seeds, as 1,5,9 or 10-19; in place of --seed and --n.",
        show_default=False,
    ),
]
Candidates = Annotated[
    int | None,
    typer.Option(
        "--candidates",
        metavar="N",
        help="Draw N small pictures, rank them, and finish the best; see --sheet.",
        show_default=False,
    ),
]
SheetFile = Annotated[
    Path | None,
    typer.Option(
        "--sheet",
        metavar="FILE",
        help="Where to write a picture of all --candidates with their ranks.",
        show_default=False,
    ),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="One of the model's own choices of settings; `models info` lists them [default: default].",
        show_default=False,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps", metavar="N", help="Steps of the base network [default: the model's].", show_default=False
    ),
]
Guidance = Annotated[
    float | None,
    typer.Option(
        "--guidance",
        metavar="X",
        help="How strongly to follow the words; 1 is plain [default: the model's].",
        show_default=False,
    ),
]
Sampler = Annotated[
    str | None,
    typer.Option(
        "--sampler",
        metavar="NAME",
        help="ddpm, ddim or dpm-solver++, for the base network [default: the model's].",
        show_default=False,
    ),
]
UpsamplerSteps = Annotated[
    int | None,
    typer.Option(
        "--upsampler-steps",
        metavar="N",
        help="Steps of the upsampler [default: the model's].",
        show_default=False,
    ),
]
ClipGuidance = Annotated[
    float | None,
    typer.Option(
        "--clip-guidance",
        metavar="X",
        help="How strongly CLIP is to pull towards the words; 0 is not at all [default: the model's].",
        show_default=False,
    ),
]
ClipCuts = Annotated[
    int | None,
    typer.Option(
        "--clip-cuts",
        metavar="N",
        help="Random crops that a CLIP of --clip looks at in each step.",
        show_default=False,
    ),
]
ClipInterval = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--clip-interval",
        metavar="LOW HIGH",
        help="The part of the noise axis, 0 clean to 1 noise, where CLIP pulls [default: all of it].",
        show_default=False,
    ),
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
        show_default=False,
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 … or mps.")]
Precision = Annotated[str, typer.Option("--precision", metavar="NAME", help="auto, float32 or bfloat16.")]
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
        "--out",
        "-o",
        metavar="FILE",
        help="Where to write [default: a name made from the input's].",
        show_default=False,
    ),
]


@dataclass(frozen=True)
class Writing:
    """Where a mask, or a picture of one, goes and how it is told."""

    out: MaskOut = None
    force: Force = False
    as_json: Json = False


@dataclass(frozen=True)
class Sampling:
    """How pictures are drawn: the fields of a request that all operations have, under their names.

    ``seeds``, where given, decides ``n`` and ``seed``.
    """

    negative_prompt: NegativePrompt = None
    n: Count = 1
    seed: Seed = 0
    seeds: Seeds = None
    candidates: Candidates = None
    preset: Preset = None
    steps: Steps = None
    guidance: Guidance = None
    sampler: Sampler = None
    upsampler_steps: UpsamplerSteps = None
    clip_guidance: ClipGuidance = None
    clip_cuts: ClipCuts = None
    clip_interval: ClipInterval = None

    def __post_init__(self) -> None:
        if self.seeds is None:
            return
        if (self.n, self.seed) != (1, 0):
            raise InputError("Give either --seeds, or --seed and --n: together they contradict each other.")
        from glide_edit.requests import parse_seeds

        given = parse_seeds(self.seeds)
        object.__setattr__(self, "n", len(given))
        object.__setattr__(self, "seed", given[0])

    def fields(self) -> dict[str, Any]:
        from glide_edit.requests import parse_seeds

        seeds = () if self.seeds is None else parse_seeds(self.seeds)
        return {**dataclasses.asdict(self), "seeds": seeds}


@dataclass(frozen=True)
class Running:
    """With what, where and how the work is done and told."""

    model: ModelName = "toybox"
    clip: Clip = None
    device: Device = "auto"
    precision: Precision = "auto"
    sheet: SheetFile = None
    force: Force = False
    as_json: Json = False


def takes_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take ``Sampling``, ``Running`` or ``Writing``: typer sees their fields as its options."""
    hints = typing.get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if hint in (Sampling, Running, Writing)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        group = groups[parameter.name]
        annotations = typing.get_type_hints(group, include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=field.default,
                annotation=annotations[field.name],
            )
            for field in dataclasses.fields(group)
        ]

    @functools.wraps(command)
    def expanded(**values: Any) -> None:
        taken = {
            name: group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        command(**values, **taken)

    ordered = sorted(parameters, key=lambda parameter: parameter.kind)
    expanded.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    del expanded.__wrapped__  # or the signature would be looked for there
    return expanded

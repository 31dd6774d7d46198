"""The options that commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
ModelName = Annotated[
    str, typer.Option("--model", "-m", metavar="NAME|FOLDER", help="A known model, or a model folder.")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:1 … or mps.")]
Precision = Annotated[str, typer.Option("--precision", metavar="NAME", help="auto, float32 or bfloat16.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Overwrite what is there already.")]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout, and nothing else there.")
]

"""`glide-edit eval`: benches that say how good a model is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from apps.cli import evaluate_edits
from apps.cli.errors import STOPPED
from apps.cli.options import takes_groups
from apps.cli.progress import counting
from apps.cli.reports import (
    Measuring,
    Reporting,
    end_if_stopped,
    make_empty_folder,
    print_tables,
    write_sheets,
)
from glide_edit.errors import InputError

app = typer.Typer(name="eval", help="Measure how good a model is.", no_args_is_help=True)
app.command()(evaluate_edits.edits)
app.command()(evaluate_edits.sketches)
app.command()(evaluate_edits.photographs)
app.command()(evaluate_edits.repairs)

Count = Annotated[int, typer.Option("--count", metavar="N", help="Questions of each kind.")]
Guidance = Annotated[
    float | None,
    typer.Option("--guidance", metavar="X", help="How strongly to follow the words [default: the model's]."),
]
Scales = Annotated[
    str | None,
    typer.Option(
        "--guidance",
        metavar="X,X,...",
        help="Guidance scales to try one after the other [default: the model's].",
    ),
]
ClipScales = Annotated[
    str | None,
    typer.Option(
        "--clip-guidance",
        metavar="X,X,...",
        help="Scales of guidance by the model's CLIP, each tried with each of --guidance; 0 is none.",
    ),
]
Fid = Annotated[
    bool, typer.Option("--fid", help="FID too, by torchmetrics; fetches an Inception network on first use.")
]
Kinds = Annotated[
    str | None,
    typer.Option(
        "--kinds",
        metavar="KIND,...",
        help="Of one, two, relation, count, held_out, conflict, rare, long, two_best_of_8 [default: all but "
        "the last, which the model's CLIP ranks].",
    ),
]
Seed = Annotated[int, typer.Option("--seed", "-s", metavar="S", help="Seed of each kind's first picture.")]
Size = Annotated[
    Literal["base", "full"],
    typer.Option("--size", help="Judge the base network's pictures, or those of the whole model."),
]
PromptFile = Annotated[
    Path,
    typer.Argument(
        metavar="PROMPTS", help="A prompt a line (.txt), or columns Prompts and Category (.csv, .tsv)."
    ),
]
OutFolder = Annotated[
    Path, typer.Option("--out", "-o", metavar="DIR", help="A new or empty folder for the pictures.")
]
Judge = Annotated[
    str | None,
    typer.Option(
        "--clip",
        metavar="ARCH/WEIGHTS",
        help="An open_clip model to score the pictures with, as ViT-B-32/openai.",
    ),
]


@app.command()
@takes_groups
def prompts(
    measuring: Measuring,
    reporting: Reporting,
    count: Count = 256,
    guidance: Scales = None,
    clip_guidance: ClipScales = None,
    seed: Seed = 0,
    kinds: Kinds = None,
    size: Size = "base",
    fid: Fid = False,
) -> None:
    """Ask for objects, colours, numbers and places, and let the verifier judge the pictures.

    Ctrl-C ends early: what is finished is reported, marked incomplete.
    """
    chosen: dict[str, Any] = {"kinds": _words(kinds)} if kinds is not None else {}
    if guidance is not None:
        chosen["guidance"] = _numbers("--guidance", guidance)
    if clip_guidance is not None:
        chosen["clip_guidance"] = _numbers("--clip-guidance", clip_guidance)
    from glide_edit.evaluation.inception import InceptionDistance
    from glide_edit.evaluation.prompt_bench import PromptProtocol, curve, of_model, run
    from glide_edit.images import write_atomically

    protocol = PromptProtocol(count=count, seed=seed, size=size, **chosen)
    reporting.check(force=measuring.force)
    subject = of_model(measuring.load(), protocol)
    distance = InceptionDistance() if fid else None
    with counting("drawing and judging") as tell:
        outcome = run(subject, protocol, tell, distance)
    if reporting.report_file is not None:
        outcome.report.write(reporting.report_file, force=measuring.force)
    if reporting.sheet is not None:
        write_sheets(reporting.sheet, outcome.sheets())
        if len(outcome.points) > 1:
            write_atomically(reporting.sheet / "curve.png", curve(outcome.points, subject.label), force=True)
    print_tables(outcome.report)
    end_if_stopped(outcome.report)


@app.command()
@takes_groups
def file(
    prompt_file: PromptFile,
    out: OutFolder,
    measuring: Measuring,
    guidance: Guidance = None,
    seed: Seed = 0,
    clip: Judge = None,
) -> None:
    """Draw a file of prompts, one picture each, with a sheet, and CLIP scores where a CLIP is named.

    Ctrl-C ends early: what is finished stays, with its scores and its sheet.
    """
    from glide_edit.evaluation.drawing import Settings
    from glide_edit.evaluation.prompt_files import draw_file, mean_by_category, read_prompts
    from glide_edit.operations.clip import load_open_clip

    asked = read_prompts(prompt_file)
    make_empty_folder(out, force=measuring.force)
    model = measuring.load()
    judge = None if clip is None else load_open_clip(clip, model.runtime.device)
    with counting("drawing") as tell:
        drawn = draw_file(model, asked, out, seed, Settings(guidance=guidance), judge, tell)
    typer.echo(f"{out}: {len(drawn):,} pictures, listed in {out / 'scores.csv'}")
    for category, score in mean_by_category(drawn).items():
        typer.echo(f"CLIP score {score:.2f}{f' of {category}' if category else ''}")
    if len(drawn) < len(asked):
        typer.echo(f"stopped: {len(drawn)} of {len(asked)} pictures were finished", err=True)
        raise typer.Exit(STOPPED)


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(","))


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"{option} takes numbers with commas between them, as 1,2,3, not {text!r}."
        ) from None

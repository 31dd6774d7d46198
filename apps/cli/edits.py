"""`glide-edit inpaint`, `generate` and `sketch`: from arguments to a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from apps.cli import options
from apps.cli.mask_values import usable_mask_file as read_mask
from apps.cli.outputs import carry_out_beside, check_targets, numbered
from apps.cli.prompts import PromptFile, given_prompts
from apps.cli.strengths import Strengths, carry_out_after

Photo = Annotated[Path, typer.Argument(metavar="PHOTO", help="The picture to edit.", show_default=False)]
MaskFile = Annotated[
    Path,
    typer.Option(
        "--mask", metavar="MASK", help="A picture of the same size: white = change.", show_default=False
    ),
]
Grow = Annotated[int, typer.Option("--grow", metavar="PX", help="Grow the selection by so many pixels.")]
Protect = Annotated[
    Path | None,
    typer.Option(
        "--protect", metavar="MASK", help="A picture: white = never change, also where --grow reaches."
    ),
]
Context = Annotated[
    float | None,
    typer.Option(
        "--context",
        metavar="X",
        help="The model sees a square so many times as wide as the selection [default: where it is best].",
        show_default=False,
    ),
]
ContextGuidance = Annotated[
    float | None,
    typer.Option(
        "--context-guidance",
        metavar="X",
        help="How strongly to follow the surroundings; 1 is plain, less hears the words more [default: 1].",
        show_default=False,
    ),
]
ContextInterval = Annotated[
    tuple[float, float] | None,
    typer.Option(
        "--context-interval",
        metavar="LOW HIGH",
        help="The part of the noise axis, 0 clean to 1 noise, where it acts [default: all of it].",
        show_default=False,
    ),
]
Finish = Annotated[
    Literal["membrane", "feather", "hard", "clone", "auto"],
    typer.Option(
        "--finish",
        help="How the repaint is put back; auto takes what leaves the least of an edge.",
    ),
]
Feather = Annotated[
    float | None,
    typer.Option(
        "--feather",
        metavar="PX",
        help="Pixels inside the edge over which --finish feather fades in [default: 8].",
        show_default=False,
    ),
]
Content = Annotated[
    Literal["noise", "original", "surroundings", "opencv", "patches"],
    typer.Option("--content", help="What the selection begins from; patches are of what surrounds it."),
]
Strength = Annotated[
    float | None,
    typer.Option(
        "--strength",
        metavar="X",
        help="How much noise is added to --content, above 0 to 1 [default: 0.8, 0.25 where patches remove].",
        show_default=False,
    ),
]
Detail = Annotated[
    bool | None,
    typer.Option(
        "--detail/--no-detail",
        help="Draw at the photograph's own resolution where the repaint is larger than the model's picture "
        "[default: yes, with no more grain than around it].",
        show_default=False,
    ),
]

MatchGrain = Annotated[
    bool | None,
    typer.Option(
        "--match-grain/--no-match-grain",
        help="Give the repaint the grain of what surrounds it [default: yes, but not with --finish hard or "
        "--detail].",
        show_default=False,
    ),
]


@options.takes_groups
def inpaint(
    photo: Photo,
    mask: MaskFile,
    prompt: options.Prompt,
    out: options.Out = None,
    mask_means: options.MaskMeans = "change",
    grow: Grow = 0,
    protect: Protect = None,
    context: Context = None,
    context_guidance: ContextGuidance = None,
    context_interval: ContextInterval = None,
    finish: Finish = "membrane",
    feather: Feather = None,
    detail: Detail = None,
    match_grain: MatchGrain = None,
    content: Content = "noise",
    strength: Strength = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Repaint the selected part of a picture. All pixels outside the selection stay as they are.

    Writes PHOTO's name with -edit beside it, as PNG where PHOTO is lossy.
    """
    from glide_edit.images import open_picture

    image = open_picture(photo)
    from glide_edit.requests import Inpaint

    request = Inpaint(
        image=image,
        mask=read_mask(mask, mask_means),
        prompt=prompt,
        **sampling.fields(),
        grow=grow,
        protect=None if protect is None else read_mask(protect),
        context=context,
        context_guidance=context_guidance,
        context_interval=context_interval,
        finish=finish,
        feather=feather,
        detail=detail,
        match_grain=match_grain,
        content=content,
        strength=strength,
    )
    carry_out_beside(photo, "edit", request, out, running, notes_on(mask, protect))


@options.takes_groups
def generate(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PROMPT...", help="What to draw, in words; each prompt in quotes.", show_default=False
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", metavar="TEXT", help="The same, as an option.", show_default=False),
    ] = None,
    prompt_file: PromptFile = None,
    out: options.Out = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Draw pictures from words alone. Writes generate-SEED.png in the current folder.

    With several prompts, the model is loaded once, and the prompt's number goes before the seed.
    """
    prompts = given_prompts(words, prompt, prompt_file)
    from apps.cli.work import Work, carry_out_all
    from glide_edit.requests import Generate

    requests = [Generate(prompt=each, **sampling.fields()) for each in prompts]
    seeds = requests[0].seeds
    if out:
        targets = numbered(out, len(prompts) * len(seeds))
    else:
        before = [f"{k}-" for k in range(1, len(prompts) + 1)] if len(prompts) > 1 else [""]
        # Which of the candidates are kept is not known yet.
        names = [f"best-{k}" for k in range(1, sampling.n + 1)] if sampling.candidates else seeds
        targets = [Path(f"generate-{number}{name}.png") for number in before for name in names]
    check_targets(targets, force=running.force)
    parts = [targets[k : k + len(seeds)] for k in range(0, len(targets), len(seeds))]
    carry_out_all([(request, Work(part, running)) for request, part in zip(requests, parts, strict=True)])


@options.takes_groups
def sketch(
    drawing: Annotated[
        Path,
        typer.Argument(
            metavar="DRAWING", help="A line drawing: dark lines on light paper.", show_default=False
        ),
    ],
    prompt: options.Prompt,
    mode: Annotated[
        Literal["auto", "lines", "tone", "both"],
        typer.Option(
            "--mode",
            help="Follow its lines, its colours spread between them, or both; auto: both if it has colours.",
        ),
    ] = "auto",
    strength: Annotated[
        float,
        typer.Option("--strength", metavar="X", help="How far to go from its colours: 0.3 is near, 0.8 far."),
    ] = 0.5,
    strengths: Strengths = None,
    out: options.Out = None,
    *,
    sampling: options.Sampling,
    running: options.Running,
) -> None:
    """Turn a line drawing into a picture. Writes DRAWING's name with -picture beside it, as PNG."""
    from glide_edit.images import open_picture

    lines = open_picture(drawing)
    from glide_edit.requests import Sketch

    request = Sketch(
        drawing=lines,
        prompt=prompt,
        mode=mode,
        strength=strength,
        **sampling.fields(),
    )
    carry_out_after(drawing, "picture", request, strengths, out, running)


def notes_on(*masks: Path | None) -> tuple[str, ...]:
    """What a person should know of mask files: that of several frames one is used."""
    from glide_edit.images import count_frames

    given = [path for path in masks if path is not None]
    return tuple(f"only the first frame of {path} is used" for path in given if count_frames(path) > 1)

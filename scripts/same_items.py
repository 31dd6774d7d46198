"""The edits that `scripts/bench same` compares, kept by name in ``same_inputs.ITEMS``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from same_inputs import (
    BALL,
    PICTURES,
    Bench,
    Pictures,
    build,
    edit,
    item,
    mask,
    pictures_of,
    result_of,
    stop,
)

from glide_edit import (
    Generate,
    Inpaint,
    Outpaint,
    Remove,
    Sketch,
    Upscale,
    Vary,
    open_picture,
)

# -- what everything starts from ------------------------------------------------------------------------

for _name, _make in PICTURES.items():
    item(f"input {_name}")(lambda bench, make=_make: {"pixels": make()})  # type: ignore[misc]

# -- generate -------------------------------------------------------------------------------------------

edit("generate", Generate, prompt="a blue cube on sand")
edit("generate, n=3", Generate, prompt=BALL, n=3, seed=11)
edit("generate, seeds by name", Generate, prompt=BALL, seeds=(5, 2, 900))
edit("generate, negative prompt", Generate, prompt="a house", negative_prompt="a tree", guidance=4)
edit(
    "generate, weighted words",
    Generate,
    prompt="a (red:1.6) ball and a (cube:0.5)",
    negative_prompt="(a car:1.2)",
)
edit("generate, no guidance", Generate, prompt="a yellow mug", guidance=1, steps=8)
edit("generate, strong guidance", Generate, prompt="a yellow mug", guidance=9, steps=8)
edit("generate, ddim", Generate, prompt=BALL, sampler="ddim", steps=9)
edit("generate, ddpm", Generate, prompt=BALL, sampler="ddpm", steps=12)
edit("generate, dpm-solver++", Generate, prompt=BALL, sampler="dpm-solver++", steps=7)
edit("generate, upsampler steps", Generate, prompt=BALL, steps=5, upsampler_steps=6, preset="default")
edit("generate, one step", Generate, prompt=BALL, steps=1, upsampler_steps=1)
edit("generate, CLIP", Generate, prompt="a green cone", clip_guidance=20, steps=8)
edit(
    "generate, CLIP in an interval",
    Generate,
    prompt="a green cone",
    clip_guidance=60,
    clip_interval=(0.3, 0.8),
)
edit("generate, candidates", Generate, prompt="a white rocket", candidates=6, n=2, steps=6)
edit("generate, float32", Generate, "float32", prompt=BALL, n=2, steps=6)
edit("generate, long prompt", Generate, prompt="a red ball left of a blue cube " * 6, steps=6)

# -- inpaint --------------------------------------------------------------------------------------------

edit("inpaint", Inpaint, image="toys", mask="middle", prompt=BALL)
edit("inpaint, nothing said", Inpaint, image="toys", mask="round", steps=8)
edit("inpaint, n=2, far seed", Inpaint, image="toys", mask="round", prompt=BALL, n=2, seed=2**40, steps=8)
edit(
    "inpaint, negative, weighted",
    Inpaint,
    image="coffee",
    mask="middle",
    prompt="a (blue:1.4) cube",
    negative_prompt="red",
)
edit(
    "inpaint, context guidance",
    Inpaint,
    image="coffee",
    mask="middle",
    prompt=BALL,
    context_guidance=0.5,
    steps=9,
)
edit(
    "inpaint, context guidance in an interval",
    Inpaint,
    image="coffee",
    mask="middle",
    prompt=BALL,
    context_guidance=2,
    context_interval=(0.2, 0.7),
    steps=9,
)
edit("inpaint, ddpm", Inpaint, image="toys", mask="middle", prompt=BALL, sampler="ddpm", steps=10)
edit(
    "inpaint, ddim",
    Inpaint,
    image="toys",
    mask="middle",
    prompt=BALL,
    sampler="ddim",
    steps=8,
    upsampler_steps=2,
)
edit(
    "inpaint, CLIP",
    Inpaint,
    image="toys",
    mask="middle",
    prompt=BALL,
    clip_guidance=40,
    clip_interval=(0.1, 0.9),
    steps=8,
)
edit(
    "inpaint, open_clip",
    Inpaint,
    "open_clip",
    image="toys",
    mask="middle",
    prompt=BALL,
    clip_guidance=50,
    clip_cuts=2,
    steps=4,
)
edit(
    "inpaint, candidates",
    Inpaint,
    image="toys",
    mask="middle",
    prompt=BALL,
    candidates=5,
    n=2,
    seed=3,
    steps=6,
)
edit("inpaint, parts far apart", Inpaint, image="astronaut", mask="apart", prompt=BALL, n=2, steps=5)
edit(
    "inpaint, candidates of several parts",
    Inpaint,
    image="astronaut",
    mask="apart",
    prompt=BALL,
    candidates=4,
    steps=5,
)
edit(
    "inpaint, protect and grow",
    Inpaint,
    image="cat",
    mask="middle",
    prompt=BALL,
    protect="thin",
    grow=12,
    steps=6,
)
edit("inpaint, context", Inpaint, image="cat", mask="middle", prompt=BALL, context=1.2, steps=6)
edit("inpaint, thin", Inpaint, image="cat", mask="thin", prompt=BALL, steps=6)
edit("inpaint, at the border", Inpaint, image="cat", mask="corner", prompt=BALL, steps=6)
edit("inpaint, tiles", Inpaint, image="astronaut", mask="large", prompt=BALL, context=1.1, steps=5)
edit(
    "inpaint, tiles, detail=True",
    Inpaint,
    image="astronaut",
    mask="wide",
    prompt="a tree",
    detail=True,
    steps=5,
)
edit(
    "inpaint, tiles, detail=False",
    Inpaint,
    image="astronaut",
    mask="large",
    prompt=BALL,
    detail=False,
    steps=5,
)
edit("inpaint, 16 bits", Inpaint, image="deep", mask="middle", prompt=BALL, steps=6)
edit("inpaint, alpha", Inpaint, image="clear", mask="round", prompt=BALL, steps=6)
edit("inpaint, grey", Inpaint, image="grey", mask="middle", prompt=BALL, steps=6)
edit("inpaint, float32", Inpaint, "float32", image="toys", mask="round", prompt=BALL, steps=6)
edit(
    "inpaint, match_grain=False", Inpaint, image="cat", mask="middle", prompt=BALL, match_grain=False, steps=6
)
for _finish in ("membrane", "feather", "hard", "clone", "auto"):
    edit(
        f"inpaint, finish {_finish}", Inpaint, image="cat", mask="round", prompt=BALL, finish=_finish, steps=5
    )
edit(
    "inpaint, wide feather",
    Inpaint,
    image="cat",
    mask="round",
    prompt=BALL,
    finish="feather",
    feather=21,
    steps=5,
)
edit(
    "inpaint, hard with grain",
    Inpaint,
    image="cat",
    mask="round",
    prompt=BALL,
    finish="hard",
    match_grain=True,
    steps=5,
)
for _fill in ("original", "surroundings", "opencv", "patches"):
    edit(
        f"inpaint, fill {_fill}", Inpaint, image="coffee", mask="round", prompt=BALL, mask_fill=_fill, steps=8
    )
    edit(
        f"inpaint, fill {_fill}, strength",
        Inpaint,
        image="coffee",
        mask="round",
        prompt=BALL,
        mask_fill=_fill,
        strength=0.45,
        steps=8,
    )

# -- the other operations -------------------------------------------------------------------------------

edit("remove", Remove, image="toys", mask="middle")
edit("remove, photograph", Remove, image="cat", mask="round", n=2, seed=4)
edit("remove, parts", Remove, image="astronaut", mask="apart", steps=6)
edit("remove, tiles", Remove, image="astronaut", mask="large", steps=5)
edit("remove, 16 bits, grow", Remove, image="deep", mask="middle", grow=3, steps=6)
edit("remove, candidates", Remove, image="cat", mask="middle", candidates=4, steps=6)
edit(
    "remove, membrane from noise",
    Remove,
    image="cat",
    mask="middle",
    mask_fill="noise",
    finish="membrane",
    steps=6,
)
edit("remove, strength", Remove, image="cat", mask="middle", strength=0.6, sampler="ddim", steps=6)

edit("outpaint, one side", Outpaint, image="toys", prompt="a meadow", right=90)
edit("outpaint, all sides", Outpaint, image="small toys", left=33, right=20, top=41, bottom=7, steps=5, n=2)
edit("outpaint, aspect", Outpaint, image="cat", aspect="16:9", prompt="grass", steps=5)
edit("outpaint, aspect and side", Outpaint, image="small toys", aspect="1:1", top=20, steps=5, guidance=2)
edit("outpaint, 16 bits", Outpaint, image="deep", left=60, steps=5, match_grain=False)
edit("outpaint, alpha", Outpaint, image="clear", bottom=60, steps=5, detail=False)
edit(
    "outpaint, context guidance",
    Outpaint,
    image="toys",
    bottom=70,
    prompt=BALL,
    context_guidance=1.5,
    steps=5,
)

edit("sketch, auto, lines", Sketch, drawing="drawing", prompt="a toy on grass")
edit("sketch, auto, colours", Sketch, drawing="strokes", prompt="a toy on grass", n=2, steps=8)
for _mode in ("lines", "tone", "both"):
    edit(f"sketch, {_mode}", Sketch, drawing="strokes", prompt="a toy", mode=_mode, strength=0.7, steps=8)
edit("sketch, light on dark", Sketch, drawing="drawing", mode="tone", negative_prompt="snow", steps=8)
edit("sketch, candidates", Sketch, drawing="strokes", prompt="a toy", candidates=4, n=2, steps=5)
edit("sketch, not square", Sketch, drawing="grey", prompt="a toy", steps=5)

edit("upscale 2", Upscale, image="small toys", factor=2)
edit("upscale 4", Upscale, image="small toys", factor=4, n=2)
edit("upscale 4, steps", Upscale, image="very small toys", upsampler_steps=5, seed=8)
edit("upscale 2, 16 bits", Upscale, image="deep", factor=2)
edit("upscale 2, alpha", Upscale, image="clear", factor=2, upsampler_steps=2)

edit("vary", Vary, image="toys", prompt="a toy on sand")
for _strength in (0.3, 0.95, 1.0):
    edit(f"vary, strength {_strength}", Vary, image="cat", strength=_strength, prompt=BALL, n=2, steps=8)
edit("vary, candidates", Vary, image="coffee", prompt=BALL, candidates=4, n=2, steps=6)
edit("vary, 16 bits, ddpm", Vary, image="deep", sampler="ddpm", steps=8, negative_prompt="a cube")

# -- small random models --------------------------------------------------------------------------------

edit("tiny, generate", Generate, "tiny", prompt=BALL, n=5)
edit("tiny, inpaint", Inpaint, "tiny", image="toys", mask="middle", prompt=BALL, n=2, sampler="ddpm")
edit("tiny, many candidates", Inpaint, "tiny", image="toys", mask="round", prompt=BALL, candidates=14, n=3)
edit("tiny, tiles in two sizes", Inpaint, "tiny", image="astronaut", mask="large", prompt=BALL, context=1.1)
edit("tiny, remove", Remove, "tiny", image="cat", mask="round")
edit("tiny, sketch", Sketch, "tiny", drawing="strokes", prompt=BALL)
edit("tiny, upscale", Upscale, "tiny", image="very small toys")
edit("glide, generate", Generate, "glide", prompt=BALL, n=2, negative_prompt="a (cube:1.2)", steps=6)
edit("glide, published", Generate, "glide", prompt=BALL, preset="published", n=2)
edit("glide, inpaint", Inpaint, "glide", image="toys", mask="middle", prompt=BALL, steps=6)
edit("glide, inpaint, published", Inpaint, "glide", image="thumbnail", mask="spot", preset="published")
edit(
    "glide, inpaint, CLIP",
    Inpaint,
    "glide",
    image="thumbnail",
    mask="spot",
    prompt=BALL,
    clip_guidance=3,
    steps=6,
)
edit("glide, outpaint", Outpaint, "glide", image="thumbnail", left=40, prompt=BALL, steps=5)
edit("glide, upscale", Upscale, "glide", image="very small toys", factor=2)
edit("glide, vary", Vary, "glide", image="toys", strength=0.6, prompt=BALL, steps=6)

# -- streams, candidates, stopping and recipes ----------------------------------------------------------


@item("stream, every preview")
def _previews(bench: Bench) -> Pictures:
    request = build(Inpaint, image="toys", mask="middle", prompt=BALL, steps=6, n=2)
    events = bench.editor("toybox").stream(request)
    return {f"preview {number:02}": event.preview for number, event in enumerate(events)}


@item("stream, previews of candidates")
def _candidate_previews(bench: Bench) -> Pictures:
    request = build(Sketch, drawing="strokes", prompt="a toy", steps=4, candidates=3)
    events = bench.editor("toybox").stream(request)
    return {f"preview {number:02}": event.preview for number, event in enumerate(events)}


@item("stream_candidate")
def _candidate(bench: Bench) -> Pictures:
    editor = bench.editor("toybox")
    request = build(Inpaint, image="astronaut", mask="apart", prompt=BALL, candidates=3, steps=4)
    result = editor.run(request)
    found: Pictures = {}
    for candidate in result.candidates[1:]:
        found |= pictures_of(result_of(editor.stream_candidate(result, candidate.seed)))
    return found


@item("stopped after the first step")
def _stopped(bench: Bench) -> Pictures:
    return stop(
        bench, build(Inpaint, image="cat", mask="round", prompt=BALL), lambda number, event: number == 1
    )


@item("stopped half-way through the steps")
def _stopped_later(bench: Bench) -> Pictures:
    return stop(bench, build(Vary, image="cat", prompt=BALL), lambda number, event: number == 9)


@item("stopped after some of the pictures")
def _stopped_some(bench: Bench) -> Pictures:
    request = build(Inpaint, image="toys", mask="middle", prompt=BALL, n=6)
    return stop(bench, request, lambda number, event: event.finished > 0, "tiny")


@item("stopped among the candidates")
def _stopped_candidates(bench: Bench) -> Pictures:
    request = build(Generate, prompt=BALL, candidates=9, steps=3)
    return stop(bench, request, lambda number, event: len(event.candidates) > 3)


@item("stopped, several parts")
def _stopped_parts(bench: Bench) -> Pictures:
    request = build(Remove, image="astronaut", mask="apart", steps=4)
    return stop(bench, request, lambda number, event: number == 2)


@item("replay")
def _replay(bench: Bench) -> Pictures:
    """A saved picture's edit, again, with changes, and on another picture; from a PNG and from a JPEG."""
    editor = bench.editor("toybox")
    source, other = (open_picture(PICTURES[name]()) for name in ("cat", "astronaut"))
    request = build(Inpaint, image="cat", mask="round", prompt=BALL, mask_fill="surroundings", steps=5, n=2)
    found: Pictures = {}
    with tempfile.TemporaryDirectory() as folder:
        result = editor.run(request)
        for suffix in ("png", "jpg"):
            path = Path(folder, f"edit.{suffix}")
            result.save(path, 1)
            found[f"saved {suffix}"] = np.asarray(Image.open(path))
            for name, again in {
                "again": editor.replay(path, source),
                "changed": editor.replay(path, source, seed=9, prompt="a blue cube"),
                "elsewhere": editor.replay(path, on=other),
            }.items():
                found |= {f"{suffix}, {name}, {key}": value for key, value in pictures_of(again).items()}
    return found


@item("the editor's methods")
def _methods(bench: Bench) -> Pictures:
    """The same requests made by keyword, from arrays."""
    editor = bench.editor("tiny")
    image, drawing = PICTURES["toys"](), PICTURES["drawing"]()
    white = mask("middle", 256, 256).to_array()
    results = {
        "generate": editor.generate(BALL, seed=3),
        "inpaint": editor.inpaint(image, white, BALL, protect=mask("thin", 256, 256), steps=4),
        "remove": editor.remove(image, white, grow=2),
        "outpaint": editor.outpaint(image, BALL, left=24),
        "sketch": editor.sketch(drawing, BALL, mode="lines"),
        "upscale": editor.upscale(image[:40, :30], 2),
        "vary": editor.vary(image, BALL, strength=0.7),
    }
    return {
        f"{name}, {key}": each
        for name, result in results.items()
        for key, each in pictures_of(result).items()
    }

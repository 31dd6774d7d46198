"""The edits that `scripts/bench same` compares, and what they start from.

Only public names are used, so that this file runs with the package of an older commit as well. Every input
is made here from fixed seeds. `ITEMS` holds all edits by name: functions from a `Bench` to pictures.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from glide_edit import (
    Editor,
    EditResult,
    Generate,
    Inpaint,
    Outpaint,
    Picture,
    Progress,
    Remove,
    Sketch,
    Upscale,
    Vary,
    open_picture,
)
from glide_edit.toybox import render, sample_scene
from masks import Mask

Pixels = NDArray[Any]
Pictures = dict[str, Pixels]
"""What an edit gave, by name: "seed 3", "candidate 2", "preview 17"."""

BALL = "a red ball"

# -- inputs ---------------------------------------------------------------------------------------------


@cache
def toys() -> Any:
    """A toybox scene at 256 px: the picture, its line drawing and its masks."""
    return render(sample_scene(7))


def deep() -> Pixels:
    """A photograph with 16 bits a channel, all of them in use."""
    photograph = data.coffee()[100:340, 150:450].astype(np.uint16) * 256
    return photograph + np.random.default_rng(1).integers(0, 256, photograph.shape, np.uint16)


def clear() -> Pixels:
    """A photograph with an alpha channel that fades from side to side."""
    photograph = data.chelsea()[20:260, 60:300]
    alpha = np.broadcast_to(np.linspace(0, 255, 240).astype(np.uint8), (240, 240))
    return np.dstack([photograph, alpha])


def strokes() -> Pixels:
    """A line drawing with a red and a green stroke of colour."""
    drawing = np.repeat(toys().drawing[..., None], 3, axis=-1) if toys().drawing.ndim == 2 else toys().drawing
    drawing = drawing.copy()
    drawing[120:136, 100:150] = (200, 30, 30)
    drawing[210:226, 20:230] = (40, 160, 60)
    return drawing


PICTURES: Mapping[str, Callable[[], Pixels]] = {
    "toys": lambda: toys().image,
    "small toys": lambda: toys().image[40:141, 60:137],
    "drawing": lambda: toys().drawing,
    "strokes": strokes,
    "very small toys": lambda: toys().image[100:117, 100:123],
    "thumbnail": lambda: np.ascontiguousarray(toys().image[::3, ::3]),
    "coffee": lambda: data.coffee()[60:330, 200:500],
    "cat": lambda: data.chelsea(),
    "astronaut": lambda: data.astronaut(),
    "grey": lambda: data.camera()[:200, :300],
    "deep": deep,
    "clear": clear,
}

BOXES: Mapping[str, tuple[tuple[int, int, int, int], ...]] = {
    "middle": ((80, 90, 170, 180),),
    "spot": ((28, 30, 58, 62),),
    "thin": ((60, 100, 64, 200),),
    "corner": ((0, 0, 70, 60),),
    "apart": ((20, 30, 80, 90), (420, 400, 490, 480)),
    "large": ((90, 60, 400, 420),),
    "wide": ((40, 180, 470, 240),),
}
"""Selections as (left, top, right, bottom)."""


def mask(name: str, height: int, width: int) -> Mask:
    """A selection of ``BOXES``, or "round", an ellipse."""
    selected = np.zeros((height, width), bool)
    for left, top, right, bottom in BOXES.get(name, ()):
        selected[top:bottom, left:right] = True
    if name == "round":
        y, x = np.mgrid[:height, :width]
        selected = ((y - 130) / 50) ** 2 + ((x - 125) / 40) ** 2 < 1
    return Mask.from_array(selected, means="change")


# -- running --------------------------------------------------------------------------------------------


@dataclass
class Bench:
    """The loaded editors. ``models`` is a folder with the small random models, see same_pictures.py."""

    models: Path
    editors: dict[str, Editor] = field(default_factory=dict)

    def editor(self, name: str) -> Editor:
        """By name: "toybox", "float32", "open_clip" (the toybox guided by a random one), "tiny", "glide"."""
        if name not in self.editors:
            match name:
                case "toybox":
                    editor = Editor.load("toybox", device="cpu")
                case "float32":
                    editor = Editor.load("toybox", device="cpu", precision="float32")
                case "open_clip":
                    editor = Editor.load(
                        "toybox", device="cpu", clip=f"local-dir:{self.models / 'open_clip'}"
                    )
                case _:
                    editor = Editor.load(self.models / name, device="cpu", precision="float32")
            self.editors[name] = editor
        return self.editors[name]


Item = Callable[[Bench], Pictures]
ITEMS: dict[str, Item] = {}


def item(name: str) -> Callable[[Item], Item]:
    def keep(function: Item) -> Item:
        assert name not in ITEMS, name
        ITEMS[name] = function
        return function

    return keep


def build(kind: type[Any], **fields: Any) -> Any:
    """A request; pictures and masks are given by name. ``mask_fill`` was once called ``content``."""
    known = {each.name for each in dataclasses.fields(kind)}
    if "mask_fill" in fields and "mask_fill" not in known:
        fields["content"] = fields.pop("mask_fill")
    for name in ("image", "drawing"):
        if name in fields:
            fields[name] = open_picture(PICTURES[fields[name]]())
    for name in ("mask", "protect"):
        if name in fields:
            fields[name] = mask(fields[name], fields["image"].height, fields["image"].width)
    return kind(**fields)


def edit(name: str, kind: type[Any], editor: str = "toybox", **fields: Any) -> None:
    """Add the item ``name``: all pictures that a request of this kind gives."""
    item(name)(lambda bench: pictures_of(bench.editor(editor).run(build(kind, **fields))))


def pictures_of(result: EditResult) -> Pictures:
    """The pictures with their alpha, the allowed area, candidates in their order, and their contact sheet."""
    found = _named(zip(result.seeds, result.pictures, strict=False), "seed")
    for rank, candidate in enumerate(result.candidates):
        for frame, preview in enumerate(candidate.previews):
            found[f"candidate {rank}, seed {candidate.seed}, frame {frame}"] = preview
    if result.sheet is not None:
        found["sheet"] = result.sheet.pixels
    if result.allowed is not None:
        found["allowed"] = result.allowed.to_array()
    # A stopped run may give a picture that is no seed's.
    found |= _named(enumerate(result.pictures[len(result.seeds) :]), "picture")
    return found


def _named(pictures: Iterable[tuple[int, Picture]], what: str) -> Pictures:
    found = {}
    for number, picture in pictures:
        found[f"{what} {number}"] = picture.pixels
        if picture.alpha is not None:
            found[f"{what} {number}, alpha"] = picture.alpha
    return found


def result_of(events: Iterator[Progress | EditResult]) -> EditResult:
    *_, result = events
    assert isinstance(result, EditResult)
    return result


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
    found = {}
    for candidate in result.candidates[1:]:
        found |= pictures_of(result_of(editor.stream_candidate(result, candidate.seed)))
    return found


def partial_result() -> type[Any]:
    """The class that collects what a stopped stream has made, wherever this commit keeps it."""
    for module in (
        "pipeline.partial_result",
        "operations.partial_result",
        "partial_result",
        "operations.stopped",
    ):
        try:
            found = import_module(f"glide_edit.{module}")
        except ModuleNotFoundError:
            continue
        kind: type[Any] = found.SoFar if module.endswith("stopped") else found.PartialResult
        return kind
    raise AssertionError("no partial results: name their module in scripts/same_items.py")


def stop(
    bench: Bench, request: Any, done: Callable[[int, Progress], bool], editor: str = "toybox"
) -> Pictures:
    """What is kept of a stream that is closed after the first event (counted from 1) that is ``done``."""
    so_far = partial_result()(request, "a model")
    events = bench.editor(editor).stream(request)
    for number, event in enumerate(events, 1):
        assert isinstance(event, Progress)
        so_far.add(event)
        if done(number, event):
            break
    events.close()
    return pictures_of(so_far.kept())


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
    found = {}
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

"""What the edits of `scripts/bench same` start from, how they are run, and what is looked at afterwards.

Only public names are used where there is one, so that this file runs with the package of an older commit as
well. Every input is made here from fixed seeds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import data

from glide_edit import (
    Editor,
    EditResult,
    Picture,
    Progress,
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
    found: Pictures = {}
    for number, picture in pictures:
        found[f"{what} {number}"] = picture.pixels
        if picture.alpha is not None:
            found[f"{what} {number}, alpha"] = picture.alpha
    return found


def result_of(events: Iterator[Progress | EditResult]) -> EditResult:
    *_, result = events
    assert isinstance(result, EditResult)
    return result


def partial_result(editor: Editor, request: Any) -> Any:
    """What collects the work of a stream that is stopped, wherever this commit keeps it."""
    for module, name in (
        ("pipeline.partial_result", "PartialResult"),
        ("operations.partial_result", "PartialResult"),
        ("operations.stopped", "SoFar"),
    ):
        try:
            kind = getattr(import_module(f"glide_edit.{module}"), name)
        except ModuleNotFoundError:
            continue
        plan = getattr(editor, "plan", None)
        return kind(request, "a model") if plan is None else kind(plan(request))
    raise AssertionError("no partial results: name their module in scripts/same_items.py")


def stop(
    bench: Bench, request: Any, done: Callable[[int, Progress], bool], editor: str = "toybox"
) -> Pictures:
    """What is kept of a stream that is closed after the first event (counted from 1) that is ``done``."""
    so_far = partial_result(bench.editor(editor), request)
    events = bench.editor(editor).stream(request)
    for number, event in enumerate(events, 1):
        assert isinstance(event, Progress)
        so_far.add(event)
        if done(number, event):
            break
    events.close()
    return pictures_of(so_far.kept())

"""One setting of an edit at several values, on the same items of the edit bench and from the same noise.

    scripts/bench crop [--values 1.5 2 3]          the context of the crop
    scripts/bench dial [--values 1 0.5 1.5@0.5-1]  context guidance, @LOW-HIGH: on that part of the noise axis

"present" is the share of items with the named toy in its colour in the mask, "jump" how much more neighbours
differ across the boundary than beside it, less the same of the real render: for edits with the default
finish, and pasted with a hard edge. With --size base the base network's pictures are enlarged and judged.
Intervals are the bootstrap's, 95 %, over items. Ctrl-C, or the end of the minutes given, leaves all settings
with the same items. The context with the highest share belongs into ``masks/crop.py``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benching import interval, parser
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glide_edit import Editor
from glide_edit.evaluation.drawing import Size, draw_plans
from glide_edit.evaluation.edit_bench import answer
from glide_edit.evaluation.edit_items import SIZES, EditItem, ahead, edit_item
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seam import FEATURES, ring_features
from glide_edit.evaluation.verifier import Verifier
from glide_edit.models.model import Model
from glide_edit.operations.postprocess import Drawn
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Inpaint
from masks import AUTOMATIC_CONTEXT, RING_WIDTH, shape

TOGETHER = 24
"""Items drawn side by side: as many of each mask size, shape and wording as can be."""

_JUMP = FEATURES.index("jump")


@dataclass(frozen=True)
class Marks:
    """What became of an item at a setting.

    ``present``: the verifier sees the named toy in its colour in the mask; ``kind``: in any colour. ``jump``
    is the edit bench's feature of that name (``evaluation.seam``) less the real render's, and ``pasted`` the
    same with a hard edge. ``share`` is how much of the crop's side is repainted.
    """

    size: str
    present: bool
    kind: bool
    jump: float
    pasted: float
    share: float


Found = dict[str, list[Marks]]
"""By the setting's name, the marks of the same items in the same order."""

Settings = Mapping[str, Mapping[str, Any]]
"""By name, which fields of an ``Inpaint`` are changed."""


def sweep(
    model: Model, settings: Settings, count: int, minutes: float, size: Size, masks: Sequence[str]
) -> Found:
    """The marks of up to ``count`` items of each of these mask sizes at every setting.

    With ``size`` "base" the base network's picture is enlarged and composited, without the upsampler.
    """
    found: Found = {name: [] for name in settings}
    verifier, end, total = Verifier.load(), time.monotonic() + 60 * minutes, len(masks) * count
    with suppress(KeyboardInterrupt), closing(ahead(partial(_item, masks), total)) as items:
        while time.monotonic() < end and (batch := list(islice(items, TOGETHER))):
            for name, marks in _at_every_setting(model, settings, batch, size, verifier).items():
                found[name] += marks
            print(f"{len(next(iter(found.values())))} of {total} items", flush=True)
    return found


def _item(masks: Sequence[str], number: int) -> EditItem:
    """Item ``number`` of those edit bench items that have one of these mask sizes."""
    turn, place = divmod(number, len(masks))
    return edit_item(turn * len(SIZES) + tuple(SIZES).index(masks[place]))


def _at_every_setting(
    model: Model, settings: Settings, items: Sequence[EditItem], size: Size, verifier: Verifier
) -> Found:
    real = [float(ring_features(item.truth, item.mask.selected)[_JUMP]) for item in items]
    known: dict[tuple[object, ...], Marks] = {}
    found: Found = {}
    for name, changes in settings.items():
        plans = [plan(_request(item, changes), model) for item in items]
        keys = [_what_is_drawn(made) for made in plans]
        new = [k for k, key in enumerate(keys) if key not in known]
        for k, drawn in zip(new, _drawn(model, [plans[k] for k in new], size), strict=True):
            known[keys[k]] = _marks(items[k], plans[k], drawn, real[k], verifier)
        found[name] = [known[key] for key in keys]
    return found


def _request(item: EditItem, changes: Mapping[str, Any]) -> Inpaint:
    """As the edit bench asks for the item, with some fields changed."""
    request = Inpaint(image=item.picture, mask=item.mask, prompt=item.prompt, seed=item.index)
    return request.replace(**changes)


def _what_is_drawn(made: Plan) -> tuple[object, ...]:
    """Equal for two settings at which an item has the same drawing: it is drawn once."""
    return made.request.seed, made.frames[0].crop, made.stages


def _drawn(model: Model, plans: Sequence[Plan], size: Size) -> Iterator[Drawn]:
    for batch in draw_plans(model, plans, size):
        yield from batch


def _marks(item: EditItem, made: Plan, drawn: Drawn, real: float, verifier: Verifier) -> Marks:
    hard = replace(made, request=made.request.replace(finish="hard"))
    edited, pasted = (finish(each, [drawn]).picture.pixels for each in (made, hard))
    seen = answer(verifier.see(edited[None], item.box[None])[0], item.wanted)
    jumps = (float(ring_features(each, item.mask.selected)[_JUMP]) for each in (edited, pasted))
    crop, allowed = made.frames[0].crop, made.allowed
    assert crop is not None
    assert allowed is not None
    x0, y0, x1, y1 = shape.grow(allowed, RING_WIDTH).bounding_box()
    share = max(x1 - x0, y1 - y0) / crop.side
    return Marks(item.size, seen.colour, seen.kind, *(jump - real for jump in jumps), share)


def values(marks: Sequence[Marks], what: str, size: str = "all") -> NDArray[np.float64]:
    """One mark of the items of a mask size, or of all."""
    return np.array([float(getattr(each, what)) for each in marks if size in ("all", each.size)])


def tables(found: Found, usual: str, title: str) -> tuple[Table, Table]:
    """Every setting, and how far it lies from the usual one on the same items."""
    shown = [("present", size) for size in ("all", *SIZES)]
    shown += [(what, "all") for what in ("kind", "jump", "pasted", "share")]
    compared = [*shown[: 1 + len(SIZES)], ("jump", "all")]
    rows = [(name, *(_mean(values(marks, *each)) for each in shown)) for name, marks in found.items()]
    changes = [
        (name, *(_against(found, name, usual, *each) for each in compared)) for name in found if name != usual
    ]
    header = (title, "present", *SIZES, "kind", "jump", "pasted", "share")
    beside = (f"against {usual}", "present", *SIZES, "jump")
    return Table(title, header, tuple(rows)), Table("differences", beside, tuple(changes))


def _mean(numbers: NDArray[np.float64]) -> float:
    return float(numbers.mean()) if len(numbers) else float("nan")


def _against(found: Found, name: str, usual: str, what: str, size: str) -> str:
    """The mean difference from the usual setting on the same items, and its interval."""
    difference = values(found[name], what, size) - values(found[usual], what, size)
    if not len(difference):
        return "–"
    low, high = interval(difference)
    return f"{difference.mean():+.3f} ({low:+.3f} ... {high:+.3f})"


# -- scripts/bench crop and dial --------------------------------------------------------------------------


def contexts(words: Sequence[str]) -> Settings:
    return {f"{value:g}": {"context": value} for value in sorted({*map(float, words), AUTOMATIC_CONTEXT})}


def scales(words: Sequence[str]) -> Settings:
    """Of SCALE or SCALE@LOW-HIGH, which acts on that part of the noise axis alone."""
    settings = {}
    for name in dict.fromkeys(["1", *words]):
        scale, _, part = name.partition("@")
        ends = tuple(map(float, part.split("-"))) if part else None
        settings[name] = {"context_guidance": float(scale), "context_interval": ends}
    return settings


def context_curves(found: Found, usual: str) -> Figure:
    """Present, by mask size, and the jump at the boundary, against the context."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    present, jump = figure.subplots(1, 2)
    asked = {mark.size for mark in found[usual]}
    lines = [(present, "present", size, size) for size in ("all", *SIZES) if size in {"all", *asked}]
    lines += [(jump, "jump", "all", "default finish"), (jump, "pasted", "all", "pasted hard")]
    for axes, what, size, label in lines:
        numbers = [values(marks, what, size) for marks in found.values()]
        means = np.array([each.mean() for each in numbers])
        bars = np.abs(np.array([interval(each) for each in numbers]) - means[:, None]).T
        width = 2 if label == "all" else 1
        axes.errorbar(list(map(float, found)), means, bars, marker="o", capsize=3, label=label, lw=width)
        axes.legend()
    present.set(xlabel="context", ylabel="the named toy in its colour", ylim=(0, 1))
    jump.set(xlabel="context", ylabel="jump at the boundary, less the real one's")
    figure.suptitle(f"{len(found[usual])} items of the edit bench; bars: 95 %")
    return figure


def guidance_curve(found: Found, usual: str) -> Figure:
    """Present against the jump, both as differences from the usual setting on the same items."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    points = {
        name: [values(marks, what) - values(found[usual], what) for what in ("jump", "present")]
        for name, marks in found.items()
    }
    everywhere = sorted((name for name in found if "@" not in name), key=float)
    axes.plot(*np.array([[one.mean() for one in points[name]] for name in everywhere]).T, lw=1)
    for name, (jump, present) in points.items():
        x, y = jump.mean(), present.mean()
        bars = [np.abs(np.array(interval(each)) - each.mean())[:, None] for each in (present, jump)]
        partly = ("tab:orange", 55, (0, 8))
        colour, turned, place = partly if "@" in name else ("tab:blue", -55, (2, -24))
        axes.errorbar(x, y, *bars, marker="o", color=colour, elinewidth=0.5, capsize=2)
        axes.annotate(name, (x, y), place, textcoords="offset points", color=colour, rotation=turned)
    axes.margins(0.12)
    axes.set(xlabel="jump at the boundary", ylabel="the named toy in its colour")
    axes.set_title(f"Context guidance against {usual}: {len(found[usual])} items, bars 95 %", fontsize=11)
    return figure


@dataclass(frozen=True)
class Sweep:
    """What is swept, the usual setting, the values by default, and how they are read and plotted."""

    title: str
    usual: str
    defaults: str
    count: int
    size: Size
    read: Callable[[Sequence[str]], Settings]
    plot: Callable[[Found, str], Figure]


CONTEXTS, SCALES = "1.25 1.5 2 2.5 3 4", "0 0.5 1.5 2 3 0.5@0.5-1 1.5@0.5-1 1.5@0-0.5"
SWEEPS = {
    "crop": Sweep("context", f"{AUTOMATIC_CONTEXT:g}", CONTEXTS, 64, "full", contexts, context_curves),
    "dial": Sweep("context guidance", "1", SCALES, 48, "base", scales, guidance_curve),
}


def main() -> None:
    asked = SWEEPS[sys.argv[1]]
    options = parser(sys.argv[1], __doc__)
    options.add_argument("--count", type=int, default=asked.count, help="items of each mask size")
    options.add_argument("--masks", nargs="+", choices=SIZES, default=list(SIZES), help="mask sizes to ask")
    options.add_argument("--values", nargs="+", default=asked.defaults.split(), help=asked.title)
    options.add_argument("--size", choices=("base", "full"), default=asked.size, help="what is judged")
    options.add_argument("--minutes", type=float, default=30.0, help="begin no further items after so long")
    options.add_argument("--out", type=Path, help="where to draw the curve")
    options.add_argument("--model", default="toybox")
    given = options.parse_args(sys.argv[2:])
    model = Editor.load(given.model).model
    found = sweep(model, asked.read(given.values), given.count, given.minutes, given.size, given.masks)
    if not found[asked.usual]:
        raise SystemExit("Nothing was judged.")
    print(f"\n{len(found[asked.usual])} items")
    for each in tables(found, asked.usual, asked.title):
        print(f"\n{each.to_markdown()}", flush=True)
    if given.out is not None:
        asked.plot(found, asked.usual).savefig(given.out, dpi=100)


if __name__ == "__main__":
    with torch.inference_mode():
        main()

"""One setting of an edit at several values, on the same items of the edit bench and from the same noise.

Items are rendered once, drawn at every setting and then judged: Ctrl-C, or the end of the minutes given,
leaves all settings with the same items.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from benching import interval, parser
from matplotlib.figure import Figure
from numpy.typing import NDArray

from glide_edit import Editor
from glide_edit.evaluation.drawing import Size, draw_jobs
from glide_edit.evaluation.edit_bench import answer
from glide_edit.evaluation.edit_items import SIZES, EditItem, ahead, edit_item
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seam import FEATURES, ring_features
from glide_edit.evaluation.verifier import Verifier
from glide_edit.models.model import Model
from glide_edit.operations.inpaint import InpaintWork
from glide_edit.operations.postprocess import Drawn
from glide_edit.requests import Inpaint

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
    model: Model,
    settings: Settings,
    count: int,
    minutes: float,
    size: Size,
    masks: Sequence[str],
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
        works = [InpaintWork.of(_request(item, changes)) for item in items]
        keys = [_what_is_drawn(work) for work in works]
        new = [k for k, key in enumerate(keys) if key not in known]
        for k, drawn in zip(new, _drawn(model, [works[k] for k in new], size), strict=True):
            known[keys[k]] = _marks(items[k], works[k], drawn, real[k], verifier)
        found[name] = [known[key] for key in keys]
    return found


def _request(item: EditItem, changes: Mapping[str, Any]) -> Inpaint:
    """As the edit bench asks for the item, with some fields changed."""
    request = Inpaint(image=item.picture, mask=item.mask, prompt=item.prompt, seed=item.index)
    return request.replace(**changes)


def _what_is_drawn(work: InpaintWork) -> tuple[object, ...]:
    """Equal for two settings at which an item has the same drawing: it is drawn once."""
    request = work.request
    return request.seed, work.crop, request.context_guidance, request.context_interval


def _drawn(model: Model, works: Sequence[InpaintWork], size: Size) -> Iterator[Drawn]:
    for batch in draw_jobs(model, [work.job() for work in works], size):
        yield from batch


def _marks(item: EditItem, work: InpaintWork, drawn: Drawn, real: float, verifier: Verifier) -> Marks:
    edited, pasted = (
        InpaintWork(work.request.replace(finish=finish), work.areas, work.crop).finish(drawn).picture.pixels
        for finish in (work.request.finish, "hard")
    )
    seen = answer(verifier.see(edited[None], item.box[None])[0], item.wanted)
    jumps = (float(ring_features(each, item.mask.selected)[_JUMP]) for each in (edited, pasted))
    x0, y0, x1, y1 = work.areas.repaint.bounding_box()
    share = max(x1 - x0, y1 - y0) / work.crop.side
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


def options(name: str, description: str | None, *, count: int, size: Size) -> ArgumentParser:
    """The options of a sweep, with its own defaults."""
    options = parser(name, description)
    options.add_argument("--count", type=int, default=count, help="items of each mask size")
    options.add_argument("--masks", nargs="+", choices=SIZES, default=list(SIZES), help="mask sizes to ask")
    options.add_argument("--size", choices=("base", "full"), default=size, help="whose pictures are judged")
    options.add_argument("--minutes", type=float, default=30.0, help="begin no further items after so long")
    options.add_argument("--out", type=Path, help="where to draw the curve")
    options.add_argument("--model", default="toybox")
    return options


def run(
    given: Namespace, settings: Settings, usual: str, title: str, plot: Callable[[Found], Figure]
) -> None:
    """Sweep, print the tables, and draw the plot where one is asked for."""
    model = Editor.load(given.model).model
    found = sweep(model, settings, given.count, given.minutes, given.size, given.masks)
    if not found[usual]:
        raise SystemExit("Nothing was judged.")
    print(f"\n{len(found[usual])} items")
    for each in tables(found, usual, title):
        print(f"\n{each.to_markdown()}", flush=True)
    if given.out is not None:
        plot(found).savefig(given.out, dpi=100)

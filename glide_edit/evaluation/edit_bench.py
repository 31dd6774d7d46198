"""The edit bench: is what was asked for in the mask, did anything else change, does the boundary show?"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.drawing import draw_plans
from glide_edit.evaluation.edit_items import (
    PIXELS,
    SCENES,
    SHAPES,
    SIZES,
    WORDINGS,
    EditItem,
    edit_items,
)
from glide_edit.evaluation.item_bench import ItemBench, Tell, check_asked
from glide_edit.evaluation.judging import Wanted
from glide_edit.evaluation.report import Report, Table, Tile, against_real, ranked_sheet, thumbnails
from glide_edit.evaluation.seam import FEATURES, ring_features, seam_accuracy
from glide_edit.evaluation.seen import Seen
from glide_edit.evaluation.verifier import Verifier, how_judged
from glide_edit.models.model import Model
from glide_edit.operations.postprocess import Drawn
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan, plan_frames
from glide_edit.requests import Inpaint
from masks import AUTOMATIC_CONTEXT, Crop

Image = NDArray[np.uint8]
Painter = Callable[[Sequence[EditItem], Sequence[Plan]], Sequence[Drawn]]
"""What is measured: draws the squares that the plans' crops show, (S, S, 3) of any size, 0 to 255."""

RIVALS = ("edited", "pasted", "opencv")
"""As the bench finishes by default, the same drawing put in with a hard edge, and OpenCV's inpaint."""

FITTED = (2, 3)
"""The seam's regressions are fitted to the first two of three parts of the items; the rest is scored."""

ENDS = ("", "_raw", "_real")
"""Of a measure's names: divided by the real renders' score, as it is, and that score."""

_TELEA_RADIUS = 5


@dataclass(frozen=True)
class Answer:
    """What the verifier found in the mask: the toy's kind; in its colour; in its material, None where the
    prompt names none; and how sure it was of the toy in its colour, 0 for not seen."""

    kind: bool
    colour: bool
    material: bool | None
    score: float


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an item. ``before`` is about the picture as it was, ``real`` about the true render.

    ``changed`` counts pixels outside the mask that differ from the source; ``receipt`` is the receipt's own
    count. ``rings`` has for "real" and each of RIVALS the features of the boundary.
    """

    size: str
    shape: str
    wording: str
    edited: Answer
    real: Answer
    before: Answer
    changed: int
    receipt: int
    rings: dict[str, NDArray[np.float64]]
    tile: Tile


def painter(model: Model) -> Painter:
    """What a model draws with its default settings; item k has the noise of seed k."""

    def paint(items: Sequence[EditItem], plans: Sequence[Plan]) -> Sequence[Drawn]:
        asked = [plan(each.request, model) for each in plans]
        return [drawn for batch in draw_plans(model, asked) for drawn in batch]

    return paint


def bench_edits(
    paint: Painter,
    model: str,
    *,
    count: int = 256,
    seed: int = 0,
    tell: Tell = lambda done, total: None,
) -> tuple[Report, list[Outcome]]:
    """``count`` items of each mask size put to ``paint`` and judged by the shipped verifier.

    Ctrl-C ends it with a report of what is done. ``tell`` is called with (done, total).

    Raises:
        InputError: a count below 1, or a seed below 0.
        KeyboardInterrupt: before the first item was done.
        GlideEditError: what ``paint`` raises.
    """
    check_asked(count, seed, "one item of each size")
    verifier = Verifier.load()

    def painted(items: Sequence[EditItem]) -> Sequence[tuple[Plan, Drawn]]:
        plans = [plan_of(item) for item in items]
        return list(zip(plans, paint(items, plans), strict=True))

    bench = ItemBench(
        name="edits",
        model=model,
        protocol=protocol(count, seed),
        total=len(SIZES) * count,
        items=edit_items(len(SIZES) * count, seed),
        draw=painted,
        judge=lambda item, made: outcome(item, *made, verifier),
        summary=lambda judged: (measures(judged), tables(judged), {"items": len(judged)}),
    )
    return bench.run(tell)


def plan_of(item: EditItem) -> Plan:
    """The item as an inpainting by no model, item k with seed k."""
    return plan_frames(Inpaint(image=item.picture, mask=item.mask, prompt=item.prompt, seed=item.index))


def outcome(item: EditItem, edit: Plan, drawn: Drawn, verifier: Verifier) -> Outcome:
    """One item finished and judged."""
    finished, pasted = (
        finish(replace(edit, request=edit.request.replace(finish=how)), [drawn])
        for how in ("membrane", "hard")
    )
    assert finished.receipt is not None, "an inpainting has a receipt"
    selected = item.mask.selected
    pictures = {
        "real": item.truth,
        "edited": finished.picture.pixels,
        "pasted": pasted.picture.pixels,
        "opencv": opencv_inpaint(item.picture.pixels, selected),
    }
    judged = np.stack([pictures["edited"], item.truth, item.picture.pixels])
    seen = verifier.see(judged, np.repeat(item.box[None], len(judged), 0))
    edited, real, before = (answer(each, item.wanted) for each in seen)
    return Outcome(
        size=item.size,
        shape=item.shape,
        wording=item.wording,
        edited=edited,
        real=real,
        before=before,
        changed=int((pictures["edited"] != item.picture.pixels).any(-1)[~selected].sum()),
        receipt=finished.receipt.preservation.changed,
        rings={name: ring_features(picture, selected) for name, picture in pictures.items()},
        tile=_tile(item, pictures),
    )


def answer(seen: Seen, wanted: Wanted) -> Answer:
    """Whether what was seen in the mask is what was wanted."""
    kind = [found for found in seen.objects if found.kind == wanted.kind]
    colour = [found for found in kind if found.colour == wanted.colour]
    material = any(wanted.fits(found) for found in colour) if wanted.material else None
    return Answer(bool(kind), bool(colour), material, max((found.score for found in colour), default=0.0))


def opencv_inpaint(picture: Image, selected: NDArray[np.bool_]) -> Image:
    """OpenCV's own inpainting (Telea 2004), from what surrounds the selection alone."""
    return np.asarray(
        cv2.inpaint(picture, selected.astype(np.uint8) * 255, _TELEA_RADIUS, cv2.INPAINT_TELEA), np.uint8
    )


def measures(outcomes: list[Outcome]) -> dict[str, float]:
    """The flat measures: ``edit_SIZE`` is the named toy in its colour, ``edit_SIZE_kind`` in any, and
    ``edit_material`` all three where the prompt names the material; the seams; pixels changed outside."""
    found: dict[str, float] = {}
    for size in SIZES:
        some = [each for each in outcomes if each.size == size]
        if some:
            found |= _shares(f"edit_{size}", some)
    found |= _material("edit_material", outcomes)
    found["edit_before"] = _share(each.before.colour for each in outcomes)
    found["changed_outside"] = sum(each.changed for each in outcomes)
    found["changed_outside_receipts"] = sum(each.receipt for each in outcomes)
    for rival, accuracy in seams(outcomes).items():
        found["seam" if rival == "edited" else f"seam_{rival}"] = accuracy
    return found


def seams(outcomes: list[Outcome]) -> dict[str, float]:
    """For each of RIVALS how often its rings are told from real ones; nothing for fewer than three items."""
    if len(outcomes) < 3:
        return {}
    rings = _rings(outcomes)
    fitted = _fitted(outcomes)
    return {rival: seam_accuracy(rings["real"], rings[rival], fitted)[0] for rival in RIVALS}


def tables(outcomes: list[Outcome]) -> tuple[Table, ...]:
    """By mask size, shape and prompt, sizes by prompts, and what the seam's regression goes by."""
    by = {
        "mask size": ("size", tuple(SIZES)),
        "mask shape": ("shape", SHAPES),
        "prompt": ("wording", WORDINGS),
    }
    made = [_by(outcomes, title, name, values) for title, (name, values) in by.items()]
    cells: list[tuple[str | float, ...]] = []
    for size in SIZES:
        some = [[o for o in outcomes if (o.size, o.wording) == (size, wording)] for wording in WORDINGS]
        cells.append((size, *(_ratio(each) for each in some)))
    made.append(Table("kind and colour, by mask size and prompt", ("", *WORDINGS), tuple(cells)))
    if len(outcomes) >= 3:
        made.append(_giveaways(outcomes))
    return tuple(made)


def sheet(outcomes: list[Outcome]) -> Image:
    """The best, the median and the worst items, by right or wrong, then by how sure the verifier was. Each
    shows the source with its mask, the edit, the truth, the hard paste and OpenCV's inpaint."""
    order = sorted(outcomes, key=lambda each: (-each.edited.colour, -each.edited.score, -each.edited.kind))
    return ranked_sheet([each.tile for each in order], across=2)


def protocol(count: int, seed: int) -> dict[str, object]:
    """What the numbers follow from but the model."""
    return {
        "bench": "edits",
        "version": 2,
        **how_judged("a window about the mask", SCENES),
        "count": count,
        "seed": seed,
        "pixels": PIXELS,
        "sizes": {name: list(ends) for name, ends in SIZES.items()},
        "shapes": list(SHAPES),
        "wordings": list(WORDINGS),
        "context": AUTOMATIC_CONTEXT,
        "seam": {"features": list(FEATURES), "fitted": list(FITTED)},
        "opencv": {"method": "telea", "radius": _TELEA_RADIUS},
    }


def truth_painter(items: Sequence[EditItem], plans: Sequence[Plan]) -> Sequence[Drawn]:
    """Draws the true renders: what a model that is always right would."""
    return [
        np.asarray(crop_of(edit).extract(item.truth), np.float32)
        for item, edit in zip(items, plans, strict=True)
    ]


def crop_of(edit: Plan) -> Crop:
    """The square that an inpainting of one frame shows the model."""
    crop = edit.frames[0].crop
    assert crop is not None
    return crop


def _shares(name: str, outcomes: list[Outcome]) -> dict[str, float]:
    raw, real = (
        {
            name: _share(getattr(each, which).colour for each in outcomes),
            f"{name}_kind": _share(getattr(each, which).kind for each in outcomes),
        }
        for which in ("edited", "real")
    )
    return against_real(raw, real)


def _material(name: str, outcomes: list[Outcome]) -> dict[str, float]:
    """Of the items whose prompts name the material; nothing where none does."""
    named = [each for each in outcomes if each.edited.material is not None]
    if not named:
        return {}
    raw, real = (
        {name: _share(bool(getattr(each, which).material) for each in named)} for which in ("edited", "real")
    )
    return against_real(raw, real)


def _share(right: Iterable[bool]) -> float:
    return float(np.mean([float(each) for each in right]))


def _ratio(outcomes: list[Outcome]) -> float:
    if not any(each.real.colour for each in outcomes):
        return math.nan
    return _share(each.edited.colour for each in outcomes) / _share(each.real.colour for each in outcomes)


def _by(outcomes: list[Outcome], title: str, name: str, values: tuple[str, ...]) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for value in values:
        some = [each for each in outcomes if getattr(each, name) == value]
        if not some:
            continue
        found = {**_shares("colour", some), **_material("material", some)}
        parts = [f"{what}{end}" for what in ("colour", "colour_kind", "material") for end in ENDS]
        rows.append((value, len(some), *(found.get(part, math.nan) for part in parts)))
    columns = [(what, "raw", "real") for what in ("kind and colour", "kind", "all three")]
    header = (title, "items", *(name for part in columns for name in part))
    return Table(f"by {title}", header, tuple(rows))


def _giveaways(outcomes: list[Outcome]) -> Table:
    """The weights of the regressions, for features in units of their spread: above 0 says edited."""
    rings, fitted = _rings(outcomes), _fitted(outcomes)
    models = [seam_accuracy(rings["real"], rings[rival], fitted)[1] for rival in RIVALS]
    rows: list[tuple[str | float, ...]] = [
        (name, *(float(model.weights[k]) for model in models)) for k, name in enumerate(FEATURES)
    ]
    return Table("what gives the boundary away", ("feature", *RIVALS), tuple(rows))


def _fitted(outcomes: list[Outcome]) -> int:
    """How many items, counted from the first, the regressions are fitted to."""
    return FITTED[0] * len(outcomes) // FITTED[1]


def _rings(outcomes: list[Outcome]) -> dict[str, NDArray[np.float64]]:
    return {name: np.stack([each.rings[name] for each in outcomes]) for name in ("real", *RIVALS)}


def _tile(item: EditItem, pictures: dict[str, Image]) -> Tile:
    marked = item.picture.pixels.copy()
    edge = cv2.morphologyEx(
        item.mask.selected.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    marked[edge > 0] = (255, 0, 255)
    others = (pictures[name] for name in ("edited", "real", "pasted", "opencv"))
    return Tile(thumbnails(marked, *others), f"{item.prompt} ({item.size}, {item.shape})")

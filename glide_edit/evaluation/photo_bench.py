"""The photograph bench: is what was asked for in the photograph, is it as sharp, does the boundary show?

The shipped verifier judges, which learned on renders alone. Its own accuracy on the true composites of the
same items is measured with it (``verifier_kind``, ``verifier_color``), and every share is divided by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.drawing import draw_plans
from glide_edit.evaluation.edit_bench import Answer, answer, opencv_inpaint
from glide_edit.evaluation.edit_items import PIXELS, SCENES, SHAPES, SIZES
from glide_edit.evaluation.item_bench import ItemBench, Tell, check_asked
from glide_edit.evaluation.photo_items import WORDINGS, PhotoItem, photo_items
from glide_edit.evaluation.report import Report, Table, Tile, against_real, ranked_sheet, thumbnails
from glide_edit.evaluation.seam import FEATURES, ring_features, seam_accuracy
from glide_edit.evaluation.verifier import Verifier, how_judged
from glide_edit.models.model import Model
from glide_edit.operations.postprocess import Drawn
from glide_edit.operations.sharpness import sharpness
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Inpaint
from masks import AUTOMATIC_CONTEXT

Image = NDArray[np.uint8]
Painter = Callable[[Sequence[PhotoItem]], Sequence[tuple[Image, int]]]
"""What is measured: gives each item's finished picture, uint8 (S, S, 3), and the receipt's count of pixels
changed outside."""

RIVALS = ("edited", "opencv")
"""The edit, and OpenCV's inpaint as the baseline of the seam."""

FITTED = (2, 3)
"""The seam's regressions are fitted to the first two of three parts of the items; the rest is scored."""

RESAMPLES = 1000
CONFIDENCE = 0.95
SURE = 0.9
"""A verifier that sees the kind in fewer of the true composites is not to be relied on."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an item. ``before`` is about the photograph as it was, ``real`` about the composite.

    ``sharpness`` has for "edited" and "real" the detail inside the mask over that around it (None where
    nothing is around it), ``changed`` counts pixels outside the mask that differ from the photograph,
    ``receipt`` is the receipt's own count, ``rings`` has the boundary's features.
    """

    size: str
    shape: str
    wording: str
    edited: Answer
    real: Answer
    before: Answer
    sharpness: dict[str, float]
    changed: int
    receipt: int
    rings: dict[str, NDArray[np.float64]]
    tile: Tile


def painter(model: Model) -> Painter:
    """What a model draws with its default settings; item k has the noise of seed k."""

    def paint(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
        plans = [
            plan(Inpaint(image=item.picture, mask=item.mask, prompt=item.prompt, seed=item.index), model)
            for item in items
        ]
        drawn = [one for batch in draw_plans(model, plans) for one in batch]
        return [_finished(made, one) for made, one in zip(plans, drawn, strict=True)]

    return paint


def _finished(made: Plan, drawn: Drawn) -> tuple[Image, int]:
    finished = finish(made, [drawn])
    assert finished.receipt is not None, "an inpainting has a receipt"
    return finished.picture.pixels, finished.receipt.preservation.changed


def truth_painter(items: Sequence[PhotoItem]) -> Sequence[tuple[Image, int]]:
    """Gives the true composites: what a model that is always right would."""
    return [(item.truth, 0) for item in items]


def bench_photographs(
    paint: Painter,
    model: str,
    folder: Path,
    *,
    count: int = 256,
    seed: int = 0,
    tell: Tell = lambda done, total: None,
) -> tuple[Report, list[Outcome]]:
    """``count`` items of each mask size, on photographs that ``folder`` holds out, put to ``paint``.

    Ctrl-C ends it with a report of what is done. ``tell`` is called with (done, total).

    Raises:
        InputError: a count below 1, or a seed below 0.
        TrainingError: the folder has no readable metadata, or holds nothing out.
        KeyboardInterrupt: before the first item was done.
        GlideEditError: what ``paint`` raises.
    """
    check_asked(count, seed, "one item of each size")
    verifier = Verifier.load()
    bench = ItemBench(
        name="photographs",
        model=model,
        protocol=protocol(count, seed),
        total=len(SIZES) * count,
        items=photo_items(folder, len(SIZES) * count, seed),
        draw=paint,
        judge=lambda item, made: outcome(item, *made, verifier),
        summary=lambda judged: (measures(judged), tables(judged), details(judged)),
    )
    return bench.run(tell)


def outcome(item: PhotoItem, edited: Image, receipt: int, verifier: Verifier) -> Outcome:
    """One item judged."""
    source, selected = item.picture.pixels, item.mask.selected
    pictures = {"real": item.truth, "edited": edited, "opencv": opencv_inpaint(source, selected)}
    judged = np.stack([edited, item.truth, source])
    seen = verifier.see(judged, np.repeat(item.box[None], len(judged), 0))
    answers = [answer(each, item.wanted) for each in seen]
    return Outcome(
        size=item.size,
        shape=item.shape,
        wording=item.wording,
        edited=answers[0],
        real=answers[1],
        before=answers[2],
        sharpness={name: sharpness(pictures[name], selected) for name in ("edited", "real")},
        changed=int((edited != source).any(-1)[~selected].sum()),
        receipt=receipt,
        rings={name: ring_features(picture, selected) for name, picture in pictures.items()},
        tile=_tile(item, pictures),
    )


def measures(outcomes: list[Outcome]) -> dict[str, float]:
    """The flat measures.

    ``photo_kind_SIZE`` and ``photo_color_SIZE``: the verifier sees the named toy in the mask, in any colour
    and in its own; without a size over all. ``verifier_kind`` and ``verifier_color``: it sees it in the true
    composite. ``photo_sharpness``: the median of detail inside over detail around, and of the composites'.
    """
    found: dict[str, float] = {}
    for size in (*SIZES, ""):
        some = [each for each in outcomes if size in ("", each.size)]
        if some:
            found |= _shares(f"_{size}" if size else "", some)
    found["verifier_kind"], found["verifier_color"] = found["photo_kind_real"], found["photo_color_real"]
    found["photo_before"] = float(np.mean([each.before.kind for each in outcomes]))
    for which, end in (("edited", ""), ("real", "_real")):
        found[f"photo_sharpness{end}"] = float(np.median([each.sharpness[which] for each in outcomes]))
    found["changed_outside"] = sum(each.changed for each in outcomes)
    found["changed_outside_receipts"] = sum(each.receipt for each in outcomes)
    for rival, accuracy in seams(outcomes).items():
        found["photo_seam" if rival == "edited" else f"photo_seam_{rival}"] = accuracy
    return found


def seams(outcomes: list[Outcome]) -> dict[str, float]:
    """For each of RIVALS how often its rings are told from real ones; nothing for fewer than three items."""
    if len(outcomes) < 3:
        return {}
    fitted = FITTED[0] * len(outcomes) // FITTED[1]
    rings = {name: np.stack([each.rings[name] for each in outcomes]) for name in ("real", *RIVALS)}
    return {rival: seam_accuracy(rings["real"], rings[rival], fitted)[0] for rival in RIVALS}


def intervals(outcomes: list[Outcome], seed: int = 0) -> dict[str, tuple[float, float]]:
    """What holds CONFIDENCE of each measure's bootstrap over the items, for the shares of all sizes and the
    sharpness."""
    rng = np.random.default_rng(seed)
    ends = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    parts = {f"_{size}": [each for each in outcomes if each.size == size] for size in SIZES} | {"": outcomes}
    found: dict[str, tuple[float, float]] = {}
    for end, some in parts.items():
        if not some:
            continue
        chosen = rng.integers(len(some), size=(RESAMPLES, len(some)))
        for what, name in (("kind", "kind"), ("colour", "color")):
            edited, real = (
                np.array([getattr(getattr(each, which), what) for each in some], float)[chosen].mean(1)
                for which in ("edited", "real")
            )
            shares = np.divide(edited, real, out=np.full(RESAMPLES, np.nan), where=real > 0)
            found[f"photo_{name}{end}"] = _quantiles(shares, ends)
        if not end:
            ratios = np.array([each.sharpness["edited"] for each in some])[chosen]
            found["photo_sharpness"] = _quantiles(np.median(ratios, axis=1), ends)
    return found


def tables(outcomes: list[Outcome]) -> tuple[Table, ...]:
    """By mask size with intervals, by mask shape, and by the words of the prompt."""
    made = [_by(outcomes, "mask shape", "shape", SHAPES), _by(outcomes, "prompt", "wording", tuple(WORDINGS))]
    found, between = measures(outcomes), intervals(outcomes)
    rows: list[tuple[str | float, ...]] = [
        (
            name,
            found[name],
            low,
            high,
            found.get(f"{name}_raw", math.nan),
            found.get(f"{name}_real", math.nan),
        )
        for name, (low, high) in between.items()
    ]
    header = ("measure", "score", "low", "high", "raw", "true composites")
    return (Table("with 95 % intervals by the bootstrap", header, tuple(rows)), *made)


def details(outcomes: list[Outcome]) -> dict[str, object]:
    """How many items, the intervals, and whether the verifier's own accuracy allows to rely on it."""
    kind = float(np.mean([each.real.kind for each in outcomes]))
    between = {name: list(ends) for name, ends in intervals(outcomes).items()}
    warning = {}
    if kind < SURE:
        warning = {"warning": f"The verifier sees the kind in only {kind:.2f} of the true composites."}
    return {"items": len(outcomes), "intervals": between, **warning}


def sheet(outcomes: list[Outcome]) -> Image:
    """The best, the median and the worst items, by right or wrong, then by how sure the verifier was. Each
    shows the photograph with its mask, the edit, and the true composite."""
    order = sorted(outcomes, key=lambda each: (-each.edited.colour, -each.edited.score, -each.edited.kind))
    return ranked_sheet([each.tile for each in order], across=3)


def protocol(count: int, seed: int) -> dict[str, object]:
    """What the numbers follow from but the model and the photographs."""
    return {
        "bench": "photographs",
        "version": 1,
        **how_judged("a window about the mask", SCENES),
        "count": count,
        "seed": seed,
        "pixels": PIXELS,
        "sizes": {name: list(ends) for name, ends in SIZES.items()},
        "shapes": list(SHAPES),
        "wordings": dict(WORDINGS),
        "context": AUTOMATIC_CONTEXT,
        "seam": {"features": list(FEATURES), "fitted": list(FITTED)},
    }


def _shares(end: str, outcomes: list[Outcome]) -> dict[str, float]:
    raw, real = (
        {
            f"photo_{name}{end}": float(np.mean([getattr(getattr(each, which), what) for each in outcomes]))
            for what, name in (("kind", "kind"), ("colour", "color"))
        }
        for which in ("edited", "real")
    )
    return against_real(raw, real)


def _quantiles(values: NDArray[np.float64], ends: tuple[float, float]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.quantile(values, ends)
    return float(low), float(high)


def _by(outcomes: list[Outcome], title: str, name: str, values: tuple[str, ...]) -> Table:
    rows: list[tuple[str | float, ...]] = []
    for value in values:
        some = [each for each in outcomes if getattr(each, name) == value]
        if some:
            found = _shares("", some)
            ends = ("", "_raw", "_real")
            rows.append(
                (value, len(some), *(found[f"photo_{m}{end}"] for m in ("kind", "color") for end in ends))
            )
    header = (title, "items", "kind", "raw", "real", "kind and colour", "raw", "real")
    return Table(f"by {title}", header, tuple(rows))


def _tile(item: PhotoItem, pictures: dict[str, Image]) -> Tile:
    marked = item.picture.pixels.copy()
    edge = cv2.morphologyEx(
        item.mask.selected.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)
    )
    marked[edge > 0] = (255, 0, 255)
    return Tile(
        thumbnails(marked, pictures["edited"], pictures["real"]), f"{item.prompt} ({item.size}, {item.shape})"
    )

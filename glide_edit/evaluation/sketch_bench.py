"""The sketch bench: does a picture made from a line drawing show the drawn objects, where they were drawn?

Drawings are the toybox's own, of scenes that no training shows, with a caption of the scene for a prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.accuracy import VISIBLE_AREA, VISIBLE_SHARE
from glide_edit.evaluation.drawing import draw_plans
from glide_edit.evaluation.edit_items import ahead
from glide_edit.evaluation.item_bench import ItemBench, Tell, check_asked
from glide_edit.evaluation.report import Report, Table, Tile, against_real, ranked_sheet, thumbnails
from glide_edit.evaluation.seen import Seen, overlap
from glide_edit.evaluation.verifier import Verifier, how_judged
from glide_edit.images import Picture, open_picture, to_uint8
from glide_edit.models.model import Model
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.planner import plan
from glide_edit.requests import Sketch
from glide_edit.toybox import KINDS, Rendering, Scene, caption, render, sample_scene

Image = NDArray[np.uint8]

PIXELS = 256
SCENES = (680_000, 690_000)
"""Seeds of the scenes to choose from; no training, and no other bench, shows them."""

SILHOUETTES_AT = 128
"""px, the size at which silhouettes are taken."""

_STREAM = 7032  # keeps these draws apart from other uses of the same seed
_AROUND = 0.15  # of a box: where an object may still be
_SURROUNDINGS = 0.6  # of the box's longer side: the ground that it is told from
_CORE = 0.9  # of the box: the ellipse in which it is looked for first
_ROUNDS = 5


@dataclass(frozen=True, eq=False)
class SketchItem:
    """A drawing of a scene with what is true of it; ``counted`` are the toys in plain view."""

    index: int
    scene: Scene
    prompt: str
    rendering: Rendering
    drawing: Picture
    counted: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of a drawing: for each counted toy whether its kind was seen at its place, and how far its
    silhouette overlaps the drawn one, in the picture made and in the real render."""

    kinds: tuple[str, ...]
    seen: tuple[bool, ...]
    seen_real: tuple[bool, ...]
    overlaps: tuple[float, ...]
    overlaps_real: tuple[float, ...]
    tile: Tile


Sketcher = Callable[[Sequence[SketchItem]], Sequence[Image]]
"""What is measured: pictures, uint8 (H, W, 3), from the items' drawings and prompts."""


def sketcher(model: Model) -> Sketcher:
    """What a model makes of drawings with its default settings; item k has the noise of seed k."""

    def sketch(items: Sequence[SketchItem]) -> Sequence[Image]:
        plans = [
            plan(Sketch(drawing=item.drawing, prompt=item.prompt, seed=item.index), model) for item in items
        ]
        drawn = [each for batch in draw_plans(model, plans) for each in batch]
        finished = [finish(edit, [each]) for edit, each in zip(plans, drawn, strict=True)]
        return [to_uint8(each.picture.pixels) for each in finished]

    return sketch


def bench_sketches(
    sketch: Sketcher,
    model: str,
    *,
    count: int = 256,
    seed: int = 0,
    tell: Tell = lambda done, total: None,
) -> tuple[Report, list[Outcome]]:
    """``count`` drawings put to ``sketch`` and judged by the shipped verifier.

    Ctrl-C ends it with a report of what is done. ``tell`` is called with (done, total).

    Raises:
        InputError: a count below 1, or a seed below 0.
        KeyboardInterrupt: before the first drawing was done.
        GlideEditError: what ``sketch`` raises.
    """
    check_asked(count, seed, "one drawing")
    verifier = Verifier.load()
    bench = ItemBench(
        name="sketches",
        model=model,
        protocol=protocol(count, seed),
        total=count,
        items=sketch_items(count, seed),
        draw=sketch,
        judge=lambda item, picture: outcome(item, picture, verifier),
        summary=lambda judged: (measures(judged), (by_kind(judged),), _details(judged)),
    )
    return bench.run(tell)


def sketch_items(count: int, seed: int = 0) -> Generator[SketchItem, None, None]:
    """Items 0 to ``count`` - 1, rendered ahead in other threads."""
    return ahead(partial(sketch_item, seed=seed), count)


def sketch_item(index: int, seed: int = 0) -> SketchItem:
    """Item ``index``, the same on every call and whatever the count."""
    rng = np.random.default_rng([seed, index, _STREAM])
    while True:
        scene = sample_scene(int(rng.integers(*SCENES)))
        rendering = render(scene, PIXELS, threads=1)
        counted = tuple(k for k in range(len(scene.toys)) if _in_plain_view(rendering, k))
        if counted:
            drawing = open_picture(np.repeat(rendering.drawing[..., None], 3, -1))
            return SketchItem(index, scene, caption(scene, index), rendering, drawing, counted)


def outcome(item: SketchItem, picture: Image, verifier: Verifier) -> Outcome:
    """One picture judged, beside the real render of the drawn scene."""
    made = np.asarray(cv2.resize(picture, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC), np.uint8)
    boxes = np.array([item.rendering.boxes[k] for k in item.counted]) / PIXELS
    kinds = tuple(item.scene.toys[k].kind for k in item.counted)
    answers = []
    for image in (made, item.rendering.image):
        seen = verifier.see(np.repeat(image[None], len(boxes), 0), boxes)
        right = [kind == _nearest(each, box) for kind, each, box in zip(kinds, seen, boxes, strict=True)]
        answers.append((tuple(right), silhouette_overlaps(image, item)))
    (seen_made, overlaps), (seen_real, overlaps_real) = answers
    shown = thumbnails(item.drawing.pixels, made, item.rendering.image)
    return Outcome(kinds, seen_made, seen_real, overlaps, overlaps_real, Tile(shown, item.prompt))


def silhouette_overlaps(picture: Image, item: SketchItem) -> tuple[float, ...]:
    """Intersection over union of each counted toy's silhouette in a picture (S, S, 3) with the drawn one."""
    side = (SILHOUETTES_AT, SILHOUETTES_AT)
    small = cv2.resize(picture, side, interpolation=cv2.INTER_AREA)
    visible = item.rendering.visible
    drawn = [
        np.asarray(cv2.resize((visible == k).astype(np.float32), side, interpolation=cv2.INTER_AREA) >= 0.5)
        for k in range(len(item.scene.toys))
    ]
    found = []
    for k in item.counted:
        others = np.logical_or.reduce(
            [drawn[j] for j in range(len(drawn)) if j != k] or [np.zeros(side, bool)]
        )
        shape = silhouette(np.asarray(small, np.uint8), cv2.boundingRect(drawn[k].astype(np.uint8)), others)
        found.append(float((shape & drawn[k]).sum() / max(1, (shape | drawn[k]).sum())))
    return tuple(found)


def silhouette(picture: Image, box: Sequence[int], others: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What stands out from its surroundings in the box (x, y, width, height) of a picture, bool (H, W).

    By GrabCut (Rother, Kolmogorov and Blake 2004): colours of the surroundings against colours of an ellipse
    in the box. It is told the box and where the other objects are, but nothing of the silhouette itself.
    """
    height, width = picture.shape[:2]
    x, y, wide, high = box
    reach = _SURROUNDINGS * max(wide, high)
    window = _within(x - reach, y - reach, x + wide + reach, y + high + reach, width, height)
    around = _within(
        x - _AROUND * wide,
        y - _AROUND * high,
        x + wide + _AROUND * wide,
        y + high + _AROUND * high,
        width,
        height,
    )
    guess = np.full((height, width), cv2.GC_BGD, np.uint8)
    guess[around] = cv2.GC_PR_BGD
    middle = round(x + wide / 2), round(y + high / 2)
    axes = max(1, round(_CORE * wide / 2)), max(1, round(_CORE * high / 2))
    cv2.ellipse(guess, middle, axes, 0, 0, 360, cv2.GC_PR_FGD, -1)
    guess[others] = cv2.GC_BGD
    part = np.ascontiguousarray(guess[window])
    found = np.zeros((height, width), bool)
    if not (part == cv2.GC_PR_FGD).any() or (part == cv2.GC_PR_FGD).all():
        return found
    cv2.setRNGSeed(0)  # its mixtures begin by chance
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(
        np.ascontiguousarray(picture[window]),
        part,
        (0, 0, 1, 1),
        background,
        foreground,
        _ROUNDS,
        cv2.GC_INIT_WITH_MASK,
    )
    found[window] = part == cv2.GC_PR_FGD
    return found


def measures(outcomes: list[Outcome]) -> dict[str, float]:
    """``sketch_kind``: share of the objects whose kind is seen at their place; ``sketch_iou``: the median
    overlap of silhouettes. Each is divided by what the real renders get."""
    raw = {
        "sketch_kind": float(np.mean([right for each in outcomes for right in each.seen])),
        "sketch_iou": float(np.median([value for each in outcomes for value in each.overlaps])),
    }
    real = {
        "sketch_kind": float(np.mean([right for each in outcomes for right in each.seen_real])),
        "sketch_iou": float(np.median([value for each in outcomes for value in each.overlaps_real])),
    }
    return against_real(raw, real)


def by_kind(outcomes: list[Outcome]) -> Table:
    """The measures for each kind of object, raw and of real renders."""
    rows: list[tuple[str | float, ...]] = []
    for kind in KINDS:
        places = [(each, k) for each in outcomes for k, name in enumerate(each.kinds) if name == kind]
        if places:
            seen = float(np.mean([one.seen[k] for one, k in places]))
            seen_real = float(np.mean([one.seen_real[k] for one, k in places]))
            over = float(np.median([one.overlaps[k] for one, k in places]))
            over_real = float(np.median([one.overlaps_real[k] for one, k in places]))
            rows.append((kind, len(places), seen, seen_real, over, over_real))
    header = ("kind", "objects", "kind right", "real", "overlap", "real")
    return Table("by kind", header, tuple(rows))


def sheet(outcomes: list[Outcome]) -> Image:
    """The best, the median and the worst, by the mean overlap: drawing, picture made, real render."""
    order = sorted(outcomes, key=lambda each: -float(np.mean(each.overlaps)))
    return ranked_sheet([each.tile for each in order], across=3)


def protocol(count: int, seed: int) -> dict[str, object]:
    """What the numbers follow from but the model."""
    return {
        "bench": "sketches",
        "version": 1,
        **how_judged("a window about each object", SCENES),
        "count": count,
        "seed": seed,
        "pixels": PIXELS,
        "visible": {"share": VISIBLE_SHARE, "area": VISIBLE_AREA},
        "silhouettes": {
            "by": "grabcut",
            "pixels": SILHOUETTES_AT,
            "around": _AROUND,
            "surroundings": _SURROUNDINGS,
            "core": _CORE,
            "rounds": _ROUNDS,
        },
    }


def _details(outcomes: list[Outcome]) -> dict[str, int]:
    return {"drawings": len(outcomes), "objects": sum(len(each.kinds) for each in outcomes)}


def _in_plain_view(rendering: Rendering, toy: int) -> bool:
    seen = rendering.visible == toy
    return bool(
        seen.mean() >= VISIBLE_AREA and seen.sum() >= VISIBLE_SHARE * max(1, rendering.whole[toy].sum())
    )


def _nearest(seen: Seen, box: NDArray[np.float64]) -> str | None:
    """The kind of the seen object whose box overlaps the given one most."""
    best = max(seen.objects, key=lambda found: overlap(found.box, tuple(box)), default=None)
    return None if best is None else best.kind


def _within(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> tuple[slice, slice]:
    """The rows and columns of a box, as far as they lie in the picture."""
    rows = slice(max(0, round(y0)), min(height, round(y1)))
    return rows, slice(max(0, round(x0)), min(width, round(x1)))

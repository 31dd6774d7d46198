"""The repair bench: how near a fill comes to what was covered, beside other programs on the same items.

All programs work on one item before the next, one after the other, so that their times compare. What is
measured lies inside the selection: there the covered picture is of no use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.evaluation.item_bench import ItemBench, Tell, check_asked
from glide_edit.evaluation.repair_covers import COVERS, HOLE, SCRATCH, SPOTS, WIRE
from glide_edit.evaluation.repair_items import (
    HALVES,
    LONGEST_SHORTER_SIDE,
    Photograph,
    RepairItem,
    names_hash,
    repair_item,
)
from glide_edit.evaluation.repair_programs import Program
from glide_edit.evaluation.repair_tables import OURS, SHOWN, Outcome, Score, details, measures, tables
from glide_edit.evaluation.report import Report
from glide_edit.images import to_uint8
from glide_edit.optional_dependencies import skimage
from masks import Mask

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Repaired:
    """A finished picture, uint8 (H, W, 3), and ``allowed``, bool (H, W), where it may differ from the covered
    one."""

    picture: Image
    allowed: NDArray[np.bool_]


Repair = Callable[[RepairItem], Repaired]
"""What is measured."""


@dataclass(frozen=True, eq=False)
class _Made:
    """Each program's picture of an item, and the seconds that it took."""

    pictures: dict[str, Image]
    seconds: dict[str, float]
    allowed: NDArray[np.bool_]


def remover(editor: Editor, **settings: Any) -> Repair:
    """``Editor.remove`` with these settings, the others at their defaults; item k has the seed k."""

    def repair(item: RepairItem) -> Repaired:
        result = editor.remove(item.picture, Mask(item.selected), seed=item.index, **settings)
        assert result.allowed is not None, "a removal has a selection"
        return Repaired(to_uint8(result.pictures[0].pixels), result.allowed.selected)

    return repair


def truth_repair(item: RepairItem) -> Repaired:
    """Gives what was covered: what a program that is always right would."""
    return Repaired(item.truth, item.selected)


def bench_repairs(
    repair: Repair,
    model: str,
    photographs: Sequence[Photograph],
    *,
    others: Mapping[str, Program] | None = None,
    count: int = 32,
    seed: int = 0,
    tell: Tell = lambda done, total: None,
) -> tuple[Report, list[Outcome]]:
    """``count`` items of each kind of cover put to ``repair`` and to ``others``, on ``photographs``.

    Ctrl-C ends it with a report of what is done. ``tell`` is called with (done, total).

    Raises:
        InputError: a count below 1, or a seed below 0; scikit-image is not installed; a program fails.
        TrainingError: a photograph cannot be read.
        KeyboardInterrupt: before the first item was done.
        GlideEditError: what ``repair`` raises.
    """
    check_asked(count, seed, "one item of each kind")
    skimage("metrics")
    total = len(COVERS) * count

    def items() -> Generator[RepairItem, None, None]:
        yield from (repair_item(index, photographs, seed) for index in range(total))

    bench = ItemBench(
        name="repairs",
        model=model,
        protocol=protocol(photographs, count, seed),
        total=total,
        items=items(),
        draw=lambda batch: [_fill(item, repair, others or {}) for item in batch],
        judge=_outcome,
        summary=lambda judged: (measures(judged), tables(judged), details(judged)),
        together=1,
    )
    return bench.run(tell)


def protocol(photographs: Sequence[Photograph], count: int, seed: int) -> dict[str, object]:
    """What the items follow from."""
    return {
        "bench": "repairs",
        "version": 1,
        "count": count,
        "seed": seed,
        "photographs": names_hash(photographs),
        "shorter_side": LONGEST_SHORTER_SIDE,
        "kinds": list(COVERS),
        "widths": {"scratches": SCRATCH, "wire": WIRE, "blobs": list(SPOTS), "hole": HOLE},
        "halves": list(HALVES),
    }


def score(item: RepairItem, picture: Image, seconds: float) -> Score:
    """A picture against the truth, inside the selection.

    PSNR is of all channels of the selected pixels together, infinite where they are equal. SSIM is the mean
    over them of the map with the published window (Wang et al. 2004), a Gaussian of 1.5 px.
    """
    truth, selected = item.truth, item.selected
    error = float(np.mean((picture[selected].astype(np.float64) - truth[selected]) ** 2))
    _, similarity = skimage("metrics").structural_similarity(
        truth,
        picture,
        data_range=255,
        channel_axis=-1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    return Score(
        psnr=10 * float(np.log10(255**2 / error)) if error else float("inf"),
        ssim=float(similarity[selected].mean()),
        seconds=seconds,
        changed=_changed(item, picture, selected),
    )


def _fill(item: RepairItem, repair: Repair, others: Mapping[str, Program]) -> _Made:
    began = time.perf_counter()
    repaired = repair(item)
    seconds = {OURS: time.perf_counter() - began}
    pictures = {OURS: repaired.picture}
    for name, fill in others.items():
        began = time.perf_counter()
        pictures[name] = fill(item.picture, item.selected)
        seconds[name] = time.perf_counter() - began
    return _Made(pictures, seconds, repaired.allowed)


def _outcome(item: RepairItem, made: _Made) -> Outcome:
    scores = {name: score(item, picture, made.seconds[name]) for name, picture in made.pictures.items()}
    place = item.index // len(COVERS)
    shown = {"truth": item.truth, "covered": item.picture, **made.pictures} if place < SHOWN else {}
    return Outcome(
        index=item.index,
        kind=item.kind,
        half=item.half,
        name=item.name,
        scores=scores,
        beyond=_changed(item, made.pictures[OURS], made.allowed),
        shown={name: _part(picture, item.selected) for name, picture in shown.items()},
    )


def _changed(item: RepairItem, picture: Image, allowed: NDArray[np.bool_]) -> int:
    return int((picture != item.picture).any(-1)[~allowed].sum())


def _part(picture: Image, selected: NDArray[np.bool_], side: int = 256) -> Image:
    """A square of the picture's own pixels, around the middle of the selection where that has room."""
    x, y, wide, high = cv2.boundingRect(selected.astype(np.uint8))
    height, width = selected.shape
    side = min(side, height, width)
    top = min(max(0, y + high // 2 - side // 2), height - side)
    left = min(max(0, x + wide // 2 - side // 2), width - side)
    return picture[top : top + side, left : left + side].copy()

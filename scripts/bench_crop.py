"""Which context is best: edits of the edit bench's items at several values of ``masks.AUTOMATIC_CONTEXT``.

    scripts/bench crop [--count N] [--masks small] [--values 1.5 2 3] [--size base] [--minutes M] [--out FILE]

All values get the same items and the same noise. "present" is the share of items with the named toy in its
colour in the mask, "jump" how much more neighbours differ across the boundary than beside it than they do in
the real render: for edits as they are finished, and pasted hard. --size base judges the base network's
pictures, enlarged. Intervals are the bootstrap's, 95 %, over items. Ctrl-C reports what was judged by then.
The value with the highest share belongs into ``masks/crop.py``.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import torch
from edit_sweep import Found, interval, report, sweep, values
from matplotlib.figure import Figure

from glide_edit import Editor
from glide_edit.evaluation.edit_items import SIZES
from masks import AUTOMATIC_CONTEXT


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench crop", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=64, help="items of each mask size")
    parser.add_argument("--masks", nargs="+", choices=SIZES, default=list(SIZES), help="sizes to ask")
    parser.add_argument("--values", type=float, nargs="+", default=[1.25, 1.5, 2.0, 2.5, 3.0, 4.0])
    parser.add_argument("--size", choices=("base", "full"), default="full", help="whose pictures are judged")
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no further items after so long")
    parser.add_argument("--out", type=Path, help="where to draw the curve")
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args()
    asked = sorted({*given.values, AUTOMATIC_CONTEXT})
    settings = {f"{value:g}": {"context": value} for value in asked}
    found = sweep(
        Editor.load(given.model).model, settings, given.count, given.minutes, given.size, given.masks
    )
    plot = None if given.out is None else partial(draw_curves, path=given.out)
    report(found, f"{AUTOMATIC_CONTEXT:g}", "context", plot)


def draw_curves(found: Found, path: Path) -> None:
    """Present, by mask size, and the jump at the boundary, against the context."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    present, jump = figure.subplots(1, 2)
    contexts = [float(name) for name in found]
    asked = {mark.size for marks in found.values() for mark in marks}
    for size in ("all", *(size for size in SIZES if size in asked)):
        _curve(present, contexts, [values(marks, "present", size) for marks in found.values()], size)
    _curve(jump, contexts, [values(marks, "jump") for marks in found.values()], "as finished")
    _curve(jump, contexts, [values(marks, "pasted") for marks in found.values()], "pasted hard")
    present.set(xlabel="context", ylabel="the named toy in its colour", ylim=(0, 1))
    jump.set(xlabel="context", ylabel="jump at the boundary, less the real one's")
    for axes in (present, jump):
        axes.legend()
    figure.suptitle(f"{len(next(iter(found.values())))} items of the edit bench; bars: 95 %")
    figure.savefig(path, dpi=100)


def _curve(axes, contexts: list[float], numbers: list[np.ndarray], label: str) -> None:
    means = np.array([each.mean() for each in numbers])
    ends = np.array([interval(each) for each in numbers])
    bars = np.abs(ends - means[:, None]).T
    axes.errorbar(contexts, means, bars, marker="o", capsize=3, label=label, lw=2 if label == "all" else 1)


if __name__ == "__main__":
    with torch.inference_mode():
        main()

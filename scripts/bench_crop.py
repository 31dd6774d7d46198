"""Which context is best: edits of the edit bench's items at several values of ``masks.AUTOMATIC_CONTEXT``.

    scripts/bench crop [--count N] [--masks small] [--values 1.5 2 3] [--size base] [--minutes M] [--out FILE]

All values get the same items and the same noise. "present" is the share of items with the named toy in its
colour in the mask, "jump" how much more neighbours differ across the boundary than beside it, less the same
of the real render: for edits with the default finish, and pasted with a hard edge. --size base judges the
base network's pictures, enlarged. Intervals are the bootstrap's, 95 %, over items. Ctrl-C reports what was
judged by then. The value with the highest share belongs into ``masks/crop.py``.
"""

from __future__ import annotations

import numpy as np
import torch
from benching import interval
from edit_sweep import Found, options, run, values
from matplotlib.figure import Figure

from glide_edit.evaluation.edit_items import SIZES
from masks import AUTOMATIC_CONTEXT


def main() -> None:
    parser = options("crop", __doc__, count=64, size="full")
    parser.add_argument("--values", type=float, nargs="+", default=[1.25, 1.5, 2.0, 2.5, 3.0, 4.0])
    given = parser.parse_args()
    settings = {f"{value:g}": {"context": value} for value in sorted({*given.values, AUTOMATIC_CONTEXT})}
    run(given, settings, f"{AUTOMATIC_CONTEXT:g}", "context", curves)


def curves(found: Found) -> Figure:
    """Present, by mask size, and the jump at the boundary, against the context."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    present, jump = figure.subplots(1, 2)
    asked = {mark.size for marks in found.values() for mark in marks}
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
    figure.suptitle(f"{len(next(iter(found.values())))} items of the edit bench; bars: 95 %")
    return figure


if __name__ == "__main__":
    with torch.inference_mode():
        main()

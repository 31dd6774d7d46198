"""Which context is best: the edit bench at several values of ``masks.AUTOMATIC_CONTEXT``.

    scripts/bench crop [--count N] [--values 1.5 2 3] [--model NAME|FOLDER]

The value with the highest shares and the lowest seam belongs into ``masks/crop.py``.
"""

from __future__ import annotations

import argparse

from glide_edit import Editor
from glide_edit.evaluation.edit_bench import bench_edits, painter
from glide_edit.operations import inpaint


def sweep(editor: Editor, values: list[float], count: int) -> dict[float, dict[str, float]]:
    """The edit bench's measures at each value, on the same items."""
    found = {}
    usual = inpaint.AUTOMATIC_CONTEXT
    try:
        for value in values:
            inpaint.AUTOMATIC_CONTEXT = value
            report, _ = bench_edits(painter(editor), editor.model.label, count=count)
            found[value] = dict(report.measures)
    finally:
        inpaint.AUTOMATIC_CONTEXT = usual
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweep the automatic context on the edit bench.")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--values", type=float, nargs="+", default=[1.5, 2.0, 2.5, 3.0, 4.0])
    parser.add_argument("--model", default="toybox")
    options = parser.parse_args()
    for value, measures in sweep(Editor.load(options.model), options.values, options.count).items():
        named = ("edit_small", "edit_medium", "edit_large", "seam")
        print(
            f"{value:4}  " + "  ".join(f"{name} {measures[name]:.3f}" for name in named if name in measures)
        )


if __name__ == "__main__":
    main()

"""The text-context dial on the edit bench: is the object there, and does the boundary show, at each setting?

    scripts/bench dial [--model NAME|FOLDER] [--count N] [--settings C,C,C@LOW-HIGH ...]

A setting is a context guidance, with @LOW-HIGH where it acts on a part of the noise axis alone. All settings
get the same N items of each mask size and the same noise. "present" is the share of items with the named toy
in its colour in the mask, "jump" how much more neighbours differ across the boundary than beside it, as the
edit bench's seam has it, less the same of real renders: for edits as they are finished, and pasted hard.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from glide_edit.editor import Editor
from glide_edit.evaluation.edit_bench import Outcome, Painter, outcome, painter
from glide_edit.evaluation.edit_items import SIZES, EditItem, edit_items
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seam import FEATURES
from glide_edit.evaluation.verifier import Verifier
from glide_edit.operations.finished import Drawn
from glide_edit.operations.inpaint import InpaintWork

SETTINGS = "1,0,0.25,0.5,0.75,1.5,0@0.5-1,0.5@0.5-1,1.5@0-0.5"


def read_setting(text: str) -> tuple[float, tuple[float, float] | None]:
    """A context guidance and its interval."""
    scale, _, part = text.partition("@")
    low, _, high = part.partition("-")
    return float(scale), (float(low), float(high)) if part else None


def dialled(paint: Painter, scale: float, interval: tuple[float, float] | None) -> Painter:
    def painted(item: EditItem, work: InpaintWork) -> Drawn:
        request = work.request.replace(context_guidance=scale, context_interval=interval)
        return paint(item, replace(work, request=request))

    return painted


def row(name: str, outcomes: list[Outcome]) -> tuple[str | float, ...]:
    jump = FEATURES.index("jump")
    real = np.mean([each.rings["real"][jump] for each in outcomes])
    seams = [
        float(np.mean([each.rings[what][jump] for each in outcomes]) - real) for what in ("edited", "pasted")
    ]
    present = [
        float(np.mean([each.edited.colour for each in outcomes if size in ("all", each.size)]))
        for size in ("all", *SIZES)
    ]
    return name, *present, *seams


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--settings", default=SETTINGS)
    options = parser.parse_args()
    editor, verifier = Editor.load(options.model), Verifier.load()
    items = list(edit_items(len(SIZES) * options.count))
    rows = []
    for name in options.settings.split(","):
        paint = dialled(painter(editor), *read_setting(name))
        rows.append(row(name, [outcome(item, paint, verifier) for item in items]))
        print(*(each if isinstance(each, str) else f"{each:.3f}" for each in rows[-1]), flush=True)
    header = ("context", "present", *SIZES, "jump", "pasted jump")
    print(f"\n{len(items)} items\n\n{Table('dial', header, tuple(rows)).to_markdown()}")


if __name__ == "__main__":
    main()

"""The text-context dial on the edit bench: is the object there, and does the boundary show, at each setting?

    scripts/bench dial [--count N] [--settings C,C,C@LOW-HIGH ...] [--size full] [--minutes M] [--out FILE]

A setting is a context guidance, with @LOW-HIGH where it acts on a part of the noise axis alone. All settings
get the same N items of each mask size and the same noise. "present" is the share of items with the named toy
in its colour in the mask, "jump" how much more neighbours differ across the boundary than beside it, as the
edit bench's seam has it, less the same of real renders: for edits as they are finished, and pasted hard.
The dial acts in the base network, whose pictures are enlarged and judged; --size full sends them through the
upsampler. Intervals are the bootstrap's, 95 %, over items. Ctrl-C reports what was judged by then.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from edit_sweep import Found, interval, report, sweep, values
from matplotlib.figure import Figure

from glide_edit import Editor

USUAL = "1"
SETTINGS = "1,0,0.5,1.5,2,3,0.5@0.5-1,1.5@0.5-1,1.5@0-0.5"


def read_setting(text: str) -> dict[str, Any]:
    """The fields of a context guidance and its interval."""
    scale, _, part = text.partition("@")
    low, _, high = part.partition("-")
    return {
        "context_guidance": float(scale),
        "context_interval": (float(low), float(high)) if part else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench dial", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=48, help="items of each mask size")
    parser.add_argument("--settings", default=SETTINGS)
    parser.add_argument("--size", choices=("base", "full"), default="base", help="whose pictures are judged")
    parser.add_argument("--minutes", type=float, default=30.0, help="begin no further items after so long")
    parser.add_argument("--out", type=Path, help="where to draw the curve")
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args()
    settings = {name: read_setting(name) for name in dict.fromkeys([USUAL, *given.settings.split(",")])}
    found = sweep(Editor.load(given.model).model, settings, given.count, given.minutes, given.size)
    plot = None if given.out is None else partial(draw_curve, path=given.out)
    report(found, USUAL, "context guidance", plot)


def draw_curve(found: Found, path: Path) -> None:
    """Present against the jump, both as differences from the usual setting on the same items."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    points = {name: tuple(_difference(found, name, what) for what in ("jump", "present")) for name in found}
    everywhere = sorted((name for name in found if "@" not in name), key=float)
    axes.plot(*np.array([[one.mean() for one in points[name]] for name in everywhere]).T, lw=1)
    for name, (jump, present) in points.items():
        x, y = jump.mean(), present.mean()
        bars = [np.abs(np.array(interval(each)) - each.mean())[:, None] for each in (present, jump)]
        if "@" in name:
            colour, turned, place = "tab:orange", 55, (0, 8)
        else:
            colour, turned, place = "tab:blue", -55, (2, -24)
        axes.errorbar(x, y, *bars, marker="o", color=colour, elinewidth=0.5, capsize=2)
        axes.annotate(name, (x, y), place, textcoords="offset points", color=colour, rotation=turned)
    axes.margins(0.12)
    axes.set(xlabel="jump at the boundary", ylabel="the named toy in its colour")
    axes.set_title(f"Context guidance against {USUAL}: {len(found[USUAL])} items, bars 95 %", fontsize=11)
    figure.savefig(path, dpi=100)


def _difference(found: Found, name: str, what: str) -> np.ndarray:
    return values(found[name], what) - values(found[USUAL], what)


if __name__ == "__main__":
    with torch.inference_mode():
        main()

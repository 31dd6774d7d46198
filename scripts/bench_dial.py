"""Context guidance on the edit bench: is the object there, and does the boundary show, at each setting?

    scripts/bench dial [--count N] [--settings C,C,C@LOW-HIGH ...] [--size full] [--minutes M] [--out FILE]

A setting is a context guidance, with @LOW-HIGH where it acts on a part of the noise axis alone. All settings
get the same N items of each mask size and the same noise. The columns are those of ``scripts/bench crop``.
Context guidance acts in the base network, whose pictures are enlarged and judged; --size full sends them
through the upsampler. Intervals are 95 %, by bootstrap over items. Ctrl-C reports what was judged by then.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from benching import interval
from edit_sweep import Found, options, run, values
from matplotlib.figure import Figure

USUAL = "1"
SETTINGS = "1,0,0.5,1.5,2,3,0.5@0.5-1,1.5@0.5-1,1.5@0-0.5"


def read_setting(text: str) -> dict[str, Any]:
    """The fields of a context guidance and its interval."""
    scale, _, part = text.partition("@")
    low, _, high = part.partition("-")
    interval = (float(low), float(high)) if part else None
    return {"context_guidance": float(scale), "context_interval": interval}


def main() -> None:
    parser = options("dial", __doc__, count=48, size="base")
    parser.add_argument("--settings", default=SETTINGS)
    given = parser.parse_args()
    settings = {name: read_setting(name) for name in dict.fromkeys([USUAL, *given.settings.split(",")])}
    run(given, settings, USUAL, "context guidance", curve)


def curve(found: Found) -> Figure:
    """Present against the jump, both as differences from the usual setting on the same items."""
    figure = Figure(figsize=(6.5, 5), layout="constrained")
    axes = figure.add_subplot()
    points = {
        name: [values(marks, what) - values(found[USUAL], what) for what in ("jump", "present")]
        for name, marks in found.items()
    }
    everywhere = sorted((name for name in found if "@" not in name), key=float)
    axes.plot(*np.array([[one.mean() for one in points[name]] for name in everywhere]).T, lw=1)
    for name, (jump, present) in points.items():
        x, y = jump.mean(), present.mean()
        bars = [np.abs(np.array(interval(each)) - each.mean())[:, None] for each in (present, jump)]
        partly = ("tab:orange", 55, (0, 8))
        colour, turned, place = partly if "@" in name else ("tab:blue", -55, (2, -24))
        axes.errorbar(x, y, *bars, marker="o", color=colour, elinewidth=0.5, capsize=2)
        axes.annotate(name, (x, y), place, textcoords="offset points", color=colour, rotation=turned)
    axes.margins(0.12)
    axes.set(xlabel="jump at the boundary", ylabel="the named toy in its colour")
    axes.set_title(f"Context guidance against {USUAL}: {len(found[USUAL])} items, bars 95 %", fontsize=11)
    return figure


if __name__ == "__main__":
    with torch.inference_mode():
        main()

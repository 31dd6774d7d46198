"""What an edit costs by its selection and its photograph: CPU seconds, and peak memory over the photograph.

    scripts/bench area                              this tree
    scripts/bench area --against COMMIT             and another one, case by case in turns, with ratios
    scripts/bench area --selections wire strip --photographs 12 12000x1000 --operations remove

Each case is a fresh process that loads the model and edits once, so that its peak memory is the edit's. CPU
seconds are those of the edit alone, of all threads. "over" is the peak minus the decoded photograph's bytes:
Python, the libraries and the model are in it. "px" is how many pixels are selected.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from benching import own_peak, parser, print_header, print_row
from numpy.typing import NDArray
from same_pictures import ROOT, tree_of

from glide_edit import Editor, Inpaint, Remove, open_picture
from masks import Mask

PHOTOGRAPHS = {
    "1": (816, 1224),
    "12": (3000, 4000),
    "24": (4000, 6000),
    "100": (8160, 12240),
    "12000x1000": (1000, 12000),
}
"""(height, width) by name: megapixels, or width x height."""

OPERATIONS = {"inpaint": Inpaint, "remove": Remove}
GIB = 2**30


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """Soft shapes of all sizes with grain, uint8 (H, W, 3)."""
    random = np.random.default_rng(0)
    soft = random.integers(40, 215, (max(2, height // 90), max(2, width // 90), 3), dtype=np.uint8)
    pixels = np.asarray(cv2.resize(soft, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    grain = random.integers(0, 9, (256, width, 3), dtype=np.uint8)
    for top in range(0, height, 256):
        pixels[top : top + 256] += grain[: height - top]
    return pixels


def selection(name: str, height: int, width: int) -> NDArray[np.uint8]:
    """uint8 (H, W), 255 where selected."""
    drawn = np.zeros((height, width), np.uint8)
    middle = width // 2, height // 2
    if name == "dot":
        cv2.circle(drawn, middle, 10, 255, -1)
    elif name == "wire":
        across = np.linspace(0, width - 1, 9)
        heights = height * np.array([0.3, 0.42, 0.5, 0.55, 0.57, 0.56, 0.5, 0.42, 0.3])
        cv2.polylines(drawn, [np.stack([across, heights], 1).astype(np.int32)], False, 255, 9)
    elif name == "strip":
        drawn[middle[1] - 20 : middle[1] + 20] = 255
    elif name == "disc":
        cv2.circle(drawn, middle, min(600, middle[0], middle[1]), 255, -1)
    else:
        drawn[:, : middle[0]] = 255
    return drawn


SELECTIONS = ("dot", "wire", "strip", "disc", "half")


def once(operation: str, selected: str, size: str) -> dict[str, Any]:
    """Edit in this process, and what it cost."""
    height, width = PHOTOGRAPHS[size]
    mask = Mask(selection(selected, height, width) > 0)
    editor = Editor.load("toybox", "cpu", tune_process=True)
    torch.set_num_threads(1)  # so that CPU seconds are work, not waiting
    cv2.setNumThreads(1)
    source = open_picture(photograph(height, width))
    request = OPERATIONS[operation](image=source, mask=mask)
    before = cpu_seconds()
    result = editor.run(request)
    assert result.receipts[0].kept
    return {
        "cpu": cpu_seconds() - before,
        "over": own_peak() - source.pixels.nbytes / GIB,
        "pixels": mask.count,
        "frames": len(editor.plan(request).frames),
        "calls": editor.plan(request).network_calls,
    }


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measured(tree: Path, *case: str) -> dict[str, Any]:
    """The case with the package of a tree, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, __file__, "--once", *case]
    child = subprocess.run(command, env=environment, cwd=tree, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def main() -> None:
    options = parser("area", __doc__)
    options.add_argument("--against", metavar="COMMIT", help="a commit, or a folder with its tree")
    options.add_argument("--selections", nargs="+", choices=SELECTIONS, default=SELECTIONS)
    options.add_argument("--photographs", nargs="+", choices=PHOTOGRAPHS, default=list(PHOTOGRAPHS))
    options.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS))
    options.add_argument("--once", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.once:
        print(json.dumps(once(*given.once)))
        return
    compared = ["CPU s before", "ratio", "over before, GiB", "ratio"] if given.against else []
    names = ["operation", "selection", "photograph", "px", "frames", "calls", "CPU s", "over, GiB"]
    print_header(names + compared)
    with tree_of(given.against) if given.against else nullcontext(None) as old_tree:
        for operation in given.operations:
            for size in given.photographs:
                for selected in given.selections:
                    case = operation, selected, size
                    new = measured(ROOT, *case)
                    cells = [*case, new["pixels"], new["frames"], new["calls"]]
                    cells += [f"{new['cpu']:.1f}", f"{new['over']:.2f}"]
                    if old_tree is not None:
                        old = measured(old_tree, *case)
                        for key, form in (("cpu", ".1f"), ("over", ".2f")):
                            cells += [f"{old[key]:{form}}", f"{new[key] / old[key]:.2f}"]
                    print_row(cells)


if __name__ == "__main__":
    main()

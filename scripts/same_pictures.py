"""Show that a change of the code changed no picture: run a fixed list of edits and hash what they give.

    scripts/bench same > hashes.jsonl           the hashes of this tree's pictures, one JSON object a line
    scripts/bench same --against COMMIT         run them with that commit's code as well, and compare
    scripts/bench same --against COMMIT --only inpaint remove
    scripts/bench same --against COMMIT --keep FOLDER       from the second time on, run this tree's only

Edits are in same_items.py and use public names only, so that both trees run the same file. Both run at the
same time, with as many threads each: pictures are the same byte for byte only on one machine with the same
threads. Exits with 1 where any picture differs, or is missing on one side.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
RECORD = "record.json"


# -- in a child process, with the package of the tree it was started for ------------------------------------


def write_models(folder: Path) -> None:
    """Small random models by the helpers of the tree's own tests, saved so that both trees load the same."""
    import pytest

    from glide_edit.models import glide

    # Other packages have installed a "tests" of their own.
    sys.modules["tests"] = ModuleType("tests")
    sys.modules["tests"].__path__ = [str(Path(os.environ["PYTHONPATH"], "tests"))]
    from tests.glide_edit import clips, tiny_glide
    from tests.glide_edit.operations import stand_ins

    stand_ins.write_tiny(folder / "tiny")
    clips.write_open_clip(folder / "open_clip")
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as home:
        tiny_glide.shrink(patch, Path(home))
        released = tiny_glide.write(Path(home, "released"))
        for part in glide.PARTS:
            glide.fetch_part(part, source=released)
        shutil.move(Path(home, "models/glide"), folder / "glide")


def write_pictures(folder: Path, models: Path, only: list[str]) -> None:
    """Run the items; write each picture as a .npy file, and a record of names, hashes and seconds."""
    import same_inputs
    import same_items  # noqa: F401  fills same_inputs.ITEMS

    import glide_edit

    tree = Path(glide_edit.__file__).parents[1]
    assert str(tree) == os.environ["PYTHONPATH"], f"glide_edit came from {tree}"
    bench = same_inputs.Bench(models)
    items = {name: run for name, run in same_inputs.ITEMS.items() if wanted(name, only)}
    record: dict[str, Any] = {}
    for number, (name, run) in enumerate(items.items(), 1):
        began = time.perf_counter()
        try:
            pictures, error = run(bench), None
        except Exception as failure:  # one item that cannot be run must not hide the others
            pictures, error = {}, f"{type(failure).__name__}: {failure}"
        seconds = time.perf_counter() - began
        hashes = {}
        for index, (key, pixels) in enumerate(sorted(pictures.items())):
            hashes[key] = {"sha256": digest(pixels), "file": f"{number}-{index}.npy"}
            np.save(folder / f"{number}-{index}.npy", pixels)
        record[name] = {"seconds": seconds, "error": error, "pictures": hashes}
        print(f"{number}/{len(items)} {name}  {seconds:.1f} s {error or ''}", file=sys.stderr, flush=True)
        (folder / RECORD).write_text(json.dumps(record), encoding="utf-8")


def wanted(name: str, only: list[str]) -> bool:
    return not only or name.startswith("input ") or any(part in name for part in only)


def digest(pixels: NDArray[Any]) -> str:
    described = f"{pixels.shape} {pixels.dtype}".encode()
    return sha256(described + np.ascontiguousarray(pixels).tobytes()).hexdigest()


# -- in the process that compares ---------------------------------------------------------------------------


def start(tree: Path, threads: int, *arguments: str | Path, quiet: bool = False) -> subprocess.Popen[bytes]:
    """This script in a child process that imports glide_edit from ``tree``."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        env=environment,
        cwd=tree,
        stderr=subprocess.DEVNULL if quiet else None,
    )


def finish(*children: subprocess.Popen[bytes]) -> None:
    for child in children:
        if child.wait() != 0:
            raise SystemExit(f"A run failed (exit status {child.returncode}).")


@contextmanager
def tree_of(commit: str) -> Iterator[Path]:
    """A temporary work tree of ``commit``, or a folder that holds one."""
    if Path(commit, "glide_edit").is_dir():
        yield Path(commit).resolve()
        return
    git = ["git", "-C", str(ROOT), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder).resolve() / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), commit], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


@dataclass(frozen=True)
class Side:
    """What one tree gave."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Side:
        return cls(folder, json.loads((folder / RECORD).read_text(encoding="utf-8")))

    def pixels(self, item: str, key: str) -> NDArray[Any]:
        pixels: NDArray[Any] = np.load(self.folder / self.record[item]["pictures"][key]["file"])
        return pixels

    def lines(self) -> list[str]:
        """One JSON object for each picture, sorted by name."""
        hashes = {
            f"{item}: {key}": each["sha256"]
            for item, found in self.record.items()
            for key, each in found["pictures"].items()
        }
        return [json.dumps({"name": name, "sha256": hashes[name]}) for name in sorted(hashes)]


def verdict(old: Side, new: Side, item: str) -> str:
    """ "equal", or the pictures that differ and by how many levels."""
    for name, side in (("old", old), ("new", new)):
        if error := side.record[item]["error"]:
            return f"FAILED ({name}): {error}"
    before, after = old.record[item]["pictures"], new.record[item]["pictures"]
    found = [f"{key} missing" for key in sorted(before.keys() ^ after.keys())]
    for key in sorted(before.keys() & after.keys()):
        if before[key]["sha256"] == after[key]["sha256"]:
            continue
        a, b = old.pixels(item, key), new.pixels(item, key)
        if a.shape != b.shape or a.dtype != b.dtype:
            found.append(f"{key}: {a.shape} {a.dtype} became {b.shape} {b.dtype}")
            continue
        apart = np.abs(a.astype(np.int64) - b.astype(np.int64))
        found.append(f"{key}: up to {apart.max()} levels, {(apart > 0).mean():.1%} of the values")
    if not found:
        return "equal"
    return f"DIFFERS in {len(found)} of {len(before.keys() | after.keys())}: " + "; ".join(found[:3])


def compare(old: Side, new: Side) -> int:
    """Print a line for each item; how many are not equal."""
    different = 0
    width = max(map(len, new.record))
    print(f"{'edit':{width}}  pictures   old s   new s  ratio")
    for item in new.record:
        said = verdict(old, new, item)
        different += said != "equal"
        before, after = (side.record[item]["seconds"] for side in (old, new))
        count = len(new.record[item]["pictures"])
        print(f"{item:{width}}  {count:8}  {before:6.2f}  {after:6.2f}  {after / before:5.2f}  {said}")
    before, after = (sum(each["seconds"] for each in side.record.values()) for side in (old, new))
    pictures = sum(len(each["pictures"]) for each in new.record.values())
    print(f"{'all':{width}}  {pictures:8}  {before:6.1f}  {after:6.1f}  {after / before:5.2f}")
    equal = len(new.record) - different
    print(f"{equal} of {len(new.record)} edits give the same pictures, {different} do not.")
    return different


def main() -> None:
    parser = argparse.ArgumentParser(
        "scripts/bench same", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--against", "--old", metavar="COMMIT", help="a commit, or a folder with its tree")
    parser.add_argument("--only", nargs="+", default=[], help="edits whose name contains one of these")
    parser.add_argument("--threads", type=int, default=1, help="of each of the two runs")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep the pictures here, as .npy")
    parser.add_argument("--quiet", action="store_true", help="do not say which edit is at work")
    parser.add_argument("--write-models", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--write-pictures", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write_models:
        write_models(given.write_models)
    elif given.write_pictures:
        folder, models = given.write_pictures
        write_pictures(folder, models, given.only)
    else:
        run(given)


def run(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as temporary, tree_of(given.against or str(ROOT)) as old_tree:
        folder = given.keep or Path(temporary)
        models, old, new = (folder.resolve() / name for name in ("models", "old", "new"))
        kept = folder / "origin.txt"
        origin = describe(old_tree, given) if given.against else ""
        old_is_there = origin and kept.is_file() and kept.read_text(encoding="utf-8") == origin
        for each in (new,) if old_is_there else (models, old, new):
            shutil.rmtree(each, ignore_errors=True)
            each.mkdir(parents=True)
        began = time.perf_counter()
        if not old_is_there:
            kept.unlink(missing_ok=True)
            finish(start(old_tree, given.threads, "--write-models", models))
        only = ["--only", *given.only] if given.only else []
        runs = [start(ROOT, given.threads, "--write-pictures", new, models, *only, quiet=given.quiet)]
        if given.against and not old_is_there:
            runs.append(start(old_tree, given.threads, "--write-pictures", old, models, *only, quiet=True))
        finish(*runs)
        if not given.against:
            print("\n".join(Side.read(new).lines()))
            return
        kept.write_text(origin, encoding="utf-8")
        different = compare(Side.read(old), Side.read(new))
        if old_is_there:
            print("The old pictures, and their seconds, are those of an earlier run.")
        print(f"{time.perf_counter() - began:.0f} s; threads of each run: {given.threads}")
    sys.exit(1 if different else 0)


def describe(tree: Path, given: argparse.Namespace) -> str:
    """What the old pictures depend on: if it is the same, they need not be made again. "" if not known."""
    git = ["git", "-C", str(tree)]
    commit, changes = (
        subprocess.run([*git, *command], capture_output=True, text=True)
        for command in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
    )
    if commit.returncode or changes.returncode or changes.stdout:
        return ""
    files = (Path(__file__).with_name(name) for name in ("same_inputs.py", "same_items.py"))
    items = sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    return f"{commit.stdout.strip()} {items} {given.threads} {sorted(given.only)}"


if __name__ == "__main__":
    main()

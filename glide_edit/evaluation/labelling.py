"""How often the verifier agrees with a person about generated pictures.

``python -m glide_edit.evaluation.labelling draw DIR`` draws pictures, none picked, and numbered sheets of
them without prompts. A person writes what they show into DIR/labels.csv, and ``... labelling score DIR`` says
how often the verifier sees the same. The pictures are kept without loss, for other verifiers later.

Labels are ``red ball; blue cube`` for what is on picture ``number``, ``-`` for nothing, ``?`` for what cannot
be told, which is left out; empty is not labelled yet.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.drawing import Pictures, draw
from glide_edit.evaluation.judging import Wanted
from glide_edit.evaluation.prompts import questions
from glide_edit.evaluation.report import Tile, contact_sheet
from glide_edit.evaluation.verifier import Verifier
from glide_edit.images import open_picture, save_picture, write_atomically
from glide_edit.models.model import Model

KINDS = ("one", "two", "count")
"""Kinds of question that are drawn, in turn."""

PICTURES, LABELS, ABOUT = "pictures.webp", "labels.csv", "about.json"

_ACROSS = 8
_SHEET = 30  # pictures on a sheet that a person reads
_SHOWN = 192  # px


@dataclass(frozen=True)
class Agreement:
    """Of ``objects`` on ``pictures`` that a person could name: the shares that the verifier sees with the
    same kind, and with kind and colour; and the surplus objects that it sees, a picture."""

    pictures: int
    objects: int
    kind: float
    colour: float
    too_many: float


def draw_pictures(model: Model, folder: Path, count: int, seed: int = 0) -> None:
    """Write ``count`` pictures of the base network, their sheets, and labels to be filled in. Raises
    InputError where the model cannot draw, for a count below 1, or a folder that holds labels already."""
    if count < 1:
        raise InputError(f"One picture or more can be labelled, not {count}.")
    if (folder / LABELS).exists():
        raise InputError(f"{folder} holds labels already: name another folder.")
    each = -(-count // len(KINDS))
    in_turn = zip(*(questions(kind, each) for kind in KINDS), strict=True)
    prompts = [question.prompt for group in in_turn for question in group][:count]
    pictures = np.concatenate(list(draw(model, prompts, range(seed, seed + count), size="base")))
    folder.mkdir(parents=True, exist_ok=True)
    save_picture(_grid(pictures), folder / PICTURES, force=True)
    for start in range(0, count, _SHEET):
        tiles = [Tile((pictures[k],), str(k + 1)) for k in range(start, min(start + _SHEET, count))]
        sheet = contact_sheet(tiles, across=6, size=_SHOWN)
        save_picture(sheet, folder / f"sheet-{start // _SHEET + 1}.png", force=True)
    about = {"model": model.label, "count": count, "pixels": pictures.shape[1], "seed": seed, "kinds": KINDS}
    write_atomically(folder / ABOUT, f"{json.dumps(about)}\n".encode(), force=True)
    lines = ["number,objects", *(f"{k + 1}," for k in range(count))]
    write_atomically(folder / LABELS, ("\n".join(lines) + "\n").encode(), force=False)


def read_pictures(folder: Path) -> Pictures:
    """The pictures of a folder, uint8 (N, S, S, 3)."""
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    grid, side = open_picture(folder / PICTURES).pixels, about["pixels"]
    rows = grid.reshape(-1, side, _ACROSS, side, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(-1, side, side, 3)[: about["count"]])


def read_labels(path: Path) -> dict[int, tuple[Wanted, ...]]:
    """The objects that a person named, by the picture's number from 1. Raises InputError for a line that is
    not a number and objects, or a word that the toybox lacks."""
    labels = {}
    for line in list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))[1:]:
        if len(line) != 2 or not line[0].isdigit():
            raise InputError(
                f"{path}: {','.join(line)!r} is not a number and objects, as in 3,red ball; blue cube."
            )
        text = line[1].strip()
        if text in ("", "?"):
            continue
        named = [] if text == "-" else text.split(";")
        labels[int(line[0])] = tuple(_wanted(path, words) for words in named)
    return labels


def agreement(verifier: Verifier, pictures: Pictures, labels: dict[int, tuple[Wanted, ...]]) -> Agreement:
    """The verifier's answers compared with the labels. Raises InputError without a label that names an
    object, or for one of a picture that is not there."""
    if not any(labels.values()) or max(labels) > len(pictures):
        raise InputError(f"Labels are needed of objects on pictures 1 to {len(pictures)}.")
    numbers = sorted(labels)
    kind = colour = too_many = 0
    for number, seen in zip(numbers, verifier.see(pictures[[n - 1 for n in numbers]]), strict=True):
        true, found = ([(each.kind, each.colour) for each in some] for some in (labels[number], seen.objects))
        kind += (Counter(each[0] for each in true) & Counter(each[0] for each in found)).total()
        colour += (Counter(true) & Counter(found)).total()
        too_many += max(0, len(found) - len(true))
    objects = sum(map(len, labels.values()))
    return Agreement(len(numbers), objects, kind / objects, colour / objects, too_many / len(numbers))


def _wanted(path: Path, words: str) -> Wanted:
    parts = words.split()
    if len(parts) != 2:
        raise InputError(f"{path}: {words.strip()!r} is not a colour and kind, as in red ball.")
    return Wanted(parts[1], parts[0])


def _grid(pictures: Pictures) -> NDArray[np.uint8]:
    """As one picture, ``_ACROSS`` in a row; ``read_pictures`` takes it apart."""
    count, side = pictures.shape[:2]
    whole = np.concatenate([pictures, np.zeros((-count % _ACROSS, side, side, 3), np.uint8)])
    rows = whole.reshape(-1, _ACROSS, side, side, 3).swapaxes(1, 2)
    return np.ascontiguousarray(rows.reshape(-1, _ACROSS * side, 3))


def main() -> None:
    parser = argparse.ArgumentParser("python -m glide_edit.evaluation.labelling")
    parser.add_argument("what", choices=("draw", "score"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--count", type=int, default=87)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    try:
        if given.what == "draw":
            from glide_edit.models import load_model, resolve

            draw_pictures(load_model(resolve(given.model)), given.folder, given.count, given.seed)
        else:
            labels = read_labels(given.folder / LABELS)
            print(agreement(Verifier.load(), read_pictures(given.folder), labels))
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()

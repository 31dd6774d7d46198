"""How often the verifier is right, on renders that nothing was trained on.

``python -m glide_edit.evaluation.accuracy`` renders them and prints the tables of docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.corruptions import TESTED
from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED, LabelledRenders, render_folder
from glide_edit.evaluation.seen import Seen, SeenObject, overlap
from glide_edit.evaluation.verifier import WORDS, Verifier

VISIBLE_SHARE = 0.4
VISIBLE_AREA = 0.008
"""An object counts where this much of its silhouette is uncovered and it fills this much of the picture."""

_SOFT = "64 px, enlarged"
_FOUND = 0.3  # overlap of a seen box with the true one from which it is about that object


@dataclass(frozen=True)
class Accuracy:
    """Shares of the visible objects: ``found`` at their place, and there with their ``kind``, ``colour``
    (of any kind) and ``material`` right; ``place``: box overlaps the true one by half or more. ``middle`` is
    the median distance of the boxes' middles, in pictures. ``false`` is objects seen where none is, a
    picture. ``ground`` and ``light`` are shares of the pictures; ``whole``: of those whose objects are all
    visible, with every object's kind and colour right and none too many."""

    objects: int
    found: float
    kind: float
    colour: float
    material: float
    place: float
    middle: float
    false: float
    ground: float
    light: float
    whole: float


def visible(truth: LabelledRenders) -> NDArray[np.bool_]:
    """(N, 4): the objects that count."""
    return (truth.kind >= 0) & (truth.share >= VISIBLE_SHARE) & (truth.area >= VISIBLE_AREA)


def measure(seen: list[Seen], truth: LabelledRenders) -> Accuracy:
    """What was seen on the pictures held against the truth; one picture or more with visible objects."""
    counts = visible(truth)
    matches = [match(each, truth, n) for n, each in enumerate(seen)]
    rows = []
    for n, k in np.argwhere(counts).tolist():
        one = matches[n].get(k)
        right = _right(one, truth, n, k) if one else (False, False, False)
        near = overlap(one.box, tuple(truth.box[n, k])) if one else 0.0
        away = _apart(one.box, truth.box[n, k]) if one else np.nan
        rows.append((one is not None, *right, near >= 0.5, away))
    shares = np.array(rows, np.float64)
    found, kind, colour, material, place = (float(value) for value in shares[:, :5].mean(0))
    pictures = list(zip(seen, matches, truth.ground, truth.light, strict=True))
    return Accuracy(
        objects=len(rows),
        found=found,
        kind=kind,
        colour=colour,
        material=material,
        place=place,
        middle=float(np.nanmedian(shares[:, 5])),
        false=float(np.mean([len(each.objects) - len(matched) for each, matched, _, _ in pictures])),
        ground=float(np.mean([each.ground == WORDS["grounds"][ground] for each, _, ground, _ in pictures])),
        light=float(np.mean([each.light == WORDS["lights"][light] for each, _, _, light in pictures])),
        whole=_whole(seen, truth, matches, counts),
    )


def match(seen: Seen, truth: LabelledRenders, n: int) -> dict[int, SeenObject]:
    """Which object of picture n each seen one is about: the closest boxes first, each used once."""
    true = [k for k in range(truth.kind.shape[1]) if truth.kind[n, k] >= 0 and truth.area[n, k] > 0]
    pairs = [(overlap(found.box, tuple(truth.box[n, k])), k, found) for k in true for found in seen.objects]
    matched: dict[int, SeenObject] = {}
    for near, k, found in sorted(pairs, key=lambda pair: -pair[0]):
        if near >= _FOUND and k not in matched and all(found is not other for other in matched.values()):
            matched[k] = found
    return matched


def confusions(seen: list[Seen], truth: LabelledRenders, what: str, least: int = 2) -> list[str]:
    """Lines such as "cube for house: 4", the most frequent first; ``what`` is kind, colour or material."""
    words = WORDS[f"{what}s"]
    wrong: dict[tuple[str, str], int] = {}
    for n, k in np.argwhere(visible(truth)).tolist():
        found = match(seen[n], truth, n).get(k)
        if found is not None and (said := getattr(found, what)) != (
            true := words[getattr(truth, what)[n, k]]
        ):
            wrong[said, true] = wrong.get((said, true), 0) + 1
    order = sorted(wrong.items(), key=lambda item: -item[1])
    return [f"{said} for {true}: {times}" for (said, true), times in order if times >= least]


def boxed(verifier: Verifier, truth: LabelledRenders) -> dict[str, float]:
    """Shares of the visible objects that are named rightly when the verifier is given only their boxes: the
    object seen whose box is nearest the given one."""
    right: list[tuple[bool, bool, bool]] = []
    chosen = np.argwhere(visible(truth))
    boxes = np.stack([truth.box[n, k] for n, k in chosen])
    for (n, k), box, seen in zip(
        chosen.tolist(), boxes, verifier.see(truth.pictures[chosen[:, 0]], boxes), strict=True
    ):
        nearest = max(seen.objects, key=lambda one: overlap(one.box, tuple(box)), default=None)
        right.append(_right(nearest, truth, n, k) if nearest else (False, False, False))
    return dict(zip(("kind", "colour", "material"), np.mean(right, axis=0).tolist(), strict=True))


def corrupted(
    pictures: NDArray[np.uint8], change: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Every picture changed, with a generator of its own."""
    return np.stack([change(picture, np.random.default_rng([7, n])) for n, picture in enumerate(pictures)])


def _right(found: SeenObject, truth: LabelledRenders, n: int, k: int) -> tuple[bool, bool, bool]:
    kind = WORDS["kinds"][truth.kind[n, k]] == found.kind
    colour = WORDS["colours"][truth.colour[n, k]] == found.colour
    return kind, colour, WORDS["materials"][truth.material[n, k]] == found.material


def _apart(a: tuple[float, ...], b: NDArray[np.float32]) -> float:
    return float(np.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2)


def _whole(
    seen: list[Seen],
    truth: LabelledRenders,
    matches: list[dict[int, SeenObject]],
    counts: NDArray[np.bool_],
) -> float:
    clear = np.flatnonzero((counts == (truth.kind >= 0)).all(1))
    right = []
    for n in clear.tolist():
        true = np.flatnonzero(truth.kind[n] >= 0).tolist()
        right.append(
            len(seen[n].objects) == len(true) == len(matches[n])
            and all(all(_right(matches[n][k], truth, n, k)[:2]) for k in true)
        )
    return float(np.mean(right)) if right else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser("python -m glide_edit.evaluation.accuracy")
    parser.add_argument("--renders", type=Path, required=True, help="a folder to keep the renders in")
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--verifier", type=Path, help="a folder; the one that ships without")
    given = parser.parse_args()
    verifier = Verifier.load(given.verifier) if given.verifier else Verifier.load()
    truth = render_folder(given.renders, given.count, 128, FIRST_UNSEEN_SEED)
    names = [field.name for field in fields(Accuracy)]
    print("|".join(["", "pictures", *names, ""]))
    print("|".join(["", *["---"] * (len(names) + 1), ""]))
    for name, change in TESTED.items():
        seen = verifier.see(corrupted(truth.pictures, change))
        print(
            "|".join(["", name, *(f"{value:.4g}" for value in vars(measure(seen, truth)).values()), ""]),
            flush=True,
        )
    seen = verifier.see(corrupted(truth.pictures, TESTED[_SOFT]))
    for what in ("kind", "colour", "material"):
        print(f"{what}, {_SOFT}: {'; '.join(confusions(seen, truth, what)) or 'no confusion twice'}")
    print("in boxes:", {name: f"{value:.4g}" for name, value in boxed(verifier, truth).items()})


if __name__ == "__main__":
    main()

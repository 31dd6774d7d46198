"""How often the verifier is right, on renders that nothing was trained on.

``python -m glide_edit.evaluation.accuracy`` renders them and prints the tables of docs/evaluation.md.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glide_edit.evaluation.corruptions import CORRUPTIONS
from glide_edit.evaluation.renders import FIRST_UNSEEN_SEED, LabelledRenders, render_folder
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seen import Seen, SeenObject, nearest, overlap
from glide_edit.evaluation.verifier import SHIPPED, WORDS, Verifier

VISIBLE_SHARE = 0.4
VISIBLE_AREA = 0.008
"""An object counts where this much of its silhouette is uncovered and it fills this much of the picture."""

_SOFT = "64 px, enlarged"
_FOUND = 0.3  # least overlap of a seen box with the true one for the two to be matched


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
    """What was seen on the pictures compared with the truth; one picture or more with visible objects."""
    counts = visible(truth)
    matches = [match(each, truth, n) for n, each in enumerate(seen)]
    rows = []
    for n, k in np.argwhere(counts).tolist():
        box, found = truth.box[n, k], matches[n].get(k)
        near = overlap(found.box, tuple(box)) if found else 0.0
        away = np.add(found.box, -box).reshape(2, 2).sum(0) / 2 if found else (np.nan, np.nan)
        rows.append((found is not None, *_right(found, truth, n, k), near >= 0.5, np.hypot(*away)))
    shares = np.array(rows, np.float64)
    whole = []
    for n in np.flatnonzero((counts == (truth.kind >= 0)).all(1)).tolist():
        true = np.flatnonzero(truth.kind[n] >= 0).tolist()
        complete = len(seen[n].objects) == len(true) == len(matches[n])
        whole.append(complete and all(all(_right(matches[n][k], truth, n, k)[:2]) for k in true))
    return Accuracy(
        objects=len(rows),
        **dict(zip(("found", "kind", "colour", "material", "place"), shares[:, :5].mean(0), strict=True)),
        middle=float(np.nanmedian(shares[:, 5])),
        false=float(np.mean([len(each.objects) - len(own) for each, own in zip(seen, matches, strict=True)])),
        ground=float(np.mean([each.ground for each in seen] == np.take(WORDS["grounds"], truth.ground))),
        light=float(np.mean([each.light for each in seen] == np.take(WORDS["lights"], truth.light))),
        whole=float(np.mean(whole)) if whole else float("nan"),
    )


def match(seen: Seen, truth: LabelledRenders, n: int) -> dict[int, SeenObject]:
    """The seen object of each true one of picture n: the closest boxes first, each used once."""
    true = [k for k in range(truth.kind.shape[1]) if truth.kind[n, k] >= 0 and truth.area[n, k] > 0]
    pairs = [(overlap(found.box, tuple(truth.box[n, k])), k, found) for k in true for found in seen.objects]
    matched: dict[int, SeenObject] = {}
    for near, k, found in sorted(pairs, key=lambda pair: -pair[0]):
        if near >= _FOUND and k not in matched and all(found is not other for other in matched.values()):
            matched[k] = found
    return matched


def confusions(seen: list[Seen], truth: LabelledRenders, what: str, least: int = 2) -> list[str]:
    """Lines such as "cube for house: 4", the most frequent first; ``what`` is kind, colour or material."""
    wrong: Counter[tuple[str, str]] = Counter()
    for n, k in np.argwhere(visible(truth)).tolist():
        found, true = match(seen[n], truth, n).get(k), WORDS[f"{what}s"][getattr(truth, what)[n, k]]
        if found is not None and (said := getattr(found, what)) != true:
            wrong[said, true] += 1
    return [f"{said} for {true}: {times}" for (said, true), times in wrong.most_common() if times >= least]


def boxed(verifier: Verifier, truth: LabelledRenders) -> dict[str, float]:
    """Shares of the visible objects that are named rightly when the verifier is given only their boxes."""
    chosen = np.argwhere(visible(truth))
    boxes = truth.box[chosen[:, 0], chosen[:, 1]]
    seen = verifier.see(truth.pictures[chosen[:, 0]], boxes)
    found = [nearest(each, box) for each, box in zip(seen, boxes, strict=True)]
    right = [_right(each, truth, n, k) for each, (n, k) in zip(found, chosen.tolist(), strict=True)]
    return dict(zip(("kind", "colour", "material"), np.mean(right, axis=0).tolist(), strict=True))


def corrupted(
    pictures: NDArray[np.uint8], change: Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """Every picture changed, with a generator of its own."""
    return np.stack([change(picture, np.random.default_rng([7, n])) for n, picture in enumerate(pictures)])


def _right(found: SeenObject | None, truth: LabelledRenders, n: int, k: int) -> tuple[bool, bool, bool]:
    """Whether kind, colour and material are true of object k of picture n."""
    kind, colour, material = (
        found is not None and getattr(found, what) == WORDS[f"{what}s"][getattr(truth, what)[n, k]]
        for what in ("kind", "colour", "material")
    )
    return kind, colour, material


def main() -> None:
    parser = argparse.ArgumentParser("python -m glide_edit.evaluation.accuracy")
    parser.add_argument("--renders", type=Path, required=True, help="a folder to keep the renders in")
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--verifier", type=Path, default=SHIPPED, help="a folder; the one that ships without")
    given = parser.parse_args()
    verifier = Verifier.load(given.verifier)
    truth = render_folder(given.renders, given.count, 128, FIRST_UNSEEN_SEED)
    seen = {name: verifier.see(corrupted(truth.pictures, change)) for name, change in CORRUPTIONS.items()}
    found = {name: asdict(measure(each, truth)) for name, each in seen.items()}
    rows = tuple((name, *each.values()) for name, each in found.items())
    print(Table("accuracy", ("pictures", *found[_SOFT]), rows).to_markdown())
    for what in ("kind", "colour", "material"):
        confused = "; ".join(confusions(seen[_SOFT], truth, what))
        print(f"{what}, {_SOFT}: {confused or 'no confusion twice'}")
    print("in boxes:", {name: f"{value:.4g}" for name, value in boxed(verifier, truth).items()})


if __name__ == "__main__":
    main()

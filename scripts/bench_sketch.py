"""The ways of following a drawing, on unseen toybox drawings with a stroke of colour in each toy.

    scripts/bench sketch [--model NAME|FOLDER] [--count N] [--ways MODE[@STRENGTH],...]

"plain" is by the lines of the same drawing without the strokes of colour. All ways get the same drawings,
prompts and noise. "kind" is the share of the drawn toys whose kind the verifier sees at their place, "colour"
that of the toys drawn in a colour that are seen in it, "overlap" the median overlap of silhouettes with the
drawn ones, as the sketch bench has them; "real" is what renders of the scenes get.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seen import overlap
from glide_edit.evaluation.sketch_bench import PIXELS, SketchItem, silhouette_overlaps, sketch_items
from glide_edit.evaluation.verifier import Verifier
from glide_edit.images import open_picture, to_uint8
from glide_edit.toybox import COLOURS

WAYS = "plain,lines,tone@0.5,both@0.3,both@0.5,both@0.7"

Image = NDArray[np.uint8]


@dataclass
class Tally:
    kinds: list[bool]
    colours: list[bool]
    overlaps: list[float]

    def add(self, picture: Image, item: SketchItem, verifier: Verifier) -> None:
        """Judge one picture, (H, W, 3)."""
        image = np.asarray(cv2.resize(picture, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC), np.uint8)
        boxes = np.array([item.rendering.boxes[k] for k in item.counted]) / PIXELS
        seen = verifier.see(np.repeat(image[None], len(boxes), 0), boxes)
        for k, box, each in zip(item.counted, boxes, seen, strict=True):
            toy = item.scene.toys[k]
            best = max(each.objects, key=lambda found: overlap(found.box, tuple(box)), default=None)
            self.kinds.append(best is not None and best.kind == toy.kind)
            if toy.colour not in ("white", "black", "gray"):
                self.colours.append(best is not None and best.colour == toy.colour)
        self.overlaps += silhouette_overlaps(image, item)

    def row(self, name: str) -> tuple[str | float, ...]:
        return (
            name,
            float(np.mean(self.kinds)),
            float(np.mean(self.colours)),
            float(np.median(self.overlaps)),
        )


def scribbled(item: SketchItem) -> Image:
    """The drawing with a zigzag of each toy's colour in the middle of its largest part."""
    sheet = item.drawing.pixels.copy()
    lines = cv2.dilate((sheet[..., 0] < 128).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    for k, toy in enumerate(item.scene.toys):
        inside = (item.rendering.visible == k) & ~lines
        depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        reach = max(3, int(0.6 * depth.max()))
        zigzag = [(x - reach + i * 2 * reach // 6, y + (-1) ** i * reach // 2) for i in range(7)]
        colour = tuple(round(255 * channel) for channel in COLOURS[toy.colour])
        cv2.polylines(sheet, [np.array(zigzag, np.int32)], False, colour, 3)
    return np.asarray(sheet, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--ways", default=WAYS)
    options = parser.parse_args()
    editor, verifier = Editor.load(options.model), Verifier.load()
    tallies = {way: Tally([], [], []) for way in ["real", *options.ways.split(",")]}
    for item in sketch_items(options.count):
        tallies["real"].add(item.rendering.image, item, verifier)
        drawing = open_picture(scribbled(item))
        for way in options.ways.split(","):
            mode, _, strength = way.partition("@")
            settings = {"mode": mode, "seed": item.index} | (
                {"strength": float(strength)} if strength else {}
            )
            if mode == "plain":
                result = editor.sketch(item.drawing, item.prompt, mode="lines", seed=item.index)
            else:
                result = editor.sketch(drawing, item.prompt, **settings)
            tallies[way].add(to_uint8(result.pictures[0].pixels), item, verifier)
        print(f"{item.index + 1} of {options.count}", flush=True)
    header = ("way", "kind", "colour", "overlap")
    table = Table("ways", header, tuple(tally.row(way) for way, tally in tallies.items()))
    print(f"\n{options.count} drawings, {len(tallies['real'].kinds)} toys\n\n{table.to_markdown()}")


if __name__ == "__main__":
    main()

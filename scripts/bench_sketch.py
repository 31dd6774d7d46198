"""The ways of following a drawing, on unseen toybox drawings with a stroke of colour in each toy.

    scripts/bench sketch [--model NAME|FOLDER] [--count N] [--ways MODE[@STRENGTH],...]

"plain" follows the lines of the same drawing without the strokes of colour. All ways get the same drawings,
prompts and noise. "kind" is the share of the drawn toys whose kind the verifier sees at their place, "colour"
that of the toys drawn in a colour that are seen in it, "overlap" the median overlap of silhouettes with the
drawn ones, as in the sketch bench; "real" is what renders of the scenes get.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from benching import parser
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seen import nearest
from glide_edit.evaluation.sketch_bench import PIXELS, SketchItem, silhouette_overlaps, sketch_items
from glide_edit.evaluation.verifier import Verifier
from glide_edit.images import open_picture, to_uint8
from glide_edit.toybox import COLOURS

WAYS = "plain,lines,tone@0.5,both@0.3,both@0.5,both@0.7"

Image = NDArray[np.uint8]


@dataclass
class Scores:
    """Of the pictures drawn in one way, a value for each toy."""

    kind: list[bool] = field(default_factory=list)
    colour: list[bool] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)

    def add(self, picture: Image, item: SketchItem, verifier: Verifier) -> None:
        """Judge one picture, (H, W, 3)."""
        image = np.asarray(cv2.resize(picture, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC), np.uint8)
        boxes = np.array([item.rendering.boxes[k] for k in item.counted]) / PIXELS
        seen = verifier.see(np.repeat(image[None], len(boxes), 0), boxes)
        for k, box, each in zip(item.counted, boxes, seen, strict=True):
            toy, found = item.scene.toys[k], nearest(each, box)
            self.kind.append(found is not None and found.kind == toy.kind)
            if toy.colour not in ("white", "black", "gray"):
                self.colour.append(found is not None and found.colour == toy.colour)
        self.overlap += silhouette_overlaps(image, item)


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


def sketched(editor: Editor, item: SketchItem, way: str) -> Image:
    """The picture made of the item's drawing: "plain", or MODE or MODE@STRENGTH of the coloured one."""
    mode, _, strength = way.partition("@")
    settings = {"strength": float(strength)} if strength else {}
    drawing = item.drawing if mode == "plain" else open_picture(scribbled(item))
    mode = "lines" if mode == "plain" else mode
    result = editor.sketch(drawing, item.prompt, mode=mode, seed=item.index, **settings)
    return to_uint8(result.pictures[0].pixels)


def main() -> None:
    options = parser("sketch", __doc__)
    options.add_argument("--model", default="toybox")
    options.add_argument("--count", type=int, default=64)
    options.add_argument("--ways", default=WAYS)
    given = options.parse_args()
    editor, verifier, ways = Editor.load(given.model), Verifier.load(), given.ways.split(",")
    scores = {way: Scores() for way in ("real", *ways)}
    for item in sketch_items(given.count):
        scores["real"].add(item.rendering.image, item, verifier)
        for way in ways:
            scores[way].add(sketched(editor, item, way), item, verifier)
        print(f"{item.index + 1} of {given.count}", flush=True)
    rows = [
        (way, float(np.mean(each.kind)), float(np.mean(each.colour)), float(np.median(each.overlap)))
        for way, each in scores.items()
    ]
    table = Table("ways", ("way", "kind", "colour", "overlap"), tuple(rows))
    print(f"\n{given.count} drawings, {len(scores['real'].kind)} toys\n\n{table.to_markdown()}")


if __name__ == "__main__":
    main()

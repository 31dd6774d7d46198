"""Make the pictures of docs/gallery and docs/examples with the model that ships.

    scripts/gallery [NAME ...]      first, prompts, edits, drawings, photographs; without a name all of them

Prompts, masks, drawings and seeds are written in this file and in photographs.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import FIRST, PHOTOGRAPHS, PUT_IN, TAKEN_OUT
from skimage import data

from glide_edit import Editor, EditResult, save_picture
from glide_edit.evaluation.edit_bench import opencv_inpaint
from glide_edit.evaluation.report import Table, Tile, contact_sheet
from glide_edit.evaluation.seam import FEATURES, ring_features, sharpness_ratio
from glide_edit.toybox import describe_toy, render, sample_scene
from masks import Mask, shape

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "gallery"
EXAMPLES = ROOT / "docs" / "examples"
Pixels = NDArray[np.uint8]
WINDOW, WIDE_WINDOW = 240, 320
"""px; edits are shown in squares of this side, at 100 %, those of "photographs" in wide ones."""
SHOWN = "before, selection, glide-edit, OpenCV inpaint"

PROMPTS = (
    "a red ball on grass",
    "a blue car on sand",
    "a yellow mug on wood",
    "a purple house on snow",
    "a green mushroom on marble",
    "a pink snowman on snow",
    "an orange rocket on a checkered floor",
    "a black ring on sand",
    "a cyan cube on wood",
    "a white cone on grass",
    "a brown cylinder on marble",
    "a green tree on snow",
    "a shiny red car on a checkered floor",
    "a metal blue ball on wood",
    "a yellow house on grass at sunset",
    "a purple mushroom on sand at night",
    "a gray rocket on marble",
    "a blue snowman on snow at night",
    "a red mushroom on grass",
    "an orange cone on a checkered floor",
    "a red cube to the left of a blue ball on wood",
    "a green tree to the right of a yellow car on sand",
    "a pink mug and a purple ring on marble",
    "a white house and a red rocket on grass",
)
REPLACEMENTS = (
    "a red ball",
    "a blue cube",
    "a yellow house",
    "a green tree",
    "a purple car",
    "an orange mushroom",
)
SEED = 11


def prompts(editor: Editor) -> None:
    """24 prompts, one seed each, nothing picked."""
    made = [editor.generate(prompt, seed=SEED + k).pictures[0].pixels for k, prompt in enumerate(PROMPTS)]
    tiles = [Tile((pixels,), prompt) for pixels, prompt in zip(made, PROMPTS, strict=True)]
    write("prompts", tiles, across=6, size=256)


def edits(editor: Editor) -> None:
    """12 edits: six in photographs, and six scenes the model never saw whose first toy is replaced."""
    cases = [(case.what, pixels := PHOTOGRAPHS[case.photograph](), case.mask(pixels)) for case in FIRST]
    for k, prompt in enumerate(REPLACEMENTS):
        rendering = render(sample_scene(500 + k), 256)
        own = Mask(rendering.whole[0] | rendering.shadow[0])
        cases.append((prompt, rendering.image, shape.grow(own, 8)))
    tiles = []
    for prompt, before, mask in cases:
        result = editor.inpaint(before, mask, prompt, seed=SEED)
        views = shown(before, mask, result, opencv_inpaint(before, mask.selected), WINDOW)
        tiles.append(Tile(views, f"{prompt} ({SHOWN})"))
    write("edits", tiles, across=2, size=WINDOW)


def photographs(editor: Editor) -> None:
    """24 edits of photographs, a seed each: 12 toys put in, 12 things taken out; and their table."""
    rows: list[tuple[str | float, ...]] = []
    for name, cases in (("put-in", PUT_IN), ("taken-out", TAKEN_OUT)):
        tiles = []
        for case in cases:
            before, seed = PHOTOGRAPHS[case.photograph](), SEED + len(rows)
            mask, what = case.mask(before), f"{case.photograph}: {case.what} {name.replace('-', ' ')}"
            if cases is PUT_IN:
                result = editor.inpaint(before, mask, case.what, seed=seed)
            else:
                result = editor.remove(before, mask, seed=seed)
            assert result.allowed is not None
            changed = result.allowed.selected
            telea = opencv_inpaint(before, changed)
            tiles.append(Tile(shown(before, mask, result, telea, WIDE_WINDOW), f"{what} ({SHOWN})"))
            pictures = (before, np.asarray(result.pictures[0].pixels), telea)
            numbers = [number for each in pictures for number in sharpness_and_jump(each, changed)]
            rows.append((len(rows) + 1, what, *numbers))
        write(f"photographs-{name}", tiles, across=2, size=WIDE_WINDOW)
    medians = np.median([row[2:] for row in rows], axis=0).tolist()
    columns = [f"{what}, {whose}" for whose in ("before", "ours", "OpenCV") for what in ("sharpness", "jump")]
    table = Table("photographs", ("", "edit", *columns), (*rows, ("", "median", *medians)))
    (GALLERY / "photographs.md").write_text(f"{table.to_markdown()}\n", encoding="utf-8")
    print(table.to_markdown())


def drawings(editor: Editor) -> None:
    """8 line drawings made into pictures."""
    tiles = []
    for drawing, prompt in line_drawings():
        result = editor.sketch(drawing, prompt, seed=SEED)
        tiles.append(Tile((drawing, result.pictures[0].pixels), prompt))
    write("drawings", tiles, across=4, size=WINDOW)


def examples() -> None:
    """The photograph, mask and drawing that the README's commands use."""
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    photo = data.coffee()
    save_picture(photo, EXAMPLES / "photo.jpg", force=True)
    mask = FIRST[0].mask(photo).to_array()
    save_picture(np.repeat(mask[:, :, None], 3, axis=2), EXAMPLES / "mask.png", force=True)
    table = np.zeros(photo.shape, np.uint8)
    cv2.ellipse(table, (542, 240), (56, 60), 0, 0, 360, (255, 255, 255), -1)
    save_picture(table, EXAMPLES / "table.png", force=True)
    save_picture(line_drawings()[0][0], EXAMPLES / "drawing.png", force=True)


def first(editor: Editor) -> None:
    """The README's first command: the photograph, and the picture that it makes."""
    result = editor.inpaint(EXAMPLES / "photo.jpg", EXAMPLES / "table.png", "a blue ball")
    both = np.concatenate([data.coffee(), result.pictures[0].pixels], axis=1)
    written = save_picture(both, GALLERY / "first.jpg", force=True, quality=88)
    print(f"wrote {written.relative_to(ROOT)}")


def line_drawings() -> list[tuple[Pixels, str]]:
    """Two drawn here with a thick pen, six from scenes the model never saw."""
    house = np.full((480, 480), 255, np.uint8)
    walls = [(120, 240), (120, 400), (350, 400), (350, 240)]
    roof = [(90, 240), (235, 110), (380, 240), (90, 240)]
    for line in (walls, roof):
        cv2.polylines(house, [np.array(line)], False, 30, 9, cv2.LINE_AA)
    cv2.rectangle(house, (210, 310), (265, 400), 30, 7, cv2.LINE_AA)
    ball = np.full((480, 480), 255, np.uint8)
    cv2.circle(ball, (240, 270), 120, 20, 8, cv2.LINE_AA)
    made = [(house, "a red house on grass"), (ball, "a blue ball on sand")]
    grounds = ("on wood", "on snow", "on grass", "on marble", "on sand", "on a checkered floor")
    for k, ground in enumerate(grounds):
        scene = sample_scene(900 + k)
        made.append((render(scene, 256).drawing, f"{describe_toy(scene, 0, 1)} {ground}"))
    return [(cv2.cvtColor(drawing, cv2.COLOR_GRAY2RGB), prompt) for drawing, prompt in made]


# -- how it is shown ------------------------------------------------------------------------------------


def shown(before: Pixels, mask: Mask, result: EditResult, telea: Pixels, side: int) -> tuple[Pixels, ...]:
    """Squares about the selection: before, the selection in red with a white rim, ours, and OpenCV's."""
    assert result.receipts[0].kept
    marked = before.copy()
    marked[mask.selected] = marked[mask.selected] // 2 + np.array([127, 0, 0], np.uint8)
    marked[(shape.grow(mask, 2) - mask).selected] = 255
    x0, y0, x1, y1 = mask.bounding_box()
    pictures = (before, marked, np.asarray(result.pictures[0].pixels), telea)
    return tuple(window(pixels, (x0 + x1) // 2, (y0 + y1) // 2, side) for pixels in pictures)


def window(pixels: Pixels, x: int, y: int, side: int) -> Pixels:
    """A square about a place; a smaller photograph is padded with white."""
    height, width = pixels.shape[:2]
    missing = (0, max(0, side - height), 0, max(0, side - width))
    padded = cv2.copyMakeBorder(pixels, *missing, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    top = max(0, min(y - side // 2, height - side))
    left = max(0, min(x - side // 2, width - side))
    return padded[top : top + side, left : left + side]


def sharpness_and_jump(pixels: Pixels, changed: NDArray[np.bool_]) -> tuple[float, float]:
    """The sharpness inside over that around it, and the jump at the boundary (1: none)."""
    jump = ring_features(pixels, changed)[FEATURES.index("jump")]
    return sharpness_ratio(pixels, changed), float(np.exp(jump))


def write(name: str, tiles: list[Tile], *, across: int, size: int) -> None:
    GALLERY.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(tiles, across=across, size=size)
    written = save_picture(sheet, GALLERY / f"{name}.jpg", force=True, quality=88)
    print(f"wrote {written.relative_to(ROOT)}")


SHEETS = {
    "first": first,
    "prompts": prompts,
    "edits": edits,
    "drawings": drawings,
    "photographs": photographs,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(SHEETS)
    if unknown:
        raise SystemExit(f"no sheet {', '.join(sorted(unknown))}: choose from {', '.join(SHEETS)}")
    examples()
    editor = Editor.load("toybox")
    for name in names or SHEETS:
        SHEETS[name](editor)


if __name__ == "__main__":
    main(sys.argv[1:])

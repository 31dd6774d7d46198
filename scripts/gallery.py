"""Make the pictures of docs/gallery and docs/examples with the model that ships.

    scripts/gallery [NAME ...]      prompts, edits, drawings, photographs; without a name all of them

Everything takes a seed and is written down here: prompts, masks, drawings.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import PHOTOGRAPHS, PUT_IN, TAKEN_OUT, PhotographEdit
from skimage import data

from glide_edit import Editor, Generate, save_picture
from glide_edit.evaluation.edit_bench import opencv_inpaint
from glide_edit.evaluation.report import Table
from glide_edit.evaluation.seam import FEATURES, ring_features
from glide_edit.evaluation.sharpness import sharpness_ratio
from glide_edit.toybox import describe_toy, render, sample_scene
from masks import Mask, draw, shape

ROOT = Path(__file__).resolve().parents[1]
GALLERY = ROOT / "docs" / "gallery"
EXAMPLES = ROOT / "docs" / "examples"
Pixels = NDArray[np.uint8]
WINDOW, WIDE_WINDOW = 240, 320
"""px; photographs are shown in squares of this side, at 100 %, those of "photographs" in wide ones."""

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
    tiles = []
    for k, prompt in enumerate(PROMPTS):
        tiles.append(_captioned(_one(editor, Generate(prompt=prompt, seed=SEED + k)), prompt))
    _write(GALLERY / "prompts.jpg", _grid(tiles, 6))


def edits(editor: Editor) -> None:
    """12 edits: before, selection, after, and OpenCV's inpaint of the same selection."""
    rows = [_edit_row(editor, *case) for case in (*_photographs(), *_toy_scenes())]
    titles = ("before", "selection", "glide-edit", "OpenCV inpaint")
    heading = np.hstack([_label(text, WINDOW) for text in titles])
    left, right = np.vstack([heading, *rows[:6]]), np.vstack([heading, *rows[6:]])
    _write(GALLERY / "edits.jpg", np.hstack([left, np.full((len(left), 16, 3), 255, np.uint8), right]))


def photographs(editor: Editor) -> None:
    """24 edits of photographs, a seed each: 12 toys put in, 12 things taken out; and their table."""
    rows: list[tuple[str | float, ...]] = []
    seeds = iter(range(SEED, SEED + len(PUT_IN) + len(TAKEN_OUT)))
    for name, cases in (("put-in", PUT_IN), ("taken-out", TAKEN_OUT)):
        strips = []
        for case, seed in zip(cases, seeds, strict=False):
            strip, row = _photograph_edit(editor, case, seed, name == "put-in")
            strips.append(strip)
            rows.append((len(rows) + 1, *row))
        titles = ("before", "selection", "glide-edit", "OpenCV inpaint")
        heading = np.hstack([_label(text, WIDE_WINDOW) for text in titles])
        half = len(strips) // 2
        left, right = np.vstack([heading, *strips[:half]]), np.vstack([heading, *strips[half:]])
        gap = np.full((len(left), 16, 3), 255, np.uint8)
        _write(GALLERY / f"photographs-{name}.jpg", np.hstack([left, gap, right]))
    _write_table(GALLERY / "photographs.md", rows)


def drawings(editor: Editor) -> None:
    """8 line drawings made into pictures."""
    tiles = []
    for drawing, prompt in _line_drawings():
        result = editor.sketch(drawing, prompt, seed=SEED)
        after = cv2.resize(result.pictures[0].pixels, (WINDOW, WINDOW), interpolation=cv2.INTER_CUBIC)
        before = cv2.resize(drawing, (WINDOW, WINDOW), interpolation=cv2.INTER_AREA)
        tiles.append(_captioned(np.hstack([before, after]), prompt))
    _write(GALLERY / "drawings.jpg", _grid(tiles, 4))


def examples() -> None:
    """The photograph, mask and drawing that the README's commands use."""
    photo = data.coffee()
    save_picture(photo, EXAMPLES / "photo.jpg", force=True)
    mask = _blob((345, 205), (150, 130), photo.shape[:2])
    save_picture(np.repeat(mask.to_array()[:, :, None], 3, axis=2), EXAMPLES / "mask.png", force=True)
    save_picture(_line_drawings()[0][0], EXAMPLES / "drawing.png", force=True)


# -- what is edited -------------------------------------------------------------------------------------

Case = tuple[Pixels, Mask, str]


def _blob(centre: tuple[int, int], radii: tuple[int, int], size: tuple[int, int]) -> Mask:
    x, y = centre
    return draw.ellipse((x - radii[0], y - radii[1], x + radii[0], y + radii[1]), size)


def _photographs() -> list[Case]:
    """Six selections in photographs that scikit-image bundles; docs/examples/README.md has their sources."""
    coffee, cat, rocket, astronaut = data.coffee(), data.chelsea(), data.rocket(), data.astronaut()
    return [
        (coffee, _blob((345, 205), (150, 130), coffee.shape[:2]), "a red mug"),
        (coffee, _blob((90, 320), (60, 60), coffee.shape[:2]), "a blue ball"),
        (cat, _blob((390, 235), (50, 50), cat.shape[:2]), "a yellow ball"),
        (rocket, _blob((320, 230), (70, 150), rocket.shape[:2]), "an orange rocket"),
        (astronaut, _blob((395, 120), (75, 80), astronaut.shape[:2]), "a purple mushroom"),
        (astronaut, _blob((75, 75), (60, 60), astronaut.shape[:2]), "a green tree"),
    ]


def _toy_scenes() -> list[Case]:
    """Six scenes the model never saw: the first object is to be replaced by another."""
    cases = []
    for k, prompt in enumerate(REPLACEMENTS):
        picture = render(sample_scene(500 + k), 256)
        area = Mask(picture.whole[0] | picture.shadow[0])
        cases.append((picture.image, shape.grow(area, 8), prompt))
    return cases


def _line_drawings() -> list[tuple[Pixels, str]]:
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


def _one(editor: Editor, request: Generate) -> Pixels:
    pixels = editor.run(request).pictures[0].pixels
    return np.asarray(pixels)


def _edit_row(editor: Editor, before: Pixels, mask: Mask, prompt: str) -> Pixels:
    result = editor.inpaint(before, mask, prompt, seed=SEED)
    assert result.receipts[0].kept
    shown = _shown(before, mask)
    telea = cv2.inpaint(before, mask.to_array(), 5, cv2.INPAINT_TELEA)
    x0, y0, x1, y1 = mask.bounding_box()
    pictures = (before, shown, result.pictures[0].pixels, telea)
    views = [_window(pixels, (x0 + x1) // 2, (y0 + y1) // 2) for pixels in pictures]
    return _captioned(np.hstack(views), prompt)


def _photograph_edit(
    editor: Editor, case: PhotographEdit, seed: int, is_put_in: bool
) -> tuple[Pixels, tuple[str | float, ...]]:
    """Before, selection, ours, OpenCV's, and the row of the table: sharpness and the jump at the boundary."""
    before = PHOTOGRAPHS[case.photograph]()
    mask = case.mask(before)
    if is_put_in:
        result = editor.inpaint(before, mask, case.what, seed=seed)
    else:
        result = editor.remove(before, mask, seed=seed)
    assert result.receipts[0].kept
    assert result.allowed is not None
    ours, changed = np.asarray(result.pictures[0].pixels), result.allowed.selected
    telea = opencv_inpaint(before, changed)
    x0, y0, x1, y1 = mask.bounding_box()
    views = [
        _window(pixels, (x0 + x1) // 2, (y0 + y1) // 2, WIDE_WINDOW)
        for pixels in (before, _shown(before, mask), ours, telea)
    ]
    jump = FEATURES.index("jump")
    numbers = [
        measured
        for pixels in (before, ours, telea)
        for measured in (
            sharpness_ratio(pixels, changed),
            float(np.exp(ring_features(pixels, changed)[jump])),
        )
    ]
    what = f"{case.photograph}: {case.what} {'put in' if is_put_in else 'taken out'}"
    return _captioned(np.hstack(views), what), (what, *numbers)


def _write_table(path: Path, rows: Sequence[tuple[str | float, ...]]) -> None:
    """Of each edit the sharpness inside over that around it, and the jump at the boundary."""
    columns = [f"{what}, {whose}" for whose in ("before", "ours", "OpenCV") for what in ("sharpness", "jump")]
    table = Table("photographs", ("", "edit", *columns), tuple(rows))
    medians = [float(np.median([float(row[k]) for row in rows])) for k in range(2, len(columns) + 2)]
    text = table.to_markdown() + "\n| | median | " + " | ".join(f"{value:.3f}" for value in medians) + " |\n"
    path.write_text(text, encoding="utf-8")
    print(text)


def _shown(before: Pixels, mask: Mask) -> Pixels:
    """The selection in red, with a white rim."""
    shown = before.copy()
    edge = (shape.grow(mask, 2) - mask).selected
    shown[mask.selected] = shown[mask.selected] // 2 + np.array([127, 0, 0], np.uint8)
    shown[edge] = 255
    return shown


def _window(pixels: Pixels, x: int, y: int, side: int = WINDOW) -> Pixels:
    """A square about a place; what a smaller photograph lacks is white."""
    height, width = pixels.shape[:2]
    top = max(0, min(y - side // 2, height - side))
    left = max(0, min(x - side // 2, width - side))
    window = np.full((side, side, 3), 255, np.uint8)
    part = pixels[top : top + side, left : left + side]
    window[: part.shape[0], : part.shape[1]] = part
    return window


def _label(text: str, width: int) -> Pixels:
    band = np.full((22, width, 3), 255, np.uint8)
    font = cv2.FONT_HERSHEY_SIMPLEX
    needed = cv2.getTextSize(text, font, 0.45, 1)[0][0] + 12
    scale = 0.45 * min(1.0, width / needed)
    cv2.putText(band, text, (6, 15), font, scale, (40, 40, 40), 1, cv2.LINE_AA)
    return band


def _captioned(pixels: Pixels, text: str) -> Pixels:
    return np.vstack([pixels, _label(text, pixels.shape[1])])


def _grid(tiles: list[Pixels], columns: int) -> Pixels:
    return np.vstack([np.hstack(tiles[k : k + columns]) for k in range(0, len(tiles), columns)])


def _write(path: Path, pixels: Pixels) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    print(f"wrote {save_picture(pixels, path, force=True, quality=88).relative_to(ROOT)}")


SHEETS: dict[str, Callable[[Editor], None]] = {
    "prompts": prompts,
    "edits": edits,
    "drawings": drawings,
    "photographs": photographs,
}


def main(names: list[str]) -> None:
    unknown = set(names) - set(SHEETS)
    if unknown:
        raise SystemExit(f"no sheet {', '.join(sorted(unknown))}: choose from {', '.join(SHEETS)}")
    EXAMPLES.mkdir(parents=True, exist_ok=True)
    examples()
    editor = Editor.load("toybox")
    for name in names or SHEETS:
        SHEETS[name](editor)


if __name__ == "__main__":
    main(sys.argv[1:])

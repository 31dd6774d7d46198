"""The pictures of docs/guide/editing.md; run as a module, its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from photographs import PHOTOGRAPHS

from glide_edit import Editor, save_picture
from glide_edit.operations.sharpness import sharpness
from glide_edit.toybox import render, sample_scene
from masks import Mask, draw

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

PLACES: dict[str, Box] = {
    "astronaut": (120, 180, 376, 436),
    "coffee": (150, 100, 400, 350),
    "pagoda": (180, 120, 420, 360),
    "dahlia": (220, 100, 440, 320),
    "rocket": (180, 60, 400, 280),
}
_SETTINGS: tuple[dict[str, bool], ...] = ({"detail": False}, {}, {"match_grain": False}, {"detail": True})


def make(folder: Path) -> None:
    """Write the pictures of the page into a folder that is there."""
    editor = Editor.load()
    for name, picture in _pictures(editor):
        save_picture(picture, folder / f"{name}.jpg", force=True, quality=85)


def sharpness_table(editor: Editor) -> Iterator[tuple[str, list[float]]]:
    """For each photograph: as it was, without detail, as usual, without matched grain, as it is drawn."""
    for name, photo, box in _photographs():
        mask = draw.ellipse(box, photo.shape[:2])
        prompt = "a red ball" if name.startswith("toys") else ""
        made = [editor.inpaint(photo, mask, prompt, seed=3, **settings) for settings in _SETTINGS]
        pictures = (photo, *(each.pictures[0].pixels for each in made))
        yield name, [sharpness(picture, mask.selected) for picture in pictures]


def _photographs() -> Iterator[tuple[str, Pixels, Box]]:
    for name, box in PLACES.items():
        yield name, PHOTOGRAPHS[name](), box
    for seed in (11, 12):
        yield f"toys, scene {seed}", render(sample_scene(seed), 1024).image, (300, 400, 800, 900)


def _pictures(editor: Editor) -> Iterator[tuple[str, Pixels]]:
    coffee = PHOTOGRAPHS["coffee"]()
    beans = draw.ellipse(PLACES["coffee"], coffee.shape[:2])
    made = [editor.inpaint(coffee, beans, seed=3, detail=detail) for detail in (False, None)]
    yield "grain", _grain(editor)
    around = np.s_[50:400, 100:450]
    yield "detail", np.hstack([each[around] for each in (coffee, *(one.pictures[0].pixels for one in made))])
    handle = draw.ellipse((188, 226, 262, 312), coffee.shape[:2])
    removed = editor.remove(coffee, handle).pictures[0].pixels
    yield "remove", np.hstack([_marked(coffee, handle), removed])
    scene = render(sample_scene(11), 256).image
    yield "outpaint", editor.outpaint(scene, "grass", aspect="16:9").pictures[0].pixels
    cat = cv2.resize(PHOTOGRAPHS["cat"](), (150, 100), interpolation=cv2.INTER_AREA)
    plainly = cv2.resize(cat, (600, 400), interpolation=cv2.INTER_CUBIC)
    yield "upscale", np.hstack([plainly, editor.upscale(cat, 4).pictures[0].pixels])


def _grain(editor: Editor) -> Pixels:
    """Two photographs at 200 %: what was selected, put back without the photograph's grain, and with it."""
    astronaut, flower = PHOTOGRAPHS["astronaut"](), np.array(PHOTOGRAPHS["dahlia"]())
    edits = (
        (flower, (23, 210, 147, 370), "a pink snowman", np.s_[210:370, 0:160]),
        (astronaut, (306, 47, 370, 143), "a blue ball", np.s_[5:165, 258:418]),
    )
    rows = []
    for photo, box, prompt, shown in edits:
        mask = draw.ellipse(box, photo.shape[:2])
        made = [editor.inpaint(photo, mask, prompt, seed=3, match_grain=wanted) for wanted in (False, None)]
        parts = [each[shown] for each in (_marked(photo, mask), *(one.pictures[0].pixels for one in made))]
        rows.append(np.hstack([part.repeat(2, 0).repeat(2, 1) for part in parts]))
    return np.vstack(rows)


def _marked(picture: Pixels, mask: Mask) -> Pixels:
    edge = cv2.morphologyEx(mask.to_array(), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    return np.where(edge[..., None], np.uint8([255, 0, 255]), picture)


if __name__ == "__main__":
    for name, values in sharpness_table(Editor.load()):
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |", flush=True)

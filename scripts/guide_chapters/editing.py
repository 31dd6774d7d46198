"""The pictures of docs/guide/editing.md; run as a module, its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data
from sklearn.datasets import load_sample_image

from glide_edit import Editor, save_picture
from glide_edit.operations.sharpness import sharpness
from glide_edit.toybox import render, sample_scene
from masks import Mask, draw

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]

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
        made = [
            editor.inpaint(photo, mask, prompt, seed=3, **settings).pictures[0].pixels
            for settings in _SETTINGS
        ]
        yield name, [sharpness(picture, mask.selected) for picture in (photo, *made)]


def _photographs() -> list[tuple[str, Pixels, Box]]:
    china, flower = (np.array(load_sample_image(f"{name}.jpg")) for name in ("china", "flower"))
    return [
        ("astronaut", data.astronaut(), (120, 180, 376, 436)),
        ("coffee", data.coffee(), (150, 100, 400, 350)),
        ("china", china, (180, 120, 420, 360)),
        ("flower", flower, (220, 100, 440, 320)),
        ("rocket", data.rocket(), (180, 60, 400, 280)),
        ("toys, scene 11", render(sample_scene(11), 1024).image, (300, 400, 800, 900)),
        ("toys, scene 12", render(sample_scene(12), 1024).image, (300, 400, 800, 900)),
    ]


def _pictures(editor: Editor) -> Iterator[tuple[str, Pixels]]:
    coffee = data.coffee()
    beans = draw.ellipse((150, 100, 400, 350), coffee.shape[:2])
    plain, fine = (
        editor.inpaint(coffee, beans, seed=3, detail=detail).pictures[0].pixels for detail in (False, None)
    )
    yield "grain", _grain(editor)
    around = np.s_[50:400, 100:450]
    yield "detail", np.hstack([each[around] for each in (coffee, plain, fine)])
    handle = draw.ellipse((188, 226, 262, 312), coffee.shape[:2])
    removed = editor.remove(coffee, handle, finish="auto").pictures[0].pixels
    yield "remove", np.hstack([_marked(coffee, handle), removed])
    scene = render(sample_scene(11), 256).image
    yield "outpaint", editor.outpaint(scene, "grass", aspect="16:9").pictures[0].pixels
    cat = cv2.resize(data.chelsea(), (150, 100), interpolation=cv2.INTER_AREA)
    plainly = cv2.resize(cat, (600, 400), interpolation=cv2.INTER_CUBIC)
    yield "upscale", np.hstack([plainly, editor.upscale(cat, 4).pictures[0].pixels])


def _grain(editor: Editor) -> Pixels:
    """Two photographs at 200 %: what was selected, put back without the photograph's grain, and with it."""
    astronaut, flower = data.astronaut(), np.array(load_sample_image("flower.jpg"))
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

"""The pictures of docs/guide/sketch.md and docs/guide/vary.md."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from bench_sketch import scribbled
from guide import Pixels

from glide_edit.editor import Editor
from glide_edit.evaluation.sketch_bench import sketch_item
from glide_edit.images import Picture, open_picture, save_picture, to_uint8
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.operations.sketch import read_drawing
from glide_edit.operations.strengths import over_strengths, strengths_sheet
from glide_edit.requests import Sketch, Vary

ITEMS = (0, 1, 4)
"""Of the sketch bench: drawings that no training shows."""


def make(folder: Path) -> None:
    """Write modes.jpg, paper.jpg, strengths.jpg and vary.jpg."""
    editor = Editor.load("toybox")
    item, other = sketch_item(ITEMS[0]), sketch_item(ITEMS[1])
    drawing, render = open_picture(scribbled(item)), open_picture(other.rendering.image)
    sketch = Sketch(drawing=drawing, prompt=item.prompt, mode="both", seed=1)
    vary = Vary(image=render, prompt=other.prompt, seed=1)
    pictures = {
        "modes": _modes(editor),
        "paper": _paper(editor),
        "strengths": _over_strengths(editor, sketch, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
        "vary": _over_strengths(editor, vary, (0.5, 0.7, 0.75, 0.8, 0.85, 0.9)),
    }
    for name, picture in pictures.items():
        save_picture(picture, folder / f"{name}.jpg", force=True, quality=85)


def _over_strengths(editor: Editor, request: Sketch | Vary, strengths: tuple[float, ...]) -> Picture:
    return strengths_sheet([editor.run(each) for each in over_strengths(request, strengths)])


def _modes(editor: Editor) -> Pixels:
    """Drawings with strokes of colour: filled, and followed in each way."""
    tiles = []
    for item in map(sketch_item, ITEMS):
        drawing = scribbled(item)
        shown = {f"drawing: {item.prompt}": drawing, "filled": _filled(drawing)}
        for mode in ("lines", "tone", "both"):
            shown[mode] = to_uint8(editor.sketch(drawing, item.prompt, mode=mode, seed=1).pictures[0].pixels)
        tiles += [Tile((picture,), name) for name, picture in shown.items()]
    return contact_sheet(tiles, across=5, size=192)


def _paper(editor: Editor) -> Pixels:
    """A photograph of a drawing on yellowish paper in uneven light."""
    item = sketch_item(ITEMS[0])
    photo = photographed(scribbled(item))
    made = to_uint8(editor.sketch(photo, item.prompt, seed=1).pictures[0].pixels)
    shown = {"photograph": photo, "as it is read": _filled(photo), "picture": made}
    tiles = [Tile((picture,), name) for name, picture in shown.items()]
    return contact_sheet(tiles, across=3, size=192)


def _filled(drawing: Pixels) -> Pixels:
    _, tone, _ = read_drawing(open_picture(drawing), "tone")
    assert tone is not None
    return np.asarray((tone.start(256)[0].permute(1, 2, 0).numpy() + 1) * 127.5, np.uint8)


def photographed(drawing: Pixels) -> Pixels:
    """On tinted paper, with light from one corner, a camera's grain, and JPEG."""
    height, width = drawing.shape[:2]
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    light = 0.45 + 0.55 * (0.5 + 0.5 * np.cos(np.pi * (0.6 * x + 0.4 * y)))
    seen = drawing * light[..., None] * np.array((0.86, 0.79, 0.63))
    seen = (seen + np.random.default_rng(0).normal(0, 4, seen.shape)).clip(0, 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)

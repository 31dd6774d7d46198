"""The pictures of docs/guide/sketch.md and docs/guide/vary.md."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from bench_sketch import scribbled
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.evaluation.sketch_bench import sketch_item
from glide_edit.images import Picture, open_picture, save_picture, to_uint8
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.operations.sketch import SketchWork
from glide_edit.operations.strengths import over_strengths, strengths_sheet
from glide_edit.requests import Sketch, Vary

Image = NDArray[np.uint8]

ITEMS = (0, 1, 4)
"""Of the sketch bench: drawings that no training shows."""


def make(folder: Path) -> None:
    """Write modes.jpg, paper.jpg, strengths.jpg and vary.jpg."""
    for name, picture in _pictures(Editor.load("toybox")):
        save_picture(picture, folder / f"{name}.jpg", force=True, quality=85)


def _pictures(editor: Editor) -> Iterator[tuple[str, Image | Picture]]:
    yield "modes", _modes(editor)
    yield "paper", _paper(editor)
    drawing = open_picture(scribbled(sketch_item(ITEMS[0])))
    request = Sketch(drawing=drawing, prompt=sketch_item(ITEMS[0]).prompt, mode="both", seed=1)
    tried = over_strengths(request, (0.3, 0.4, 0.5, 0.6, 0.7, 0.8))
    yield "strengths", strengths_sheet([editor.run(each) for each in tried])
    item = sketch_item(ITEMS[1])
    varied = over_strengths(
        Vary(image=open_picture(item.rendering.image), prompt=item.prompt, seed=1),
        (0.5, 0.7, 0.75, 0.8, 0.85, 0.9),
    )
    yield "vary", strengths_sheet([editor.run(each) for each in varied])


def _modes(editor: Editor) -> Image:
    """Drawings with strokes of colour: filled, and followed in each way."""
    tiles = []
    for index in ITEMS:
        item = sketch_item(index)
        drawing = scribbled(item)
        made = [
            to_uint8(editor.sketch(drawing, item.prompt, mode=mode, seed=1).pictures[0].pixels)
            for mode in ("lines", "tone", "both")
        ]
        shown = zip(
            ("drawing", "filled", "lines", "tone", "both"), (drawing, _filled(drawing), *made), strict=True
        )
        tiles += [
            Tile((picture,), f"{name}: {item.prompt}" if name == "drawing" else name)
            for name, picture in shown
        ]
    return contact_sheet(tiles, across=5, size=192)


def _paper(editor: Editor) -> Image:
    """A photograph of a drawing on yellowish paper in uneven light."""
    item = sketch_item(ITEMS[0])
    photo = photographed(scribbled(item))
    made = to_uint8(editor.sketch(photo, item.prompt, seed=1).pictures[0].pixels)
    return contact_sheet(
        [Tile((photo,), "photograph"), Tile((_filled(photo),), "as it is read"), Tile((made,), "picture")],
        across=3,
        size=192,
    )


def _filled(drawing: Image) -> Image:
    tone = SketchWork.of(Sketch(drawing=open_picture(drawing), mode="tone")).tone
    assert tone is not None
    return np.asarray((tone.start(256)[0].permute(1, 2, 0).numpy() + 1) * 127.5, np.uint8)


def photographed(drawing: Image) -> Image:
    """On tinted paper, with light from one corner, a camera's grain, and JPEG."""
    height, width = drawing.shape[:2]
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    light = 0.45 + 0.55 * (0.5 + 0.5 * np.cos(np.pi * (0.6 * x + 0.4 * y)))
    seen = drawing * light[..., None] * np.array((0.86, 0.79, 0.63))
    seen = (seen + np.random.default_rng(0).normal(0, 4, seen.shape)).clip(0, 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", seen, [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)

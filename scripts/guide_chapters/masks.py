"""The pictures of docs/guide/masks.md: its own commands, run on the example photograph."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from glide_edit import open_picture, save_picture, verify
from glide_edit.selections import open_mask
from guide_chapters.pages import ROOT, Pixels, captioned, folder_after, grid, write
from masks import preview

WIDTH = 240
"""px of one tile."""
TOOLS = ("box", "ellipse", "stroke", "lasso", "grabcut", "scissors", "wand", "colour")
SHAPES = ("grown", "shrunk", "outline", "inverted", "union", "intersection", "difference", "feathered")


def make(folder: Path) -> None:
    with folder_after(ROOT / "docs" / "guide" / "masks.md", ["photo.jpg"]) as made:
        photo = open_picture(made / "photo.jpg").pixels
        tools = [preview(photo, open_mask(made / f"{name}.png")) for name in TOOLS]
        write(folder / "tools.jpg", _sheet(tools, TOOLS))
        shapes = [open_picture(made / f"{name}.png").pixels for name in SHAPES]
        write(folder / "shapes.png", _sheet(shapes, SHAPES))
        write(folder / "doctor.jpg", _doctor(made, photo))
        write(folder / "verify.jpg", _maps(made, photo))


def _sheet(pictures: list[Pixels], names: tuple[str, ...]) -> Pixels:
    return grid([captioned(each, name, WIDTH) for each, name in zip(pictures, names, strict=True)], 4)


def _doctor(made: Path, photo: Pixels) -> Pixels:
    """Each mask on the picture, and what the model sees of it."""
    height = WIDTH * photo.shape[0] // photo.shape[1]
    tiles = []
    for name, said in (("rough", "a wand everywhere"), ("mended", "--mend")):
        tiles.append(captioned(preview(photo, open_mask(made / f"{name}.png")), said, WIDTH))
        seen = captioned(open_picture(made / f"{name}-seen.png").pixels, "what the model sees", height)
        tiles.append(seen)
    return grid(tiles, 4)


def _maps(made: Path, photo: Pixels) -> Pixels:
    """What two other programs might do: paint with a soft brush, and save as JPEG."""
    mask = open_mask(made / "ellipse.png")
    weight = cv2.GaussianBlur(mask.selected.astype(np.float32), (0, 0), 5)[:, :, None]
    painted = np.rint(photo * (1 - weight) + np.array((60, 90, 160)) * weight).astype(np.uint8)
    hard = np.where(mask.selected[:, :, None], np.uint8(128), photo)
    save_picture(hard, made / "hard.jpg", quality=90)
    maps = []
    for after, said in ((painted, "a soft brush"), (made / "hard.jpg", "a JPEG of quality 90")):
        found = verify(photo, after, mask)
        share = found.preservation.changed / found.preservation.outside
        maps.append(captioned(found.map(), f"{said}: {share:.1%} of the pixels outside", 2 * WIDTH))
    return grid(maps, 2)

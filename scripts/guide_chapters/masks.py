"""The pictures of docs/guide/masks.md: its own commands, run on the example photograph."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from guide import ROOT, Pixels, folder_after, write

from glide_edit import open_picture, save_picture, verify
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.selections import open_mask
from masks import preview

HEIGHT = 160
"""px of one tile."""
TOOLS = ("box", "ellipse", "stroke", "lasso", "grabcut", "scissors", "wand", "colour")
SHAPES = ("grown", "shrunk", "outline", "inverted", "union", "intersection", "difference", "feathered")


def make(folder: Path) -> None:
    with folder_after(ROOT / "docs" / "guide" / "masks.md", ["photo.jpg"]) as made:
        photo = open_picture(made / "photo.jpg").pixels
        tools = {name: preview(photo, open_mask(made / f"{name}.png")) for name in TOOLS}
        write(folder / "tools.jpg", _sheet(tools))
        write(
            folder / "shapes.png",
            _sheet({name: open_picture(made / f"{name}.png").pixels for name in SHAPES}),
        )
        write(folder / "doctor.jpg", _doctor(made, photo))
        write(folder / "verify.jpg", _maps(made, photo))


def _sheet(pictures: dict[str, Pixels], across: int = 4, size: int = HEIGHT) -> Pixels:
    return contact_sheet([Tile((each,), name) for name, each in pictures.items()], across=across, size=size)


def _doctor(made: Path, photo: Pixels) -> Pixels:
    """Each mask on the picture, and what the model sees of it."""
    tiles = []
    for name, said in (("rough", "a wand everywhere"), ("mended", "--mend")):
        shown = preview(photo, open_mask(made / f"{name}.png"))
        seen = open_picture(made / f"{name}-seen.png").pixels
        tiles.append(Tile((shown, seen), f"{said}, and what the model sees"))
    return contact_sheet(tiles, across=2, size=HEIGHT)


def _maps(made: Path, photo: Pixels) -> Pixels:
    """What two other programs might do: paint with a soft brush, and save as JPEG."""
    mask = open_mask(made / "ellipse.png")
    weight = cv2.GaussianBlur(mask.selected.astype(np.float32), (0, 0), 5)[:, :, None]
    painted = np.rint(photo * (1 - weight) + np.array((60, 90, 160)) * weight).astype(np.uint8)
    hard = np.where(mask.selected[:, :, None], np.uint8(128), photo)
    save_picture(hard, made / "hard.jpg", quality=90)
    maps = {}
    for after, said in ((painted, "a soft brush"), (made / "hard.jpg", "a JPEG of quality 90")):
        found = verify(photo, after, mask)
        share = found.preservation.changed / found.preservation.outside
        maps[f"{said}: {share:.1%} of the pixels outside"] = found.map()
    return _sheet(maps, across=2, size=2 * HEIGHT)

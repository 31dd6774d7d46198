"""The same edit from a NumPy array, a PIL image and a torch tensor; the result as each of the three.

python arrays_in.py photo.png mask.png out
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from glide_edit import Editor, EditResult, Mask


def to_tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """(3, H, W) in [0, 1], as torchvision has it."""
    return torch.tensor(pixels).permute(2, 0, 1).float() / 255


def edit_all(editor: Editor, photo: Path, mask: Path) -> dict[str, EditResult]:
    image = Image.open(photo).convert("RGB")
    pixels: NDArray[np.uint8] = np.asarray(image)
    white = Image.open(mask).convert("L")
    selected: NDArray[np.bool_] = np.asarray(white) >= 128
    generator = torch.Generator().manual_seed(3)
    return {
        "numpy": editor.inpaint(pixels, Mask.from_array(selected, means="change"), "a red ball", seed=7),
        "pil": editor.inpaint(image, white, "a red ball", seed=7, mask_fill="noise"),
        "torch": editor.inpaint(to_tensor(pixels), torch.tensor(selected), "a red ball", seed=7),
        "drawn": editor.vary(to_tensor(pixels)[None], "a red ball", generator=generator),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("photo", type=Path)
    parser.add_argument("mask", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="toybox")
    given = parser.parse_args(arguments)
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    results = edit_all(Editor.load(given.model), given.photo, given.mask)
    results["pil"].images[0].save(out / "pil.png")
    np.save(out / "numpy.npy", results["numpy"].pictures[0].pixels)
    torch.save(to_tensor(results["torch"].preview), out / "torch.pt")
    results["drawn"].save(out / "drawn.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

"""A folder of photographs, some held out, for the tests of the photograph bench."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np


def write_photographs(folder: Path, splits: tuple[str, ...] = ("train", "test", "validation")) -> Path:
    """A photograph of its own colour for each of ``splits``, 256 x 300, with a few soft spots."""
    folder.mkdir()
    lines = []
    for k, split in enumerate(splits):
        rng = np.random.default_rng(k)
        spots = cv2.resize(rng.normal(0, 6, (9, 8, 3)), (256, 300), interpolation=cv2.INTER_CUBIC)
        colour = np.array([70 + 50 * k, 110, 150 - 40 * k])
        picture = np.clip(colour + spots, 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(folder / f"{k}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        lines.append(json.dumps({"file_name": f"{k}.png", "text": f"spots {k}", "split": split}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder

"""Make the studio's pictures.

    scripts/studio examples        what the studio begins with: apps/studio/examples
    scripts/studio screenshots     each tab at 1280 x 800 and 390 x 844, light and dark: docs/studio
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from glide_edit import save_picture
from glide_edit.toybox import Scene, render, sample_scene

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "apps" / "studio" / "examples"
SIZE = 512


def make_examples() -> None:
    """The photograph of docs/examples, two toybox scenes and three drawings of single toys."""
    EXAMPLES.mkdir(exist_ok=True)
    shutil.copy(ROOT / "docs" / "examples" / "photo.jpg", EXAMPLES / "cup.jpg")
    for name, kind, ground in (("grass", "house", "grass"), ("snow", "tree", "snow")):
        picture = render(_single(kind, ground), SIZE).image
        save_picture(picture, EXAMPLES / f"{name}.jpg", force=True, quality=88)
    for kind in ("house", "tree", "car"):
        drawing = render(_single(kind), SIZE).drawing
        save_picture(drawing, EXAMPLES / f"{kind}.png", force=True)


def _single(kind: str, ground: str | None = None) -> Scene:
    """The first scene in daylight with one large toy of that kind, on that ground where one is asked for."""
    for seed in range(100_000):
        scene = sample_scene(seed)
        toy = scene.toys[0]
        fits = len(scene.toys) == 1 and toy.kind == kind and toy.size == "large" and scene.light == "day"
        if fits and ground in (None, scene.ground):
            return scene
    raise SystemExit(f"no scene with a {kind}")


def main() -> None:
    match sys.argv[1:]:
        case ["examples"]:
            make_examples()
        case ["screenshots"]:
            make_screenshots()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

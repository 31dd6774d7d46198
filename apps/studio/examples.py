"""Example pictures, one click each; `scripts/studio examples` makes the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from apps.studio.html import escape, thumbnail
from glide_edit.images import Picture, open_picture
from masks import Mask, draw

FOLDER = Path(__file__).parent / "examples"


@dataclass(frozen=True)
class Example:
    """A bundled picture, a prompt, and for photographs the ellipse to select: (x0, y0, x1, y1) as shares of
    the width and height."""

    file: str
    prompt: str
    ellipse: tuple[float, float, float, float] | None = None

    def picture(self) -> Picture:
        return open_picture(FOLDER / self.file)

    def mask(self) -> Mask | None:
        if self.ellipse is None:
            return None
        x0, y0, x1, y1 = self.ellipse
        height, width = self.picture().pixels.shape[:2]
        box = (round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height))
        return draw.ellipse(box, (height, width))


PHOTOS = (
    Example("cup.jpg", "a blue ball", (0.81, 0.46, 0.99, 0.75)),
    Example("grass.jpg", "a red ball", (0.62, 0.52, 0.92, 0.82)),
    Example("snow.jpg", "a yellow cube", (0.6, 0.5, 0.92, 0.82)),
)
DRAWINGS = (
    Example("house.png", "a red house on grass"),
    Example("tree.png", "a green tree on snow"),
    Example("car.png", "a blue car on sand"),
)
PROMPTS = (
    "a yellow house on grass at sunset",
    "a shiny red ball on a checkered floor",
    "a purple mushroom on sand",
    "a white snowman on snow at night",
)


def find(examples: tuple[Example, ...], file: str) -> Example | None:
    return next((each for each in examples if each.file == file), None)


def examples_html(examples: tuple[Example, ...]) -> str:
    """A button with a thumbnail for each."""
    buttons = "".join(
        f'<button type="button" class="ge-thumb" data-pick="{escape(each.file)}" '
        f'title="{escape(each.prompt)}" aria-label="Example: {escape(each.prompt)}">'
        f'<img src="{thumbnail(each.picture())}" alt=""></button>'
        for each in examples
    )
    return (
        '<div class="ge-strip ge-examples" role="group" aria-label="Examples">'
        f"<span>Or try</span>{buttons}</div>"
    )

"""Pictures to begin with, one click each; `scripts/studio examples` makes the files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from apps.studio import html
from glide_edit.images import Picture, open_picture
from masks import Mask, draw

FOLDER = Path(__file__).parent / "examples"

Ellipse = tuple[float, float, float, float]
"""(x0, y0, x1, y1) as parts of the picture's width and height."""


@dataclass(frozen=True)
class Example:
    """A bundled picture with words that fit it, and where something is to change, the ellipse to paint."""

    file: str
    prompt: str
    where: Ellipse | None = None

    def picture(self) -> Picture:
        return open_picture(FOLDER / self.file)

    def mask(self) -> Mask | None:
        if self.where is None:
            return None
        picture = self.picture()
        x0, y0, x1, y1 = self.where
        wide, high = picture.width, picture.height
        box = (round(x0 * wide), round(y0 * high), round(x1 * wide), round(y1 * high))
        return draw.ellipse(box, (high, wide))


PHOTOS = (
    Example("cup.jpg", "a red ball", (0.33, 0.06, 0.75, 0.8)),
    Example("grass.jpg", "a yellow cube", (0.3, 0.35, 0.7, 0.85)),
    Example("snow.jpg", "a blue ball", (0.3, 0.35, 0.7, 0.85)),
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


def find(examples: tuple[Example, ...], name: str) -> Example | None:
    return next((each for each in examples if each.file == name), None)


def picked_name(event: gr.EventData) -> str:
    """Which example was clicked."""
    return str(event._data.get("pick", "")) if isinstance(event._data, dict) else ""


def examples_html(examples: tuple[Example, ...]) -> str:
    """A button with a small picture for each."""
    buttons = "".join(
        f'<button type="button" class="ge-thumb" data-pick="{html.escaped(each.file)}" '
        f'title="{html.escaped(each.prompt)}" aria-label="Example: {html.escaped(each.prompt)}">'
        f'<img src="{html.thumbnail(each.picture())}" alt=""></button>'
        for each in examples
    )
    return (
        '<div class="ge-strip ge-examples" role="group" aria-label="Examples">'
        f"<span>Or try</span>{buttons}</div>"
    )

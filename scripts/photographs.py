"""The photographs of `scripts/gallery`, and the edits of its sheets: which photographs, masks and prompts.

All photographs come with scikit-image or scikit-learn. Each mask's outline was drawn once by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage import data
from sklearn.datasets import load_sample_image

from masks import Mask, draw

Pixels = NDArray[np.uint8]

PHOTOGRAPHS: dict[str, Callable[[], Pixels]] = {
    "astronaut": data.astronaut,
    "cat": data.chelsea,
    "coffee": data.coffee,
    "motorcycle": lambda: data.stereo_motorcycle()[0],
    "pagoda": lambda: load_sample_image("china.jpg"),
    "dahlia": lambda: load_sample_image("flower.jpg"),
    "rocket": data.rocket,
}


@dataclass(frozen=True)
class PhotographEdit:
    """``what`` is the thing taken out, or the prompt for the toy put in; ``outline`` holds the corners "x,y
    x,y ..." of a polygon, or the middle and the radii of an ellipse."""

    photograph: str
    what: str
    outline: str

    def mask(self, pixels: Pixels) -> Mask:
        size = pixels.shape[0], pixels.shape[1]
        points = [tuple(map(int, pair.split(","))) for pair in self.outline.split()]
        if len(points) > 2:
            return draw.polygon(points, size)
        (x, y), (wide, high) = points
        return draw.ellipse((x - wide, y - high, x + wide, y + high), size)


FIRST = (
    PhotographEdit("coffee", "a red mug", "345,205 150,130"),
    PhotographEdit("coffee", "a blue ball", "90,320 60,60"),
    PhotographEdit("cat", "a yellow ball", "390,235 50,50"),
    PhotographEdit("rocket", "an orange rocket", "320,230 70,150"),
    PhotographEdit("astronaut", "a purple mushroom", "395,120 75,80"),
    PhotographEdit("astronaut", "a green tree", "75,75 60,60"),
)
"""Of the sheet "edits": toys put in."""

PUT_IN = (
    PhotographEdit("coffee", "a red ball", "535,325 46,46"),
    PhotographEdit("coffee", "a blue cube", "126,250 38,38"),
    PhotographEdit("coffee", "a yellow mug", "535,160 52,58"),
    PhotographEdit("cat", "a red ball", "400,235 42,42"),
    PhotographEdit("rocket", "an orange rocket", "250,230 42,80"),
    PhotographEdit("rocket", "a white ball", "505,120 46,46"),
    PhotographEdit("astronaut", "a blue ball", "338,95 32,48"),
    PhotographEdit("astronaut", "a white car", "425,318 66,26"),
    PhotographEdit("pagoda", "a red house", "435,255 56,44"),
    PhotographEdit("pagoda", "a blue ball", "480,90 56,56"),
    PhotographEdit("dahlia", "a pink snowman", "85,290 62,80"),
    PhotographEdit("motorcycle", "a green cube", "80,425 60,54"),
)
"""Toys put in where there is room."""

TAKEN_OUT = (
    PhotographEdit("rocket", "the rocket", "302,175 309,140 321,122 333,140 340,175 340,404 302,404"),
    PhotographEdit("rocket", "a tower", "192,118 210,118 210,374 164,378 184,190"),
    PhotographEdit("rocket", "a lamp", "150,376 26,26"),
    PhotographEdit("astronaut", "the shuttle", "384,0 456,0 464,200 464,284 364,284 350,236 378,150"),
    PhotographEdit("astronaut", "the round badge", "168,386 44,44"),
    PhotographEdit("astronaut", "the name badge", "272,332 334,335 334,382 278,378"),
    PhotographEdit(
        "coffee",
        "the spoon",
        "322,290 328,252 368,236 388,200 402,130 396,72 424,62 "
        "428,92 408,180 396,240 412,275 402,314 366,332 334,322",
    ),
    PhotographEdit("coffee", "the handle", "190,260 212,228 264,228 256,264 232,312 194,308"),
    PhotographEdit("pagoda", "the tree", "540,290 552,184 588,134 639,130 639,300 572,300"),
    PhotographEdit("pagoda", "the finial", "190,24 220,24 224,60 188,60"),
    PhotographEdit("dahlia", "the lower flower", "284,404 302,380 346,370 404,372 442,384 476,426 284,426"),
    PhotographEdit("motorcycle", "a carton", "524,28 590,30 590,102 524,102"),
)
"""Things removed, without a prompt: their surroundings are to go on."""

"""Making a picture larger by drawing what lies beyond its sides, outward, a frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glide_edit.errors import InputError
from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep
from glide_edit.operations.clip import Clip
from glide_edit.operations.frames import Canvas, Frame, run_frames
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.requests import Outpaint
from glide_edit.results import Receipt
from masks import Crop, Mask, compare_outside

REACH = 0.5
"""The new part of a frame, at most: the other half shows the model what to go on from."""

STRIDE = 0.75
"""Frames along one side lie so far apart, in their own sides: the rest overlaps."""

LEAST_SIDE = 256
"""px; frames of a small or narrow picture are no smaller than this where the new picture has room."""

MOST_FRAMES = 256


@dataclass(frozen=True, eq=False)
class OutpaintWork:
    """The new picture's frames, in the order in which they are drawn.

    Raises:
        InputError: it would take more than MOST_FRAMES frames.
    """

    request: Outpaint
    frames: tuple[Frame, ...]

    @classmethod
    def of(cls, request: Outpaint) -> OutpaintWork:
        frames = tuple(plan(request))
        return cls(request, frames)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.request.image.notes

    @property
    def allowed(self) -> Mask:
        """Everything but the picture itself."""
        new = np.ones(self.request.size, bool)
        new[self.request.place] = False
        return Mask(new)

    def run(
        self, model: Model, clip: Clip | None, seeds: Sequence[int]
    ) -> Iterator[tuple[CascadeStep, list[Postprocessed]]]:
        """The steps of all frames of a picture for each seed; a picture comes with its last step."""
        before, allowed = self.request.before, self.allowed
        for seed in seeds:
            canvas = Canvas(before.copy(), allowed.selected.copy())
            notes: tuple[str, ...] = ()
            request = self.request.replace(seed=seed, n=1)
            for step, said in run_frames(model, clip, request, canvas, self.frames):
                notes += said
                yield step, [self._finished(canvas, allowed, notes)] if step.is_last else []

    def _finished(self, canvas: Canvas, allowed: Mask, notes: tuple[str, ...]) -> Postprocessed:
        source = self.request.image
        alpha = None
        if source.alpha is not None:
            alpha = np.full(self.request.size, canvas.white, source.alpha.dtype)
            alpha[self.request.place] = source.alpha
        receipt = Receipt(compare_outside(self.request.before, canvas.pixels, allowed.selected))
        return Postprocessed(replace(source, pixels=canvas.pixels, alpha=alpha), receipt, notes)


def plan(request: Outpaint) -> Iterator[Frame]:
    """The frames outward from the picture: right, left, below, above, then round again.

    Raises:
        InputError: more than MOST_FRAMES.
    """
    height, width = request.size
    rows, columns = request.place
    top, bottom, left, right = rows.start, rows.stop, columns.start, columns.stop
    side = min(max(min(bottom - top, right - left), LEAST_SIDE), max(height, width))
    reach = max(1, int(side * REACH))
    count = 0
    while (top, bottom, left, right) != (0, height, 0, width):
        strips = []
        for x0, x1 in ((right, min(width, right + reach)), (max(0, left - reach), left)):
            strips.append((top, bottom, x0, x1))
        right, left = strips[0][3], strips[1][2]
        for y0, y1 in ((bottom, min(height, bottom + reach)), (max(0, top - reach), top)):
            strips.append((y0, y1, left, right))
        bottom, top = strips[2][1], strips[3][0]
        for strip in strips:
            for frame in _strip(strip, side, request):
                count += 1
                if count > MOST_FRAMES:
                    raise InputError(
                        f"So large a picture would take more than {MOST_FRAMES} frames: add less."
                    )
                yield frame


def _strip(strip: tuple[int, int, int, int], side: int, request: Outpaint) -> Iterator[Frame]:
    """Frames along one new strip (y0, y1, x0, x1), from its middle towards both ends."""
    y0, y1, x0, x1 = strip
    if y0 == y1 or x0 == x1:
        return
    height, width = request.size
    rows, columns = request.place
    lying = y1 <= rows.start or y0 >= rows.stop
    along, end = (x0, x1) if lying else (y0, y1)
    starts = _starts(along, end, side)
    for start in sorted(starts, key=lambda s: abs(s + side / 2 - (along + end) / 2)):
        if lying:
            y, x = (y0 - (side - (y1 - y0)) if y0 >= rows.stop else y0), start
        else:
            y, x = start, (x0 - (side - (x1 - x0)) if x0 >= columns.stop else x0)
        crop = Crop(_inside(x, side, width), _inside(y, side, height), side, height, width)
        left, top, right, bottom = crop.box
        part = np.zeros((bottom - top, right - left), bool)
        part[max(y0 - top, 0) : max(y1 - top, 0), max(x0 - left, 0) : max(x1 - left, 0)] = True
        yield Frame(crop, part)


def _starts(begin: int, end: int, side: int) -> list[int]:
    """Where frames of ``side`` begin to cover ``begin`` to ``end``, evenly, overlapping."""
    length = end - begin
    if length <= side:
        return [begin - (side - length) // 2]
    count = 1 + -(-(length - side) // max(1, int(side * STRIDE)))
    return [begin + round(k * (length - side) / (count - 1)) for k in range(count)]


def _inside(start: int, side: int, length: int) -> int:
    """The nearest start with which the square lies in the picture, or the picture in it."""
    slack = length - side
    return min(max(start, min(slack, 0)), max(slack, 0))

"""Making a picture larger by drawing what lies beyond its sides, outward, a frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from glide_edit.errors import InputError
from glide_edit.operations.frame import Canvas, Frame, Prepared
from glide_edit.operations.postprocess import Postprocessed
from glide_edit.operations.repaint import inputs, place, prepared
from glide_edit.requests import Outpaint
from glide_edit.results import Receipt
from masks import Crop, Mask, compare_outside

__all__ = ["canvas", "finish", "frames_of", "inputs", "place", "prepare"]

REACH = 0.5
"""The new part of a frame, at most: the other half shows the model what to go on from."""

STRIDE = 0.75
"""Frames along one side lie so far apart, in their own sides: the rest overlaps."""

LEAST_SIDE = 256
"""px; frames of a small or narrow picture are no smaller than this where the new picture has room."""

MOST_FRAMES = 256


def prepare(request: Outpaint) -> Prepared:
    """The new picture's frames, in the order in which they are drawn; everything but the picture may change.

    Raises:
        InputError: it would take more than MOST_FRAMES frames.
    """
    new = np.ones(request.size, bool)
    new[request.place] = False
    frames = tuple(frames_of(request))
    return prepared(request, frames, Mask(new), request.image.notes, is_one_draft=False)


def canvas(request: Outpaint, allowed: Mask | None) -> Canvas:
    assert allowed is not None
    return Canvas(request.before, allowed.selected)


def finish(request: Outpaint, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
    """The larger picture with its receipt; what is new is opaque."""
    assert allowed is not None
    source, alpha = request.image, None
    if source.alpha is not None:
        alpha = np.full(request.size, np.iinfo(canvas.pixels.dtype).max, source.alpha.dtype)
        alpha[request.place] = source.alpha
    receipt = Receipt(compare_outside(request.before, canvas.pixels, allowed.selected))
    return Postprocessed(replace(source, pixels=canvas.pixels, alpha=alpha), receipt, canvas.notes)


def frames_of(request: Outpaint) -> Iterator[Frame]:
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
                if count == MOST_FRAMES:
                    raise InputError(
                        f"So large a picture would take more than {MOST_FRAMES} frames: add less.",
                        code="result_too_large",
                    )
                yield replace(frame, number=count)
                count += 1


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
        yield Frame(crop=crop, allowed=Mask(part))


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

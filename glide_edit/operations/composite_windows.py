"""Composites what was drawn for a large frame, window by window, so that memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.operations.composite import (
    AUTO,
    NOT_FINITE,
    Neighbours,
    chosen_note,
    levels_off,
    neighbours_of,
    put_beside,
)
from glide_edit.operations.frame import Canvas, Frame
from glide_edit.operations.grain import GrainLevels, GrainMatch, grain_match_for, hidden_by, of_255, unit_of
from glide_edit.operations.postprocess import Drawn
from glide_edit.requests import Inpaint, Outpaint
from masks import (
    FEATHER_RADIUS,
    HALO,
    BoolArray,
    Film,
    Finish,
    FloatArray,
    Window,
    best_finish,
    excess_noise,
    grain_levels,
    windows_of,
)

MEASURED = 8
"""Windows in which noise and grain are measured."""

FILM_CELLS = 768
"""The larger side of the grid on which the membrane is solved."""

LOCAL_FADE = 16.0
"""px over which a window's own membrane fades: it corrects what the grid misses close to the edge."""

NO_NOISE_FROM = 1.25
"""What is enlarged so many times has no noise as fine as the photograph's."""


def composite_in_windows(
    request: Inpaint | Outpaint,
    frame: Frame,
    canvas: Canvas,
    drawn: Drawn,
    allowed: BoolArray,
    seed: int,
    target: NDArray[Any],
) -> tuple[str, ...]:
    """Write a frame into ``target``, its box in the new canvas, and return notes for the user.

    As ``composite_into``, but that noise and grain are measured in MEASURED windows, and that the membrane is
    solved on a coarse grid and corrected in each window.
    """
    notes = () if np.isfinite(drawn).all() else (NOT_FINITE,)
    work = _Windows.of(request, frame, canvas, drawn, allowed, seed)
    finish, said = work.best_finish() if request.finish == "auto" else (request.finish, ())
    film = work.film(finish)
    work = work.with_grain_levels(finish, film)
    for window in work.windows():
        part = work.composite(window, finish, film)
        inside = allowed[window.core]
        target[window.core][inside] = window.cut(part)[inside]
    return (*notes, *said)


@dataclass(frozen=True, eq=False)
class _Windows:
    """One frame; ``old`` is its box before, and ``corner`` the box's (y, x) in the picture."""

    canvas: Canvas
    old: NDArray[Any]
    corner: tuple[int, int]
    allowed: BoolArray
    patch: _Patch
    radius: float
    cell: int
    grain: GrainMatch | None

    @classmethod
    def of(
        cls,
        request: Inpaint | Outpaint,
        frame: Frame,
        canvas: Canvas,
        drawn: Drawn,
        allowed: BoolArray,
        seed: int,
    ) -> _Windows:
        crop = frame.crop
        assert crop is not None
        x0, y0, x1, y1 = crop.box
        old = canvas.pixels[y0:y1, x0:x1]
        patch = _Patch(drawn, crop.side, (y0 - crop.y0, x0 - crop.x0))
        radius = FEATHER_RADIUS if request.feather is None else request.feather
        grain = grain_match_for(request, seed, frame.number, np.zeros((1, 1), bool))
        cell = -(-max(allowed.shape) // FILM_CELLS)
        # Neighbouring windows are composited from what was there before, not from each other's results.
        return cls(canvas, old.copy() if canvas.owned else old, (y0, x0), allowed, patch, radius, cell, grain)

    def windows(self) -> Iterator[Window]:
        return windows_of(self.allowed, self.cell, max(HALO, int(self.radius) + 2))

    def measured(self) -> list[Window]:
        """Some windows that hold both what is drawn and what is not, evenly spaced."""
        both = [each for each in self.windows() if not self.allowed[each.wide].all()]
        chosen = np.unique(np.linspace(0, len(both) - 1, min(MEASURED, len(both))).round().astype(int))
        return [both[number] for number in chosen]

    def best_finish(self) -> tuple[Finish, tuple[str, ...]]:
        """What leaves the least of an edge in the measured windows."""
        films = {name: self.film(name) for name in AUTO}
        found: dict[Finish, list[float]] = {name: [] for name in AUTO}
        best: list[str] = []
        for window in self.measured():
            made: dict[str, NDArray[Any]] = {name: self._put(window, name, films[name]) for name in AUTO}
            allowed = self.allowed[window.wide]
            best.append(best_finish(self.old[window.wide], made, allowed))
            for name in AUTO:
                found[name].append(levels_off(made[name], allowed))
        chosen: Finish = max(AUTO, key=best.count)
        return chosen, (chosen_note(chosen, {name: float(np.mean(found[name] or [0])) for name in AUTO}),)

    def film(self, finish: Finish) -> Film | None:
        """The membrane, for the finishes that have one."""
        if finish not in ("membrane", "clone"):
            return None
        height, width = self.allowed.shape
        film = Film((height, width), self.cell, fades=finish == "membrane")
        for window in self.windows():
            if self.allowed[window.wide].all():
                film.fill(window)
                continue
            difference = self.old[window.wide].astype(np.float32) - self._drawn(window)
            valid = np.isfinite(difference).all(axis=2) & ~self._unknown(window)
            film.add(window, np.where(valid[..., None], difference, 0), valid, self.allowed[window.wide])
        return film

    def with_grain_levels(self, finish: Finish, film: Film | None) -> _Windows:
        """The same with what its windows lack, measured."""
        if self.grain is None:
            return self
        noise = None
        windows = self.measured()
        if self.patch.scale < NO_NOISE_FROM:
            noise = excess_noise(
                [
                    (
                        self._drawn(each) / unit_of(self.old),
                        of_255(self.old[each.wide]),
                        ~self._unknown(each),
                        hidden_by(self.allowed[each.wide]),
                    )
                    for each in windows
                ]
            )
        work = replace(self, grain=replace(self.grain, levels=GrainLevels(noise)))
        lacking = grain_levels(
            [
                (of_255(work._put(each, finish, film)), ~self._unknown(each), self.allowed[each.wide])
                for each in windows
            ]
        )
        side = max((max(each.size) for each in self.windows()), default=1)
        grain = self.grain.grain_for(lacking, side)
        return replace(self, grain=replace(self.grain, levels=GrainLevels(noise, grain)))

    def composite(self, window: Window, finish: Finish, film: Film | None) -> NDArray[Any]:
        """A window with its surroundings, composited and with grain."""
        part = self._put(window, finish, film)
        match = self._match(window)
        if match is None:
            return part
        return match.after(part, self.old[window.wide], self.allowed[window.wide])

    def _put(self, window: Window, finish: Finish, film: Film | None) -> NDArray[Any]:
        old, allowed, patch = self.old[window.wide], self.allowed[window.wide], self._drawn(window)
        match = self._match(window)
        if match is not None and match.levels is not None:
            patch = match.before(patch, old, allowed)
        if film is not None:
            patch = patch + film.at(window.wide)
            finish = "membrane"
        beside, whole = self._neighbours(window), self._whole(window)
        return put_beside(old, patch, allowed, finish, self.radius, beside, LOCAL_FADE, whole)

    def _match(self, window: Window) -> GrainMatch | None:
        if self.grain is None:
            return None
        return replace(self.grain, known=~self._unknown(window), window=window.number)

    def _drawn(self, window: Window) -> FloatArray:
        return self.patch.at(window.wide) * unit_of(self.old)

    def _whole(self, window: Window) -> BoolArray | None:
        selected = self.canvas.selected
        return None if selected is None else selected[self._place(window)]

    def _unknown(self, window: Window) -> BoolArray:
        assert self.canvas.unknown is not None
        return self.canvas.unknown[self._place(window)]

    def _neighbours(self, window: Window) -> Neighbours | None:
        return neighbours_of(self.canvas, self._place(window), self.allowed[window.wide])

    def _place(self, window: Window) -> tuple[slice, slice]:
        rows, columns = (
            slice(each.start + start, each.stop + start)
            for each, start in zip(window.wide, self.corner, strict=True)
        )
        return rows, columns


class _Patch:
    """What was drawn, (S, S, 3), enlarged to a crop of ``side`` px; ``corner`` (y, x) is the box's in it."""

    def __init__(self, drawn: FloatArray, side: int, corner: tuple[int, int]) -> None:
        if len(drawn) > side:
            drawn = np.asarray(cv2.resize(drawn, (side, side), interpolation=cv2.INTER_AREA), np.float32)
        self._drawn, self._corner, self.scale = drawn, corner, side / len(drawn)

    def at(self, window: tuple[slice, slice]) -> FloatArray:
        """A window of the box, float32 (h, w, 3)."""
        rows, columns = (
            slice(each.start + start, each.stop + start)
            for each, start in zip(window, self._corner, strict=True)
        )
        if self.scale == 1:
            return self._drawn[rows, columns]
        down, high = _taps(rows, self.scale, len(self._drawn))
        across, wide = _taps(columns, self.scale, len(self._drawn))
        first, last = int(across.min()), int(across.max()) + 1
        lines = np.zeros((down.shape[1], last - first, 3), np.float32)
        for row, weight in zip(down, high, strict=True):
            lines += weight[:, None, None] * self._drawn[row, first:last]
        enlarged = np.zeros((down.shape[1], across.shape[1], 3), np.float32)
        for column, weight in zip(across, wide, strict=True):
            enlarged += weight[None, :, None] * lines[:, column - first]
        return enlarged


def _taps(span: slice, scale: float, length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """(4, n) places and weights of cubic interpolation, as OpenCV's (Keys 1981, a = -0.75)."""
    at = (np.arange(span.start, span.stop) + 0.5) / scale - 0.5
    base = np.floor(at)
    away = np.abs(at - base - np.arange(-1, 3)[:, None])
    a = -0.75
    near = (a + 2) * away**3 - (a + 3) * away**2 + 1
    far = a * (away**3 - 5 * away**2 + 8 * away - 4)
    places = (base + np.arange(-1, 3)[:, None]).clip(0, length - 1).astype(np.intp)
    return places, np.where(away <= 1, near, far).astype(np.float32)

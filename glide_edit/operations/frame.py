"""What an operation is made of: frames that the model draws, what it is shown of each, and the canvas."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.operations.postprocess import Drawn, Postprocessed
from masks import Crop, Mask

Known = tuple[Tensor, Tensor]
"""A known picture (1, 3, S, S) in [-1, 1], zero where not kept, and its keep-mask (1, 1, S, S)."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of a canvas, in its pixels."""

    y: int
    x: int
    height: int
    width: int

    def of(self, canvas: Tensor, scale: int = 1) -> Tensor:
        """This part of (..., H / scale, W / scale), a view; the tile's place is a multiple of ``scale``."""
        y, x, height, width = (n // scale for n in (self.y, self.x, self.height, self.width))
        return canvas[..., y : y + height, x : x + width]

    def in_cells(self, scale: int) -> Tile:
        """The same in cells that are ``scale`` px wide; its place and sides are multiples of that."""
        return Tile(*(n // scale for n in (self.y, self.x, self.height, self.width)))


@dataclass(frozen=True)
class TiledPass:
    """The last stage, an upsampler, run in tiles over a canvas of ``size`` (height, width) px.

    ``tiles`` lie in ``box``, and ``box`` in the canvas rounded up to what tiles need. The sampler begins at
    ``timesteps[0]`` from the picture before, enlarged, or with ``from_init`` from the frame's init image.
    ``number``, ``first_cell`` and ``origin``, the canvas' place on a larger one, decide the noise.
    """

    label: str
    size: tuple[int, int]
    box: Tile
    tiles: tuple[Tile, ...]
    timesteps: tuple[float, ...]
    from_init: bool = False
    number: int = 0
    first_cell: int = 0
    origin: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Frame:
    """One picture that the model draws for an edit.

    ``crop`` is the square of the source that it shows and ``allowed`` the pixels that it decides there, of
    the size of ``crop.box``; None where the frame is the whole picture. ``block`` is its part of an enlarged
    picture. ``passes`` add detail after the cascade. ``number`` tells the frames of an edit apart: each has
    noise of its own. ``fills_backdrop``: only the thing that was drawn is taken, see ``backdrop``.
    """

    number: int = 0
    crop: Crop | None = None
    allowed: Mask | None = None
    block: Tile | None = None
    passes: tuple[TiledPass, ...] = ()
    fills_backdrop: bool = False


@dataclass(frozen=True, eq=False)
class FrameInputs:
    """The pictures that the networks are given for a frame. What is None is not given.

    ``known``, ``drawing``, ``init_image`` and ``strength_map`` give them for a size S: ``drawing`` is
    (1, 1, S, S), ink +1 and paper -1; ``init_image`` is (1, 3, S, S) in [-1, 1], what sampling begins from in
    place of noise (SDEdit, Meng et al. 2021); ``strength_map`` is (1, 1, S, S) in [0, 1], a strength for each
    pixel. ``low_res`` (1, 3, h, w) is enlarged by the frame's passes alone, without the cascade. ``refine``
    changes the result of each pass: (x0, the picture before it at the pass's size and what is known there)
    to x0.
    """

    known: Callable[[int], Known] | None = None
    drawing: Callable[[int], Tensor] | None = None
    init_image: Callable[[int], Tensor] | None = None
    strength_map: Callable[[int], Tensor] | None = None
    low_res: Tensor | None = None
    refine: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None


@dataclass(eq=False)
class Canvas:
    """A picture in the making: (H, W, 3) pixels, and where they are still to be drawn (bool, H x W).

    ``owned``: the arrays are the edit's own and may be written; else they are copied first. ``allowed``
    (bool, H x W): what is drawn in all, where frames may meet; None where nobody has to know. ``selected``
    (bool, H x W): what was selected, of which nothing is to be left; None for nothing. ``fills`` are those of
    frames' backdrops, by the frame's number, begun before they are needed.
    """

    pixels: NDArray[Any]
    unknown: NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()
    owned: bool = False
    allowed: NDArray[np.bool_] | None = None
    selected: NDArray[np.bool_] | None = None
    fills: dict[int, Future[NDArray[np.float32]]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What an operation decides before any work.

    ``allowed`` is where pixels may change, None where no picture is kept. ``strength`` says how far on the
    noise axis the first stage begins from the frame's init image, in (0, 1], and ``fine_strength`` the same
    for later stages and passes; None: from noise. With ``cascade`` False only the frames' passes run.
    ``detail``: large frames get passes at their own resolution. ``is_one_draft``: one picture of the first
    stage shows the whole edit, so that several seeds are drawn side by side and a preview can be finished.
    """

    frames: tuple[Frame, ...] = (Frame(),)
    allowed: Mask | None = None
    notes: tuple[str, ...] = ()
    strength: float | None = None
    fine_strength: float | None = None
    cascade: bool = True
    detail: bool = False
    is_one_draft: bool = True


class Operation(Protocol):
    """One operation, a module: from a request to frames, and from what was drawn to a picture.

    Functions are pure but for ``place``, which may write into the canvas that it is given.
    """

    def prepare(self, request: Any) -> Prepared:
        """The frames of an edit. Raises InputError or MaskError where the picture or mask cannot be used."""
        ...

    def canvas(self, request: Any, allowed: Mask | None) -> Canvas:
        """The canvas before anything is drawn; ``allowed`` is that of ``prepare``."""
        ...

    def inputs(self, request: Any, frame: Frame, canvas: Canvas) -> FrameInputs:
        """What the networks are given for a frame."""
        ...

    def place(self, request: Any, frame: Frame, canvas: Canvas, drawn: Drawn, seed: int) -> Canvas:
        """The canvas with what was drawn for a frame in it."""
        ...

    def finish(self, request: Any, canvas: Canvas, allowed: Mask | None) -> Postprocessed:
        """The finished picture, its receipt and notes."""
        ...

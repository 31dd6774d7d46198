"""Which passes add detail to a frame that is larger than the model's picture, and in which tiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, lcm

from torch import Tensor

from glide_edit.models.spec import StageSpec
from glide_edit.operations.frame import TiledPass
from glide_edit.pipeline.stage_settings import StageSettings, begin_at, sampling_times
from glide_edit.pipeline.tiles import ROW, plan_tiles

DETAIL_FROM = 1.25
"""A frame this many times wider than the model's picture gets detail; below it there is none to be gained."""

STRETCH = 1.5
"""The picture before may be enlarged so far to stand for the upsampler's low-resolution picture."""

MOST_TILES = 64
"""In one pass. A larger repaint is drawn smaller than the photograph and enlarged: cost is bounded."""

BEGIN = 0.8
"""Where on the noise axis a pass begins, from the enlarged picture: its coarser structure stays.

The low-resolution picture alone would say less than the picture before where that is enlarged less than the
upsampler's factor. On two photographs and two renders 0.8 came out sharper than 1, 0.6 and 0.4."""


def pass_sides(side: int, drawn: int, factor: int) -> list[int]:
    """The sizes at which a frame of ``side`` px is drawn after a cascade whose picture is ``drawn`` px.

    Each is at most ``factor`` * STRETCH times the one before it; the last is ``side``. None where the frame
    is hardly larger than what was drawn.
    """
    assert factor > 1, "an upsampler enlarges"
    if side < DETAIL_FROM * drawn:
        return []
    sides = [side]
    while sides[0] > STRETCH * factor * drawn:
        sides.insert(0, ceil(sides[0] / factor))
    return sides


@dataclass(frozen=True, eq=False)
class PassPlanner:
    """Plans passes of the last stage, ``spec``, which enlarges ``factor`` times.

    ``fine_strength``: where on the noise axis passes begin from a frame's init image; None: from the picture
    before, at BEGIN.
    """

    spec: StageSpec
    settings: StageSettings
    factor: int
    fine_strength: float | None = None

    @property
    def multiple(self) -> int:
        """Heights, widths and places of tiles are multiples of this."""
        return lcm(self.spec.config.stride, self.factor)

    def frame_passes(
        self, frame: int, side: int, hidden_at: Callable[[int], Tensor]
    ) -> tuple[TiledPass, ...]:
        """The passes of a square frame; ``hidden_at`` gives what is repainted at a size, bool (S, S)."""
        passes: list[TiledPass] = []
        for number, wanted in enumerate(pass_sides(side, self.spec.config.image_size, self.factor)):
            size = self._affordable(wanted, hidden_at)
            one = self.one("detail", (size, size), hidden_at(size))
            passes.append(replace(one, number=number, first_cell=frame * ROW**2))
            if size < wanted:
                break
        return tuple(passes)

    def one(
        self, label: str, size: tuple[int, int], hidden: Tensor, origin: tuple[int, int] = (0, 0)
    ) -> TiledPass:
        strength = BEGIN if self.fine_strength is None else self.fine_strength
        times = sampling_times(self.spec.schedule, self.settings.preset)
        times = begin_at(times, strength, self.spec.schedule, rescale=True)
        box, tiles = plan_tiles(hidden, self.spec.config.image_size, self.multiple)
        from_init = self.fine_strength is not None
        return TiledPass(label, size, box, tiles, tuple(times), from_init, origin=origin)

    def _affordable(self, side: int, hidden_at: Callable[[int], Tensor]) -> int:
        """The largest side up to ``side`` at which no more than MOST_TILES are needed."""
        tile = self.spec.config.image_size
        while True:
            count = len(plan_tiles(hidden_at(side), tile, self.multiple)[1])
            if count <= MOST_TILES or side <= tile:
                return side
            side = max(tile, int(side * min(0.9, (MOST_TILES / count) ** 0.5)))

"""Variations of a picture: noised in part, and drawn anew from there."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from glide_edit.operations.cascade import Job
from glide_edit.operations.letterbox import crop_letterbox, letterbox
from glide_edit.operations.postprocess import Drawn, Postprocessed
from glide_edit.requests import Vary
from masks import Mask


@dataclass(frozen=True, eq=False)
class VaryWork:
    """A picture in the model's square frame that the base stage begins from."""

    request: Vary
    allowed: Mask | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        notes = self.request.image.notes
        if self.request.image.alpha is None:
            return notes
        return (*notes, "The picture's transparency was left out: a variation has none.")

    def job(self) -> Job:
        return Job(self.request, start=self._start, strength=self.request.strength)

    def _start(self, size: int) -> Tensor:
        return letterbox(self.request.image.pixels, size)

    def finish(self, drawn: Drawn, seed: int | None = None) -> Postprocessed:
        """A picture of the source's shape, its longer side the model's."""
        return crop_letterbox(drawn, self.request.image.height, self.request.image.width)

"""From a request to the work it means: what the cascade draws, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.images import Picture, open_picture
from glide_edit.operations.cascade import Job
from glide_edit.operations.inpaint import InpaintWork
from glide_edit.operations.sketch import SketchWork
from glide_edit.requests import Generate, Inpaint, Request, Sketch
from glide_edit.results import Receipt
from masks import Mask


class Work(Protocol):
    """One operation on its way: ``notes`` are for the user, ``allowed`` is what may change, if anything is kept."""

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def allowed(self) -> Mask | None: ...

    def job(self) -> Job:
        """What the cascade is asked to draw."""
        ...

    def finish(self, drawn: NDArray[np.float32]) -> tuple[Picture, Receipt | None]:
        """From what was drawn, float32 (S, S, 3) in [0, 255], to the finished picture and its receipt."""
        ...


@dataclass(frozen=True, eq=False)
class GenerateWork:
    """A picture from words: what is drawn is the picture."""

    request: Generate
    notes: tuple[str, ...] = ()
    allowed: Mask | None = None

    def job(self) -> Job:
        return Job(self.request)

    def finish(self, drawn: NDArray[np.float32]) -> tuple[Picture, Receipt | None]:
        return open_picture(np.nan_to_num(drawn).round().clip(0, 255).astype(np.uint8)), None


def work_for(request: Request) -> Work:
    """Prepare a request. Raises InputError or MaskError where its picture or mask will not do."""
    if isinstance(request, Inpaint):
        return InpaintWork.of(request)
    if isinstance(request, Sketch):
        return SketchWork.of(request)
    if isinstance(request, Generate):
        return GenerateWork(request)
    raise InputError(f"The operation {request.operation!r} cannot be run.")

"""From a request to the work it means: what the cascade draws, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from glide_edit.errors import InputError
from glide_edit.operations.cascade import Job
from glide_edit.operations.finished import Drawn, Finished, new_picture
from glide_edit.operations.inpaint import InpaintWork
from glide_edit.operations.sketch import SketchWork
from glide_edit.operations.vary import VaryWork
from glide_edit.requests import Generate, Inpaint, Request, Sketch, Vary
from masks import Mask


class Work(Protocol):
    """One operation on its way: ``notes`` for the user, and where something is kept, what may change."""

    @property
    def notes(self) -> tuple[str, ...]: ...

    @property
    def allowed(self) -> Mask | None: ...

    def job(self) -> Job:
        """What the cascade is asked to draw."""
        ...

    def finish(self, drawn: Drawn) -> Finished:
        """From what was drawn to the finished picture and its receipt."""
        ...


@dataclass(frozen=True, eq=False)
class GenerateWork:
    """A picture from words: what is drawn is the picture."""

    request: Generate
    notes: tuple[str, ...] = ()
    allowed: Mask | None = None

    def job(self) -> Job:
        return Job(self.request)

    def finish(self, drawn: Drawn) -> Finished:
        return new_picture(drawn)


def work_for(request: Request) -> Work:
    """Prepare a request. Raises InputError or MaskError where its picture or mask will not do."""
    if isinstance(request, Inpaint):
        return InpaintWork.of(request)
    if isinstance(request, Sketch):
        return SketchWork.of(request)
    if isinstance(request, Vary):
        return VaryWork(request)
    if isinstance(request, Generate):
        return GenerateWork(request)
    raise InputError(f"Not a request that can be run: {type(request).__name__}.")

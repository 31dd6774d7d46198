"""From a request to the work it means: what the cascade draws, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from glide_edit.errors import InputError
from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job
from glide_edit.operations.clip import Clip
from glide_edit.operations.detail import draw
from glide_edit.operations.finished import Drawn, Finished, new_picture, to_pixels
from glide_edit.operations.inpaint import PartsWork, inpaint_work
from glide_edit.operations.outpaint import OutpaintWork
from glide_edit.operations.sketch import SketchWork
from glide_edit.operations.upscale import UpscaleWork
from glide_edit.operations.vary import VaryWork
from glide_edit.requests import Generate, Inpaint, Outpaint, Request, Sketch, Upscale, Vary
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

    def finish(self, drawn: Drawn, seed: int | None = None) -> Finished:
        """From what was drawn for ``seed`` (None: the request's first) to the picture and its receipt."""
        ...


@dataclass(frozen=True, eq=False)
class GenerateWork:
    """A picture from words: what is drawn is the picture."""

    request: Generate
    notes: tuple[str, ...] = ()
    allowed: Mask | None = None

    def job(self) -> Job:
        return Job(self.request)

    def finish(self, drawn: Drawn, seed: int | None = None) -> Finished:
        return new_picture(drawn)


ManyFrames = PartsWork | OutpaintWork
"""Operations that draw several frames, each knowing what was drawn before it."""

AnyWork = Work | ManyFrames | UpscaleWork


def single_job(work: AnyWork) -> Job:
    """What an operation draws, if it draws one frame.

    Raises:
        InputError: it draws several, so that candidates cannot be told apart by their first.
    """
    if isinstance(work, ManyFrames | UpscaleWork):
        raise InputError("Candidates are for what is drawn in one frame: leave them out here.")
    return work.job()


def carry_out(
    model: Model, work: AnyWork, clip: Clip | None, drafts: Mapping[int, Tensor] | None = None
) -> Iterator[tuple[CascadeStep, list[Finished]]]:
    """All steps of an operation, each with the pictures that it finished. Stop iterating and it stops.

    ``drafts`` are what the base stage has drawn already, for operations that draw one frame.
    """
    if isinstance(work, ManyFrames):
        yield from work.run(model, clip)
    elif isinstance(work, UpscaleWork):
        yield from work.run(model)
    else:
        for step in draw(model, work.job(), clip, drafts):
            finished = zip(to_pixels(step.x0), step.seeds, strict=True) if step.is_last else ()
            yield step, [work.finish(drawn, seed) for drawn, seed in finished]


def work_for(request: Request) -> AnyWork:
    """Prepare a request. Raises InputError or MaskError where its picture or mask will not do."""
    if isinstance(request, Inpaint):
        return inpaint_work(request)
    if isinstance(request, Outpaint):
        return OutpaintWork.of(request)
    if isinstance(request, Upscale):
        return UpscaleWork(request)
    if isinstance(request, Sketch):
        return SketchWork.of(request)
    if isinstance(request, Vary):
        return VaryWork(request)
    if isinstance(request, Generate):
        return GenerateWork(request)
    raise InputError(f"Not a request that can be run: {type(request).__name__}.")

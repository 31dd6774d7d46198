"""From a request to the work it means: what the cascade draws, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from glide_edit.errors import InputError
from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job
from glide_edit.operations.clip import Clip
from glide_edit.operations.detail import draw
from glide_edit.operations.inpaint import PartsWork, inpaint_work
from glide_edit.operations.outpaint import OutpaintWork
from glide_edit.operations.postprocess import Drawn, Postprocessed, new_picture, to_pixels
from glide_edit.operations.rerank import Drafts
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

    def finish(self, drawn: Drawn, seed: int | None = None) -> Postprocessed:
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

    def finish(self, drawn: Drawn, seed: int | None = None) -> Postprocessed:
        return new_picture(drawn)


ManyFrames = PartsWork | OutpaintWork
"""Operations that draw several frames, each knowing what was drawn before it."""

AnyWork = Work | ManyFrames | UpscaleWork


def draws_one_frame(work: AnyWork) -> TypeGuard[Work]:
    """Whether all that is drawn of a picture follows from one draft."""
    return not isinstance(work, ManyFrames | UpscaleWork)


def draft_jobs(work: AnyWork) -> tuple[Job, ...]:
    """What the base stage draws of a candidate: a job for each frame, none of which waits for another.

    Raises:
        InputError: every frame goes on from the one before it, or nothing is drawn by the base stage.
    """
    if isinstance(work, OutpaintWork | UpscaleWork):
        raise InputError(
            f"Candidates cannot be told apart before they are finished in {work.request.operation}: "
            "leave candidates out."
        )
    return work.draft_jobs() if isinstance(work, PartsWork) else (work.job(),)


def carry_out(
    model: Model, work: AnyWork, clip: Clip | None, drafts: Drafts | None = None
) -> Iterator[tuple[CascadeStep, list[Postprocessed]]]:
    """All steps of an operation, each with the pictures that it finished. Stop iterating and it stops.

    ``drafts`` are what the base stage has drawn already: only their seeds are drawn. What is drawn in several
    frames is drawn anew, since a frame may show those before it.
    """
    if isinstance(work, ManyFrames):
        yield from work.run(model, clip, work.request.seeds if drafts is None else tuple(drafts))
    elif isinstance(work, UpscaleWork):
        yield from work.run(model)
    else:
        first = None if drafts is None else {seed: draft for seed, (draft,) in drafts.items()}
        for step in draw(model, work.job(), clip, first):
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

"""What is kept of work that was stopped: finished pictures, or else the last one as far as it had come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glide_edit.images import Picture
from glide_edit.operations.work import Work, draws_one_frame, work_for
from glide_edit.requests import Request
from glide_edit.results import EditResult, Progress, Receipt
from masks import Mask, compare_outside


def kept_so_far(
    request: Request,
    model: str,
    pictures: Sequence[Picture],
    last: Progress,
    seconds: float,
    seeds: Sequence[int] = (),
) -> EditResult:
    """A result of the ``pictures`` that were finished, with these ``seeds`` (by default the request's own);
    where none was, of the preview of the ``last`` step.

    Candidates that were drawn are in the result, so that they can still be finished; where the base stage was
    still at work, the best of them is the picture.

    The preview is put back into the source as a finished picture would be, so that its receipt holds as well;
    that picture does not follow from the request alone, and the notes say so. An operation of several frames
    gives its source back, since a preview shows one of them.
    """
    work = work_for(request)
    if pictures:
        note = f"Stopped: {len(pictures)} of {request.n} pictures were finished."
        kept, receipts = tuple(pictures), _receipts(request, work.allowed, pictures)
    elif not draws_one_frame(work):
        assert request.source is not None, "what is drawn in several frames begins from a picture"
        note = "Stopped before the picture was finished: this is the one it began from."
        kept, receipts = (request.source,), _receipts(request, work.allowed, [request.source])
    elif last.candidates and last.stage == "base":
        best = last.candidates[0]
        drawn = f"{len(last.candidates)} of {request.candidates} candidates were drawn"
        note = f"Stopped: {drawn}, and this is the best one's draft."
        kept, receipts = _put_back(work, best.preview)
        seeds = (best.seed,)
    else:
        note = (
            f"Stopped at step {last.step} of {last.total} of the {last.stage}: this is how far it had come."
        )
        kept, receipts = _put_back(work, last.preview)
        seeds = seeds or tuple(each.seed for each in last.candidates[:1])
    return EditResult(
        request=request,
        pictures=kept,
        receipts=receipts,
        model=model,
        notes=(*work.notes, note),
        seconds=seconds,
        allowed=work.allowed,
        seeds=tuple(seeds),
        candidates=last.candidates,
    )


def _put_back(work: Work, preview: NDArray[np.uint8]) -> tuple[tuple[Picture, ...], tuple[Receipt, ...]]:
    finished = work.finish(preview.astype(np.float32))
    return (finished.picture,), () if finished.receipt is None else (finished.receipt,)


def _receipts(request: Request, allowed: Mask | None, pictures: Sequence[Picture]) -> tuple[Receipt, ...]:
    source = request.source
    # An outpainting is larger than its source, with which it cannot be compared as it is.
    if source is None or allowed is None or allowed.size != (source.height, source.width):
        return ()
    return tuple(Receipt(compare_outside(source.pixels, each.pixels, allowed.selected)) for each in pictures)

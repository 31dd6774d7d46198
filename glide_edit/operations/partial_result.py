"""What is kept of work that was stopped: finished pictures, or else the last one as far as it had come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glide_edit.images import Picture
from glide_edit.operations.work import AnyWork, draws_one_frame, work_for
from glide_edit.requests import Request
from glide_edit.results import EditResult, Progress, Receipt
from masks import Mask, compare_outside


@dataclass(eq=False)
class PartialResult:
    """What a run has come to: it is told of every step. ``model`` is what makes the pictures."""

    request: Request
    model: str
    pictures: list[Picture] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    last: Progress | None = None
    _began: float = field(default_factory=time.perf_counter)

    def add(self, event: Progress) -> None:
        self.pictures += event.pictures
        self.seeds += event.seeds
        self.last = event

    def finished(self) -> EditResult | None:
        """A result of the pictures that were finished, None where none was."""
        if not self.pictures:
            return None
        work = work_for(self.request)
        receipts = _receipts(self.request, work.allowed, self.pictures)
        return self._result(self.pictures, receipts, work, self.seeds)

    def kept(self) -> EditResult:
        """The same, with a note; where no picture was finished, a result of the last step's preview.

        Candidates that were drawn are in the result, so that they can still be finished; where the base stage
        was still at work, the best of them is the picture.

        The preview is put back into the source as a finished picture would be, so that its receipt holds as
        well; that picture does not follow from the request alone, and the notes say so. An operation of
        several frames gives its source back, since a preview shows one of them.
        """
        if (finished := self.finished()) is not None:
            note = f"Stopped: {len(self.pictures)} of {self.request.n} pictures were finished."
            return replace(finished, notes=(*finished.notes, note))
        work, last = work_for(self.request), self.last
        if not draws_one_frame(work):
            source = self.request.source
            assert source is not None, "what is drawn in several frames begins from a picture"
            note = "Stopped before the picture was finished: this is the one it began from."
            receipts = _receipts(self.request, work.allowed, [source])
            return self._result([source], receipts, work, (), note)
        assert last is not None, "a stream has steps"
        shown, seeds = last.preview, tuple(each.seed for each in last.candidates[:1])
        note = (
            f"Stopped at step {last.step} of {last.total} of the {last.stage}: this is how far it had come."
        )
        if last.candidates and last.stage == "base":
            (shown,) = last.candidates[0].previews
            drawn = f"{len(last.candidates)} of {self.request.candidates} candidates were drawn"
            note = f"Stopped: {drawn}, and this is the best one's draft."
        made = work.finish(shown.astype(np.float32))
        receipts = () if made.receipt is None else (made.receipt,)
        return self._result([made.picture], receipts, work, seeds, note)

    def _result(
        self,
        pictures: Sequence[Picture],
        receipts: tuple[Receipt, ...],
        work: AnyWork,
        seeds: Sequence[int],
        *notes: str,
    ) -> EditResult:
        return EditResult(
            request=self.request,
            pictures=tuple(pictures),
            receipts=receipts,
            model=self.model,
            notes=(*work.notes, *notes),
            seconds=time.perf_counter() - self._began,
            allowed=work.allowed,
            seeds=tuple(seeds),
            candidates=() if self.last is None else self.last.candidates,
        )


def _receipts(request: Request, allowed: Mask | None, pictures: Sequence[Picture]) -> tuple[Receipt, ...]:
    source = request.source
    # An outpainting is larger than its source, with which it cannot be compared as it is.
    if source is None or allowed is None or allowed.size != (source.height, source.width):
        return ()
    return tuple(Receipt(compare_outside(source.pixels, each.pixels, allowed.selected)) for each in pictures)

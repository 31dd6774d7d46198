"""What is kept of work that was stopped: finished pictures, or else the last one as far as it had come."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glide_edit.errors import InputError
from glide_edit.images import Picture
from glide_edit.pipeline.finish import finish_preview
from glide_edit.pipeline.plan import Plan
from glide_edit.results import EditResult, Progress, Receipt
from masks import compare_outside


@dataclass(eq=False)
class PartialResult:
    """What a run has come to: ``add`` every step of it."""

    plan: Plan
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
        return self._result(self.pictures, self._receipts(self.pictures), self.seeds)

    def kept(self) -> EditResult:
        """The same, with a note; where no picture was finished, a result of the last step's preview.

        Candidates that were drawn are in the result, so that they can still be finished; where the first
        stage was still at work, the best of them is the picture.

        The preview is put back into the source as a finished picture would be, so that its receipt holds as
        well; that picture does not follow from the request alone, and the notes say so. An operation of
        several frames gives its source back, since a preview shows one of them.

        Raises:
            InputError: an edit of one frame, of which no step was added.
        """
        plan, last = self.plan, self.last
        if (finished := self.finished()) is not None:
            note = f"Stopped: {len(self.pictures)} of {plan.request.n} pictures were finished."
            return replace(finished, notes=(*finished.notes, note))
        if not plan.is_one_draft:
            source = plan.request.source
            assert source is not None, "an edit of several frames begins from a picture"
            note = "Stopped before the picture was finished: this is the one it began from."
            return self._result([source], self._receipts([source]), (), note)
        if last is None:
            raise InputError("Nothing was drawn yet: add a step first.", code="nothing_drawn")
        seeds = tuple(each.seed for each in last.candidates[:1])
        if last.candidates and last.stage == plan.stages[0].label:
            (shown,) = last.candidates[0].previews
            drawn = f"{len(last.candidates)} of {plan.request.candidates} candidates were drawn"
            note = f"Stopped: {drawn}, and this is the best one's draft."
        else:
            shown = last.preview
            step = f"step {last.step} of {last.total} of the {last.stage}"
            note = f"Stopped at {step}: this is how far it had come."
        made = finish_preview(plan, shown, *seeds)
        receipts = () if made.receipt is None else (made.receipt,)
        return self._result([made.picture], receipts, seeds, note)

    def _result(
        self, pictures: Sequence[Picture], receipts: tuple[Receipt, ...], seeds: Sequence[int], *notes: str
    ) -> EditResult:
        return EditResult(
            request=self.plan.request,
            pictures=tuple(pictures),
            receipts=receipts,
            model=self.plan.model,
            notes=(*self.plan.notes, *notes),
            seconds=time.perf_counter() - self._began,
            allowed=self.plan.allowed,
            seeds=tuple(seeds),
            candidates=() if self.last is None else self.last.candidates,
        )

    def _receipts(self, pictures: Sequence[Picture]) -> tuple[Receipt, ...]:
        source, allowed = self.plan.request.source, self.plan.allowed
        # An outpainting is larger than its source and cannot be compared with it as it is.
        if source is None or allowed is None or allowed.size != (source.height, source.width):
            return ()
        return tuple(
            Receipt(compare_outside(source.pixels, each.pixels, allowed.selected)) for each in pictures
        )

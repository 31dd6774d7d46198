"""The editor: a loaded model that runs requests."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, cast
from weakref import WeakKeyDictionary

from torch import Tensor

from glide_edit.errors import InputError
from glide_edit.images import PictureLike, open_picture
from glide_edit.models.folder import Model, load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.operations.advice import findings
from glide_edit.operations.cascade import check, remarks, run_base
from glide_edit.operations.clip import Clip, OpenClip, load_open_clip
from glide_edit.operations.device_lock import shared_device
from glide_edit.operations.postprocess import Postprocessed, preview
from glide_edit.operations.rerank import Drafts, Ranking, rank
from glide_edit.operations.work import AnyWork, carry_out, draft_jobs, work_for
from glide_edit.recipes import Recipe, another_model, read_recipe, rebuild
from glide_edit.requests import (
    OPERATIONS,
    Generate,
    Inpaint,
    Outpaint,
    Remove,
    Request,
    Sketch,
    Upscale,
    Vary,
)
from glide_edit.results import EditResult, Progress
from glide_edit.selections import MaskLike, open_mask
from masks import Finding


class Editor:
    """Runs requests with one model. Threads may share it: a device does one run at a time, others wait.

    ``clip`` guides in place of the model's own CLIP, where a request asks for guidance by CLIP.
    """

    def __init__(self, model: Model, clip: Clip | None = None) -> None:
        self.model = model
        self.clip = clip
        self._device = shared_device(model.runtime.device)
        self._diagnosed: WeakKeyDictionary[Request, tuple[Finding, ...]] = WeakKeyDictionary()

    @classmethod
    def load(
        cls,
        model: str | Path = "toybox",
        device: str = "auto",
        precision: str = "auto",
        clip: str | None = None,
    ) -> Editor:
        """Load a model by name or folder, and with ``clip`` an open_clip model to be guided by.

        ``clip`` is an architecture and the name or file of its weights: "ViT-B-32/openai".

        Raises:
            ModelNotFound: no such model.
            ModelFormatError: a folder that is damaged, incomplete or too new.
            InputError: a device or precision that is unknown or not to be had here, or a CLIP that cannot be
                loaded.
        """
        runtime = choose_runtime(device, precision)
        apply(runtime)
        folder = resolve(model)
        guide = None if clip is None else load_open_clip(clip, runtime.device)
        return cls(load_model(folder, runtime), guide)

    @property
    def runtime(self) -> Runtime:
        """Device, precision and why."""
        return self.model.runtime

    # -- the operations as calls --------------------------------------------------------------

    def generate(self, prompt: str, **settings: Any) -> EditResult:
        """A picture from words; ``settings`` are the fields of ``Generate``."""
        return self.run(Generate(prompt=prompt, **settings))

    def inpaint(
        self,
        image: PictureLike,
        mask: MaskLike,
        prompt: str = "",
        *,
        protect: MaskLike | None = None,
        **settings: Any,
    ) -> EditResult:
        """Repaint the masked part of a picture; ``settings`` are the other fields of ``Inpaint``.

        ``mask`` and ``protect`` are a ``Mask``, or a picture in which white (128 and above) is what to change
        or to protect.
        """
        request = Inpaint(
            image=open_picture(image),
            mask=open_mask(mask),
            prompt=prompt,
            protect=None if protect is None else open_mask(protect),
            **settings,
        )
        return self.run(request)

    def sketch(self, drawing: PictureLike, prompt: str = "", **settings: Any) -> EditResult:
        """A picture from a line drawing; ``settings`` are the fields of ``Sketch``."""
        return self.run(Sketch(drawing=open_picture(drawing), prompt=prompt, **settings))

    def remove(
        self, image: PictureLike, mask: MaskLike, *, protect: MaskLike | None = None, **settings: Any
    ) -> EditResult:
        """Take the masked part out of a picture; ``settings`` are the other fields of ``Remove``."""
        request = Remove(
            image=open_picture(image),
            mask=open_mask(mask),
            protect=None if protect is None else open_mask(protect),
            **settings,
        )
        return self.run(request)

    def outpaint(self, image: PictureLike, prompt: str = "", **settings: Any) -> EditResult:
        """A larger picture around a picture; ``settings`` are the other fields of ``Outpaint``."""
        return self.run(Outpaint(image=open_picture(image), prompt=prompt, **settings))

    def upscale(self, image: PictureLike, factor: int = 4, **settings: Any) -> EditResult:
        """The same picture 2 or 4 times as large; ``settings`` are the other fields of ``Upscale``."""
        return self.run(Upscale(image=open_picture(image), factor=factor, **settings))

    def vary(self, image: PictureLike, prompt: str = "", **settings: Any) -> EditResult:
        """Another picture like a given one; ``settings`` are the fields of ``Vary``."""
        return self.run(Vary(image=open_picture(image), prompt=prompt, **settings))

    def replay(
        self,
        recipe: Recipe | str | Path,
        image: PictureLike | Sequence[PictureLike] = (),
        *,
        on: PictureLike | None = None,
        **changes: Any,
    ) -> EditResult:
        """Repeat the edit of a saved picture, or apply it to another one.

        Args:
            recipe: a picture that was saved with its recipe, or the recipe.
            image: the picture that the edit started from, or all where there were several.
            on: another picture in place of it; masks are scaled to its size, which the result's notes say.
            changes: fields of the request that get another value, as ``seed=5`` or ``prompt="a cat"``.

        Raises:
            InputError: no recipe, or ``image`` is not what it started from. ImageError, MaskError: what
                opening and ``run`` raise.
        """
        recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
        sources = image if isinstance(image, list | tuple) else (image,)
        given = sources if on is None else (on, *sources)
        pictures = [open_picture(cast("PictureLike", each)) for each in given]
        request, notes = rebuild(recipe, pictures, other=on is not None, **changes)
        result = self.run(request)
        if result.model != recipe.model:
            notes = (*notes, another_model(recipe, result.model))
        return replace(result, notes=(*notes, *result.notes))

    # -- running ------------------------------------------------------------------------------------

    def run(self, request: Request) -> EditResult:
        """Carry out a request. Raises what ``stream`` raises."""
        with closing(self.stream(request)) as events:
            for event in events:
                if isinstance(event, EditResult):
                    return event
        raise AssertionError("a stream ends with its result")

    def stream(self, request: Request) -> Generator[Progress | EditResult, None, None]:
        """Carry out a request step by step: ``Progress`` events, and the ``EditResult`` last.

        The request is checked in this call; the work begins with the first event, when the device is free.
        Until the last one the device is this stream's. Stop iterating (or close the generator) and the work
        stops; pictures that were finished by then came with the events.

        Raises:
            InputError: this model cannot do it, or (with the first event) the caller has another open stream
                on the same device.
            MaskError: the protected area leaves nothing to change.
        """
        if not isinstance(request, tuple(OPERATIONS.values())):
            raise InputError(f"A request is needed, such as Inpaint, not {type(request).__name__}.")
        check(self.model, request, self.clip)
        work = work_for(request)
        if request.candidates is not None:
            draft_jobs(work)
        return self._events(request, work)

    def stream_candidate(self, result: EditResult, seed: int) -> Generator[Progress | EditResult, None, None]:
        """Finish one of a result's candidates as ``stream`` finished the best: from its draft on.

        What comes of it is the picture that the request with this seed alone gives.

        Raises:
            InputError: no candidate of that seed, or another model has drawn it.
        """
        drafts = {each.seed: each.drafts for each in result.candidates if each.seed == seed}
        if not drafts:
            raise InputError(f"No candidate has the seed {seed}: run a request with candidates first.")
        if result.model != self.label(result.request):
            raise InputError(f"The candidates were drawn by {result.model}: only it can finish them.")
        request = result.request.alone(seed)
        return self._events(request, work_for(request), drafts)

    def diagnose(self, request: Request) -> tuple[Finding, ...]:
        """What the mask doctor says of a request, before any time is spent; empty without a selection.

        Its warnings are among the notes of the result; a request is looked at once however often this is
        asked.

        Raises:
            InputError: this model cannot do it.
            MaskError: the protected area leaves nothing to change.
        """
        check(self.model, request, self.clip)
        if request not in self._diagnosed:
            self._diagnosed[request] = findings(self.model, request)
        return self._diagnosed[request]

    def _events(
        self, request: Request, work: AnyWork, best: Drafts | None = None
    ) -> Generator[Progress | EditResult, None, None]:
        """``best`` are drafts by seed that need only be finished."""
        done: list[Postprocessed] = []
        network_seconds = 0.0
        with self._device.turn() as turn:
            began = time.perf_counter()
            shortlist = Ranking()
            if request.candidates is not None:
                drafts: dict[int, tuple[Tensor, ...]] = dict.fromkeys(request.candidate_seeds, ())
                jobs = draft_jobs(work)
                for step in chain.from_iterable(
                    run_base(self.model, job, self.clip, request.candidate_seeds) for job in jobs
                ):
                    network_seconds += step.network_seconds
                    if step.step == step.total:
                        for seed, draft in zip(step.seeds, step.x0.split(1), strict=True):
                            drafts[seed] += (draft,)
                        whole = {seed: drafts[seed] for seed in step.seeds if len(drafts[seed]) == len(jobs)}
                        if whole:
                            shortlist = rank(whole, jobs, self.model, self.clip, shortlist.candidates)
                    yield Progress(
                        step.stage,
                        step.step,
                        step.total,
                        preview(step.x0),
                        candidates=shortlist.candidates,
                    )
                    turn.renew()
                best = shortlist.best(request.n)
            for step, new in carry_out(self.model, work, self.clip, best):
                network_seconds += step.network_seconds
                done += new
                yield Progress(
                    step.stage,
                    step.step,
                    step.total,
                    preview(step.x0),
                    len(done),
                    pictures=tuple(each.picture for each in new),
                    seeds=step.seeds if new else (),
                    candidates=shortlist.candidates,
                )
                turn.renew()
            seconds = time.perf_counter() - began
        notes = [
            *work.notes,
            *(each.text for each in self.diagnose(request) if each.severity == "warning"),
            *remarks(self.model, request),
            *(note for each in done for note in each.notes),
        ]
        yield EditResult(
            request=request,
            pictures=tuple(each.picture for each in done),
            receipts=tuple(each.receipt for each in done if each.receipt is not None),
            model=self.label(request),
            notes=tuple(dict.fromkeys([*notes, *shortlist.notes])),
            seconds=seconds,
            network_seconds=network_seconds,
            allowed=work.allowed,
            seeds=request.seeds if best is None else tuple(best),
            candidates=shortlist.candidates,
            sheet=shortlist.sheet(request.n) if shortlist.candidates else None,
        )

    def label(self, request: Request) -> str:
        """What makes a request's pictures, as recipes name it: the model, and a CLIP of open_clip."""
        if isinstance(self.clip, OpenClip) and request.clip_guidance:
            return f"{self.model.label}, guided by {self.clip.name}"
        return self.model.label

"""The editor: a loaded model that runs requests."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

from glide_edit.editor_async import AsyncEditor
from glide_edit.editor_methods import EditorMethods
from glide_edit.errors import InputError
from glide_edit.images import PictureLike, open_picture
from glide_edit.models.folder import Model, load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.operations.clip import Clip, OpenClip, load_open_clip
from glide_edit.operations.device_lock import device_lock
from glide_edit.operations.registry import operation_of
from glide_edit.operations.rerank import Drafts
from glide_edit.pipeline.check import check, findings, is_guided_by_clip
from glide_edit.pipeline.plan import Plan
from glide_edit.pipeline.plan_check import check_unchanged
from glide_edit.pipeline.planner import plan
from glide_edit.pipeline.run import run
from glide_edit.recipes import Recipe, another_model, read_recipe, rebuild
from glide_edit.requests import Request
from glide_edit.results import EditResult, Progress
from glide_edit.sampling import SampleStep
from masks import Finding

if TYPE_CHECKING:
    import torch


class Editor(EditorMethods, AsyncEditor):
    """Runs requests with one model. Threads may share it: a device does one run at a time, others wait.

    ``clip`` guides in place of the model's own CLIP, where a request asks for guidance by CLIP.
    """

    def __init__(self, model: Model, clip: Clip | None = None) -> None:
        self.model = model
        self.clip = clip
        self._lock = device_lock(model.runtime.device)
        self._own_plans: WeakValueDictionary[int, Plan] = WeakValueDictionary()
        self._diagnosed: WeakKeyDictionary[Request, tuple[Finding, ...]] = WeakKeyDictionary()

    @classmethod
    def load(
        cls,
        model: str | Path = "toybox",
        device: str | torch.device = "auto",
        precision: str = "auto",
        clip: str | None = None,
        *,
        tune_process: bool = False,
        threads: int | None = None,
    ) -> Self:
        """Load a model by name or folder, and with ``clip`` an open_clip model to be guided by.

        ``clip`` is an architecture and the name or file of its weights: "ViT-B-32/openai". ``tune_process``
        sets up the whole process for speed, as the command line does: PyTorch's number of threads, and how
        freed memory is kept. ``threads`` are then as many as are said, otherwise one for each core that other
        programs leave free, which is looked at between the steps.

        Raises:
            ModelNotFound: no such model.
            ModelFormatError: a folder that is damaged, incomplete or too new.
            InputError: a device or precision that is unknown or not to be had here, no thread at all, or a
                CLIP that cannot be loaded.
        """
        runtime = choose_runtime(device, precision, threads)
        if tune_process:
            apply(runtime)
        folder = resolve(model)
        guide = None if clip is None else load_open_clip(clip, runtime.device)
        return cls(load_model(folder, runtime), guide)

    @property
    def runtime(self) -> Runtime:
        """Device, precision and why."""
        return self.model.runtime

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

    # -- planning and running -----------------------------------------------------------------------

    def plan(self, request: Request) -> Plan:
        """Settle every choice of an edit without doing it: what it will do and cost.

        Raises:
            InputError: this model cannot do it. MaskError: the protected area leaves nothing to change.
        """
        made = self._planned(request)
        warnings = (each.text for each in self.diagnose(request) if each.severity == "warning")
        made = replace(made, notes=(*made.notes, *warnings))
        self._own_plans[id(made)] = made
        return made

    def run(
        self,
        request: Request | Plan,
        *,
        callback: Callable[[Progress], None] | None = None,
        on_step: Callable[[SampleStep], None] | None = None,
        timeout: float | None = None,
    ) -> EditResult:
        """Carry out a request, or a plan of it that this model's editor made.

        ``callback`` is called with every ``Progress``, ``on_step`` before it with every step of a sampler and
        copies of its latents. What they raise stops the work. ``timeout`` is as for ``stream``.

        Raises:
            InputError, MaskError, DeviceBusy: as ``stream``; InputError also for an ``async`` callback,
                which ``arun`` awaits.
        """
        if inspect.iscoroutinefunction(callback):
            raise _never_awaited("callback")
        with closing(self.stream(request, on_step=on_step, timeout=timeout)) as events:
            for event in events:
                if isinstance(event, EditResult):
                    return event
                if callback is not None:
                    callback(event)
        raise AssertionError("a stream ends with its result")

    def stream(
        self,
        request: Request | Plan,
        *,
        on_step: Callable[[SampleStep], None] | None = None,
        timeout: float | None = None,
    ) -> Generator[Progress | EditResult, None, None]:
        """Carry out a request step by step: ``Progress`` events, and the ``EditResult`` last.

        The request is planned in this call; the work begins with the first event, when the device is free.
        With a ``timeout``, so many seconds are waited for that at most, 0 for not at all. Until the last
        event the device is this stream's. Stop iterating (or close the generator) and the work
        stops; pictures that were finished by then came with the events.

        Raises:
            InputError: this model cannot do it, a plan is not what its request gives with this model, or
                (with the first event) the caller has another open stream on the same device.
            DeviceBusy: (with the first event) another run has the device for longer than ``timeout``.
            MaskError: the protected area leaves nothing to change.
        """
        if inspect.iscoroutinefunction(on_step):
            raise _never_awaited("on_step")
        if timeout is not None and not 0 <= timeout < math.inf:
            said = f"The timeout is a number of seconds from 0 up, not {timeout!r}."
            raise InputError(said, code="timeout_out_of_range", field="timeout")
        made = self._checked(request) if isinstance(request, Plan) else self.plan(request)
        return self._events(made, None, on_step, timeout)

    def stream_candidate(self, result: EditResult, seed: int) -> Generator[Progress | EditResult, None, None]:
        """Finish one of a result's candidates as ``stream`` finished the best: from its draft on.

        The picture is the one that the request with this seed alone gives.

        Raises:
            InputError: no candidate of that seed, or another model has drawn it.
        """
        drafts = {each.seed: each.drafts for each in result.candidates if each.seed == seed}
        if not drafts:
            said = f"No candidate has the seed {seed}: run a request with candidates first."
            raise InputError(said, code="candidate_unknown", field="seed")
        if result.model != self.label(result.request):
            said = f"The candidates were drawn by {result.model}: only it can finish them."
            raise InputError(said, code="candidates_of_another_model", field="result")
        return self._events(self.plan(result.request.alone(seed)), drafts, None)

    def diagnose(self, request: Request) -> tuple[Finding, ...]:
        """What the mask doctor says of a request, before any time is spent; empty without a selection.

        Its warnings are among the notes of the result; a request is examined once however often this is
        asked.

        Raises:
            InputError: this model cannot do it.
            MaskError: the protected area leaves nothing to change.
        """
        operation_of(request)
        check(self.model, request, has_clip=self.clip is not None)
        if request not in self._diagnosed:
            self._diagnosed[request] = findings(self.model.spec, request)
        return self._diagnosed[request]

    def _planned(self, request: Request) -> Plan:
        operation_of(request)
        return plan(request, self.model, label=self.label(request), has_clip=self.clip is not None)

    def _checked(self, given: Plan) -> Plan:
        """A plan that may be carried out: this editor's own, or one that is like it."""
        operation_of(given.request)
        if given.model != (label := self.label(given.request)):
            said = f"The plan is for {given.model}, not for {label}: plan its request again."
            raise InputError(said, code="plan_for_another_model", field="model")
        if self._own_plans.get(id(given)) is given:
            return given
        again = self._planned(given.request)
        check_unchanged(given, again)
        return replace(again, notes=given.notes)

    def _events(
        self,
        made: Plan,
        drafts: Drafts | None,
        on_step: Callable[[SampleStep], None] | None,
        timeout: float | None = None,
    ) -> Generator[Progress | EditResult, None, None]:
        with self._lock.lease(f"{made.request.operation} with {made.model}", timeout) as lease:
            for event in run(made, self.model, self.clip, drafts, on_step):
                if isinstance(event, EditResult):
                    break
                yield event
                lease.renew()
        yield event  # the result, when the device is free again

    def label(self, request: Request) -> str:
        """What makes a request's pictures, as recipes name it: the model, and a CLIP of open_clip."""
        if isinstance(self.clip, OpenClip) and is_guided_by_clip(self.model.spec, request):
            return f"{self.model.label}, guided by {self.clip.name}"
        return self.model.label


def _never_awaited(name: str) -> InputError:
    awaits = "pass a plain function" if name == "on_step" else "use arun, which awaits it"
    return InputError(
        f"{name} is an async function, which nobody would await here: {awaits}.", code=f"{name}_is_async"
    )

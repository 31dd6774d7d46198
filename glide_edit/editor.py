"""The editor: a loaded model that runs requests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glide_edit.images import Picture, open_picture
from glide_edit.models.folder import Model, load_model
from glide_edit.models.registry import resolve
from glide_edit.models.runtime import Runtime, apply, choose_runtime
from glide_edit.operations.cascade import CascadeStep, check, preview, run_cascade, to_pixels
from glide_edit.operations.work import Work, work_for
from glide_edit.requests import Generate, Inpaint, Request, Sketch
from glide_edit.results import EditResult, Progress, Receipt
from masks import Mask

if TYPE_CHECKING:
    from PIL.Image import Image

    ImageSource = str | Path | Image | NDArray[Any] | Picture
    MaskSource = str | Path | Image | NDArray[Any] | Mask

_DEVICES: dict[str, threading.Lock] = {}
_DEVICES_GUARD = threading.Lock()


class Editor:
    """Runs requests with one model. May be shared by threads: a device does one run at a time, others wait."""

    def __init__(self, model: Model) -> None:
        self.model = model
        with _DEVICES_GUARD:
            self._device = _DEVICES.setdefault(str(model.runtime.device), threading.Lock())

    @classmethod
    def load(cls, model: str | Path = "toybox", device: str = "auto", precision: str = "auto") -> Editor:
        """Load a model by name or folder.

        Raises:
            ModelNotFound: no such model.
            ModelFormatError: a folder that is damaged, incomplete or too new.
            InputError: a device or precision that is unknown or not to be had here.
        """
        runtime = choose_runtime(device, precision)
        apply(runtime)
        return cls(load_model(resolve(model), runtime))

    @property
    def runtime(self) -> Runtime:
        """Device, precision and why."""
        return self.model.runtime

    # -- the three operations as calls --------------------------------------------------------------

    def generate(self, prompt: str, **settings: Any) -> EditResult:
        """A picture from words; ``settings`` are the fields of ``Generate``."""
        return self.run(Generate(prompt=prompt, **settings))

    def inpaint(self, image: ImageSource, mask: MaskSource, prompt: str = "", **settings: Any) -> EditResult:
        """Repaint the masked part of a picture; ``settings`` are the fields of ``Inpaint``.

        ``mask`` is a ``Mask``, or a picture in which white (128 and above) is what to change.
        """
        return self.run(Inpaint(image=open_picture(image), mask=open_mask(mask), prompt=prompt, **settings))

    def sketch(self, drawing: ImageSource, prompt: str = "", **settings: Any) -> EditResult:
        """A picture from a line drawing; ``settings`` are the fields of ``Sketch``."""
        return self.run(Sketch(drawing=open_picture(drawing), prompt=prompt, **settings))

    # -- running ------------------------------------------------------------------------------------

    def run(self, request: Request) -> EditResult:
        """Carry out a request. Raises InputError where this model cannot do it."""
        for event in self.stream(request):
            if isinstance(event, EditResult):
                return event
        raise AssertionError("a stream ends with its result")

    def stream(self, request: Request) -> Iterator[Progress | EditResult]:
        """Carry out a request step by step: ``Progress`` events, and the ``EditResult`` last.

        Stop iterating (or close the generator) and the work stops; pictures that were finished by then came
        with the events.
        """
        check(self.model, request)
        with self._device:
            yield from self._stream(request)

    def _stream(self, request: Request) -> Iterator[Progress | EditResult]:
        began, network_seconds = time.perf_counter(), 0.0
        work = work_for(request)
        pictures: list[Picture] = []
        receipts: list[Receipt] = []
        notes = [*work.notes, *self._prompt_notes(request)]
        last_stage = self.model.stages[-1].name
        for step in run_cascade(self.model, work.job()):
            network_seconds += step.network_seconds
            done: list[Picture] = []
            if step.stage == last_stage and step.step == step.total:
                done = self._finish(work, step, receipts, notes)
                pictures += done
            yield Progress(step.stage, step.step, step.total, preview(step.x0), len(pictures), tuple(done))
        yield EditResult(
            request=request,
            pictures=tuple(pictures),
            receipts=tuple(receipts),
            model=f"{self.model.name} {self.model.identity}",
            notes=tuple(dict.fromkeys(notes)),
            seconds=time.perf_counter() - began,
            network_seconds=network_seconds,
            allowed=work.allowed,
        )

    def _finish(
        self, work: Work, step: CascadeStep, receipts: list[Receipt], notes: list[str]
    ) -> list[Picture]:
        pictures = []
        for drawn in to_pixels(step.x0):
            if not np.isfinite(drawn).all():
                notes.append("The model's output was not finite everywhere; the original was kept there.")
            picture, receipt = work.finish(drawn)
            pictures.append(picture)
            if receipt is not None:
                receipts.append(receipt)
        return pictures

    def _prompt_notes(self, request: Request) -> list[str]:
        encoder = self.model.text_encoder
        if not request.prompt.strip():
            return []
        if encoder is None:
            return [f"The model {self.model.name} reads no text: the prompt was ignored."]
        dropped = encoder.dropped_tokens(request.prompt)
        if not dropped:
            return []
        return [f"The prompt is too long for this model: its last {dropped} tokens were left out."]


def open_mask(source: MaskSource) -> Mask:
    """A mask from a picture in which white (128 and above), or painted alpha, is what to change."""
    if isinstance(source, Mask):
        return source
    picture = open_picture(source)
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.dstack([pixels, picture.alpha])
    return Mask.from_array(pixels, means="change")

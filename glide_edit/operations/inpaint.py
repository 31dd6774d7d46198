"""Inpainting a picture of any size: a square around the selection is redrawn and put back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glide_edit.models.model import Model
from glide_edit.operations.cascade import CascadeStep, Job
from glide_edit.operations.clip import Clip
from glide_edit.operations.frames import Canvas, Frame, frame_job, job_of, run_frames, settle
from glide_edit.operations.postprocess import Drawn, Postprocessed
from glide_edit.requests import Inpaint
from glide_edit.results import Receipt
from masks import (
    AUTOMATIC_CONTEXT,
    RING_WIDTH,
    Areas,
    Crop,
    Mask,
    compare_outside,
    derive_areas,
    shape,
    solve_crop,
    split_selection,
)

SMALLEST_CROP = 64
"""px; a smaller square shows the model too little of what surrounds a small selection."""

PATCHES_CONTEXT = 2.2
"""How much the model sees where the selection begins from patches, which have to be taken from somewhere."""


def context_of(request: Inpaint) -> float:
    """What the request says, or where the model is best."""
    automatic = PATCHES_CONTEXT if request.mask_fill == "patches" else AUTOMATIC_CONTEXT
    return automatic if request.context is None else request.context


@dataclass(frozen=True, eq=False)
class InpaintWork:
    """Where an inpainting happens: the areas of the selection and the crop the model sees.

    Raises:
        MaskError: the protected area leaves nothing to change.
    """

    request: Inpaint
    areas: Areas
    crop: Crop

    @classmethod
    def of(cls, request: Inpaint) -> InpaintWork:
        areas = derive_areas(request.mask, request.grow, request.protect)
        return cls(request, areas, solve_crop(areas.repaint, context_of(request), SMALLEST_CROP))

    @property
    def notes(self) -> tuple[str, ...]:
        return self.request.image.notes

    @property
    def allowed(self) -> Mask:
        return self.areas.allowed

    def job(self) -> Job:
        """What the cascade draws: the crop, of which all but what is repainted is known."""
        image = self.crop.extract(self.request.image.pixels).astype(np.float32) / self._white * 2 - 1
        return job_of(self.request, image, ~self.crop.extract_mask(self.areas.allowed.selected))

    def finish(self, drawn: Drawn, seed: int | None = None) -> Postprocessed:
        """Put what was drawn back into the picture, and check the rest of it. Alpha stays as it is."""
        source, allowed = self.request.image, self.areas.allowed.selected
        x0, y0, x1, y1 = self.crop.box
        canvas = Canvas(source.pixels.copy(), allowed.copy())
        frame = Frame(self.crop, allowed[y0:y1, x0:x1])
        notes = settle(canvas, frame, drawn, self.request, self.request.seed if seed is None else seed)
        pixels = canvas.pixels
        receipt = Receipt(compare_outside(source.pixels, pixels, allowed))
        return Postprocessed(replace(source, pixels=pixels), receipt, notes)

    @property
    def _white(self) -> int:
        return int(np.iinfo(self.request.image.pixels.dtype).max)


@dataclass(frozen=True, eq=False)
class PartsWork:
    """An inpainting whose selection lies in parts far apart: each is drawn in a crop of its own.

    A crop in which other parts lie shows them as they are by then: unknown, or drawn already.
    """

    request: Inpaint
    areas: Areas
    frames: tuple[Frame, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        count = len(self.frames)
        return (*self.request.image.notes, f"The selection was drawn in {count} parts that lie far apart.")

    @property
    def allowed(self) -> Mask:
        return self.areas.allowed

    def draft_jobs(self) -> tuple[Job, ...]:
        """What is drawn of each part while the others are unknown."""
        canvas = Canvas(self.request.image.pixels, self.areas.allowed.selected)
        return tuple(
            frame_job(self.request, canvas, frame.crop, number) for number, frame in enumerate(self.frames)
        )

    def run(
        self, model: Model, clip: Clip | None, seeds: Sequence[int]
    ) -> Iterator[tuple[CascadeStep, list[Postprocessed]]]:
        """The steps of all parts of a picture for each seed; a picture comes with its last step."""
        source, allowed = self.request.image, self.areas.allowed.selected
        for seed in seeds:
            canvas = Canvas(source.pixels.copy(), allowed.copy())
            notes: tuple[str, ...] = ()
            request = self.request.replace(seed=seed, n=1)
            for step, said in run_frames(model, clip, request, canvas, self.frames):
                notes += said
                done = []
                if step.is_last:
                    receipt = Receipt(compare_outside(source.pixels, canvas.pixels, allowed))
                    done = [Postprocessed(replace(source, pixels=canvas.pixels), receipt, notes)]
                yield step, done


def inpaint_work(request: Inpaint) -> InpaintWork | PartsWork:
    """One crop, or several where parts of the selection are far apart."""
    whole = InpaintWork.of(request)
    context = context_of(request)
    parts = split_selection(whole.areas.allowed, context, SMALLEST_CROP)
    if len(parts) == 1:
        return whole
    frames = []
    for part in parts:
        crop = solve_crop(shape.grow(part, RING_WIDTH), context, SMALLEST_CROP)
        x0, y0, x1, y1 = crop.box
        frames.append(Frame(crop, part.selected[y0:y1, x0:x1]))
    return PartsWork(request, whole.areas, tuple(frames))

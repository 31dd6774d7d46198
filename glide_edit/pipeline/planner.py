"""From a request and a model to a ``Plan``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.models.model import Model
from glide_edit.models.spec import FILLED, ModelSpec
from glide_edit.operations.frame import Frame, Prepared
from glide_edit.operations.registry import operation_of
from glide_edit.operations.repaint import kept
from glide_edit.pipeline.check import check, fills_alone, remarks, remarks_on_a_fill
from glide_edit.pipeline.passes import PassPlanner
from glide_edit.pipeline.plan import SIDE_BY_SIDE, Plan
from glide_edit.pipeline.stage_settings import preset_for, settings_of
from glide_edit.requests import Inpaint, Request
from masks import shrink_keep


def plan_frames(request: Request) -> Plan:
    """The plan of an edit whose pictures are drawn elsewhere: its frames, without a model and its stages.

    Raises:
        InputError, MaskError: the picture or mask cannot be used.
    """
    return _of(request, operation_of(request).prepare(request))


def _of(request: Request, prepared: Prepared) -> Plan:
    return Plan(
        request=request,
        model="",
        stages=(),
        frames=prepared.frames,
        allowed=prepared.allowed,
        batch=SIDE_BY_SIDE if prepared.is_one_draft else 1,
        cascade=prepared.cascade,
        is_one_draft=prepared.is_one_draft,
        factor=1,
        notes=prepared.notes,
    )


def plan(request: Request, model: Model, *, label: str | None = None, has_clip: bool = False) -> Plan:
    """Settle every choice of an edit without doing it.

    ``label`` is what draws, as recipes name it (None: the model alone). ``has_clip``: a CLIP is there in
    place of the model's own.

    Raises:
        InputError: this model cannot do it. MaskError: the protected area leaves nothing to change.
    """
    operation = operation_of(request)
    check(model, request, has_clip=has_clip)
    prepared = operation.prepare(request)
    label = model.label if label is None else label
    if fills_alone(request):
        notes = (*prepared.notes, *remarks_on_a_fill(request))
        return replace(_of(request, prepared), model=label, notes=notes)
    preset = preset_for(model.spec, request, prepared)
    specs = model.spec.cascade(request.repaints, preset)
    stages = tuple(settings_of(spec, index, request, prepared, preset) for index, spec in enumerate(specs))
    factor, frames = 1, prepared.frames
    if specs[-1].config.low_res and len(specs) > 1:
        factor = specs[-1].config.image_size // specs[-2].config.image_size
        planner = PassPlanner(specs[-1], stages[-1], factor, prepared.fine_strength)
        frames = tuple(_with_passes(prepared, planner))
    if _fills_backdrop(model.spec, request):
        frames = tuple(replace(frame, fills_backdrop=True) for frame in frames)
    return replace(
        _of(request, prepared),
        model=label,
        stages=stages,
        frames=frames,
        factor=factor,
        notes=(*prepared.notes, *remarks(model, request, specs, stages)),
    )


def _fills_backdrop(spec: ModelSpec, request: Request) -> bool:
    """Whether the request's thing is put onto a fill: as it says, or as its model is used best."""
    if not isinstance(request, Inpaint) or request.mask_fill != "noise" or not request.prompt.strip():
        return False
    return (spec.backdrop if request.backdrop == "auto" else request.backdrop) == FILLED


def _with_passes(prepared: Prepared, planner: PassPlanner) -> Iterator[Frame]:
    """The frames with the passes that they need, each with what the frames before it leave to draw."""
    unknown = None if prepared.allowed is None else prepared.allowed.selected.copy()
    for frame in prepared.frames:
        if frame.block is not None:
            size, origin = (frame.block.height, frame.block.width), (frame.block.y, frame.block.x)
            one = planner.one("upscale", size, torch.ones(size, dtype=torch.bool), origin)
            yield replace(frame, passes=(one,))
        elif prepared.detail and frame.crop is not None and frame.allowed is not None:
            assert unknown is not None
            keep = kept(frame.crop, unknown)
            yield replace(frame, passes=planner.frame_passes(frame.number, len(keep), _hidden(keep)))
            x0, y0, x1, y1 = frame.crop.box
            unknown[y0:y1, x0:x1] &= ~frame.allowed.selected
        else:
            yield frame


def _hidden(keep: NDArray[np.bool_]) -> Callable[[int], Tensor]:
    """What is to be drawn at a size, bool (S, S)."""

    def at(size: int) -> Tensor:
        small = keep if size == len(keep) else shrink_keep(keep, (size, size))
        return torch.from_numpy(~small)

    return at

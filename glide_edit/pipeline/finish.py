"""The last phase of an edit: what was drawn becomes a picture with its receipt."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glide_edit.operations.postprocess import Drawn, Postprocessed
from glide_edit.pipeline.plan import Plan


def finish(plan: Plan, drawn: Sequence[Drawn], seed: int | None = None) -> Postprocessed:
    """Composite what was drawn for each frame of a plan, match its grain, and verify the rest.

    ``drawn`` has an array (S, S, 3), 0 to 255, for each frame, in order; ``seed`` (None: the request's first)
    decides the noise of the grain.
    """
    operation, request = plan.operation, plan.request
    canvas = operation.canvas(request, plan.allowed)
    for frame, one in zip(plan.frames, drawn, strict=True):
        canvas = operation.place(request, frame, canvas, one, request.seed if seed is None else seed)
    return operation.finish(request, canvas, plan.allowed)


def finish_preview(plan: Plan, preview: NDArray[np.uint8], seed: int | None = None) -> Postprocessed:
    """A preview, uint8 (S, S, 3), finished as the result of an edit of one frame; ``seed`` as ``finish``."""
    return finish(plan, [preview.astype(np.float32)], seed)

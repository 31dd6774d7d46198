"""What the mask doctor says of a request, for the model that is to carry it out."""

from __future__ import annotations

from glide_edit.models.model import Model
from glide_edit.operations.inpaint import context_of
from glide_edit.requests import Inpaint, Request
from masks import Finding, diagnose


def findings(model: Model, request: Request) -> tuple[Finding, ...]:
    """What is odd about a request's selection at the size where this model draws; empty without one.

    Raises:
        MaskError: the protected area leaves nothing to change.
    """
    if not isinstance(request, Inpaint):
        return ()
    image = request.image
    return diagnose(
        request.mask,
        (image.height, image.width),
        image.orientation,
        context=context_of(request),
        network_size=model.spec.cascade(True)[0].config.image_size,
        grow=request.grow,
        protect=request.protect,
    )

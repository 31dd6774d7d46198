"""The operations by the requests they carry out. A new operation is a module of its own and a row here."""

from __future__ import annotations

from glide_edit.errors import InputError
from glide_edit.operations import generate, inpaint, outpaint, sketch, upscale, vary
from glide_edit.operations.frame import Operation
from glide_edit.requests import Request

OPERATIONS: dict[str, Operation] = {
    "generate": generate,
    "inpaint": inpaint,
    "remove": inpaint,
    "outpaint": outpaint,
    "sketch": sketch,
    "upscale": upscale,
    "vary": vary,
}


def operation_of(request: Request) -> Operation:
    """Raises InputError for what is not a request that can be run."""
    if not isinstance(request, Request) or getattr(request, "operation", None) not in OPERATIONS:
        said = f"A request is needed, such as Inpaint, not {type(request).__name__}."
        raise InputError(said, code="request_wrong_type", field="request")
    return OPERATIONS[request.operation]

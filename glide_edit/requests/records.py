"""Requests from what ``Request.to_json`` wrote of them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_type_hints

from glide_edit.errors import InputError
from glide_edit.images import MAX_PIXELS, Picture
from glide_edit.requests.checks import check_size
from glide_edit.requests.repaint import Inpaint, Outpaint, Remove
from glide_edit.requests.request import Request
from glide_edit.requests.whole import Generate, Sketch, Upscale, Vary
from masks import Mask, scale_to
from masks.mask import as_size

OPERATIONS: dict[str, type[Request]] = {
    kind.operation: kind for kind in (Generate, Inpaint, Outpaint, Remove, Sketch, Upscale, Vary)
}


def fields_of(kind: type[Request], what: type) -> tuple[str, ...]:
    """The names of a request's fields that hold a ``what`` (``Picture`` or ``Mask``), or may hold one."""
    hints = get_type_hints(kind)
    names = (field.name for field in dataclasses.fields(kind))
    return tuple(name for name in names if what in (hints[name], *get_args(hints[name])))


def request_from_json(
    record: Mapping[str, Any],
    source: Picture | Sequence[Picture] | None = None,
    *,
    same: bool = True,
    rescale: bool = False,
) -> Request:
    """The request that ``to_json`` described, with ``source`` for the picture, or pictures, it started from.

    Of several pictures each goes where its hash is recorded. Unless ``same``, one that is recorded nowhere
    goes to the first place that is left. With ``rescale`` masks become as large as the first picture.

    Raises:
        InputError: not a request, a field that is unknown, missing or out of range, no picture where one is
            needed, one of another size than the mask, or (unless ``same`` is False) one whose hash is not the
            recorded one.
        MaskError: a mask that cannot be read or used.
    """
    kind = kind_of(record)
    fields = {name: value for name, value in record.items() if name != "operation"}
    known = {field.name: field for field in dataclasses.fields(kind)}
    if unknown := set(fields) - set(known):
        raise InputError(f"{kind.operation} has no {', '.join(sorted(map(repr, unknown)))}.")
    required = {name for name, field in known.items() if field.default is dataclasses.MISSING}
    if missing := required - set(fields):
        raise InputError(f"Not a complete request: {kind.operation} needs {', '.join(sorted(missing))}.")
    given = [source] if isinstance(source, Picture) else list(source or ())
    places = [name for name in fields_of(kind, Picture) if name in required or fields.get(name) is not None]
    fields.update(_recorded_pictures({name: fields[name] for name in places}, given, same))
    for name in fields_of(kind, Mask):
        if fields.get(name) is not None:
            fields[name] = _recorded_mask(name, fields[name], fields[places[0]] if places else None, rescale)
    return kind(**fields)


def kind_of(record: object) -> type[Request]:
    """The class of the request that a JSON object describes; InputError where it describes none."""
    if not isinstance(record, Mapping) or record.get("operation") not in tuple(OPERATIONS):
        raise InputError(
            f"Not a request: it must be a JSON object whose operation is one of {', '.join(OPERATIONS)}."
        )
    return OPERATIONS[record["operation"]]


def _recorded_pictures(
    records: Mapping[str, Any], given: Sequence[Picture], same: bool
) -> dict[str, Picture]:
    """Which picture goes where: first those with the recorded hash, then in their order what is left."""
    wanted = {name: _recorded_sha256(record) for name, record in records.items()}
    found = {
        name: picture for name, sha256 in wanted.items() for picture in given if picture.sha256 == sha256
    }
    left = [picture for picture in given if picture.sha256 not in wanted.values()]
    for name, sha256 in wanted.items():
        if name in found:
            continue
        if not left:
            raise InputError(f"This request starts from a picture: give it as well (sha256 {sha256[:12]}).")
        if same:
            raise InputError("The picture is not the one this request was made with: its pixels differ.")
        found[name] = left.pop(0)
    return found


def _recorded_sha256(record: Any) -> str:
    sha256 = record.get("sha256") if isinstance(record, Mapping) else None
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise InputError("Not a request: it does not say which picture it starts from (a sha256).")
    return sha256


def _recorded_mask(name: str, record: Any, source: Picture | None, rescale: bool) -> Mask:
    size = record.get("size") if isinstance(record, Mapping) else None
    # Before its runs unfold: a few bytes of a hostile file could ask for gigabytes.
    if source is not None and isinstance(size, list) and len(size) == 2:
        if not rescale:
            check_size(f"The recorded {name}", size, source)
        elif math.prod(as_size(size)) > MAX_PIXELS:
            raise InputError(f"The recorded {name} has more than {MAX_PIXELS / 1e6:.0f} megapixels.")
    mask = Mask.from_rle(record)
    return scale_to(mask, (source.height, source.width)) if rescale and source is not None else mask

"""Requests from what ``Request.to_json`` wrote of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glide_edit.errors import InputError
from glide_edit.requests.repaint import Inpaint, Outpaint, Remove, check_size
from glide_edit.requests.request import Request, check_names, with_new_names
from glide_edit.requests.settings import settings_of
from glide_edit.requests.whole import Generate, Sketch, Upscale, Vary

if TYPE_CHECKING:
    from glide_edit.images import Picture
    from masks import Mask

OPERATIONS: dict[str, type[Request]] = {
    kind.operation: kind for kind in (Generate, Inpaint, Outpaint, Remove, Sketch, Upscale, Vary)
}


def fields_of(kind: type[Request], what: type) -> tuple[str, ...]:
    """The names of a request's fields that hold a ``what`` (``Picture`` or ``Mask``), or may hold one."""
    return tuple(each.name for each in settings_of(kind) if each.kind == what.__name__.lower())


def checked_fields(
    kind: type[Request], record: Mapping[str, Any], *, besides: Sequence[str] = ()
) -> dict[str, Any]:
    """The fields of a request out of a record, by the names that they have now.

    Raises:
        InputError: a field is unknown or missing; one of ``besides`` and the operation may be there.
    """
    given = {name: value for name, value in record.items() if name not in ("operation", *besides)}
    given = with_new_names(kind, given, warn=False)
    check_names(kind, given)
    missing = sorted({each.name for each in settings_of(kind) if each.required} - set(given))
    if missing:
        said = f"{kind.operation} needs {', '.join(missing)}."
        raise InputError(said, code="missing_field", field=missing[0])
    return given


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
    from glide_edit.images import Picture
    from masks import Mask

    kind = kind_of(record)
    try:
        values = checked_fields(kind, record)
    except InputError as error:
        if error.code == "missing_field":
            raise InputError(f"Not a complete request: {error}", code=error.code, field=error.field) from None
        raise
    given = () if source is None else [source] if isinstance(source, Picture) else source
    if not isinstance(given, list | tuple) or not all(isinstance(each, Picture) for each in given):
        said = f"source must be a Picture or a list of them, not {type(source).__name__}"
        raise InputError(f"{said}: open_picture makes one.", code="source_wrong_type", field="source")
    required = {each.name for each in settings_of(kind) if each.required}
    places = [name for name in fields_of(kind, Picture) if name in required or values.get(name) is not None]
    values.update(_recorded_pictures({name: values[name] for name in places}, given, same))
    for name in fields_of(kind, Mask):
        if values.get(name) is not None:
            values[name] = _recorded_mask(name, values[name], values[places[0]] if places else None, rescale)
    return kind(**values)


def kind_of(record: object) -> type[Request]:
    """The class of the request that a JSON object describes; InputError where it describes none."""
    if not isinstance(record, Mapping) or record.get("operation") not in tuple(OPERATIONS):
        raise InputError(
            f"Not a request: it must be a JSON object whose operation is one of {', '.join(OPERATIONS)}.",
            code="operation_unknown",
            field="operation",
        )
    return OPERATIONS[record["operation"]]


def _recorded_pictures(
    records: Mapping[str, Any], given: Sequence[Picture], same: bool
) -> dict[str, Picture]:
    """Which picture goes where: first those with the recorded hash, then in their order what is left."""
    wanted = {name: _recorded_sha256(name, record) for name, record in records.items()}
    found = {
        name: picture for name, sha256 in wanted.items() for picture in given if picture.sha256 == sha256
    }
    left = [picture for picture in given if picture.sha256 not in wanted.values()]
    for name, sha256 in wanted.items():
        if name in found:
            continue
        if not left:
            said = f"This request starts from a picture: give it as well (sha256 {sha256[:12]})."
            raise InputError(said, code=f"{name}_missing", field=name)
        if same:
            said = "The picture is not the one this request was made with: its pixels differ."
            raise InputError(said, code=f"{name}_differs", field=name)
        found[name] = left.pop(0)
    return found


def _recorded_sha256(name: str, record: Any) -> str:
    sha256 = record.get("sha256") if isinstance(record, Mapping) else None
    if not isinstance(sha256, str) or not re.fullmatch("[0-9a-f]{64}", sha256):
        said = "Not a request: it does not say which picture it starts from (a sha256)."
        raise InputError(said, code=f"{name}_wrong_type", field=name)
    return sha256


def _recorded_mask(name: str, record: Any, source: Picture | None, rescale: bool) -> Mask:
    from glide_edit.images import MAX_PIXELS
    from masks import Mask, scale_to
    from masks.mask import as_size

    size = record.get("size") if isinstance(record, Mapping) else None
    # Before its runs unfold: a few bytes of a hostile file could ask for gigabytes.
    if source is not None and isinstance(size, list | tuple) and len(size) == 2:
        if not rescale:
            check_size(f"The recorded {name}", as_size(size), source, name)
        elif math.prod(as_size(size)) > MAX_PIXELS:
            said = f"The recorded {name} has more than {MAX_PIXELS / 1e6:.0f} megapixels."
            raise InputError(said, code=f"{name}_too_large", field=name)
    mask = Mask.from_rle(record)
    return scale_to(mask, (source.height, source.width)) if rescale and source is not None else mask

"""Plans that come from outside: each must be what its request gives, and nothing is allocated before that."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from glide_edit.errors import InputError, ModelFormatError
from glide_edit.images import Picture
from glide_edit.operations.frame import Frame, TiledPass
from glide_edit.pipeline.check import fills_alone
from glide_edit.pipeline.plain import plain, value_of
from glide_edit.pipeline.plan import FORMAT, Plan
from glide_edit.pipeline.planner import plan_frames
from glide_edit.pipeline.stage_settings import StageSettings
from glide_edit.requests import request_from_json


def read_plan(record: Mapping[str, Any], source: Picture | Sequence[Picture] | None) -> Plan:
    """The plan that ``Plan.to_json`` wrote. Its frames and masks are made again from its request.

    Raises:
        InputError: not a plan, other pictures, or frames that the request does not give. MaskError: a mask
            that cannot be read.
    """
    version = record.get("plan") if isinstance(record, Mapping) else None
    if type(version) is not int or version != FORMAT:
        said = f"Not a plan of format {FORMAT}: Plan.to_json writes one."
        raise InputError(said, code="plan_format_unknown", field="plan")
    names = {field.name for field in dataclasses.fields(Plan)}
    if wrong := sorted(names ^ (set(record) - {"plan"})):
        said = f"Not a plan: it lacks or does not have {wrong[0]}."
        raise InputError(said, code="plan_malformed", field=str(wrong[0]))
    framed = plan_frames(request_from_json(record["request"], source))
    for name in ("allowed", "batch", "cascade", "is_one_draft"):
        if record[name] != plain(getattr(framed, name)):
            raise _differs(name)
    kinds: dict[str, Any] = {
        "model": str,
        "stages": tuple[StageSettings, ...],
        "factor": int,
        "notes": tuple[str, ...],
    }
    try:
        fields = {name: value_of(kind, record[name], name) for name, kind in kinds.items()}
    except ModelFormatError as error:
        raise InputError(f"Not a plan: {error}", code="plan_malformed", field="stages") from error
    if not fields["stages"] and not fills_alone(framed.request):
        raise _differs("stages")
    for index, settings in enumerate(fields["stages"]):
        _check_times(settings.timesteps, f"stages[{index}].timesteps")
    return replace(framed, frames=_frames(record["frames"], framed.frames), **fields)


def check_unchanged(given: Plan, again: Plan) -> None:
    """Raise InputError where a plan is not ``again``, what its request gives; notes do not count."""
    value_of(tuple[str, ...], given.notes, "notes")
    for field in dataclasses.fields(Plan):
        if field.name in ("request", "notes"):
            continue
        if not _alike(getattr(given, field.name), getattr(again, field.name)):
            raise _differs(field.name, " with this model")


def _frames(records: Any, frames: tuple[Frame, ...]) -> tuple[Frame, ...]:
    """The frames, with the passes that are recorded of each."""
    if not isinstance(records, list) or len(records) != len(frames):
        raise _differs("frames")
    return tuple(
        _frame(record, frame, f"frames[{index}]")
        for index, (record, frame) in enumerate(zip(records, frames, strict=True))
    )


def _frame(record: Any, frame: Frame, where: str) -> Frame:
    expected = plain(frame)
    recorded = record.get("passes") if isinstance(record, dict) else None
    fills = isinstance(record, dict) and record.get("fills_backdrop") is True
    # What depends on the model is compared when it runs.
    if record != {**expected, "passes": recorded, "fills_backdrop": fills}:
        raise _differs(where)
    passes: tuple[TiledPass, ...] = value_of(tuple[TiledPass, ...], recorded, f"{where}.passes")
    for index, tiled in enumerate(passes):
        _check_times(tiled.timesteps, f"{where}.passes[{index}].timesteps")
    return replace(frame, passes=passes, fills_backdrop=fills)


def _check_times(times: tuple[float, ...], where: str) -> None:
    if not times or any(after >= before for before, after in pairwise(times)):
        said = f"Not a plan: {where} must be one or more numbers, each below the one before it."
        raise InputError(said, code="plan_malformed", field=where)


def _differs(field: str, how: str = "") -> InputError:
    return InputError(
        f"The plan's {field} is not what its request gives{how}: plan the request again.",
        code="plan_differs",
        field=field,
    )


def _alike(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of numbers, which another machine computes otherwise."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if isinstance(one, Frame | StageSettings | TiledPass):
        return all(
            _alike(getattr(one, field.name), getattr(other, field.name)) for field in dataclasses.fields(one)
        )
    return bool(one == other)

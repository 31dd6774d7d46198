"""Frozen dataclasses as plain JSON values, and back by their type hints."""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from collections.abc import Mapping
from textwrap import shorten
from typing import Any

from glide_edit.errors import InputError
from masks import Mask


def plain(value: Any) -> Any:
    """Masks become run lengths, dataclasses objects, tuples lists."""
    if isinstance(value, Mask):
        return value.to_rle()
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def value_of(hint: Any, value: Any, where: str) -> Any:
    """The value that ``plain`` made of one with this type hint, but for masks, which no hint may name.

    ``where`` is what an error calls the value, as "stages[0].timesteps".

    Raises:
        InputError: it is of another kind, or a number that is not finite.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in arguments if option is not types.NoneType]
        return None if value is None else value_of(options[0], value, where)
    if origin is tuple:
        return _values_of(arguments, value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise _wrong(where, f"one of {', '.join(map(str, arguments))}", value)
        return value
    if dataclasses.is_dataclass(hint):
        return _dataclass_of(hint, value, where)
    wanted = (int, float) if hint is float else hint
    if not isinstance(value, wanted) or isinstance(value, bool) != (hint is bool):
        raise _wrong(where, _SAID[hint], value)
    if hint is not float:
        return value
    if not -_LARGEST <= value <= _LARGEST:
        raise _wrong(where, _SAID[float], value)
    return float(value)


_SAID = {str: "text", int: "a whole number", float: "a finite number", bool: "true or false"}
_LARGEST = sys.float_info.max


def _values_of(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(where, "a list", value)
    kinds = kinds[:1] * len(value) if Ellipsis in kinds else kinds
    if len(kinds) != len(value):
        raise _wrong(where, f"a list of {len(kinds)}", value)
    return tuple(
        value_of(kind, each, f"{where}[{number}]")
        for number, (kind, each) in enumerate(zip(kinds, value, strict=True))
    )


def _dataclass_of(hint: Any, value: Any, where: str) -> Any:
    hints = typing.get_type_hints(hint)
    names = [field.name for field in dataclasses.fields(hint)]
    if not isinstance(value, Mapping) or set(value) != set(names):
        raise _wrong(where, f"an object of {', '.join(names)}", value)
    return hint(**{name: value_of(hints[name], value[name], f"{where}.{name}") for name in names})


def _wrong(where: str, wanted: str, value: object) -> InputError:
    said = f"Not a plan: {where} must be {wanted}, not {shorten(repr(value), 60)}."
    return InputError(said, code="plan_malformed", field=where)

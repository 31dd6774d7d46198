"""Frozen dataclasses as plain JSON values, and back by their type hints."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from masks import Mask


def plain(value: Any) -> Any:
    """Masks become run lengths, dataclasses objects, tuples lists."""
    if isinstance(value, Mask):
        return value.to_rle()
    if dataclasses.is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def value_of(hint: Any, value: Any) -> Any:
    """The value that ``plain`` made of one with this type hint.

    Raises:
        TypeError, ValueError, KeyError: it is of another kind. MaskError: a mask that cannot be read.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in arguments if option is not types.NoneType]
        return None if value is None else value_of(options[0], value)
    if origin is tuple:
        kinds = [arguments[0]] * len(value) if Ellipsis in arguments else arguments
        return tuple(value_of(kind, each) for kind, each in zip(kinds, value, strict=True))
    if origin is typing.Literal:
        if value not in arguments:
            raise ValueError(f"{value!r} is none of {arguments}")
        return value
    if hint is Mask:
        return Mask.from_rle(value)
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{name: value_of(hints[name], each) for name, each in dict(value).items()})  # type: ignore[operator]
    if not isinstance(value, (int, float) if hint is float else hint) or isinstance(value, bool) != (
        hint is bool
    ):
        raise TypeError(f"{value!r} is no {hint.__name__}")
    return float(value) if hint is float else value

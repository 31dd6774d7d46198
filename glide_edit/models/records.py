"""Strict JSON: objects with known keys and typed values, read into frozen dataclasses.

Every error is a ModelFormatError that names the place in the file: `stages[0].config.patch`.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

from glide_edit.errors import InputError, ModelFormatError

T = TypeVar("T")
Reader = Callable[[object, str], Any]
"""Takes a value and its place in the file."""
Fields = Mapping[str, Reader]
"""The keys of an object, and how each value is read."""

_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false", list: "a list"}


def parse(text: str) -> dict[str, Any]:
    """The JSON object in a text.

    Raises ModelFormatError if it is not JSON, holds NaN or an infinity, names a key twice, or is not an
    object.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_distinct)
    except (ValueError, RecursionError) as error:
        raise ModelFormatError(f"it is not valid JSON ({error}).") from error
    return mapping(value, "the file")


def mapping(value: object, where: str) -> dict[str, Any]:
    """The value, which must be a JSON object."""
    if not isinstance(value, dict):
        raise ModelFormatError(f"{where} must be an object, not {_shown(value)}.")
    return value


def fields(value: object, where: str, required: Fields, optional: Fields | None = None) -> dict[str, Any]:
    """A JSON object whose values are read by the functions that the tables name; ``where`` "" is the file.

    Raises ModelFormatError if a required key is missing, a key is not known, or a value cannot be read.
    """
    optional = optional or {}
    data = mapping(value, where or "the file")
    _check_keys(data, {*required, *optional}, required, where or "the file")
    read = {**required, **optional}
    return {key: read[key](data[key], f"{where}.{key}" if where else key) for key in read if key in data}


def anything(value: object, where: str) -> Any:
    """The value as it is, to be read later."""
    return value


def optional(read: Reader) -> Reader:
    """A reader for what may be null as well."""
    return lambda value, where: None if value is None else read(value, where)


def text(value: object, where: str) -> str:
    """The value, which must be a string."""
    if not isinstance(value, str):
        raise ModelFormatError(f"{where} must be text, not {_shown(value)}.")
    return value


def values(value: object, where: str) -> list[Any]:
    """The value, which must be a list."""
    if not isinstance(value, list):
        raise ModelFormatError(f"{where} must be a list, not {_shown(value)}.")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """The value, which must be a list of strings."""
    return tuple(text(each, f"{where}[{index}]") for index, each in enumerate(values(value, where)))


def into(cls: type[T], value: object, where: str) -> T:
    """A JSON object as the dataclass ``cls``, whose fields are its keys and their annotations its types.

    Understands int, float (a whole number will do), str, bool, Literal, ``X | None`` and tuples (from lists).

    Raises ModelFormatError if a key or a value does not fit, or the dataclass itself refuses the values.
    """
    data = mapping(value, where)
    assert dataclasses.is_dataclass(cls)
    known = [field for field in dataclasses.fields(cls) if field.init]
    required = [field.name for field in known if field.default is dataclasses.MISSING]
    _check_keys(data, [field.name for field in known], required, where)
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {key: _typed(item, hints[key], f"{where}.{key}") for key, item in data.items()}
    try:
        return cls(**values)
    except (InputError, ModelFormatError) as error:
        raise ModelFormatError(f"{where} will not do: {error}") from error


MOST_PARTS, MOST_BLOCKS, MOST_WORDS, MOST_ELSE = 64, 512, 2**22, 2**17
"""What a network's configuration may hold at most: entries of a list, blocks or layers, tokens, and any other
whole number. Real models have a tenth of it; more would only use up memory."""


def network(cls: type[T], value: object, where: str) -> T:
    """``into`` for the configuration of a network, of a size that somebody could have meant.

    Raises ModelFormatError as ``into``, or if it holds larger numbers or longer lists.
    """
    for key, item in mapping(value, where).items():
        numbers = item if isinstance(item, list) else [item]
        most = MOST_BLOCKS if key == "blocks" or key.endswith("layers") else MOST_ELSE
        most = MOST_WORDS if key == "vocabulary" else most
        if len(numbers) > MOST_PARTS:
            raise ModelFormatError(
                f"{where}.{key} has {len(numbers)} entries: at most {MOST_PARTS} are read."
            )
        if any(isinstance(number, int) and abs(number) > most for number in numbers):
            raise ModelFormatError(f"{where}.{key} is larger than any network's: at most {most} is read.")
    return into(cls, value, where)


def _typed(value: object, hint: Any, where: str) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _typed(value, next(part for part in arguments if part is not type(None)), where)
    if origin is Literal:
        if value not in arguments:
            raise ModelFormatError(
                f"{where} must be {' or '.join(map(repr, arguments))}, not {_shown(value)}."
            )
        return value
    if origin is tuple:
        return _tuple(value, arguments, where)
    accepted = (int, float) if hint is float else (hint,)
    # In Python a bool is an int; in a file it is not.
    if not isinstance(value, accepted) or (isinstance(value, bool) and hint is not bool):
        raise ModelFormatError(f"{where} must be {_NAMES[hint]}, not {_shown(value)}.")
    if hint is not float:
        return value
    try:
        return float(typing.cast("float", value))
    except OverflowError as error:
        raise ModelFormatError(f"{where} is too large a number.") from error


def _tuple(value: object, arguments: tuple[Any, ...], where: str) -> tuple[object, ...]:
    given = values(value, where)
    any_length = arguments[-1] is Ellipsis
    if not any_length and len(given) != len(arguments):
        raise ModelFormatError(f"{where} must be a list of {len(arguments)}, not of {len(given)}.")
    hints = [arguments[0]] * len(given) if any_length else arguments
    return tuple(
        _typed(item, hint, f"{where}[{i}]") for i, (item, hint) in enumerate(zip(given, hints, strict=True))
    )


def _check_keys(
    data: Mapping[str, object], known: Iterable[str], required: Iterable[str], where: str
) -> None:
    missing = sorted(set(required) - set(data))
    unknown = sorted(set(data) - set(known))
    if missing:
        raise ModelFormatError(f"{where} lacks {', '.join(missing)}.")
    if unknown:
        raise ModelFormatError(f"{where} has unknown keys: {', '.join(unknown)}.")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number JSON knows")


def _distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    counts = Counter(key for key, _ in pairs)
    twice = sorted(key for key, count in counts.items() if count > 1)
    if twice:
        raise ValueError(f"it names {', '.join(twice)} twice")
    return dict(pairs)


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."

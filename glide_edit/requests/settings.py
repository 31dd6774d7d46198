"""One definition of each request field: type, range, choices, default, unit and help text, beside the field.

Validation, JSON and its schema, the command line, lines of a batch and the methods of ``Editor`` are all made
from it. Importing it costs nothing: the command line needs it before NumPy is loaded.
"""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cache
from numbers import Integral, Real
from typing import Any, NoReturn

from glide_edit.errors import InputError

_KINDS = {
    "str": "text",
    "int": "whole",
    "float": "number",
    "bool": "switch",
    "Picture": "picture",
    "Mask": "mask",
    "tuple[float, float]": "interval",
    "tuple[int, ...]": "wholes",
}
"""The kind of a field by its annotation; one with choices is a "choice" whatever its annotation."""

_RUN_LENGTHS = {"size": {"type": "array"}, "counts": {"type": "array"}, "order": {"const": "row"}}
"""What a mask is in JSON: see ``Mask.to_rle``."""


@dataclass(frozen=True)
class Setting:
    """The definition of a field of a request.

    Attributes:
        help: a sentence without its full stop, for people.
        within: the smallest and largest value, both included unless ``above`` leaves the smallest out.
        choices: all possible values.
        unit: "px", or nothing.
        unset: what None, or leaving the field out, stands for.
        metavar: how a value is written, in a word, where the kind does not say it well enough.
        written: an example of several values, as people write them in a line.
        pattern: a regular expression for the whole of a text, described by ``says``.
        name, kind, optional, required, default: from the field itself.
    """

    help: str
    within: tuple[float, float] | None = None
    above: bool = False
    choices: tuple[Any, ...] = ()
    unit: str = ""
    unset: str = ""
    metavar: str = ""
    written: str = ""
    pattern: str = ""
    says: str = "text"
    name: str = ""
    kind: str = "text"
    optional: bool = False
    required: bool = True
    default: Any = None

    @property
    def said(self) -> str:
        """The name in words."""
        return self.name.replace("_", " ")

    def checked(self, value: object) -> Any:
        """The value as the request keeps it: Python's own numbers and tuples, which JSON can hold.

        Raises:
            InputError: of another type, out of range or not among the choices.
        """
        return None if value is None and self.optional else getattr(self, f"_{self.kind}")(value)

    def refuse(self, what: str, message: str) -> NoReturn:
        raise InputError(message, code=f"{self.name}_{what}", field=self.name)

    def _text(self, value: object) -> str:
        if self.pattern:
            if not isinstance(value, str) or not re.fullmatch(self.pattern, value):
                self.refuse("malformed", f"{self.name} must be {self.says}, not {value!r}.")
        elif not isinstance(value, str):
            said = f"The {self.said} must be {self.says}, not {type(value).__name__}."
            self.refuse("wrong_type", said)
        return value

    def _whole(self, value: object) -> int:
        return int(self._in_range(value, Integral, "whole number"))

    def _number(self, value: object) -> float:
        number = float(self._in_range(value, Real, "number"))
        low, high = self.within or (0, 1)
        if self.above and number == low:
            said = f"{self.name} must be above {low} and at most {high}, not {low}: nothing would be drawn."
            self.refuse("out_of_range", said)
        return number

    def _in_range(self, value: Any, kind: type, what: str) -> Any:
        low, high = self.within or (-math.inf, math.inf)
        right = isinstance(value, kind) and not isinstance(value, bool)
        if not right or not low <= value <= high:
            said = f"{self.name} must be a {what} between {low} and {high}, not {value!r}."
            self.refuse("out_of_range" if right else "wrong_type", said)
        return value

    def _switch(self, value: object) -> bool:
        if not isinstance(value, bool):
            self.refuse("wrong_type", f"{self.name} must be true, false or left out, not {value!r}.")
        return value

    def _choice(self, value: object) -> Any:
        if value in self.choices and not isinstance(value, bool):
            return self.choices[self.choices.index(value)]
        if isinstance(self.choices[0], str):
            self.refuse("unknown", f"Unknown {self.said} {value!r}; known are {', '.join(self.choices)}.")
        self.refuse("unknown", f"{self.name} must be {' or '.join(map(str, self.choices))}, not {value!r}.")

    def _interval(self, value: object) -> tuple[float, float]:
        ends: list[Any] = list(value) if isinstance(value, tuple | list) else []
        plain = all(isinstance(end, Real) and not isinstance(end, bool) for end in ends)
        if len(ends) != 2 or not plain or not 0 <= ends[0] <= ends[1] <= 1:
            said = f"{self.name} must be two numbers, 0 <= low <= high <= 1, not {value!r}."
            self.refuse("out_of_range", said)
        return float(ends[0]), float(ends[1])

    def _wholes(self, value: object) -> tuple[int, ...]:
        if not isinstance(value, tuple | list | range) or not value:
            self.refuse("wrong_type", f"{self.name} must be a list of whole numbers, not {value!r}.")
        each = replace(self, kind="whole", optional=False)
        return tuple(each.checked(one) for one in value)

    def _picture(self, value: object) -> object:
        from glide_edit.images import Picture

        return self._instance(value, Picture, "open_picture")

    def _mask(self, value: object) -> object:
        from masks import Mask

        return self._instance(value, Mask, "Mask.from_array")

    def _instance(self, value: object, kind: type, maker: str) -> object:
        if not isinstance(value, kind):
            said = f"{self.name} must be a {kind.__name__}, not {type(value).__name__}: {maker} makes one."
            self.refuse("wrong_type", said)
        return value

    def to_record(self) -> dict[str, Any]:
        """The definition as plain values; what does not apply is left out."""
        record = {name: getattr(self, name) for name in ("name", "kind", "required", "help")}
        if not self.required:
            record["default"] = list(self.default) if isinstance(self.default, tuple) else self.default
        record.update(zip(("low", "high"), self.within or (), strict=False))
        more = {name: getattr(self, name) for name in ("unit", "unset", "pattern")}
        record.update({name: value for name, value in more.items() if value})
        return {**record, "choices": list(self.choices)} if self.choices else record

    def to_schema(self) -> dict[str, Any]:
        """JSON schema for the field as ``Request.to_json`` writes it."""
        least = "exclusiveMinimum" if self.above else "minimum"
        low, high = self.within or (None, None)
        whole = {"type": "integer", "minimum": low, "maximum": high}
        share = {"type": "number", "minimum": 0, "maximum": 1}
        of_kind: dict[str, dict[str, Any]] = {
            "text": {"type": "string", **({"pattern": f"^{self.pattern}$"} if self.pattern else {})},
            "whole": whole,
            "number": {"type": "number", least: low, "maximum": high},
            "switch": {"type": "boolean"},
            "choice": {"enum": list(self.choices)},
            "interval": {"type": "array", "items": share, "minItems": 2, "maxItems": 2},
            "wholes": {"type": "array", "items": whole},
            "picture": {"type": "object", "required": ["sha256"]},
            "mask": {"type": "object", "properties": _RUN_LENGTHS, "required": list(_RUN_LENGTHS)},
        }
        schema = of_kind[self.kind]
        if self.optional:
            schema = {"anyOf": [schema, {"type": "null"}]}
        if not self.required and self.default is not None:
            schema = {**schema, "default": self.to_record()["default"]}
        return {**schema, "description": self.help}


def about(help: str, **more: Any) -> dict[str, Setting]:
    """The metadata of a required field: ``image: Picture = field(metadata=about("The picture to edit"))``."""
    return {"setting": Setting(help, **more)}


def setting(default: Any, help: str, **more: Any) -> Any:
    """A field with its default and the rest of its ``Setting``: ``n: int = setting(1, "How many")``."""
    return field(default=default, metadata=about(help, **more))


def settings_of(kind: Any) -> tuple[Setting, ...]:
    """The definitions of a request's fields, in their order. A subclass may change a default alone."""
    return _settings_of(kind)


@cache
def _settings_of(kind: type) -> tuple[Setting, ...]:
    return tuple(_setting(kind, each.name, each.default) for each in fields(kind))


def _setting(kind: type, name: str, default: object) -> Setting:
    known = [getattr(base, "__dataclass_fields__", {}) for base in kind.__mro__]
    declared = [each[name] for each in known if name in each]
    found = next((each.metadata["setting"] for each in declared if each.metadata), Setting(""))
    annotation = declared[0].type
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    bare = text.removesuffix(" | None")
    of_kind = "choice" if found.choices else _KINDS.get(bare, "text")
    given = {"required": True} if default is MISSING else {"required": False, "default": default}
    return replace(found, name=name, kind=of_kind, optional=bare != text, **given)


def fields_schema(kind: Any) -> list[dict[str, Any]]:
    """What can be said of a request's fields, as plain values: a record for each, in their order."""
    return [each.to_record() for each in settings_of(kind)]


def request_schema(kind: Any) -> dict[str, Any]:
    """JSON schema for what ``to_json`` of such a request writes and ``request_from_json`` reads."""
    settings = settings_of(kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.operation,
        "description": kind.__doc__.split("\n\n")[0],
        "type": "object",
        "properties": {
            "operation": {"const": kind.operation},
            **{each.name: each.to_schema() for each in settings},
        },
        "required": ["operation", *(each.name for each in settings if each.required)],
        "additionalProperties": False,
    }

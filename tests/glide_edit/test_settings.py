"""Each field of a request is defined once, and everything that is said of it is made from that."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, get_args

import numpy as np
import pytest

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.requests import (
    FINISHES,
    OPERATIONS,
    Generate,
    Inpaint,
    Outpaint,
    Remove,
    Request,
    Sketch,
    Upscale,
    Vary,
    fields_schema,
    request_from_json,
    request_schema,
    settings_of,
)
from glide_edit.requests.request import SAMPLER_NAMES
from masks import Finish, Mask
from tests.glide_edit.operations.stand_ins import noise

PICTURE, MASK = open_picture(noise(6, 9)), Mask.full((6, 9))
KINDS = list(OPERATIONS.values())


def refused(make: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        make()
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_defined(kind: type[Request]) -> None:
    settings = settings_of(kind)
    assert [each.name for each in settings] == [field.name for field in dataclasses.fields(kind)]
    for each in settings:
        assert each.help, each.name
        assert not each.help.endswith("."), each.name
        if each.kind in ("whole", "number", "wholes"):
            assert each.within is not None, each.name


def test_names_that_are_written_twice_to_stay_light_agree() -> None:
    assert tuple(SAMPLERS) == SAMPLER_NAMES
    assert (*get_args(Finish), "auto") == FINISHES


@pytest.mark.parametrize("kind", KINDS)
def test_the_fields_as_plain_records(kind: type[Request]) -> None:
    records = fields_schema(kind)
    assert json.loads(json.dumps(records)) == records
    by_name = {record["name"]: record for record in records}
    assert by_name["n"] == {
        "name": "n",
        "kind": "whole",
        "required": False,
        "help": "How many pictures to make",
        "default": 1,
        "low": 1,
        "high": 64,
    }
    assert by_name["sampler"]["choices"] == list(SAMPLERS)


def test_a_subclass_may_change_a_default_alone() -> None:
    of_inpaint, of_remove = ({each.name: each for each in settings_of(kind)} for kind in (Inpaint, Remove))
    assert (of_inpaint["grow"].default, of_remove["grow"].default) == (0, None)
    assert dataclasses.replace(of_remove["grow"], default=0) == of_inpaint["grow"]


# JSON schema ---------------------------------------------------------------------


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of a schema, for the words of JSON schema that ours use."""
    if "anyOf" in schema:
        return any(fits(value, each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    types = {
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    kind = types[schema["type"]]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        return False
    match schema["type"]:
        case "string":
            return re.search(schema.get("pattern", ""), value) is not None
        case "integer" | "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum"))
            return low <= value <= schema["maximum"] and value != schema.get("exclusiveMinimum")
        case "array":
            right = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
            return right and all(fits(each, schema["items"]) for each in value if "items" in schema)
        case "object":
            known = schema.get("properties", {})
            inner = all(fits(value[name], known[name]) for name in value if name in known)
            closed = schema.get("additionalProperties", True) or set(value) <= set(known)
            return inner and closed and set(schema.get("required", ())) <= set(value)
    return True


COMMON: dict[str, Any] = {"n": 2, "steps": 7, "guidance": 2.5, "sampler": "ddim", "clip_interval": (0.25, 1)}
REQUESTS = [
    Generate(prompt="a ball", **COMMON),
    Generate(prompt="a ball", seeds=(5, 1), stage_steps=(20, 8, 4)),
    Inpaint(image=PICTURE, mask=MASK, protect=None, grow=3, mask_fill="patches", strength=0.5, **COMMON),
    Remove(image=PICTURE, mask=MASK, detail=False),
    Outpaint(image=PICTURE, aspect="2:1"),
    Sketch(drawing=PICTURE, mode="tone", strength=1),
    Upscale(image=PICTURE, factor=2),
    Vary(image=PICTURE, **COMMON),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.operation)
def test_what_requests_write_is_of_their_schema(request_: Request) -> None:
    schema = request_schema(type(request_))
    json.dumps(schema)
    assert fits(request_.to_json(), schema)


@pytest.mark.parametrize(
    "change",
    [
        {"n": 0},
        {"n": 2.5},
        {"seed": -1},
        {"sampler": "euler"},
        {"finish": "soft"},
        {"strength": 0},
        {"strength": 1.5},
        {"context_interval": [0.5]},
        {"stage_steps": [0]},
        {"detail": "yes"},
        {"prompt": None},
        {"mask": {"size": [6, 9]}},
        {"image": "photo.png"},
        {"surprise": 1},
        {"operation": "remove"},
    ],
)
def test_what_requests_refuse_is_not_of_their_schema(change: dict[str, Any]) -> None:
    record = {**Inpaint(image=PICTURE, mask=MASK, mask_fill="patches").to_json(), **change}
    assert not fits(record, request_schema(Inpaint))


# Errors ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"seed": -1}, "seed_out_of_range", "seed"),
        ({"n": "2"}, "n_wrong_type", "n"),
        ({"sampler": "euler"}, "sampler_unknown", "sampler"),
        ({"prompt": b"a ball"}, "prompt_wrong_type", "prompt"),
        ({"prompt": "\udcff"}, "prompt_not_unicode", "prompt"),
        ({"clip_interval": (1, 0)}, "clip_interval_out_of_range", "clip_interval"),
        ({"seeds": (1, 1)}, "seeds_repeated", "seeds"),
        ({"prompt": " "}, "prompt_empty", "prompt"),
        ({"stage_steps": (0,)}, "stage_steps_out_of_range", "stage_steps"),
        ({"candidates": 0}, "candidates_out_of_range", "candidates"),
    ],
)
def test_errors_have_a_code_and_the_field(changes: dict[str, Any], code: str, field: str) -> None:
    error = refused(lambda: Generate(**{"prompt": "a ball", **changes}))
    assert (error.code, error.field) == (code, field)


def test_errors_of_records_have_them_too() -> None:
    unknown = refused(lambda: request_from_json({"operation": "generate", "prompt": "x", "hue": 1}))
    assert unknown.code == "unknown_field"
    missing = refused(lambda: request_from_json({"operation": "upscale"}))
    assert (missing.code, missing.field) == ("missing_field", "image")
    assert refused(lambda: request_from_json({"operation": "blur"})).code == "operation_unknown"


def test_a_number_of_numpy_is_kept_as_python_s_also_where_there_are_choices() -> None:
    factor = Upscale(image=PICTURE, factor=np.int64(2)).factor  # type: ignore[arg-type]
    assert (factor, type(factor)) == (2, int)


# Steps of every stage, and the old name of mask_fill -----


def test_steps_of_every_stage() -> None:
    stages: Any = [np.int64(20), 8, 4]
    request = Generate(prompt="a ball", stage_steps=stages)
    assert request.stage_steps == (20, 8, 4)
    assert request_from_json(json.loads(json.dumps(request.to_json()))).stage_steps == (20, 8, 4)
    assert Generate(prompt="a ball", stage_steps=(20,), upsampler_steps=4).upsampler_steps == 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stage_steps": (20,), "steps": 20}, "Give either steps or stage_steps"),
        ({"stage_steps": (20, 8), "upsampler_steps": 8}, "Give either upsampler_steps or stage_steps"),
        ({"stage_steps": ()}, "stage_steps must be a list of whole numbers"),
        ({"stage_steps": 20}, "stage_steps must be a list of whole numbers"),
        ({"stage_steps": (20, 1001)}, "stage_steps must be a whole number between 1 and 1000, not 1001"),
    ],
)
def test_steps_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    assert says in str(refused(lambda: Generate(prompt="a ball", **changes)))


def test_content_is_the_old_name_of_mask_fill() -> None:
    kind: Any = Inpaint
    with pytest.warns(DeprecationWarning, match="content is called mask_fill now") as warned:
        request = kind(image=PICTURE, mask=MASK, content="surroundings")
    assert warned[0].filename == __file__
    assert request.mask_fill == "surroundings"
    with pytest.warns(DeprecationWarning, match="mask_fill"):
        assert request.content == "surroundings"
    with pytest.warns(DeprecationWarning, match="mask_fill") as warned:
        assert request.replace(content="opencv").mask_fill == "opencv"
    assert warned[0].filename == __file__
    assert "content" not in request.to_json()


def test_both_names_of_a_field_must_agree() -> None:
    kind: Any = Inpaint
    alone = "give mask_fill alone"
    with pytest.warns(DeprecationWarning, match="now"), pytest.raises(InputError, match=alone) as caught:
        kind(image=PICTURE, mask=MASK, content="original", mask_fill="patches")
    assert (caught.value.code, caught.value.field) == ("mask_fill_contradicts_content", "mask_fill")
    record = {**Inpaint(image=PICTURE, mask=MASK, mask_fill="patches").to_json(), "content": "original"}
    with pytest.raises(InputError, match=alone):
        request_from_json(record, PICTURE)
    request = Inpaint(image=PICTURE, mask=MASK)
    with pytest.warns(DeprecationWarning, match="now") as warned, pytest.raises(InputError, match=alone):
        dataclasses.replace(request, content="original")  # type: ignore[call-arg]
    assert warned[0].filename == __file__


def test_records_with_the_old_name_are_read_silently() -> None:
    record = Remove(image=PICTURE, mask=MASK, mask_fill="original").to_json()
    record["content"] = record.pop("mask_fill")
    request: Any = request_from_json(record, PICTURE)  # warnings are errors here
    assert request.mask_fill == "original"

"""Requests are checked when they are made, and come back from JSON as they were."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from glide_edit.errors import GlideEditError, InputError
from glide_edit.images import Picture, open_picture
from glide_edit.requests import (
    FINISHES,
    LARGEST_SEED,
    MOST_IMAGES,
    MOST_STEPS,
    OPERATIONS,
    Generate,
    Inpaint,
    Outpaint,
    Request,
    Sketch,
    Vary,
    fields_of,
    parse_seeds,
    request_from_json,
)
from masks import Mask, MaskError
from tests.glide_edit.operations.stand_ins import noise

PICTURE = open_picture(noise(6, 9))
OTHER = open_picture(noise(6, 9, seed=1))


def _mask(*rows_and_columns: tuple[int, int]) -> Mask:
    selected = np.zeros((6, 9), bool)
    for row, column in rows_and_columns:
        selected[row, column] = True
    return Mask(selected)


MASK, PROTECT = _mask((1, 2), (1, 3), (5, 8)), _mask((5, 8))


def inpaint(**changes: Any) -> Inpaint:
    return Inpaint(**({"image": PICTURE, "mask": MASK} | changes))


def every_field() -> list[Request]:
    common: dict[str, Any] = {
        "prompt": 'a "red" ball\n☃ \u202e',
        "n": 3,
        "candidates": 5,
        "seed": 2**62,
        "steps": 7,
        "guidance": 2.5,
        "sampler": "ddim",
        "upsampler_steps": 4,
        "negative_prompt": "a (blurred:1.5) cube",
    }
    return [
        Generate(**common),
        Sketch(drawing=PICTURE, mode="both", strength=0.5, **common),
        inpaint(
            grow=3,
            protect=PROTECT,
            context=1.5,
            finish="feather",
            feather=20,
            context_guidance=0.5,
            context_interval=(0.25, 1.0),
            **common,
        ),
        Outpaint(
            image=PICTURE,
            left=3,
            aspect="2:1",
            detail=True,
            context_guidance=2.0,
            context_interval=(0.0, 0.5),
            **common,
        ),
        Vary(image=PICTURE, strength=0.25, **common),
    ]


REQUESTS = [
    Generate(prompt="a ball"),
    Sketch(drawing=PICTURE),
    Vary(image=PICTURE),
    inpaint(),
    *every_field(),
]


def same(one: Request, other: Request) -> bool:
    names = [field.name for field in dataclasses.fields(one)]
    return type(one) is type(other) and all(getattr(one, n) == getattr(other, n) for n in names)


# What is refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n": 0}, "n must be a whole number between 1 and 64, not 0"),
        ({"n": MOST_IMAGES + 1}, "not 65"),
        ({"n": 1.0}, "not 1.0"),
        ({"n": True}, "not True"),
        ({"n": "2"}, "not '2'"),
        ({"seed": -1}, "seed must be"),
        ({"seed": LARGEST_SEED + 1}, "seed must be"),
        ({"seed": LARGEST_SEED, "n": 2}, f"seed must be at most {LARGEST_SEED - 1} for 2 pictures"),
        ({"seed": LARGEST_SEED - 2, "candidates": 4}, "seed must be at most"),
        ({"candidates": 0}, "candidates must be a whole number between 1 and 64, not 0"),
        ({"candidates": 3, "n": 4}, "candidates must be a whole number between 4 and 64, not 3"),
        ({"candidates": 65}, "not 65"),
        ({"steps": 0}, "steps must be a whole number between 1 and 1000, not 0"),
        ({"steps": MOST_STEPS + 1}, "not 1001"),
        ({"steps": 2.5}, "not 2.5"),
        ({"upsampler_steps": 0}, "upsampler_steps must be"),
        ({"guidance": -0.1}, "guidance must be a number between 0 and 100"),
        ({"guidance": float("nan")}, "not nan"),
        ({"guidance": float("inf")}, "not inf"),
        ({"guidance": "3"}, "not '3'"),
        ({"sampler": "euler"}, "Unknown sampler 'euler'; known are ddpm, ddim, dpm-solver"),
        ({"sampler": ["ddim"]}, "Unknown sampler"),
        ({"prompt": None}, "must be text, not NoneType"),
        ({"prompt": b"a ball"}, "must be text, not bytes"),
        ({"grow": -1}, "grow must be"),
        ({"grow": 5000}, "grow must be"),
        ({"context": 0.5}, "context must be a number between 1 and 16"),
        ({"context_guidance": -1}, "context_guidance must be a number between 0 and 100"),
        ({"context_guidance": "1"}, "context_guidance must be"),
        ({"context_interval": (0.6, 0.2)}, "context_interval must be two numbers"),
        ({"context_interval": 0.5}, "context_interval must be two numbers"),
        ({"finish": "soft"}, "Unknown finish 'soft'; known are hard, membrane, feather"),
        ({"finish": None}, "Unknown finish"),
        ({"feather": 9}, "feather is how wide the finish feather fades: choose that finish"),
        ({"feather": -1, "finish": "feather"}, "feather must be a number between 0 and 4096, not -1"),
        ({"image": "photo.png"}, "image must be a Picture, not str: open_picture"),
        ({"mask": np.ones((6, 9), bool)}, "mask must be a Mask, not ndarray: Mask.from_array"),
        ({"protect": "mask.png"}, "protect must be a Mask"),
        ({"protect": Mask.full((9, 6))}, "6 wide and 9 high but the picture is 9 wide and 6 high"),
    ],
)
def test_a_value_that_cannot_be_is_refused_and_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        inpaint(**changes)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    # And nobody gets round it.
    with pytest.raises(InputError):
        inpaint().replace(**changes)


def test_a_mask_of_another_size_is_refused_with_both_sizes() -> None:
    with pytest.raises(MaskError, match="7 wide and 5 high but the picture is 9 wide and 6 high"):
        inpaint(mask=Mask.full((5, 7)))


def test_an_empty_mask_is_refused_and_a_full_one_is_not() -> None:
    with pytest.raises(MaskError, match="selects nothing"):
        inpaint(mask=Mask.empty((6, 9)))
    assert inpaint(mask=Mask.full((6, 9))).mask.share == 1


@pytest.mark.parametrize("prompt", ["", "   ", "\n\t"])
def test_only_generating_needs_a_prompt(prompt: str) -> None:
    with pytest.raises(InputError, match="say what to draw"):
        Generate(prompt=prompt)
    assert inpaint(prompt=prompt).prompt == prompt
    assert Sketch(drawing=PICTURE, prompt=prompt).prompt == prompt


def test_a_sketch_needs_a_picture() -> None:
    drawing: Any = "drawing.png"
    with pytest.raises(InputError, match="drawing must be a Picture, not str"):
        Sketch(drawing=drawing)


def test_requests_do_not_change() -> None:
    request: Any = inpaint()
    with pytest.raises(dataclasses.FrozenInstanceError):
        request.n = 2


# Names that were elsewhere ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["CONTENTS", "LONGEST_SIDE", "MOST_CUTS", "SketchMode", "checked_seeds"])
def test_names_that_moved_are_found_with_a_warning(name: str) -> None:
    from glide_edit import requests

    with pytest.warns(DeprecationWarning, match=rf"requests\.{name} is glide_edit\.requests\.") as warned:
        assert getattr(requests, name) is not None
    assert warned[0].filename == __file__
    with pytest.raises(AttributeError, match="no attribute 'NONSENSE'"):
        getattr(requests, "NONSENSE")  # noqa: B009


# What is taken ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("finish", FINISHES)
def test_the_limits_themselves_are_taken(finish: Any) -> None:
    request = inpaint(
        n=MOST_IMAGES,
        seed=LARGEST_SEED - MOST_IMAGES + 1,
        steps=MOST_STEPS,
        upsampler_steps=1,
        guidance=0,
        grow=4096,
        context=16,
        finish=finish,
    )
    assert request.seeds[-1] == LARGEST_SEED
    assert len(request.seeds) == MOST_IMAGES


def test_numbers_of_numpy_are_taken_and_can_be_written() -> None:
    request = inpaint(
        n=np.int64(2), seed=np.uint8(7), guidance=np.float32(2), context=np.float64(3), grow=np.int8(1)
    )
    assert request.seeds == (7, 8)
    written = json.loads(json.dumps(request.to_json()))
    assert (written["n"], written["guidance"], written["context"]) == (2, 2.0, 3.0)


def test_replace_changes_what_is_named_and_checks_again() -> None:
    request = every_field()[2]
    changed = request.replace(prompt="a cube", n=1)
    assert (changed.prompt, changed.n) == ("a cube", 1)
    assert same(changed.replace(prompt=request.prompt, n=request.n), request)
    assert request.n == 3
    with pytest.raises(InputError, match="inpaint has no 'colour', 'size'"):
        request.replace(size=3, colour="red")
    with pytest.raises(MaskError, match="but the picture is 4 wide"):
        request.replace(image=open_picture(noise(6, 4)))


# JSON ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.operation)
def test_a_request_comes_back_from_json(request_: Request) -> None:
    text = json.dumps(request_.to_json())
    again = request_from_json(json.loads(text), request_.source)
    assert same(again, request_)
    assert again.to_json() == request_.to_json()


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda r: r.operation)
def test_json_says_no_more_than_it_should(request_: Request) -> None:
    written = request_.to_json()
    assert None not in written.values()
    known = {field.name for field in dataclasses.fields(request_)} | {"operation"}
    assert set(written) <= known
    for name in ("image", "drawing"):
        if name in written:
            assert written[name] == {"sha256": PICTURE.sha256, "size": [6, 9]}
    if "mask" in written:
        assert written["mask"] == {"size": [6, 9], "counts": [11, 2, 40, 1], "order": "row"}


def test_the_picture_must_be_the_recorded_one_unless_another_is_wanted() -> None:
    record = inpaint().to_json()
    with pytest.raises(InputError, match="not the one this request was made with"):
        request_from_json(record, OTHER)
    again = request_from_json(record, OTHER, same=False)
    assert again.source is OTHER
    with pytest.raises(InputError, match=f"give it as well .sha256 {PICTURE.sha256[:12]}"):
        request_from_json(record)


def test_another_picture_must_have_the_size_of_the_mask() -> None:
    with pytest.raises(InputError, match="recorded mask is 9 wide and 6 high but the picture is 3 wide"):
        request_from_json(inpaint().to_json(), open_picture(noise(2, 3)), same=False)


def without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key != name}


RECORD = inpaint().to_json()


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (None, "Not a request"),
        ([], "Not a request"),
        ("inpaint", "Not a request"),
        ({}, "one of generate, inpaint"),
        ({**RECORD, "operation": "sharpen"}, "one of generate, inpaint"),
        ({**RECORD, "operation": ["inpaint"]}, "Not a request"),
        ({**RECORD, "hue": 1, "blur": 2}, "inpaint has no 'blur', 'hue'"),
        ({**RECORD, 3: 1}, "inpaint has no 3"),
        (without(RECORD, "mask"), "inpaint needs mask"),
        (without(RECORD, "image"), "inpaint needs image"),
        ({"operation": "sketch"}, "sketch needs drawing"),
        ({"operation": "generate"}, "The prompt is empty"),
        ({**RECORD, "image": "photo.png"}, "which picture it starts from"),
        ({**RECORD, "image": {"size": [6, 9]}}, "which picture it starts from"),
        ({**RECORD, "image": None}, "which picture it starts from"),
        ({**RECORD, "image": {"sha256": "two\nlines"}}, "which picture it starts from"),
        ({**RECORD, "two\nlines": 1}, r"inpaint has no 'two\nlines'"),
        ({**RECORD, "n": "many"}, "n must be a whole number"),
        ({**RECORD, "guidance": None}, None),
        ({**RECORD, "guidance": [1]}, "guidance must be a number"),
        ({**RECORD, "protect": None}, None),
        ({**RECORD, "mask": None}, "mask must be a Mask"),
    ],
)
def test_a_damaged_record_is_refused_with_a_reason(record: Any, says: str | None) -> None:
    if says is None:
        assert request_from_json(record, PICTURE).operation == "inpaint"
        return
    with pytest.raises(InputError) as caught:
        request_from_json(record, PICTURE)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "mask",
    [
        "white",
        [6, 9],
        {},
        {"size": [6, 9], "order": "row"},
        {"size": [6, 9], "counts": [54], "order": "column"},
        {"size": [6, 9], "counts": [10, 2], "order": "row"},
        {"size": [6, 9], "counts": [-1, 55], "order": "row"},
        {"size": [6, 9], "counts": [53.0, 1], "order": "row"},
        {"size": [6, 9], "counts": "54", "order": "row"},
        {"size": [6], "counts": [6], "order": "row"},
        {"size": None, "counts": [54], "order": "row"},
        {"size": [6, 9], "counts": [54], "order": "row"},  # well-formed, and empty
        {"size": [2**30, 2], "counts": [2**31], "order": "row"},  # a gigabyte or two, if it were believed
    ],
)
def test_malformed_run_lengths_are_refused(mask: Any) -> None:
    with pytest.raises((MaskError, InputError)):
        request_from_json({**RECORD, "mask": mask}, PICTURE)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def mangled(draw: st.DrawFn) -> Any:
    """A record in which something was changed, left out or added, at the top or one level down."""
    record = json.loads(json.dumps(draw(st.sampled_from(REQUESTS)).to_json()))
    for _ in range(draw(st.integers(0, 3))):
        place = record
        inner = [key for key, value in record.items() if isinstance(value, dict)]
        if inner and draw(st.booleans()):
            place = record[draw(st.sampled_from(inner))]
        key = draw(st.sampled_from([*place, "n", "mask", "protect", "image"]) | st.text(max_size=6))
        if draw(st.booleans()):
            place[key] = draw(json_values)
        else:
            place.pop(key, None)
    return draw(st.sampled_from([record, record, record, draw(json_values)]))


@given(mangled(), st.sampled_from([PICTURE, OTHER, None]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_json_holds_it_is_a_request_or_a_clear_error(record: Any, source: Any, strict: bool) -> None:
    try:
        request = request_from_json(record, source, same=strict)
    except (GlideEditError, MaskError) as error:
        said = str(error)
    else:
        said = request.operation
        assert said in OPERATIONS
        assert same(request_from_json(json.loads(json.dumps(request.to_json())), source, same=False), request)
    assert said
    assert "\n" not in said


# Seeds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [(5, 1, 9), [5, 1, 9], tuple(np.array([5, 1, 9]))])
def test_seeds_may_be_named_one_by_one(seeds: Any) -> None:
    request = Generate(prompt="a ball", seeds=seeds)
    assert (request.seeds, request.seed, request.n) == ((5, 1, 9), 5, 3)
    record = json.loads(json.dumps(request.to_json()))
    assert record["seeds"] == [5, 1, 9]
    assert same(request_from_json(record), request)


def test_seeds_in_a_row_are_written_as_the_first_and_how_many() -> None:
    request = Generate(prompt="a ball", seeds=range(10, 13))  # type: ignore[arg-type]
    assert request.to_json() == {"operation": "generate", "prompt": "a ball", "seed": 10, "n": 3}
    assert same(request, Generate(prompt="a ball", seed=10, n=3))


def test_replacing_one_way_of_naming_seeds_by_the_other() -> None:
    request = Generate(prompt="a ball", seeds=(5, 1, 9))
    assert request.replace(prompt="a cube").seeds == (5, 1, 9)
    assert request.replace(seed=7, n=1).seeds == (7,)
    assert request.replace(n=2).seeds == (5, 6)
    assert request.replace(seeds=(2, 4)).seeds == (2, 4)
    assert Generate(prompt="a ball", seed=3, n=4).replace(seeds=[8]).seeds == (8,)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": (1, 2), "n": 3}, "either seeds, or seed and n"),
        ({"seeds": (1, 2), "seed": 2}, "either seeds, or seed and n"),
        ({"seeds": (1, 1)}, "seeds name 1 twice"),
        ({"seeds": (1, -1)}, "not -1"),
        ({"seeds": (1, 2.0)}, "not 2.0"),
        ({"seeds": (True,)}, "not True"),
        ({"seeds": (LARGEST_SEED + 1,)}, "seeds must be whole numbers"),
        ({"seeds": "1,2"}, "a list or range"),
        ({"seeds": 7}, "a list or range"),
        ({"seeds": range(10**30)}, "more than the 64"),
    ],
)
def test_seeds_that_cannot_be(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        Generate(prompt="a ball", **changes)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("7", (7,)),
        ("1,5,9", (1, 5, 9)),
        ("10-12", (10, 11, 12)),
        (" 3 , 5 - 6,1", (3, 5, 6, 1)),
        ("4-4", (4,)),
    ],
)
def test_seeds_as_people_write_them(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@given(st.lists(st.integers(0, LARGEST_SEED), min_size=1, max_size=MOST_IMAGES, unique=True))
def test_any_seeds_can_be_written(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == tuple(seeds)
    request = Generate(prompt="x", seeds=tuple(seeds))
    assert request.seeds == tuple(seeds)
    for seed in seeds:
        assert request.alone(seed).seeds == (seed,), "every picture has a recipe"


def test_a_request_with_several_pictures_gets_each_where_its_hash_is() -> None:
    @dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
    class Blend(Request):
        operation = "blend"
        image: Picture
        other: Picture | None = None

    assert fields_of(Blend, Picture) == ("image", "other")
    OPERATIONS["blend"] = Blend
    try:
        record = Blend(image=PICTURE, other=OTHER).to_json()
        request: Any = request_from_json(record, [OTHER, PICTURE])
        assert (request.image, request.other) == (PICTURE, OTHER)
        third = open_picture(noise(6, 9, seed=2))
        request = request_from_json(record, [third, OTHER], same=False)
        assert (request.image, request.other) == (third, OTHER)
        with pytest.raises(InputError, match="give it as well"):
            request_from_json(record, [PICTURE])
        with pytest.raises(InputError, match="pixels differ"):
            request_from_json(record, [PICTURE, third])
    finally:
        del OPERATIONS["blend"]

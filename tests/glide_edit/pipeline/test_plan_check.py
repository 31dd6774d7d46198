"""Plans from outside: whatever is not what the request and the model give is refused, in a sentence."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.pipeline.plan import Plan
from glide_edit.requests import Generate, Inpaint
from masks import Mask
from tests.glide_edit.operations.stand_ins import stand_in_editor, tiny_editor
from tests.glide_edit.pipeline.test_plan import LARGE, picture

REQUEST = Inpaint(image=picture(200), mask=LARGE, prompt="a ball")


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.fixture(scope="module")
def record(editor: Editor) -> dict[str, Any]:
    return json.loads(json.dumps(editor.plan(REQUEST).to_json()))


def at(*path: Any) -> Callable[[dict[str, Any], Any], None]:
    """Puts a value at a place of a record."""

    def put(record: Any, value: Any) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = value

    return put


FULL = Mask.full((200, 200)).to_rle()
HUGE = {"size": [2**15, 2**15], "counts": [2**30], "order": "row"}


@pytest.mark.parametrize(
    ("put", "value", "field"),
    [
        (at("plan"), 99, "plan"),
        (at("plan"), True, "plan"),
        (at("plan"), None, "plan"),
        (at("surprise"), 1, "surprise"),
        (at("request"), {"operation": "generate"}, "prompt"),
        (at("request"), None, "operation"),
        (at("allowed"), FULL, "allowed"),
        (at("allowed"), HUGE, "allowed"),
        (at("allowed"), None, "allowed"),
        (at("frames", 0, "allowed"), HUGE, "frames[0]"),
        (at("frames", 0, "crop", "side"), 30_000, "frames[0]"),
        (at("frames", 0), None, "frames[0]"),
        (at("frames"), [], "frames"),
        (at("frames"), None, "frames"),
        (at("frames", 0, "surprise"), 1, "frames[0]"),
        (at("frames", 0, "passes"), None, "frames[0].passes"),
        (at("frames", 0, "passes", 0, "size"), [1, 2, 3], "frames[0].passes[0].size"),
        (at("frames", 0, "passes", 0, "timesteps"), [1.0, 2.0], "frames[0].passes[0].timesteps"),
        (at("batch"), 0, "batch"),
        (at("batch"), -1, "batch"),
        (at("batch"), "four", "batch"),
        (at("cascade"), None, "cascade"),
        (at("stages"), 3, "stages"),
        (at("stages"), [], "stages"),
        (at("stages"), [{}], "stages[0]"),
        (at("stages", 0, "timesteps"), [], "stages[0].timesteps"),
        (at("stages", 0, "timesteps"), [5.0, 5.0], "stages[0].timesteps"),
        (at("stages", 0, "timesteps", 0), None, "stages[0].timesteps[0]"),
        (at("stages", 0, "timesteps", 0), 10**400, "stages[0].timesteps[0]"),
        (at("stages", 0, "timesteps", 0), float("nan"), "stages[0].timesteps[0]"),
        (at("stages", 0, "preset", "steps"), 0, "stages"),
        (at("stages", 0, "preset", "threshold"), "soft", "stages[0].preset.threshold"),
        (at("factor"), True, "factor"),
        (at("notes"), "x", "notes"),
        (at("notes"), [None], "notes[0]"),
        (at("model"), None, "model"),
    ],
)
def test_what_is_not_a_plan_is_refused(record: dict[str, Any], put: Any, value: Any, field: str) -> None:
    changed = copy.deepcopy(record)
    put(changed, value)
    tracemalloc.start()
    with pytest.raises(InputError, match=r"^[^\n]*\.$") as caught:
        Plan.from_json(changed, REQUEST.source)
    assert caught.value.field == field
    assert caught.value.code != "bad_input"
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


@pytest.mark.parametrize("wrong", [[], None, "a plan", {}])
def test_other_values_are_no_plans(wrong: Any) -> None:
    with pytest.raises(InputError, match="Not a plan"):
        Plan.from_json(wrong)


@pytest.mark.parametrize("source", ["photo.png", np.zeros((4, 4, 3), np.uint8), ["photo.png"], 3])
def test_a_source_that_is_not_a_picture_is_named(record: dict[str, Any], source: Any) -> None:
    with pytest.raises(InputError, match="open_picture") as caught:
        Plan.from_json(record, source)
    assert caught.value.field == "source"


@pytest.mark.parametrize(
    ("put", "value", "field"),
    [
        (at("factor"), 2, "factor"),
        (at("factor"), 0, "factor"),
        (at("frames", 0, "passes"), [], "frames"),
        (at("frames", 0, "passes", 0, "size"), [10**6, 10**6], "frames"),
        (at("stages", 0, "timesteps"), [9.0, 3.0], "stages"),
        (at("stages", 0, "image_size"), 2**20, "stages"),
        (at("stages", 0, "branches", 0, "prompt"), "a cat", "stages"),
    ],
)
def test_what_this_model_would_not_plan_is_not_run(
    editor: Editor, record: dict[str, Any], put: Any, value: Any, field: str
) -> None:
    changed = copy.deepcopy(record)
    put(changed, value)
    made = Plan.from_json(changed, REQUEST.source)
    with pytest.raises(InputError, match="not what its request gives with this model") as caught:
        editor.stream(made)
    assert (caught.value.code, caught.value.field) == ("plan_differs", field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"request": REQUEST.replace(prompt="a cat")}, "stages"),
        ({"request": REQUEST.replace(mask=Mask.full((200, 200)))}, "frames"),
        ({"allowed": Mask.full((200, 200))}, "allowed"),
        ({"frames": ()}, "frames"),
        ({"batch": 0}, "batch"),
        ({"stages": ()}, "stages"),
        ({"notes": "x"}, "notes"),
        ({"model": "another"}, "model"),
    ],
)
def test_a_plan_with_other_fields_is_not_run(editor: Editor, changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError) as caught:
        editor.stream(replace(editor.plan(REQUEST), **changes))
    assert caught.value.field == field


def test_another_seed_and_a_number_of_another_machine_will_do(editor: Editor) -> None:
    made = editor.plan(Generate(prompt="a ball"))
    first = made.stages[0]
    times = tuple(np.nextafter(np.asarray(first.timesteps), 0).tolist())
    moved = replace(
        made, request=made.request.replace(seed=5), stages=(replace(first, timesteps=times), *made.stages[1:])
    )
    expected = editor.run(Generate(prompt="a ball", seed=5))
    assert np.array_equal(editor.run(moved).pictures[0].pixels, expected.pictures[0].pixels)


def test_the_settings_of_clip_tell_plans_apart() -> None:
    editor = stand_in_editor(torch.zeros_like)
    one, other = (editor.plan(Generate(prompt="a ball", clip_cuts=cuts)) for cuts in (2, 4))
    assert one.signature != other.signature
    assert one.signature == editor.plan(Generate(prompt="a cat", clip_cuts=2, seed=3)).signature

"""Plans: what they promise is what happens, and they go to other processes as JSON."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.pipeline.plan import Plan
from glide_edit.requests import Generate, Inpaint, Outpaint, Remove, Request, Sketch, Upscale, Vary
from glide_edit.results import EditResult, Progress
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor, told


def mask(*boxes: tuple[int, int, int, int], size: int = 64) -> Mask:
    selected = np.zeros((size, size), bool)
    for y0, y1, x0, x1 in boxes:
        selected[y0:y1, x0:x1] = True
    return Mask(selected)


def picture(side: int = 64) -> Any:
    return open_picture(noise(side, side))


ONE = mask((16, 48, 16, 48))
LARGE = mask((20, 180, 20, 180), size=200)
HUGE = mask((40, 560, 40, 560), size=600)
APART = mask((2, 12, 2, 12), (280, 296, 280, 296), size=300)

REQUESTS: dict[str, Request] = {
    "generate": Generate(prompt="a ball", n=5),
    "candidates": Generate(prompt="a ball", n=2, candidates=6),
    "inpaint": Inpaint(image=picture(), mask=ONE, prompt="a ball", n=2),
    "detail": Inpaint(image=picture(200), mask=LARGE, prompt="a ball", n=2),
    "two passes": Inpaint(image=picture(600), mask=HUGE, prompt="a ball"),
    "parts": Inpaint(image=picture(300), mask=APART, prompt="a ball", n=2, context=3),
    "candidates of parts": Inpaint(image=picture(300), mask=APART, prompt="a ball", n=1, candidates=5),
    "dial": Inpaint(image=picture(), mask=ONE, context_guidance=2.0, context_interval=(0.5, 1.0)),
    "remove": Remove(image=picture(200), mask=LARGE),
    "outpaint": Outpaint(image=picture(), right=40, top=10),
    "sketch": Sketch(drawing=open_picture(np.kron(np.eye(4), np.ones((9, 9))))),
    "upscale": Upscale(image=picture(40), factor=2, n=2),
    "vary": Vary(image=picture(), strength=0.4, steps=20),
}


@pytest.fixture(params=REQUESTS)
def request_(request: pytest.FixtureRequest) -> Request:
    return REQUESTS[request.param]


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


def steps(editor: Editor, work: Request | Plan) -> Iterator[Progress]:
    return (event for event in editor.stream(work) if isinstance(event, Progress))


def test_the_runs_of_a_plan_are_those_that_happen(editor: Editor, request_: Request) -> None:
    made = editor.plan(request_)
    happened = list(steps(editor, made))
    ends = [k for k, event in enumerate(happened) if event.step == event.total]
    assert [(happened[k].stage, happened[k].total) for k in ends] == [
        (run.label, run.steps) for run in made.runs()
    ]


def test_the_share_of_a_run_rises_to_1(editor: Editor, request_: Request) -> None:
    shares = [event.share for event in steps(editor, request_)]
    assert shares == sorted(shares)
    assert 0 < shares[0] < 1 or len(shares) == 1
    assert shares[-1] == pytest.approx(1)


@pytest.mark.parametrize(
    "name", ["generate", "detail", "two passes", "parts", "upscale", "outpaint", "candidates"]
)
def test_networks_are_called_as_often_as_planned(name: str) -> None:
    editor = stand_in_editor(torch.zeros_like, upsampler=True)
    made = editor.plan(REQUESTS[name])
    assert sum(len(told(editor, stage)) for stage in (0, 1)) == 0, "planning calls no network"
    editor.run(made)
    assert sum(len(told(editor, stage)) for stage in (0, 1)) == made.network_calls


def test_a_plan_goes_through_json_and_gives_the_same_picture(editor: Editor, request_: Request) -> None:
    made = editor.plan(request_)
    record = json.loads(json.dumps(made.to_json()))
    source = request_.source
    again = Plan.from_json(record, source)
    assert again == made
    assert str(again) == str(made)
    first, second = editor.run(made), editor.run(again)
    for one, other in zip(first.pictures, second.pictures, strict=True):
        assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("name", ["inpaint", "parts", "outpaint", "candidates of parts", "remove"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_of_a_request_is_left_as_it_is(editor: Editor, name: str, copied: Any) -> None:
    """Copied arrays are writable: nothing may be written into them all the same."""
    request = copied(REQUESTS[name])
    before = request.image.pixels.copy()
    for work in (request, copied(editor.plan(request)), editor.plan(request)):
        expected, made = editor.run(REQUESTS[name]), editor.run(work)
        assert np.array_equal(request.image.pixels, before)
        assert made.receipts == expected.receipts
        assert all(receipt.kept for receipt in made.receipts)
        for one, other in zip(made.pictures, expected.pictures, strict=True):
            assert np.array_equal(one.pixels, other.pixels)


def test_plans_differ_where_requests_do(editor: Editor) -> None:
    one, other = (editor.plan(Generate(prompt="a ball", guidance=scale)) for scale in (2.0, 3.0))
    assert one != other
    assert one == editor.plan(Generate(prompt="a ball", guidance=2.0))
    assert one != "a plan"


def test_a_plan_of_another_model_is_refused(editor: Editor) -> None:
    made = editor.plan(Generate(prompt="a ball"))
    with pytest.raises(InputError, match="The plan is for tiny"):
        stand_in_editor(torch.zeros_like).stream(made)


def test_it_tells_what_will_be_done(editor: Editor) -> None:
    said = str(editor.plan(REQUESTS["detail"]))
    for part in (
        "inpaint with tiny",
        "2 pictures",
        "seeds 0, 1",
        "may change: 25,600 of 40,000 px",
        "detail at",
    ):
        assert part in said
    assert "seeds 1, 5, 9" in str(editor.plan(Generate(prompt="a ball", seeds=(1, 5, 9))))
    assert editor.plan(REQUESTS["upscale"]).memory_bytes > 80 * 80 * 3 * 4
    assert "frame 2" in str(editor.plan(REQUESTS["parts"]))
    assert editor.plan(REQUESTS["detail"]).memory_bytes > 200 * 200 * 3 * 2


def test_one_of_something_is_told_in_the_singular(editor: Editor) -> None:
    said = str(editor.plan(Generate(prompt="a ball", steps=1, upsampler_steps=1, candidates=1)))
    assert "1 picture, the best of 1 candidate, " in said
    assert "upsampler, 64 px: 1 step of ddim, guidance 1, 1 branch" in said
    assert "1 steps" not in said


def test_every_stage_may_have_its_own_steps(editor: Editor) -> None:
    made = editor.plan(Generate(prompt="a ball", stage_steps=(5, 4)))
    assert [len(settings.timesteps) for settings in made.stages] == [5, 4]
    ended = [event for event in steps(editor, made) if event.step == event.total]
    assert [(event.stage, event.total) for event in ended] == [("base", 5), ("upsampler", 4)]
    with pytest.raises(InputError, match="stage_steps has 3 numbers"):
        editor.plan(Generate(prompt="a ball", stage_steps=(5, 4, 3)))


def test_frames_after_the_first_know_what_was_drawn_before(editor: Editor) -> None:
    """The tiles of a later frame hold only what the frames before it leave to draw."""
    made = editor.plan(REQUESTS["parts"])
    assert [frame.number for frame in made.frames] == [0, 1]
    alone = editor.plan(Inpaint(image=picture(300), mask=mask((280, 296, 280, 296), size=300), context=3))
    assert len(made.frames[1].passes) == len(alone.frames[0].passes)


def test_a_step_has_its_latents(editor: Editor) -> None:
    seen: list[Any] = []
    result = editor.run(Generate(prompt="a ball", n=2, seed=3), on_step=seen.append)
    assert isinstance(result, EditResult)
    assert [key for key, _ in groupby(step.stage for step in seen)] == ["base", "upsampler"]
    for step in seen:
        assert step.seeds == (3, 4)
        assert step.latents.shape == step.x0.shape
        assert step.latents.shape[:2] == (2, 3)
    times = [step.t for step in seen if step.stage == "base"]
    assert times == sorted(times, reverse=True)


def test_what_is_done_to_the_latents_of_a_step_changes_no_picture(editor: Editor) -> None:
    def spoil(step: Any) -> None:
        step.latents.zero_()
        step.x0.zero_()

    spoilt, plain = (editor.run(REQUESTS["detail"], on_step=on_step) for on_step in (spoil, None))
    assert np.array_equal(spoilt.pictures[0].pixels, plain.pictures[0].pixels)


def test_a_callback_that_raises_stops_the_work(editor: Editor) -> None:
    def stop(event: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        editor.run(Generate(prompt="a ball"), callback=stop)
    assert editor.run(Generate(prompt="a ball")).pictures, "the device is free again"


def test_callbacks_that_nobody_would_await_are_refused(editor: Editor) -> None:
    async def tell(event: Any) -> None:
        raise AssertionError("never awaited")

    with pytest.raises(InputError, match=r"callback is an async function.* use arun"):
        editor.run(Generate(prompt="a ball"), callback=tell)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="on_step is an async function"):
        editor.run(Generate(prompt="a ball"), on_step=tell)  # type: ignore[arg-type]


def test_an_exhausted_iterator_in_on_step_is_told_as_its_own(editor: Editor) -> None:
    with pytest.raises(RuntimeError, match="on_step raised StopIteration"):
        editor.run(Generate(prompt="a ball"), on_step=lambda step: next(iter(())))


def test_a_preview_is_made_only_where_somebody_looks(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    from glide_edit.pipeline import run as running

    made: list[int] = []
    preview = running.preview
    monkeypatch.setattr(running, "preview", lambda x0: made.append(1) or preview(x0))  # type: ignore[func-returns-value]
    editor.run(Generate(prompt="a ball"))
    assert not made
    shown = [event.preview.shape for event in steps(editor, Generate(prompt="a ball"))]
    assert len(shown) == len(made) == 5
    assert shown[0] == (16, 16, 3)
    assert shown[-1] == (64, 64, 3)

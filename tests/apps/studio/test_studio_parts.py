"""What the studio is made of, without a browser."""

from __future__ import annotations

import dataclasses
import re
import threading
from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import ImageError, InputError, ModelNotFound
from glide_edit.images import open_picture, save_picture
from glide_edit.pipeline.plan import SamplerRun
from glide_edit.requests import OPERATIONS, Generate, Inpaint, Request, Upscale, Vary, settings_of
from glide_edit.results import EditResult, Progress
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, tiny_editor

pytest.importorskip("gradio", reason="the extra studio is not installed")

from apps.studio import html
from apps.studio.canvas_state import CanvasState
from apps.studio.edit import with_finish
from apps.studio.eta import Eta, StepTimes
from apps.studio.fields import OVERRIDES, component, request_fields, sentence
from apps.studio.help_texts import chips
from apps.studio.launch import Settings, password_of
from apps.studio.loaded_models import LoadedModels
from apps.studio.running import RunEnd, RunStep, requests_for, run_steps
from apps.studio.sessions import (
    MAX_HISTORY_BYTES,
    MAX_KEPT,
    HistoryEntry,
    Run,
    Session,
    Sessions,
    UndoStack,
)
from apps.studio.thumbnails import strip_html
from apps.studio.uploads import read_upload


def request(n: int = 1) -> Inpaint:
    selected = np.zeros((60, 80), bool)
    selected[20:40, 30:50] = True
    return Inpaint(image=open_picture(noise(60, 80)), mask=Mask(selected), n=n, steps=4)


def entry(session: Session, picture_size: int = 8) -> HistoryEntry:
    picture = open_picture(noise(picture_size, picture_size))
    result = EditResult(request=Generate(prompt="a ball"), pictures=(picture,), receipts=(), model="m")
    return HistoryEntry(next(session.numbers), result, 0, "")


def test_a_run_shows_each_step_in_the_photograph_and_ends_with_its_result() -> None:
    events = list(run_steps(tiny_editor(), request(), Run(), StepTimes()))
    *moments, ending = events
    assert all(isinstance(each, RunStep) for each in moments)
    assert isinstance(ending, RunEnd)
    assert ending.complete
    before = request().image.pixels
    for each in moments:
        assert isinstance(each, RunStep)
        changed = (each.preview != before).any(axis=2)
        assert changed[20:40, 30:50].any()
        assert not changed[~request().mask.selected].any()


def test_a_stopped_run_keeps_the_last_preview_with_a_receipt() -> None:
    run = Run()
    events = run_steps(tiny_editor(), request(), run, StepTimes())
    next(events)
    run.is_stopped = True
    *_, ending = events
    assert isinstance(ending, RunEnd)
    assert not ending.complete
    assert ending.result.receipts[0].kept
    assert "Stopped at step 1 of 4" in ending.result.notes[0]
    outside = ~request().mask.selected
    np.testing.assert_array_equal(ending.result.pictures[0].pixels[outside], request().image.pixels[outside])


def test_the_time_left_is_told_once_every_stage_was_measured() -> None:
    editor, times = tiny_editor(), StepTimes()
    first = [
        each.seconds_left for each in run_steps(editor, request(), Run(), times) if isinstance(each, RunStep)
    ]
    second = [
        each.seconds_left for each in run_steps(editor, request(), Run(), times) if isinstance(each, RunStep)
    ]
    assert first[0] is None
    assert None not in second
    assert second[-1] == 0
    assert all(left is not None and left >= 0 for left in second)


def blank() -> np.ndarray:
    return np.zeros((1, 1, 3), np.uint8)


def test_the_time_left_is_that_of_the_steps_to_come() -> None:
    stages = [SamplerRun("base", 2, 4), SamplerRun("base", 2, 1), SamplerRun("upsampler", 3, 1)]
    times: StepTimes = {("m", "base", 4): 2.0, ("m", "base", 1): 1.0, ("m", "upsampler", 1): 10.0}
    eta = Eta(times, "m", stages)
    told = [
        eta.seconds_left(Progress(stage, step, total, blank))
        for stage, step, total in (("base", 1, 2), ("base", 2, 2), ("base", 1, 2))
    ]
    measured = times["m", "base", 4]
    assert measured == pytest.approx(0.7 * 2, abs=0.2)  # the second step came at once
    assert told == [2 + 2 + 30, 2 + 30, 1 + 30]
    assert Eta({}, "m", stages).seconds_left(Progress("base", 1, 2, blank)) is None


def test_undo_and_redo_go_through_the_photographs() -> None:
    stack, pictures = UndoStack(), [open_picture(noise(4, 4, seed=seed)) for seed in range(3)]
    assert stack.current is None
    for number, picture in enumerate(pictures[:2]):
        stack.push(picture, str(number))
    stack.move(-1)
    stack.move(-1)
    assert stack.current == (pictures[0], "0")
    assert stack.can_move(1)
    assert not stack.can_move(-1)
    stack.push(pictures[2], "2")
    assert not stack.can_move(1)
    stack.move(-1)
    assert stack.current == (pictures[0], "0")


def test_a_run_waits_for_the_strokes_it_was_asked_after() -> None:
    none, first, second, third = (Mask(np.arange(16).reshape(4, 4) < n) for n in range(4))
    selection = CanvasState(none)
    assert selection.wait_for(0) == none
    selection.receive(first, 1)
    assert selection.wait_for(1) == first
    with pytest.raises(InputError, match="not arrived yet"):
        selection.wait_for(2, seconds=0.01)
    late = threading.Timer(0.05, selection.receive, (second, 2))
    late.start()
    assert selection.wait_for(2) == second
    selection.receive(first, 1)  # overtaken on its way
    assert selection.wait_for(2) == second
    selection.replace(third, 3)  # the studio grew it; what was still under way is of before
    selection.receive(second, 3)
    assert selection.wait_for(3) == third


def test_a_visit_takes_its_files_with_it(tmp_path: Path) -> None:
    sessions = Sessions(tmp_path, "toybox")
    one, other = sessions.get("one"), sessions.get("other")
    assert one is sessions.get("one")
    assert one is not other
    kept, gone = other.new_file("x.png"), one.new_file("x.png")
    sent = tmp_path / "sent.png"
    for path in (kept, gone, sent):
        path.write_bytes(b"x")
    one.track([sent])
    sessions.close("one")
    assert kept.exists()
    assert not gone.exists()
    assert not sent.exists()
    assert len(sessions) == 1


def test_a_visit_lets_go_of_its_oldest_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.studio.sessions.MAX_HISTORY_BYTES", 3 * 8 * 8 * 3)
    assert MAX_HISTORY_BYTES > 10**8
    session = Session(tmp_path, "toybox")
    for _ in range(5):
        session.add([entry(session)])
    assert [each.number for each in session.history] == [3, 4, 5]


def test_an_upload_is_gone_once_it_was_read(tmp_path: Path) -> None:
    save_picture(noise(5, 6), tmp_path / "photo.png")
    picture, name = read_upload(str(tmp_path / "photo.png"))
    assert (picture.width, picture.height, name) == (6, 5, "photo.png")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(ImageError, match=r"^notes.txt is not a PNG") as caught:
        read_upload(str(tmp_path / "notes.txt"))
    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_typed_never_becomes_markup(tmp_path: Path) -> None:
    session = Session(tmp_path, "toybox")
    nasty = Generate(prompt="<img src=x onerror=alert(1)>${value}{{value}}\"'")
    result = EditResult(request=nasty, pictures=entry(session).result.pictures, receipts=(), model="m")
    each = HistoryEntry(1, result, 0, "")
    session.add([each])
    session.tab("edit").keep(1)
    page = strip_html(session, "edit") + html.history_list([each], each, None)
    assert "<img src=x" not in page
    assert "${" not in page
    assert "{{" not in page


def with_candidates(n: int) -> Request:
    (alone,) = requests_for(request(n))
    return alone


def after_a_run(n: int = 3) -> tuple[Session, EditResult]:
    """A session whose Edit tab has run a request with candidates."""
    session = Session(Path("unused"), "tiny")
    *_, ending = run_steps(tiny_editor(), with_candidates(n), Run(), StepTimes())
    assert isinstance(ending, RunEnd)
    session.add([HistoryEntry(1, ending.result, 0, "", "")])
    session.tab("edit").latest, session.tab("edit").drafts = [1], ending.result
    session.tab("edit").viewed = 1
    return session, ending.result


def test_the_strip_has_the_best_finished_and_the_others_as_drafts() -> None:
    session, result = after_a_run()
    page = strip_html(session, "edit")
    assert re.findall(r'data-pick="(\d+)" aria-pressed="(\w+)"', page) == [("1", "true")]
    seeds = [str(each.seed) for each in result.candidates]
    assert re.findall(r'data-finish="(\d+)"', page) == seeds[1:]
    assert re.findall(r'ge-place"[^>]*>(\d+)<', page) == ["1", "2", "3"]
    session.tab("edit").start_run()
    drawing = strip_html(session, "edit", result.candidates)
    assert "data-finish" not in drawing
    assert drawing.count("disabled") == 3


def test_what_was_kept_outlasts_the_next_run() -> None:
    session, _ = after_a_run()
    session.tab("edit").keep(1)
    session.tab("edit").start_run()
    assert 'data-pick="1"' in strip_html(session, "edit")
    assert "data-finish" not in strip_html(session, "edit")
    for number in range(2, 2 + MAX_KEPT):
        session.tab("edit").keep(number)
    assert strip_html(session, "edit") == ""


def test_a_candidate_is_finished_with_the_time_that_is_left() -> None:
    editor, times = tiny_editor(), StepTimes()
    asked = with_candidates(3)
    *_, ending = run_steps(editor, asked, Run(), times)
    assert isinstance(ending, RunEnd)
    seed = ending.result.candidates[2].seed
    *moments, finished = run_steps(editor, asked.alone(seed), Run(), times, ending.result)
    assert isinstance(finished, RunEnd)
    assert finished.complete
    assert finished.result.seeds == (seed,)
    assert [each.seconds_left for each in moments if isinstance(each, RunStep)][-1] == 0


def test_a_run_stopped_among_its_candidates_can_be_gone_on_with() -> None:
    run, asked = Run(), with_candidates(6)
    for event in run_steps(tiny_editor(), asked, run, StepTimes()):
        if isinstance(event, RunStep) and event.progress.candidates:
            run.is_stopped = True
    assert isinstance(event, RunEnd)
    assert len(event.result.candidates) == 4
    assert event.result.receipts[0].kept


def test_an_enlargement_is_held_against_a_plain_one() -> None:
    small, large = open_picture(noise(8, 8)), open_picture(noise(16, 16))
    result = EditResult(request=Upscale(image=small, factor=2), pictures=(large,), receipts=(), model="m")
    assert "Enlarged plainly" in html.result(HistoryEntry(1, result, 0, ""))
    stopped = dataclasses.replace(result, pictures=(small,))
    assert "Enlarged plainly" not in html.result(HistoryEntry(1, stopped, 0, "", complete=False))


def test_a_field_is_called_as_the_page_calls_it() -> None:
    with pytest.raises(InputError) as caught:
        request(65)
    assert sentence(caught.value) == (
        "The number of pictures must be a whole number between 1 and 64, not 65."
    )
    assert sentence("no words must") == "No words must"


def test_a_feather_chooses_that_finish() -> None:
    for feather in (0, None):
        fields = {"finish": "clone", "feather": feather, "context": 2}
        assert with_finish(fields) == {"finish": "clone", "context": 2}
    fields = {"finish": "clone", "feather": 12, "context": 2}
    assert with_finish(fields) == {"finish": "feather", "feather": 12, "context": 2}


def test_empty_fields_are_the_models_own_choice() -> None:
    values = {"prompt": "a ball", "negative_prompt": " ", "seed": 7, "n": 2, "steps": None, "guidance": None}
    unset = {"sampler": "the model's", "aspect": "as it is"}
    assert request_fields({**values, **unset}, [*values.values(), *unset.values()]) == {
        "prompt": "a ball",
        "seed": 7,
        "n": 2,
    }
    assert request_fields(["sampler", "prompt", "left"], ["ddim", None, 0]) == {"sampler": "ddim", "left": 0}


def test_a_component_is_what_the_field_is_defined_as() -> None:
    sampler, strength = (
        component(Request, "sampler", "edit"),
        component(Vary, "strength", "vary", min_width=9),
    )
    defined = {each.name: each for each in settings_of(Vary)}
    assert [value for _, value in sampler.choices] == ["the model's", *defined["sampler"].choices]
    assert (sampler.value, sampler.elem_id) == ("the model's", "edit-sampler")
    assert (strength.value, strength.min_width) == (defined["strength"].default, 9)
    assert component(Request, "upsampler_steps", "edit").elem_id == "edit-upsampler-steps"
    assert component(Request, "prompt", "edit").value is None  # "" would overwrite what is typed
    assert set(OVERRIDES) <= {each.name for kind in OPERATIONS.values() for each in settings_of(kind)}


def test_only_models_that_are_offered_are_loaded(tmp_path: Path) -> None:
    models = LoadedModels("toybox")
    with pytest.raises(ModelNotFound, match="choose toybox"):
        models.editor(str(tmp_path))
    assert models.runtime("toybox") is None


def test_others_are_let_in_only_when_asked_for_and_by_a_password() -> None:
    for settings in (Settings(host="0.0.0.0"), Settings(share=True), Settings(host="::")):
        assert settings.lets_others_in
        one, other = password_of(settings), password_of(settings)
        assert one != other
        assert len(one or "") >= 16
        assert password_of(dataclasses.replace(settings, password="sesame")) == "sesame"
    for host in ("127.0.0.1", "localhost", "::1"):
        assert not Settings(host=host).lets_others_in
        assert password_of(Settings(host=host)) is None
    for nothing in ("", "  "):
        with pytest.raises(InputError, match="The password is empty"):
            password_of(Settings(host="0.0.0.0", password=nothing))


def test_the_chips_are_words_the_model_was_trained_on() -> None:
    from glide_edit.toybox import vocabulary

    words = re.findall(r'data-word="([^"]*)"', chips("edit"))
    assert len(words) > 30
    assert {part for word in words for part in word.split()} <= set(vocabulary())

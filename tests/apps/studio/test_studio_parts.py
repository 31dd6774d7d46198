"""What the studio is made of, without a browser."""

from __future__ import annotations

import dataclasses
import re
import threading
from pathlib import Path

import numpy as np
import pytest
from glide_edit.operations.choosing import as_candidates

from glide_edit.errors import ImageError, InputError, ModelNotFound
from glide_edit.images import open_picture, save_picture
from glide_edit.requests import Generate, Inpaint, Upscale
from glide_edit.results import EditResult
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, tiny_editor

pytest.importorskip("gradio", reason="the extra studio is not installed")

from apps.studio import html
from apps.studio.edit import put_back_fields
from apps.studio.fields import sentence, settings_of
from apps.studio.handover import Handover
from apps.studio.launch import Settings, password_of
from apps.studio.pace import Pace
from apps.studio.running import Ending, Moment, follow
from apps.studio.shelf import Shelf
from apps.studio.strip import strip
from apps.studio.uploads import opened
from apps.studio.visits import MOST_BYTES, MOST_KEPT, Made, Ticket, Trail, Visit, Visits
from apps.studio.words import chips


def request(n: int = 1) -> Inpaint:
    selected = np.zeros((60, 80), bool)
    selected[20:40, 30:50] = True
    return Inpaint(image=open_picture(noise(60, 80)), mask=Mask(selected), n=n, steps=4)


def made(visit: Visit, picture_size: int = 8) -> Made:
    picture = open_picture(noise(picture_size, picture_size))
    result = EditResult(request=Generate(prompt="a ball"), pictures=(picture,), receipts=(), model="m")
    return Made(next(visit.numbers), result, 0, "")


def test_a_run_shows_each_step_in_the_photograph_and_ends_with_its_result() -> None:
    events = list(follow(tiny_editor(), request(), Ticket(), Pace()))
    *moments, ending = events
    assert all(isinstance(each, Moment) for each in moments)
    assert isinstance(ending, Ending)
    assert ending.complete
    before = request().image.pixels
    for each in moments:
        assert isinstance(each, Moment)
        changed = (each.shown != before).any(axis=2)
        assert changed[20:40, 30:50].any()
        assert not changed[~request().mask.selected].any()


def test_a_stopped_run_keeps_the_last_preview_with_a_receipt() -> None:
    ticket = Ticket()
    events = follow(tiny_editor(), request(), ticket, Pace())
    next(events)
    ticket.stop()
    *_, ending = events
    assert isinstance(ending, Ending)
    assert not ending.complete
    assert ending.result.receipts[0].kept
    assert "Stopped at step 1 of 4" in ending.result.notes[0]
    outside = ~request().mask.selected
    np.testing.assert_array_equal(ending.result.pictures[0].pixels[outside], request().image.pixels[outside])


def test_the_time_left_is_told_once_every_stage_was_measured() -> None:
    editor, pace = tiny_editor(), Pace()
    first = [each.left for each in follow(editor, request(), Ticket(), pace) if isinstance(each, Moment)]
    second = [each.left for each in follow(editor, request(), Ticket(), pace) if isinstance(each, Moment)]
    assert first[0] is None
    assert None not in second
    assert second[-1] == 0
    assert all(left is not None and left >= 0 for left in second)


def test_undo_and_redo_go_through_the_photographs() -> None:
    trail, pictures = Trail(), [open_picture(noise(4, 4, seed=seed)) for seed in range(3)]
    assert trail.current is None
    for number, picture in enumerate(pictures[:2]):
        trail.go_on_with(picture, str(number))
    trail.undo()
    trail.undo()
    assert trail.current == (pictures[0], "0")
    assert trail.can_redo
    assert not trail.can_undo
    trail.go_on_with(pictures[2], "2")
    assert not trail.can_redo
    trail.undo()
    assert trail.current == (pictures[0], "0")


def test_a_run_waits_for_the_strokes_it_was_asked_after() -> None:
    none, first, second, third = (Mask(np.arange(16).reshape(4, 4) < n) for n in range(4))
    selection = Handover(none)
    assert selection.after(0) == none
    selection.arrive(first, 1)
    assert selection.after(1) == first
    with pytest.raises(InputError, match="not arrived yet"):
        selection.after(2, seconds=0.01)
    late = threading.Timer(0.05, selection.arrive, (second, 2))
    late.start()
    assert selection.after(2) == second
    selection.arrive(first, 1)  # overtaken on its way
    assert selection.after(2) == second
    selection.put(third, 3)  # the studio grew it; what was still under way is of before
    selection.arrive(second, 3)
    assert selection.after(3) == third


def test_a_visit_takes_its_files_with_it(tmp_path: Path) -> None:
    visits = Visits(tmp_path, "toybox")
    one, other = visits.of("one"), visits.of("other")
    assert one is visits.of("one")
    assert one is not other
    kept, gone = other.file("x.png"), one.file("x.png")
    sent = tmp_path / "sent.png"
    for path in (kept, gone, sent):
        path.write_bytes(b"x")
    one.note([sent])
    visits.end("one")
    assert kept.exists()
    assert not gone.exists()
    assert not sent.exists()
    assert len(visits) == 1


def test_a_visit_lets_go_of_its_oldest_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.studio.visits.MOST_BYTES", 3 * 8 * 8 * 3)
    assert MOST_BYTES > 10**8
    visit = Visit(tmp_path, "toybox")
    for _ in range(5):
        visit.keep([made(visit)])
    assert [each.number for each in visit.made] == [3, 4, 5]


def test_an_upload_is_gone_once_it_was_read(tmp_path: Path) -> None:
    save_picture(noise(5, 6), tmp_path / "photo.png")
    picture, name = opened(str(tmp_path / "photo.png"))
    assert (picture.width, picture.height, name) == (6, 5, "photo.png")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(ImageError, match=r"^notes.txt is not a PNG") as caught:
        opened(str(tmp_path / "notes.txt"))
    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_what_is_typed_never_becomes_markup(tmp_path: Path) -> None:
    visit = Visit(tmp_path, "toybox")
    nasty = Generate(prompt="<img src=x onerror=alert(1)>${value}{{value}}\"'")
    result = EditResult(request=nasty, pictures=made(visit).result.pictures, receipts=(), model="m")
    each = Made(1, result, 0, "")
    visit.keep([each])
    visit.strip("edit").put_aside(1)
    page = strip(visit, "edit") + html.catalogue([each], each, None)
    assert "<img src=x" not in page
    assert "${" not in page
    assert "{{" not in page


def after_a_run(n: int = 3) -> tuple[Visit, EditResult]:
    """A visit whose Edit tab has run a request with candidates."""
    visit = Visit(Path("unused"), "tiny")
    *_, ending = follow(tiny_editor(), as_candidates(request(n)), Ticket(), Pace())
    assert isinstance(ending, Ending)
    visit.keep([Made(1, ending.result, 0, "", "")])
    visit.strip("edit").made, visit.strip("edit").drawn = [1], ending.result
    visit.picked["edit"] = 1
    return visit, ending.result


def test_the_strip_has_the_best_finished_and_the_others_as_drafts() -> None:
    visit, result = after_a_run()
    page = strip(visit, "edit")
    assert re.findall(r'data-pick="(\d+)" aria-pressed="(\w+)"', page) == [("1", "true")]
    seeds = [str(each.seed) for each in result.candidates]
    assert re.findall(r'data-finish="(\d+)"', page) == seeds[1:]
    assert re.findall(r'ge-place"[^>]*>(\d+)<', page) == ["1", "2", "3"]
    visit.strip("edit").begin()
    drawing = strip(visit, "edit", result.candidates)
    assert "data-finish" not in drawing
    assert drawing.count("disabled") == 3


def test_what_was_kept_outlasts_the_next_run() -> None:
    visit, _ = after_a_run()
    visit.strip("edit").put_aside(1)
    visit.strip("edit").begin()
    assert 'data-pick="1"' in strip(visit, "edit")
    assert "data-finish" not in strip(visit, "edit")
    for number in range(2, 2 + MOST_KEPT):
        visit.strip("edit").put_aside(number)
    assert strip(visit, "edit") == ""


def test_a_candidate_is_finished_with_the_time_that_is_left() -> None:
    editor, pace = tiny_editor(), Pace()
    asked = as_candidates(request(3))
    *_, ending = follow(editor, asked, Ticket(), pace)
    assert isinstance(ending, Ending)
    seed = ending.result.candidates[2].seed
    *moments, finished = follow(editor, asked.alone(seed), Ticket(), pace, ending.result)
    assert isinstance(finished, Ending)
    assert finished.complete
    assert finished.result.seeds == (seed,)
    assert [each.left for each in moments if isinstance(each, Moment)][-1] == 0


def test_a_run_stopped_among_its_candidates_can_be_gone_on_with() -> None:
    ticket, asked = Ticket(), as_candidates(request(6))
    for event in follow(tiny_editor(), asked, ticket, Pace()):
        if isinstance(event, Moment) and event.progress.candidates:
            ticket.stop()
    assert isinstance(event, Ending)
    assert len(event.result.candidates) == 4
    assert event.result.receipts[0].kept


def test_an_enlargement_is_held_against_a_plain_one() -> None:
    small, large = open_picture(noise(8, 8)), open_picture(noise(16, 16))
    result = EditResult(request=Upscale(image=small, factor=2), pictures=(large,), receipts=(), model="m")
    assert "Enlarged plainly" in html.picture(Made(1, result, 0, ""))
    stopped = dataclasses.replace(result, pictures=(small,))
    assert "Enlarged plainly" not in html.picture(Made(1, stopped, 0, "", complete=False))


def test_a_field_is_called_as_the_page_calls_it() -> None:
    with pytest.raises(InputError) as caught:
        request(65)
    assert sentence(caught.value) == (
        "The number of pictures must be a whole number between 1 and 64, not 65."
    )
    assert sentence("no words must") == "No words must"


def test_pixels_to_feather_over_choose_that_finish() -> None:
    assert put_back_fields("clone", 0, 2) == {"finish": "clone", "context": 2}
    assert put_back_fields("clone", None, 2) == {"finish": "clone", "context": 2}
    assert put_back_fields("clone", 12, 2) == {"finish": "feather", "feather": 12, "context": 2}


def test_empty_fields_are_the_models_own_choice() -> None:
    assert settings_of("a ball", " ", 7.0, 2, None, None, None, "the model's") == {
        "prompt": "a ball",
        "seed": 7,
        "n": 2,
    }
    assert settings_of(None, None, 0, 1, 5, None, 2.5, "ddim")["sampler"] == "ddim"


def test_only_models_that_are_offered_are_loaded(tmp_path: Path) -> None:
    shelf = Shelf("toybox")
    with pytest.raises(ModelNotFound, match="choose toybox"):
        shelf.editor(str(tmp_path))
    assert shelf.runtime("toybox") is None


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

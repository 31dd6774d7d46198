"""What the studio is made of, without a browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glide_edit.errors import ImageError, ModelNotFound
from glide_edit.images import open_picture, save_picture
from glide_edit.requests import Generate, Inpaint
from glide_edit.results import EditResult
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, tiny_editor

pytest.importorskip("gradio", reason="the extra studio is not installed")

from apps.studio import html
from apps.studio.launch import Settings
from apps.studio.pace import Pace
from apps.studio.panel import settings_of
from apps.studio.running import Ending, Moment, follow
from apps.studio.shelf import Shelf
from apps.studio.uploads import opened
from apps.studio.visits import MOST_BYTES, Made, Ticket, Trail, Visit, Visits
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
    page = html.strip([each], 1, "Candidates") + html.catalogue([each], each, None)
    assert "<img src=x" not in page
    assert "${" not in page
    assert "{{" not in page


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


def test_others_are_let_in_only_when_asked_for() -> None:
    assert not Settings().lets_others_in
    assert Settings(host="0.0.0.0").lets_others_in
    assert Settings(share=True).lets_others_in


def test_the_chips_are_words_the_model_was_trained_on() -> None:
    import re

    from glide_edit.toybox import vocabulary

    words = re.findall(r'data-word="([^"]*)"', chips("edit"))
    assert len(words) > 30
    assert {part for word in words for part in word.split()} <= set(vocabulary())

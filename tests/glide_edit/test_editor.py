"""An editor carries out requests: what comes out, step by step, again and for several at once."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.pipeline import check
from glide_edit.requests import Generate, Inpaint, Request, Sketch, Vary, request_from_json
from glide_edit.results import EditResult, Progress
from masks import Mask, draw
from tests.glide_edit.operations.stand_ins import (
    CONTEXT,
    noise,
    stand_in_editor,
    tiny_editor,
    told,
    write_tiny,
)

SIZE = (48, 70)


def box(size: tuple[int, int] = SIZE) -> Mask:
    selected = np.zeros(size, bool)
    selected[size[0] // 4 : size[0] // 2, size[1] // 4 : size[1] // 2] = True
    return Mask(selected)


def drawing() -> np.ndarray:
    paper = np.full((60, 90, 3), 255, np.uint8)
    cv2.circle(paper, (45, 30), 20, (0, 0, 0), 2)
    return paper


def requests(**settings: Any) -> list[Request]:
    """One of each operation."""
    settings = {"prompt": "a red ball", **settings}
    return [
        Generate(**settings),
        Inpaint(image=open_picture(noise(*SIZE)), mask=box(), **settings),
        Sketch(drawing=open_picture(drawing()), **settings),
        Vary(image=open_picture(noise(*SIZE)), **settings),
    ]


def pixels(result: EditResult, index: int = 0) -> np.ndarray:
    return result.pictures[index].pixels


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


# What comes out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("upsampler", [True, False])
def test_the_last_stage_gives_the_size(upsampler: bool) -> None:
    editor, size = tiny_editor(upsampler=upsampler), 64 if upsampler else 16
    assert editor.generate("a ball").pictures[0].pixels.shape == (size, size, 3)
    assert editor.inpaint(noise(*SIZE), box()).pictures[0].pixels.shape == (*SIZE, 3)
    assert editor.sketch(drawing()).pictures[0].pixels.shape == (round(size * 2 / 3), size, 3)


def test_the_words_are_heard(editor: Editor) -> None:
    for request in requests():
        one, other = editor.run(request), editor.run(request.replace(prompt="a blue cube"))
        assert not np.array_equal(pixels(one), pixels(other)), request.operation
        louder = editor.run(request.replace(guidance=30.0))
        assert not np.array_equal(pixels(one), pixels(louder)), request.operation


def test_settings_are_heeded(editor: Editor) -> None:
    request = requests()[0]
    plain = pixels(editor.run(request))
    for changes in ({"seed": 1}, {"steps": 2}, {"upsampler_steps": 3}, {"sampler": "ddpm"}):
        assert not np.array_equal(pixels(editor.run(request.replace(**changes))), plain), changes
    # The tiny model's own presets, said aloud.
    same = request.replace(steps=3, upsampler_steps=2, sampler="dpm-solver++", guidance=2.0)
    assert np.array_equal(pixels(editor.run(same)), plain)


@pytest.mark.parametrize(
    "prompt", ["", " \n", "\u202e\u200b", "😀" * 9, "\x00<pad>", "ﬁ ½ ẞ\u0301", "a" * 5000]
)
def test_any_text_is_a_prompt(editor: Editor, prompt: str) -> None:
    result = editor.inpaint(noise(*SIZE), box(), prompt)
    assert result.receipts[0].kept
    assert json.loads(json.dumps(result.recipe()))["request"]["prompt"] == prompt


def test_without_words_the_surroundings_decide() -> None:
    editor = stand_in_editor(torch.zeros_like)
    editor.inpaint(noise(*SIZE), box())
    (branch,) = told(editor)[0]
    assert branch.text is None
    assert branch.known is not None
    assert branch.known.abs().sum() > 0


def test_a_prompt_that_is_too_long_is_cut_and_said(editor: Editor) -> None:
    words = "red ball on grass " * 20
    for request in requests(prompt=words):
        notes = editor.run(request).notes
        assert any("too long" in note and "tokens were left out" in note for note in notes)
    short = editor.generate("red ball")
    assert short.notes == ()
    # What is beyond the context does not count.
    one = editor.generate("x " * CONTEXT * 2 + "a red ball")
    other = editor.generate("x " * CONTEXT * 2 + "a cube")
    assert np.array_equal(pixels(one), pixels(other))


def test_a_model_without_text_says_so() -> None:
    editor = tiny_editor(text=False, upsampler=False)
    result = editor.generate("a ball", upsampler_steps=3)
    assert result.notes == (
        "The model tiny reads no text: the prompt was ignored.",
        "The model tiny has no upsampler: upsampler_steps was ignored.",
    )
    assert np.array_equal(pixels(result), pixels(editor.generate("a cube")))
    assert not any("text" in note for note in editor.inpaint(noise(*SIZE), box()).notes)


def test_what_the_mask_doctor_warns_of_is_known_before_and_noted_after(editor: Editor) -> None:
    """A 3 px bar in a crop of 64 px, for a model that draws 16 px: 0.75 px."""
    thin, corner = draw.box((10, 10, 40, 13), SIZE), draw.box((0, 0, 30, 30), SIZE)
    request = Inpaint(image=open_picture(noise(*SIZE)), mask=thin)
    (found,) = editor.diagnose(request)
    assert (found.code, found.severity) == ("thin", "warning")
    assert found.text in editor.run(request).notes
    assert editor.diagnose(request.replace(mask=found.fix(thin))) == ()
    (edge,) = editor.diagnose(request.replace(mask=corner))
    assert (edge.code, edge.severity) == ("edge", "note")
    assert edge.text not in editor.run(request.replace(mask=corner)).notes
    assert editor.diagnose(Generate(prompt="a ball")) == ()


def test_the_mask_doctor_looks_at_a_request_once(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Inpaint(image=open_picture(noise(*SIZE)), mask=draw.box((10, 10, 40, 13), SIZE))
    (found,) = editor.diagnose(request)
    monkeypatch.setattr(check, "diagnose", lambda *_, **__: pytest.fail("it has been asked before"))
    assert found.text in editor.run(request).notes
    with pytest.raises(pytest.fail.Exception):
        editor.diagnose(request.replace(seed=1))


def test_notes_tell_what_became_of_the_source(editor: Editor) -> None:
    assert "grey became RGB" in editor.inpaint(noise(*SIZE)[..., 0], box()).notes


@pytest.mark.parametrize("operation", [0, 2])
def test_output_that_is_not_finite_is_said(operation: int) -> None:
    result = stand_in_editor(lambda x: torch.full_like(x, torch.nan)).run(requests()[operation])
    assert any("not finite" in note and "black" in note for note in result.notes)
    assert pixels(result).max() == 0


def test_the_result_tells_where_it_comes_from(editor: Editor) -> None:
    request = requests()[1]
    result = editor.run(request)
    assert result.request is request
    assert result.model == f"tiny {editor.model.identity}"
    assert 0 < result.network_seconds < result.seconds


# Step by step ----------------------------------------------------------------------------------------------


def test_a_stream_tells_every_step_and_ends_with_the_result(editor: Editor) -> None:
    events = list(editor.stream(requests(n=5, steps=2)[1]))
    *steps, result = events
    assert isinstance(result, EditResult)
    progress = [event for event in steps if isinstance(event, Progress)]
    # Two at a time through both stages: four pictures, then the fifth.
    stages = [("base", 1), ("base", 2), ("upsampler", 1), ("upsampler", 2)]
    assert [(p.stage, p.step) for p in progress] == stages * 2
    assert all(p.total == 2 for p in progress)
    assert [p.finished for p in progress] == [0, 0, 0, 4, 4, 4, 4, 5]
    assert [len(p.pictures) for p in progress] == [0, 0, 0, 4, 0, 0, 0, 1]
    assert [picture for p in progress for picture in p.pictures] == list(result.pictures)
    for p in progress:
        side = 16 if p.stage == "base" else 64
        assert p.preview.shape == (side, side, 3)
        assert p.preview.dtype == np.uint8


def test_the_preview_becomes_the_picture(editor: Editor) -> None:
    *steps, result = editor.stream(requests()[0])
    assert isinstance(result, EditResult)
    assert isinstance(steps[-1], Progress)
    assert np.array_equal(steps[-1].preview, pixels(result))


def test_every_event_can_be_shown(editor: Editor, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As in the first example that people see."""
    Image.fromarray(noise(*SIZE)).save(tmp_path / "photo.jpg")
    Image.fromarray(box().to_array()).save(tmp_path / "mask.png")
    result = editor.inpaint(tmp_path / "photo.jpg", tmp_path / "mask.png", "a red ball", n=4, seed=7)
    result.images[0].save(tmp_path / "edit.png")
    print(result.receipts[0])
    shown = [event.preview for event in editor.stream(result.request.replace(prompt="a blue cube"))]
    assert capsys.readouterr().out == f"0 of {48 * 70 - box().count:,} pixels outside changed\n"
    assert [preview.shape for preview in shown] == [(16, 16, 3)] * 3 + [(64, 64, 3)] * 2 + [(*SIZE, 3)]
    assert all(preview.dtype == np.uint8 for preview in shown)


def test_a_stream_that_is_stopped_keeps_what_was_finished(editor: Editor) -> None:
    request = requests(n=5)[0]
    kept = []
    for event in editor.stream(request):
        assert isinstance(event, Progress)
        kept += event.pictures
        if event.finished:
            break
    assert len(kept) == 4
    whole = editor.run(request)
    for k, picture in enumerate(kept):
        assert np.array_equal(picture.pixels, pixels(whole, k))


def test_nothing_is_drawn_after_a_stop() -> None:
    editor = stand_in_editor(torch.zeros_like)
    stream = editor.stream(requests(steps=50)[0])
    next(stream)
    next(stream)
    stream.close()
    assert len(told(editor)) == 2


def test_gradients_are_as_the_caller_has_them(editor: Editor) -> None:
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            for event in editor.stream(requests()[1]):
                assert torch.is_grad_enabled() is mode
                if isinstance(event, Progress):
                    assert isinstance(event.preview, np.ndarray)
    stream = editor.stream(requests()[0])
    next(stream)
    del stream
    assert torch.is_grad_enabled()


def test_what_cannot_be_done_is_said_before_anything_is_drawn() -> None:
    editor = stand_in_editor(torch.zeros_like)
    with pytest.raises(InputError, match="between 1 and 100, not 101"):
        editor.stream(requests(steps=101)[0])  # without asking for an event
    with pytest.raises(InputError, match="empty sheet"):
        editor.stream(Sketch(drawing=open_picture(np.full((40, 40, 3), 250, np.uint8))))
    wrong: Any = "a red ball"
    with pytest.raises(InputError, match="A request is needed, such as Inpaint, not str"):
        editor.run(wrong)
    unknown: Any = Request(prompt="a ball")
    with pytest.raises(InputError):
        editor.run(unknown)
    assert told(editor) == []


def test_what_a_model_was_not_trained_for_is_refused() -> None:
    with pytest.raises(InputError, match="tiny has no network that was trained to inpaint"):
        tiny_editor(upsampler=False, known=False).run(requests()[1])
    with pytest.raises(InputError, match="tiny has no drawing channel"):
        tiny_editor(upsampler=False, drawing=False).run(requests()[2])


# Again -----------------------------------------------------------------------------------------------------


def test_the_same_request_gives_the_same_bytes(editor: Editor) -> None:
    for request in requests(n=2, seed=5, sampler="ddpm"):
        one = editor.run(request)
        source = request.source
        again = tiny_editor().run(request_from_json(json.loads(json.dumps(request.to_json())), source))
        for k in range(2):
            assert pixels(one, k).tobytes() == pixels(again, k).tobytes()


@pytest.mark.parametrize("sampler", ["ddpm", "dpm-solver++"])
def test_a_picture_follows_from_its_own_seed(editor: Editor, sampler: str) -> None:
    """Whether it is made with others or alone, first or in the second group."""
    for request in requests(seed=20, sampler=sampler):
        together = editor.run(request.replace(n=6))
        for k in (0, 2, 5):
            alone = editor.run(request.replace(seed=20 + k))
            difference = np.abs(pixels(together, k).astype(int) - pixels(alone))
            assert difference.max() <= 1, (request.operation, k)
        assert not np.array_equal(pixels(together, 0), pixels(together, 1))


def test_the_source_is_not_changed(editor: Editor) -> None:
    source, mask = noise(*SIZE), box().to_array()
    before, mask_before = source.copy(), mask.copy()
    editor.inpaint(source, mask, "a ball", n=2)
    assert np.array_equal(source, before)
    assert np.array_equal(mask, mask_before)


# At the same time ------------------------------------------------------------------------------------------


def test_threads_share_an_editor_and_get_what_they_would_alone(editor: Editor) -> None:
    wanted = [pixels(editor.run(requests(seed=k)[k % 3])) for k in range(4)]
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = pixels(editor.run(requests(seed=k)[k % 3]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(np.array_equal(found[k], wanted[k]) for k in range(4))


def test_editors_on_one_device_take_turns() -> None:
    busy = {"now": 0, "most": 0}
    guard = threading.Lock()

    def answer(x: torch.Tensor) -> torch.Tensor:
        with guard:
            busy["now"] += 1
            busy["most"] = max(busy["most"], busy["now"])
        threading.Event().wait(0.005)
        with guard:
            busy["now"] -= 1
        return torch.zeros_like(x)

    editors = [stand_in_editor(answer) for _ in range(3)]
    threads = [threading.Thread(target=e.run, args=(requests(steps=5)[0],)) for e in editors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert busy == {"now": 0, "most": 1}


# Loading ---------------------------------------------------------------------------------------------------


def test_an_editor_is_loaded_from_a_folder(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "model")
    threads = torch.get_num_threads()
    try:
        loaded = Editor.load(folder, "cpu", "float32")
    finally:
        torch.set_num_threads(threads)
    assert loaded.runtime.dtype == torch.float32
    for request in requests():
        assert np.array_equal(pixels(loaded.run(request)), pixels(tiny_editor().run(request)))


def test_bytes_are_pictures_too() -> None:
    file = io.BytesIO()
    Image.fromarray(noise(*SIZE)).save(file, "PNG")
    result = stand_in_editor(torch.zeros_like).inpaint(file.getvalue(), box())
    assert result.receipts[0].kept


def test_loading_leaves_the_process_as_it_is_unless_asked(tmp_path: Path) -> None:
    folder, threads = write_tiny(tmp_path / "tiny"), torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        Editor.load(folder, "cpu", "float32")
        assert torch.get_num_threads() == threads + 1
        tuned = Editor.load(folder, "cpu", "float32", tune_process=True)
        assert torch.get_num_threads() == tuned.runtime.threads
    finally:
        torch.set_num_threads(threads)


def test_a_result_shows_itself_in_a_notebook(editor: Editor) -> None:
    png = editor.generate("a red ball", n=3)._repr_png_()
    shown = open_picture(png)
    assert shown.width > 2 * shown.height

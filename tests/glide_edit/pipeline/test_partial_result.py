"""What is kept of a run that was stopped: finished pictures with their seeds, or how far it had come."""

from __future__ import annotations

import numpy as np
import pytest

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.pipeline.finish import finish_preview
from glide_edit.pipeline.partial_result import PartialResult
from glide_edit.requests import Inpaint, Outpaint, Request
from glide_edit.results import Progress
from masks import Mask
from tests.glide_edit.operations.stand_ins import noise, tiny_editor


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


def inpainting(n: int = 1, candidates: int | None = None) -> Inpaint:
    selected = np.zeros((64, 64), bool)
    selected[16:48, 16:48] = True
    return Inpaint(image=open_picture(noise(64, 64)), mask=Mask(selected), n=n, candidates=candidates)


def stopped(editor: Editor, request: Request, *, finished: int) -> PartialResult:
    """A run that is stopped after its first step, or once so many pictures are finished."""
    so_far = PartialResult(editor.plan(request))
    for event in editor.stream(request):
        assert isinstance(event, Progress)
        so_far.add(event)
        if event.finished >= finished:
            break
    return so_far


def test_finished_pictures_keep_their_seeds(editor: Editor) -> None:
    request = inpainting(n=5, candidates=6)
    whole, so_far = editor.run(request), stopped(editor, request, finished=1)
    result = so_far.finished()
    assert result is not None
    assert len(result.pictures) == len(result.receipts) == 4  # which are drawn side by side
    assert result.seeds == whole.seeds[:4]
    assert not any("Stopped" in note for note in result.notes)
    assert so_far.kept().notes == (*result.notes, "Stopped: 4 of 5 pictures were finished.")
    assert result.recipe(3) == whole.recipe(3)


def test_where_none_was_finished_the_preview_is_put_back(editor: Editor) -> None:
    request = inpainting()
    so_far = stopped(editor, request, finished=0)
    assert so_far.finished() is None
    result = so_far.kept()
    assert result.notes == ("Stopped at step 1 of 3 of the base: this is how far it had come.",)
    assert result.receipts[0].kept
    changed = (result.pictures[0].pixels != request.image.pixels).any(-1)
    assert changed[~request.mask.selected].sum() == 0 < changed[request.mask.selected].sum()


def test_the_best_draft_has_the_grain_of_its_own_seed(editor: Editor) -> None:
    request = inpainting(candidates=4).replace(match_grain=True, seed=1)
    so_far = PartialResult(editor.plan(request))
    for event in editor.stream(request):
        assert isinstance(event, Progress)
        so_far.add(event)
        if len(event.candidates) == 4:
            break
    result = so_far.kept()
    (seed,), draft = result.seeds, so_far.last.candidates[0].previews[0]  # type: ignore[union-attr]
    assert seed != request.seed
    assert np.array_equal(result.pictures[0].pixels, finish_preview(so_far.plan, draft, seed).picture.pixels)


def test_before_the_first_step_there_is_nothing_to_keep(editor: Editor) -> None:
    with pytest.raises(InputError, match="Nothing was drawn yet") as caught:
        PartialResult(editor.plan(inpainting())).kept()
    assert caught.value.code == "nothing_drawn"


def test_of_several_frames_the_source_is_given_back(editor: Editor) -> None:
    request = Outpaint(image=open_picture(noise(64, 64)), right=40)
    result = stopped(editor, request, finished=0).kept()
    assert np.array_equal(result.pictures[0].pixels, request.image.pixels)
    assert result.notes == ("Stopped before the picture was finished: this is the one it began from.",)

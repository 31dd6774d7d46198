"""What programs read of an error: its code, and the field of the request at fault."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import GlideEditError
from glide_edit.images import open_picture
from glide_edit.operations.strengths import over_strengths, read_strengths
from glide_edit.requests import Generate, Inpaint, Sketch, Upscale, request_from_json
from masks import Mask, MaskError
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor

IMAGE = open_picture(noise(8, 8))
MASK = Mask.full((8, 8))
EMPTY = np.zeros((8, 8), np.uint8)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


FAULTS: list[tuple[Callable[[Any], Any], str, str | None]] = [
    (lambda ed: ed.inpaint("none.png", MASK), "bad_image", "image"),
    (lambda ed: ed.inpaint(IMAGE, "none.png"), "bad_image", "mask"),
    (lambda ed: ed.inpaint(IMAGE, "none.json"), "bad_input", "mask"),
    (lambda ed: ed.inpaint(IMAGE, MASK, protect="none.png"), "bad_image", "protect"),
    (lambda ed: ed.inpaint(IMAGE, np.zeros((8, 8), np.int64)), "bad_image", "mask"),
    (lambda ed: ed.inpaint(IMAGE, EMPTY + 1), "bad_mask", "mask"),
    (lambda ed: ed.inpaint(IMAGE, EMPTY), "mask_empty", "mask"),
    (lambda ed: ed.inpaint(IMAGE, Mask.full((4, 4))), "mask_size", "mask"),
    (lambda ed: ed.inpaint(IMAGE, MASK, protect=MASK), "protect_covers_mask", "protect"),
    (lambda ed: ed.generate("a", generator=3), "generator_wrong_type", "generator"),
    (lambda ed: ed.generate("a", preset="best"), "preset_unknown", "preset"),
    (lambda ed: ed.generate("a", steps=101), "steps_out_of_range", "steps"),
    (lambda ed: ed.generate("a", upsampler_steps=101), "upsampler_steps_out_of_range", "upsampler_steps"),
    (lambda ed: ed.generate("a", stage_steps=(1, 101)), "stage_steps_out_of_range", "stage_steps"),
    (lambda ed: ed.generate("a", clip_guidance=1), "clip_missing", "clip_guidance"),
    (lambda ed: ed.run(Upscale(image=IMAGE, candidates=2)), "candidates_without_drafts", "candidates"),
    (lambda ed: tiny_editor(upsampler=False).upscale(IMAGE), "stage_missing", "operation"),
    (lambda ed: tiny_editor(drawing=False).sketch(IMAGE, mode="lines"), "mode_without_drawings", "mode"),
    (lambda ed: ed.sketch(np.full((9, 9, 3), 255, np.uint8)), "drawing_empty", "drawing"),
    (lambda ed: ed.run(None), "request_wrong_type", "request"),
    (lambda ed: ed.plan("inpaint"), "request_wrong_type", "request"),
    (lambda ed: ed.diagnose(None), "request_wrong_type", "request"),
    (lambda ed: ed.run(Generate(prompt="a", steps=1)).save("x.png", 7), "index_out_of_range", "index"),
    (lambda ed: Generate(prompt="a").replace(colour=1), "unknown_field", "colour"),
    (lambda ed: request_from_json({"operation": "generate", "colour": 1}), "unknown_field", "colour"),
    (lambda ed: read_strengths("much"), "strengths_malformed", "strengths"),
    (lambda ed: over_strengths(Sketch(drawing=IMAGE, mode="lines"), [0.5]), "strength_unused", "mode"),
]


@pytest.mark.parametrize(("fault", "code", "field"), FAULTS)
def test_what_programs_are_told(
    editor: Editor, fault: Callable[[Any], Any], code: str, field: str | None
) -> None:
    with pytest.raises((GlideEditError, MaskError)) as caught:
        fault(editor)
    assert (caught.value.code, caught.value.field) == (code, field)  # type: ignore[union-attr]


def test_errors_of_masks_survive_pickling() -> None:
    error = MaskError("no", code="mask_empty", field="mask")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(again), again.code, again.field) == ("no", "mask_empty", "mask")
    assert (MaskError("no").code, MaskError("no").field) == ("bad_mask", None)


def test_a_candidate_of_another_model_is_named(editor: Editor) -> None:
    result = editor.run(Inpaint(image=IMAGE, mask=MASK, candidates=2))
    for wrong, seed, code in (
        (editor, 99, "candidate_unknown"),
        (stand_in_editor(torch.zeros_like), 0, None),
    ):
        with pytest.raises(GlideEditError) as caught:
            wrong.stream_candidate(result, seed)
        assert caught.value.code == (code or "candidates_of_another_model")

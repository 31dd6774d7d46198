"""The best of several pictures: the one that the CLIP says, whatever the batches."""

from __future__ import annotations

import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.evaluation import drawing
from glide_edit.evaluation.drawing import draw
from glide_edit.evaluation.reranking import clip_fits, draw_best
from tests.glide_edit.clips import model_with_clip
from tests.glide_edit.operations.stand_ins import tiny_model

PROMPTS = ("a red ball", "a blue cube on grass", "grass")
SEEDS = ((5, 6, 7, 8), (0, 1, 2, 3), (9, 4, 11, 12))


@pytest.mark.parametrize("together", [32, 3])
def test_of_each_prompt_the_candidate_that_fits_best_is_drawn(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_with_clip()
    clip = model.clip
    assert clip is not None
    chosen = []
    for prompt, seeds in zip(PROMPTS, SEEDS, strict=True):
        (candidates,) = draw(model, [prompt] * 4, seeds, size="base")
        fits = clip_fits(clip, candidates, [prompt] * 4)
        assert len(set(fits.tolist())) == 4
        chosen.append(candidates[fits.argmax()])
    monkeypatch.setattr(drawing, "MOST_TOGETHER", together)
    best = np.concatenate(list(draw_best(model, PROMPTS, SEEDS, size="base")))
    assert np.abs(best.astype(int) - np.stack(chosen)).max() <= 1


def test_a_model_without_a_clip_is_refused() -> None:
    with pytest.raises(InputError, match="no CLIP"):
        next(draw_best(tiny_model(), PROMPTS, SEEDS))

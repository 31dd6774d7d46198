"""Candidates: what is drawn of them, how they are ranked, and what comes out."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import pytest
import torch

from glide_edit.editor import Editor
from glide_edit.errors import InputError
from glide_edit.images import open_picture
from glide_edit.operations.clip import OpenClip, load_open_clip
from glide_edit.operations.frame import FrameInputs
from glide_edit.operations.rerank import as_candidates, rank, seam_mismatch
from glide_edit.pipeline.partial_result import PartialResult
from glide_edit.requests import Generate, Inpaint, Outpaint, Request, Upscale
from glide_edit.results import EditResult, Progress
from masks import Mask
from tests.glide_edit.clips import needs_open_clip, write_open_clip
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, tiny_editor, tiny_model


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> OpenClip:
    folder = write_open_clip(tmp_path_factory.mktemp("clips") / "tiny")
    return load_open_clip(f"local-dir:{folder}", torch.device("cpu"))


def inpainting(**settings: Any) -> Inpaint:
    selected = np.zeros((64, 64), bool)
    selected[16:48, 16:48] = True
    mask = Mask.from_array(selected, means="change")
    return Inpaint(image=open_picture(noise(64, 64)), mask=mask, **{"prompt": "a red ball", **settings})


def test_the_best_are_what_their_seeds_give_alone(editor: Editor) -> None:
    result = editor.run(inpainting(seed=10, n=2, candidates=6))
    assert len(result.pictures) == len(result.receipts) == 2
    assert result.seeds == tuple(score.seed for score in result.ranking[:2])
    assert sorted(score.seed for score in result.ranking) == list(range(10, 16))
    for k, seed in enumerate(result.seeds):
        alone = editor.run(inpainting(seed=seed)).pictures[0].pixels.astype(int)
        assert np.abs(result.pictures[k].pixels - alone).max() <= 1
        assert result.receipts[k].kept


def test_another_candidate_is_finished_from_its_draft(editor: Editor) -> None:
    request = inpainting(seed=10, candidates=6)
    result = editor.run(request)
    other = result.candidates[3].seed
    events = list(editor.stream_candidate(result, other))
    finished = events.pop()
    assert isinstance(finished, EditResult)
    assert finished.seeds == (other,)
    assert finished.recipe()["request"]["seed"] == other
    assert {event.stage for event in events if isinstance(event, Progress)} == {"upsampler"}
    alone = editor.run(inpainting(seed=other)).pictures[0].pixels.astype(int)
    assert np.abs(finished.pictures[0].pixels - alone).max() <= 1
    assert finished.receipts[0].kept
    with pytest.raises(InputError, match="No candidate has the seed 99"):
        editor.stream_candidate(result, 99)
    with pytest.raises(InputError, match="only it can finish them"):
        stand_in_editor(lambda x: x).stream_candidate(result, other)


def test_candidates_come_ranked_as_they_are_drawn(editor: Editor) -> None:
    events = [e for e in editor.stream(inpainting(candidates=6)) if isinstance(e, Progress)]
    counts = [len(event.candidates) for event in events]
    assert counts == sorted(counts)
    assert {0, 4, 6} == set(counts)
    for event in events:
        totals = [each.score.total for each in event.candidates]
        assert totals == sorted(totals, reverse=True)


def test_what_was_drawn_before_a_stop_can_still_be_finished(editor: Editor) -> None:
    request = inpainting(seed=3, candidates=6)
    with closing(editor.stream(request)) as events:
        last = next(e for e in events if isinstance(e, Progress) and e.candidates and e.step == 1)
    kept = PartialResult(editor.plan(request), last=last).kept()
    assert "4 of 6 candidates were drawn" in kept.notes[0]
    assert kept.seeds == (kept.candidates[0].seed,)
    assert kept.receipts[0].kept
    *_, finished = editor.stream_candidate(kept, kept.candidates[2].seed)
    assert isinstance(finished, EditResult)
    assert finished.receipts[0].kept


def test_only_what_has_drafts_is_asked_for_as_candidates() -> None:
    several = as_candidates(inpainting(n=5, seed=2))
    assert (several.n, several.candidates, several.seed) == (1, 5, 2)
    single, chosen = inpainting(), inpainting(seeds=(3, 9))
    assert as_candidates(single) is single
    assert as_candidates(chosen) is chosen
    larger = Outpaint(image=open_picture(noise(64, 64)), right=16, n=3)
    assert as_candidates(larger) is larger


def test_the_recipe_of_each_picture_is_that_of_its_seed(editor: Editor) -> None:
    result = editor.run(inpainting(seed=3, n=2, candidates=4))
    for k, seed in enumerate(result.seeds):
        record = result.recipe(k)["request"]
        assert (record["seed"], record["n"], "candidates" in record) == (seed, 1, False)


def test_only_the_base_draws_all_of_them(editor: Editor) -> None:
    events = [e for e in editor.stream(inpainting(n=1, candidates=6)) if isinstance(e, Progress)]
    assert [(e.stage, e.step) for e in events] == [
        *[("base", step) for _ in range(2) for step in (1, 2, 3)],
        ("upsampler", 1),
        ("upsampler", 2),
    ]
    assert [len(e.pictures) for e in events] == [0] * 7 + [1]
    assert len(events[-1].seeds) == 1


def test_without_an_upsampler_the_drafts_are_the_pictures() -> None:
    small = tiny_editor(upsampler=False)
    result = small.run(Generate(prompt="a ball", seed=5, candidates=3))
    alone = small.run(Generate(prompt="a ball", seed=result.seeds[0]))
    assert result.pictures[0].pixels.shape == (16, 16, 3)
    assert np.abs(result.pictures[0].pixels.astype(int) - alone.pictures[0].pixels).max() <= 1


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (inpainting(candidates=2), "has no CLIP of its own: candidates were ranked by their seams alone"),
        (Generate(prompt="a", candidates=2), "ranked by nothing, and kept in the order of their seeds"),
        (inpainting(prompt="", candidates=2), "Without a prompt CLIP has nothing to judge by"),
    ],
)
def test_what_they_could_not_be_ranked_by_is_said(editor: Editor, request_: Request, says: str) -> None:
    result = editor.run(request_)
    assert any(says in note for note in result.notes)
    if isinstance(request_, Generate):
        assert result.seeds == (0,)


def test_the_sheet_shows_them_in_order(editor: Editor) -> None:
    result = editor.run(Generate(prompt="a", n=1, candidates=4))
    assert result.sheet is not None
    assert editor.run(Generate(prompt="a")).sheet is None
    # Two by two tiles of 128 px, and under each its words.
    assert 2 * 128 <= result.sheet.width < 300
    assert result.sheet.height > 2 * 140


def striped(value: float) -> torch.Tensor:
    """Stripes that go on over the boundary, and as much brighter inside as ``value`` says."""
    picture = torch.linspace(-0.5, 0.5, 16).repeat(1, 3, 16, 1)
    picture[..., 4:12, 4:12] += value
    return picture


def keep_mask() -> torch.Tensor:
    keep = torch.ones(1, 1, 16, 16)
    keep[..., 4:12, 4:12] = 0
    return keep


def test_a_seam_is_what_differs_across_the_boundary_and_not_beside_it() -> None:
    values = [seam_mismatch(striped(value), keep_mask()) for value in (0.0, 0.1, 0.4)]
    first, second, third = (value for value in values if value is not None)
    assert abs(first) < 0.05
    assert first + 0.5 < second < third - 0.5
    assert seam_mismatch(striped(0.4), torch.ones(1, 1, 16, 16)) is None
    # Noise everywhere has no seam.
    grain = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    grains = seam_mismatch(grain, keep_mask())
    assert grains is not None
    assert abs(grains) < 0.3


def test_without_clip_the_least_seam_is_the_best(editor: Editor) -> None:
    frame = FrameInputs(known=lambda size: (torch.zeros(1, 3, size, size), keep_mask()))
    drafts = {7: (striped(0.4),), 8: (striped(0.0),), 9: (striped(0.1),)}
    shortlist = rank(drafts, [frame], inpainting(), editor.model, None)
    assert [score.seed for score in shortlist.scores] == [8, 9, 7]
    assert list(shortlist.best(2)) == [8, 9]


def test_several_frames_count_alike(editor: Editor) -> None:
    frame = FrameInputs(known=lambda size: (torch.zeros(1, 3, size, size), keep_mask()))
    drafts = {1: (striped(0.4), striped(0.4)), 2: (striped(0.0), striped(0.4)), 3: (striped(0.0),) * 2}
    scores = rank(drafts, [frame, frame], inpainting(), editor.model, None).scores
    assert [score.seed for score in scores] == [3, 2, 1]
    best, middle, worst = (score.seam for score in scores)
    assert best is not None
    assert worst is not None
    assert middle == pytest.approx((best + worst) / 2)


def in_two_parts(**settings: Any) -> Inpaint:
    selected = np.zeros((300, 300), bool)
    selected[10:40, 10:40] = selected[250:290, 240:280] = True
    return Inpaint(image=open_picture(noise(300, 300)), mask=Mask(selected), prompt="a red ball", **settings)


def test_the_best_of_an_edit_in_parts_are_what_their_seeds_give_alone(editor: Editor) -> None:
    result = editor.run(in_two_parts(seed=4, candidates=3))
    assert any("drawn in 2 parts" in note for note in result.notes)
    assert sorted(score.seed for score in result.ranking) == [4, 5, 6]
    (best,) = result.seeds
    assert best == result.ranking[0].seed
    alone = editor.run(in_two_parts(seed=best)).pictures[0].pixels.astype(int)
    assert np.abs(result.pictures[0].pixels - alone).max() <= 1
    assert result.receipts[0].kept
    assert result.sheet is not None
    assert 2 * 2 * 128 <= result.sheet.width < 2 * 2 * 128 + 40  # two across, of two parts each


@pytest.mark.parametrize(
    "request_",
    [
        Outpaint(image=open_picture(noise(40, 40)), left=9, candidates=2),
        Upscale(image=open_picture(noise(40, 40)), candidates=2),
    ],
)
def test_what_has_no_drafts_has_no_candidates(editor: Editor, request_: Request) -> None:
    with pytest.raises(InputError, match=f"finished in {request_.operation}: leave candidates out"):
        editor.stream(request_)


@needs_open_clip
def test_clip_ranks_what_was_selected_by_fit_and_margin(guide: OpenClip) -> None:
    model = tiny_model()
    drafts = {
        seed: torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in range(5)
    }
    request = Generate(prompt="a (red:2) ball", negative_prompt="grass")
    shortlist = rank(
        {seed: (draft,) for seed, draft in drafts.items()}, [FrameInputs()], request, model, guide
    )
    text = guide.network.text_embeddings(["a red ball", "grass"])
    big = torch.cat(
        [
            torch.nn.functional.interpolate(d, (24, 24), mode="bicubic", antialias=True)
            for d in drafts.values()
        ]
    )
    cosines = guide.network.image_embeddings(big) @ text.T
    by_seed = {score.seed: score for score in shortlist.scores}
    for seed in drafts:
        assert by_seed[seed].fit == pytest.approx(float(cosines[seed, 0]), abs=1e-5)
        assert by_seed[seed].margin == pytest.approx(float(cosines[seed, 0] - cosines[seed, 1]), abs=1e-5)
        assert by_seed[seed].seam is None
    totals = [score.total for score in shortlist.scores]
    assert totals == sorted(totals, reverse=True)
    assert sum(totals) == pytest.approx(0, abs=1e-6)


@needs_open_clip
def test_clip_looks_at_the_selection_alone(guide: OpenClip) -> None:
    """What lies far from it has no say in the fit."""
    keep = torch.ones(1, 1, 16, 16)
    keep[..., 10:14, 10:14] = 0
    frame = FrameInputs(known=lambda size: (torch.zeros(1, 3, size, size), keep))
    one = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    other = one.clone()
    other[..., :6, :6] = 1.0
    scores = rank({0: (one,), 1: (other,)}, [frame], inpainting(), tiny_model(), guide).scores
    assert scores[0].fit == pytest.approx(scores[1].fit)


@needs_open_clip
def test_an_editors_clip_ranks(guide: OpenClip) -> None:
    result: EditResult = Editor(tiny_model(), guide).run(inpainting(candidates=3))
    assert result.notes == ()
    assert all(None not in (score.fit, score.margin, score.seam) for score in result.ranking)


def test_what_is_done_to_the_drafts_of_an_event_changes_no_picture(editor: Editor) -> None:
    request = inpainting().replace(candidates=3)
    expected = editor.run(request)

    def spoil(event: Progress) -> None:
        for each in event.candidates:
            for draft in each.drafts:
                draft.zero_()

    spoilt = editor.run(request, callback=spoil)
    assert spoilt.seeds == expected.seeds
    assert np.array_equal(spoilt.pictures[0].pixels, expected.pictures[0].pixels)

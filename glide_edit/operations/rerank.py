"""Candidates: many pictures as the base stage draws them, ranked, so that only the best are finished."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from glide_edit.guidance import CleanJudge
from glide_edit.images import Picture, open_picture
from glide_edit.images.sheet import Tile, contact_sheet
from glide_edit.models.model import Model, NoisedClip
from glide_edit.operations.clip import Clip
from glide_edit.operations.frame import FrameInputs
from glide_edit.operations.postprocess import preview
from glide_edit.requests import Request
from glide_edit.results import Candidate, Score
from glide_edit.text.prompt_weights import read_words

AROUND = 0.25
"""How much of its own size is shown around a selection to CLIP, on every side."""

Drafts = Mapping[int, tuple[Tensor, ...]]
"""By seed, what the base stage drew: a picture (1, 3, S, S) for each frame."""

_LEAST = 1e-3  # of the range of 2: below it neighbours are alike
_THUMBNAIL = 128  # px


@dataclass(frozen=True, eq=False)
class Ranking:
    """The candidates of a request, the best first."""

    candidates: tuple[Candidate, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> tuple[Score, ...]:
        return tuple(each.score for each in self.candidates)

    def best(self, count: int) -> Drafts:
        """The drafts that are worth finishing, by seed, the best first."""
        return {each.seed: each.drafts for each in self.candidates[:count]}

    def sheet(self, kept: int) -> Picture:
        """All of them with rank, seed and scores as one picture; ``kept`` says how many are finished."""
        tiles = [
            Tile(each.previews, f"{place}{' kept' if place <= kept else ''}: {each.score}")
            for place, each in enumerate(self.candidates, 1)
        ]
        across = math.ceil(math.sqrt(len(tiles)))
        return open_picture(contact_sheet(tiles, across=across, size=_THUMBNAIL))


class _Judge(Protocol):
    @property
    def size(self) -> int: ...

    def image_embeddings(self, pictures: Tensor) -> Tensor: ...

    def text_embeddings(self, prompts: Sequence[str]) -> Tensor: ...


def as_candidates(request: Request) -> Request:
    """A request for several pictures as one for that many candidates, of which the best is finished.

    ``Editor.stream_candidate`` finishes others of them. A request for one picture, with seeds of its own, or
    for an operation without drafts stays as it is: all its pictures are finished.
    """
    if request.n == 1 or not request.in_a_row or not request.has_drafts:
        return request
    return request.replace(n=1, candidates=request.n)


def rank(
    drafts: Drafts,
    frames: Sequence[FrameInputs],
    request: Request,
    model: Model,
    clip: Clip | None,
    before: Sequence[Candidate] = (),
) -> Ranking:
    """Order drafts of the frames by their scores; of equal ones the lower seed first.

    A score is the mean of those of the frames. ``clip`` takes the place of the model's own. ``before`` are
    candidates that have their scores already.
    """
    size = next(iter(drafts.values()))[0].shape[-1]
    keep_masks = [None if frame.known is None else frame.known(size)[1].cpu() for frame in frames]
    judge, notes = _judge(request, model, clip, has_seam=keep_masks[0] is not None)
    new = []
    for seed, pictures in drafts.items():
        measured = [
            _measured(judge, draft, keep_mask, request)
            for draft, keep_mask in zip(pictures, keep_masks, strict=True)
        ]
        fit, margin, seam = (_mean(values) for values in zip(*measured, strict=True))
        previews = tuple(preview(draft) for draft in pictures)
        new.append(
            Candidate(
                Score(seed, fit, margin, seam), tuple(draft.cpu().clone() for draft in pictures), previews
            )
        )
    return Ranking(_ordered([*before, *new]), notes)


def _measured(
    judge: _Judge | None, draft: Tensor, keep_mask: Tensor | None, request: Request
) -> tuple[float | None, float | None, float | None]:
    """Fit, margin and seam of a frame."""
    fit, margin = (None, None) if judge is None else _fit(judge, draft, keep_mask, request)
    return fit, margin, None if keep_mask is None else seam_mismatch(draft.cpu(), keep_mask)


def _mean(values: Sequence[float | None]) -> float | None:
    """Of those that could be measured."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def seam_mismatch(picture: Tensor, keep_mask: Tensor) -> float | None:
    """How much more neighbours differ across the boundary than beside it, as a logarithm; None without one.

    ``picture`` is (1, 3, S, S) in [-1, 1], ``keep_mask`` (1, 1, S, S); beside it means within 2 px.
    """
    across: list[Tensor] = []
    beside: list[Tensor] = []
    near = torch.nn.functional.max_pool2d(keep_mask, 5, 1, 2) != -torch.nn.functional.max_pool2d(
        -keep_mask, 5, 1, 2
    )
    for axis in (2, 3):
        size = picture.float().diff(dim=axis).abs().mean(1, keepdim=True)
        crosses = keep_mask.diff(dim=axis) != 0
        length = near.shape[axis] - 1
        around = near.narrow(axis, 0, length) & near.narrow(axis, 1, length)
        across.append(size[crosses])
        beside.append(size[around & ~crosses])
    crossing, rest = torch.cat(across), torch.cat(beside)
    if not len(crossing) or not len(rest):
        return None
    return float(torch.log((crossing.mean() + _LEAST) / (rest.mean() + _LEAST)))


def _judge(
    request: Request, model: Model, clip: Clip | None, *, has_seam: bool
) -> tuple[_Judge | None, tuple[str, ...]]:
    """The CLIP to rank by; without one None and a note that says so."""
    by = "by their seams alone" if has_seam else "by nothing, and kept in the order of their seeds"
    if not read_words(request.prompt).plain:
        return None, (f"Without a prompt CLIP has nothing to judge by: candidates were ranked {by}.",)
    clip = clip or model.clip
    if clip is None:
        return None, (
            f"The model {model.name} has no CLIP of its own: candidates were ranked {by}; name one (clip).",
        )
    return CleanJudge(clip.network, clip.tokenizer) if isinstance(clip, NoisedClip) else clip.network, ()


def _fit(judge: _Judge, draft: Tensor, keep_mask: Tensor | None, request: Request) -> tuple[float, float]:
    """The cosine with the prompt, and how far above that with the negative prompt or nothing it lies."""
    shown = draft if keep_mask is None else _around_selection(draft, keep_mask)
    prompts = [read_words(words).plain for words in (request.prompt, request.negative_prompt or "")]
    with torch.inference_mode():
        square = torch.nn.functional.interpolate(
            shown.float(), (judge.size, judge.size), mode="bicubic", align_corners=False, antialias=True
        )
        wanted, other = (judge.image_embeddings(square) @ judge.text_embeddings(prompts).T)[0].tolist()
    return wanted, wanted - other


def _around_selection(draft: Tensor, keep_mask: Tensor) -> Tensor:
    """A square around what was repainted, as far as it lies in the picture."""
    rows, columns = torch.nonzero(keep_mask[0, 0] == 0, as_tuple=True)
    if not len(rows):
        return draft
    size = draft.shape[-1]
    top, bottom = int(rows.min()), int(rows.max()) + 1
    left, right = int(columns.min()), int(columns.max()) + 1
    side = min(size, round(max(bottom - top, right - left) * (1 + 2 * AROUND)))
    y = min(max(0, (top + bottom - side) // 2), size - side)
    x = min(max(0, (left + right - side) // 2), size - side)
    return draft[:, :, y : y + side, x : x + side]


def _ordered(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """With their totals, the best first; of equal ones the lower seed."""
    candidates = sorted(candidates, key=lambda each: each.seed)
    scores = [each.score for each in candidates]
    kinds = [(1, [s.fit for s in scores]), (1, [s.margin for s in scores]), (-1, [s.seam for s in scores])]
    columns = [sign * _in_spreads(values) for sign, values in kinds if None not in values]
    totals = np.mean(columns, axis=0) if columns else np.zeros(len(scores))
    known = [
        replace(each, score=replace(each.score, total=float(total)))
        for each, total in zip(candidates, totals, strict=True)
    ]
    return tuple(sorted(known, key=lambda each: -each.score.total))


def _in_spreads(values: Sequence[float | None]) -> np.ndarray:
    """Centred and in units of their own standard deviation; 0 where they are all alike."""
    array = np.array(values, np.float64)
    spread = array.std()
    return (array - array.mean()) / spread if spread > 1e-9 else np.zeros(len(array))

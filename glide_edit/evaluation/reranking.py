"""The best of several pictures by the model's own CLIP (GLIDE, arXiv 2112.10741, section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.evaluation.drawing import Pictures, Settings, Size, draw
from glide_edit.evaluation.verifier import to_input
from glide_edit.guidance import CleanJudge
from glide_edit.models.model import Model, NoisedClip


def draw_best(
    model: Model,
    prompts: Sequence[str],
    seeds: Sequence[Sequence[int]],
    settings: Settings | None = None,
    size: Size = "full",
) -> Iterator[Pictures]:
    """Of each prompt the picture that fits it best by the model's CLIP, in order: uint8 (B, S, S, 3).

    ``seeds[k]`` are those of prompt k's candidates, as many for each prompt. Raises InputError where the
    model has no CLIP, and what ``draw`` raises.
    """
    check_clip(model)
    clip = model.clip
    assert clip is not None, "check_clip refuses a model without one"
    candidates = len(seeds[0]) if seeds else 1
    every = [prompt for prompt in prompts for _ in range(candidates)]
    waiting: list[NDArray[np.uint8]] = []
    done = 0
    for pictures in draw(model, every, [seed for each in seeds for seed in each], settings, size):
        waiting += list(pictures)
        whole = len(waiting) // candidates
        if not whole:
            continue
        some, waiting = np.stack(waiting[: whole * candidates]), waiting[whole * candidates :]
        fits = clip_fits(clip, some, every[done * candidates :][: len(some)])
        best = fits.reshape(whole, candidates).argmax(1)
        done += whole
        yield some.reshape(whole, candidates, *some.shape[1:])[np.arange(whole), best]


def check_clip(model: Model) -> None:
    """Raises InputError where the model has no CLIP to rank by."""
    if model.spec.clip is None:
        raise InputError(f"The model {model.name} has no CLIP of its own to choose the best picture by.")


def clip_fits(clip: NoisedClip, pictures: Pictures, prompts: Sequence[str]) -> NDArray[np.float32]:
    """How well each picture, uint8 (B, S, S, 3), fits its prompt: (B,) cosines of embeddings at t = 0."""
    judge = CleanJudge(clip.network, clip.tokenizer)
    x = to_input(pictures).to(clip.network.device)
    with torch.inference_mode():
        cosines = (judge.image_embeddings(x) * judge.text_embeddings(prompts)).sum(1)
    return cosines.float().cpu().numpy()

"""How well a CLIP tells captions apart, on toybox scenes that no training shows, at any noise level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glide_edit.diffusion.noise import noise_for
from glide_edit.diffusion.schedule import Schedule
from glide_edit.guidance import prompt_embeddings
from glide_edit.models.model import NoisedClip
from glide_edit.toybox import caption, render, sample_scene
from glide_edit.training.batches import to_images
from glide_edit.training.hard_negatives import HardNegative, hard_negative

FIRST_SCENE = 400_000
"""Of the scenes that are asked about: below all that training shows."""

CANDIDATES = 32
_BATCH = 64


@dataclass(frozen=True)
class Questions:
    """``pictures`` (N, 3, S, S) in [-1, 1], for each its caption, and one that is false in one thing."""

    pictures: Tensor
    captions: tuple[str, ...]
    hard_negatives: tuple[HardNegative, ...]


@dataclass(frozen=True)
class Retrieval:
    """Shares of right answers.

    ``of_candidates``: which of 32 pictures' captions is its own (chance 0.031; several may fit a picture).
    ``of_two``: its caption or its hard negative (chance 0.5), and the same by what was changed.
    """

    of_candidates: float
    of_two: float
    by_change: Mapping[str, float]


def questions(count: int, size: int) -> Questions:
    """About the first ``count`` scenes, rendered at ``size`` pixels."""
    scenes = [sample_scene(FIRST_SCENE + k) for k in range(count)]
    captions = tuple(caption(scene, k) for k, scene in enumerate(scenes))
    rng = np.random.default_rng(0)
    return Questions(
        to_images([render(scene, size).image for scene in scenes]),
        captions,
        tuple(hard_negative(text, rng) for text in captions),
    )


def retrieval(clip: NoisedClip, asked: Questions, fraction: float) -> Retrieval:
    """Ask with the pictures noised to a fraction of the noise axis, 0 clean to 1 noise, seeded."""
    network = clip.network
    schedule = Schedule.cosine(network.config.timesteps)
    t = torch.full((len(asked.captions),), fraction * (schedule.num_timesteps - 1))
    shape = tuple(asked.pictures.shape[1:])
    eps = torch.stack([noise_for(k, 0, 0, 0, shape) for k in range(len(t))])
    x_t = asked.pictures if fraction == 0 else schedule.add_noise(asked.pictures, eps, t)
    with torch.inference_mode():
        parts = zip(x_t.split(_BATCH), t.split(_BATCH), strict=True)
        seen = torch.cat([network.image_embeddings(x.to(network.device), when) for x, when in parts])
        true = prompt_embeddings(network, clip.tokenizer, asked.captions)
        false = prompt_embeddings(network, clip.tokenizer, [each.caption for each in asked.hard_negatives])
    right = ((seen * true).sum(1) > (seen * false).sum(1)).cpu()
    groups = zip(seen.split(CANDIDATES), true.split(CANDIDATES), strict=True)
    chosen = [(a @ b.T).argmax(1) == torch.arange(len(a), device=a.device) for a, b in groups]
    changes = np.array([each.change for each in asked.hard_negatives])
    return Retrieval(
        of_candidates=float(torch.cat(chosen).float().mean()),
        of_two=float(right.float().mean()),
        by_change={what: float(right[changes == what].float().mean()) for what in sorted(set(changes))},
    )

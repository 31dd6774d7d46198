"""Which CLIP guides a request, and how strongly."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from glide_edit.diffusion.schedule import Schedule
from glide_edit.guidance import ClipScore, NoisedClipScore, ScoreFn, prompt_embeddings
from glide_edit.models.model import NoisedClip
from glide_edit.networks.open_clip import OpenCLIP
from glide_edit.requests import Request

SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)
"""Words of prompts that are not true of a picture's mirror image."""


@dataclass(frozen=True, eq=False)
class OpenClip:
    """A CLIP that was not trained on noise, and what it is called in recipes."""

    name: str
    network: OpenCLIP


Clip = NoisedClip | OpenClip


def load_open_clip(name: str, device: torch.device) -> OpenClip:
    """The open_clip model "ARCHITECTURE/WEIGHTS": WEIGHTS is a name that open_clip knows, or a file.

    open_clip's own "local-dir:FOLDER" and "hf-hub:REPOSITORY" will do as well. What it is called tells no
    path.

    Raises:
        InputError, ModelNotFound, ModelFormatError: as ``OpenCLIP.load``.
    """
    architecture, _, weights = name.partition("/")
    if weights and Path(weights).is_file():
        network = OpenCLIP.load(architecture, Path(weights))
        return OpenClip(f"{architecture}/{Path(weights).name}", network.to(device))
    said = f"local-dir:{Path(name).name}" if name.startswith("local-dir:") else name
    return OpenClip(said, OpenCLIP.load(name).to(device))


def clip_score(
    clip: Clip,
    request: Request,
    prompts: Sequence[str],
    scale: float,
    seeds: tuple[int, ...],
    schedule: Schedule,
) -> ScoreFn:
    """The gradient that pulls the pictures of these seeds towards their prompts, as the request says."""
    if len(set(prompts)) == 1:
        prompts = prompts[:1]
    if isinstance(clip, NoisedClip):
        text = prompt_embeddings(clip.network, clip.tokenizer, prompts)
        return NoisedClipScore(clip.network, text, scale, request.clip_interval)
    return ClipScore(
        clip.network,
        clip.network.text_embeddings(prompts),
        schedule,
        seeds,
        scale,
        cuts=request.clip_cuts or ClipScore.cuts,
        interval=request.clip_interval or ClipScore.interval,
        flips=not any(map(SIDES.search, prompts)),
    )

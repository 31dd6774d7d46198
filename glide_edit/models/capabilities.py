"""What a model can do, as its configurations declare it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Capabilities:
    """``ModelSpec.capabilities``: ask here, not for a family or a class.

    ``text``: it reads prompts. ``inpaint``: its first stage takes known pixels. ``drawing``: it follows line
    drawings. ``clip_score``: it has a CLIP of its own. ``soft_masks``: its stages take keep-masks between 0
    and 1. ``instruction``: prompts say what to change. ``upscales`` are the factors of the stages after the
    first.
    """

    text: bool
    inpaint: bool
    drawing: bool
    clip_score: bool
    soft_masks: bool
    instruction: bool
    upscales: tuple[int, ...]

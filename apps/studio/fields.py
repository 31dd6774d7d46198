"""From the fields of a page to what a request takes, and from what is raised to what a page says."""

from __future__ import annotations

from typing import Any

from glide_edit.diffusion.samplers import SAMPLERS

SETTINGS = 8
"""How many values ``settings_of`` takes."""

FIELDS = {"n": "The number of pictures", "upsampler_steps": "The upsampler steps"}
"""What a page calls fields of requests, where that is another word."""


def settings_of(
    prompt: str | None,
    negative: str | None,
    seed: float | None,
    count: float | None,
    steps: float | None,
    upsampler_steps: float | None,
    guidance: float | None,
    sampler: str | None,
) -> dict[str, Any]:
    """What the fields say, as fields of a request; what is left empty is left out."""
    asked = {
        "prompt": prompt or "",
        "negative_prompt": (negative or "").strip() or None,
        "seed": _whole(seed),
        "n": _whole(count),
        "steps": _whole(steps),
        "upsampler_steps": _whole(upsampler_steps),
        "guidance": guidance,
        "sampler": sampler if sampler in SAMPLERS else None,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _whole(value: float | None) -> float | int | None:
    return int(value) if value is not None and float(value).is_integer() else value


def sentence(said: Exception | str) -> str:
    """An error or a finding of ours as a person reads it, who knows no names of fields."""
    first, *rest = str(said).split()
    text = " ".join([FIELDS.get(first, first) if rest[:1] == ["must"] else first, *rest])
    return text[:1].upper() + text[1:]

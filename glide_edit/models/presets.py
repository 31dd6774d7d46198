"""How a stage is sampled unless a request says otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from glide_edit.diffusion.samplers import SAMPLERS
from glide_edit.errors import ModelFormatError


@dataclass(frozen=True)
class StagePreset:
    """A stage's settings, as its model's author recommends them.

    ``steps`` is the number of network calls; ``guidance`` the classifier-free weight, 1 for none;
    ``interval`` the part (low, high) of the noise axis, 0 clean to 1 noise, where guidance acts, None for all
    of it; ``percentile`` belongs to the dynamic threshold; ``low_res_noise`` (0 ... 1, upsamplers) is the
    standard deviation of the noise mixed into the low-resolution picture.

    Raises:
        ModelFormatError: a value out of range, or a sampler or threshold of that name is not known.
    """

    steps: int
    sampler: str = "dpm-solver++"
    guidance: float = 1.0
    interval: tuple[float, float] | None = None
    threshold: Literal["dynamic", "static"] = "dynamic"
    percentile: float = 0.995
    low_res_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ModelFormatError(f"steps must be 1 or more, not {self.steps}.")
        if self.sampler not in SAMPLERS:
            raise ModelFormatError(f"Unknown sampler {self.sampler!r}; known are {', '.join(SAMPLERS)}.")
        if not math.isfinite(self.guidance):
            raise ModelFormatError(f"guidance must be a finite number, not {self.guidance}.")
        if self.interval is not None and not 0.0 <= self.interval[0] <= self.interval[1] <= 1.0:
            raise ModelFormatError(f"interval must be 0 <= low <= high <= 1, not {list(self.interval)}.")
        if self.threshold not in ("dynamic", "static"):
            raise ModelFormatError(f'threshold must be "dynamic" or "static", not {self.threshold!r}.')
        if not 0.0 < self.percentile <= 1.0:
            raise ModelFormatError(f"percentile must be above 0 and at most 1, not {self.percentile}.")
        if not 0.0 <= self.low_res_noise <= 1.0:
            raise ModelFormatError(f"low_res_noise must be between 0 and 1, not {self.low_res_noise}.")


BASE_PRESET = StagePreset(steps=20, sampler="dpm-solver++", guidance=3.0)
UPSAMPLER_PRESET = StagePreset(steps=8, sampler="ddim", low_res_noise=0.1)

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

    ``steps`` is the number of network calls; ``respacing`` a named choice of the times they are made at, see
    ``timesteps``, which must be that many; ``guidance`` the classifier-free weight, 1 for none; ``interval``
    the part (low, high) of the noise axis, 0 clean to 1 noise, where guidance acts, None for all of it;
    ``percentile`` belongs to the dynamic threshold; ``temperature`` multiplies the noise that sampling starts
    from; ``clip_guidance`` is the scale of guidance by CLIP, 0 for none, and with ``mask_score`` that
    guidance is kept off known pixels.

    For upsamplers: ``low_res_noise`` (0 ... 1) is the standard deviation of the noise mixed into the
    low-resolution picture, ``round_low_res`` rounds that picture to 8 bits first, and with
    ``enlarge_keep_mask`` what is known follows from the base network's keep-mask, enlarged to the nearest
    pixel, rather than from the upsampler's own finer one.

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
    respacing: str | None = None
    temperature: float = 1.0
    round_low_res: bool = False
    enlarge_keep_mask: bool = False
    clip_guidance: float = 0.0
    mask_score: bool = True

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
        if not 0.0 <= self.temperature <= 2.0:
            raise ModelFormatError(f"temperature must be between 0 and 2, not {self.temperature}.")
        if not 0.0 <= self.clip_guidance < math.inf:
            raise ModelFormatError(f"clip_guidance must be 0 or a positive number, not {self.clip_guidance}.")


BASE_PRESET = StagePreset(steps=20, sampler="dpm-solver++", guidance=3.0)
UPSAMPLER_PRESET = StagePreset(steps=8, sampler="ddim", low_res_noise=0.1)

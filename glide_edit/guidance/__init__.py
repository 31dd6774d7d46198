"""From a conditioned network to the denoiser that samplers get: branches, threshold, known pixels, scores."""

from glide_edit.guidance.cfg import Branch, CFGDenoiser, ScoreFn, cfg_weights
from glide_edit.guidance.clip import CleanJudge, ClipScore, NoisedClipScore, PictureJudge, prompt_embeddings
from glide_edit.guidance.differential import DifferentialDiffusion
from glide_edit.guidance.interval import IntervalGuidance
from glide_edit.guidance.threshold_and_paste import (
    DynamicThreshold,
    PasteKnown,
    StaticThreshold,
    Threshold,
    X0Transform,
)

__all__ = [
    "Branch",
    "CFGDenoiser",
    "CleanJudge",
    "ClipScore",
    "DifferentialDiffusion",
    "DynamicThreshold",
    "IntervalGuidance",
    "NoisedClipScore",
    "PasteKnown",
    "PictureJudge",
    "ScoreFn",
    "StaticThreshold",
    "Threshold",
    "X0Transform",
    "cfg_weights",
    "prompt_embeddings",
]

"""From a conditioned network to the denoiser that samplers get: branches, threshold, known pixels, scores."""

from glide_edit.guidance.cfg import Branch, CFGDenoiser, ScoreFn, classifier_free
from glide_edit.guidance.clip import CleanJudge, ClipScore, NoisedClipScore, PictureJudge, prompt_embeddings
from glide_edit.guidance.differential import DifferentialDiffusion
from glide_edit.guidance.interval import IntervalGuidance
from glide_edit.guidance.weights import mixture
from glide_edit.guidance.x0_transform import DynamicThreshold, Finish, PasteKnown, StaticThreshold, Threshold

__all__ = [
    "Branch",
    "CFGDenoiser",
    "CleanJudge",
    "ClipScore",
    "DifferentialDiffusion",
    "DynamicThreshold",
    "Finish",
    "IntervalGuidance",
    "NoisedClipScore",
    "PasteKnown",
    "PictureJudge",
    "ScoreFn",
    "StaticThreshold",
    "Threshold",
    "classifier_free",
    "mixture",
    "prompt_embeddings",
]

"""From a conditioned network to the denoiser that samplers get: branches, threshold, known pixels, score."""

from glide_edit.guidance.finish import DynamicThreshold, Finish, PasteKnown, StaticThreshold, Threshold
from glide_edit.guidance.guided import Branch, Guided, ScoreFn, classifier_free

__all__ = [
    "Branch",
    "DynamicThreshold",
    "Finish",
    "Guided",
    "PasteKnown",
    "ScoreFn",
    "StaticThreshold",
    "Threshold",
    "classifier_free",
]

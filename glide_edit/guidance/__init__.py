"""From a conditioned network to the denoiser that samplers get: branches, threshold, known pixels, scores."""

from glide_edit.guidance.clip import CleanJudge, ClipScore, NoisedClipScore, PictureJudge, prompt_embeddings
from glide_edit.guidance.finish import DynamicThreshold, Finish, PasteKnown, StaticThreshold, Threshold
from glide_edit.guidance.guided import Branch, Guided, ScoreFn, classifier_free
from glide_edit.guidance.held import Held
from glide_edit.guidance.mixing import mixture
from glide_edit.guidance.switched import Switched

__all__ = [
    "Branch",
    "CleanJudge",
    "ClipScore",
    "DynamicThreshold",
    "Finish",
    "Guided",
    "Held",
    "NoisedClipScore",
    "PasteKnown",
    "PictureJudge",
    "ScoreFn",
    "StaticThreshold",
    "Switched",
    "Threshold",
    "classifier_free",
    "mixture",
    "prompt_embeddings",
]

"""Do pictures guided by a CLIP fit their prompts better, by judges that did not guide them?

    scripts/bench clip --noised DIR --plain DIR [--model MODEL] [--prompts N]

DIR are folders that `glide-edit train clip` and `train plain-clip` wrote (RUN/clip). First: how well each
tells captions of unseen scenes apart. Then the base stage of a model draws prompts of unseen scenes:
unguided, guided by the noised CLIP on x_t, and by the plain one on the x0 estimate. Both score the pictures,
by their cosine at t = 0, and the verifier says which share of the toys is there with kind and colour right;
the CLIP that guided is no fair judge. Everything is compared with the unguided pictures of the same seeds;
intervals are 95 % of a bootstrap over prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from benching import interval, parser, print_header, print_row, unseen_prompts
from numpy.typing import NDArray

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.schedule import Schedule, solver_timesteps
from glide_edit.evaluation.judging import right_share
from glide_edit.evaluation.reranking import clip_fits
from glide_edit.evaluation.retrieval import questions, retrieval
from glide_edit.evaluation.verifier import Verifier
from glide_edit.guidance import (
    CFGDenoiser,
    CleanJudge,
    ClipScore,
    DynamicThreshold,
    NoisedClipScore,
    ScoreFn,
    X0Transform,
)
from glide_edit.models import Stage, load_model, resolve
from glide_edit.models.clip_folder import load_clip
from glide_edit.models.model import NoisedClip
from glide_edit.models.runtime import apply, choose_runtime
from glide_edit.sampling import SampleTask, sampled
from glide_edit.toybox import Scene

Pixels = NDArray[np.uint8]
Clips = dict[str, NoisedClip]
Scores = dict[str, NDArray[np.float64]]
"""By the judge's name, (N,)."""

FIRST_SCENE = 300_000
"""Of the scenes whose captions are drawn: no training shows them."""

BATCH = 16

SMALLEST_CUT = 0.8
"""Of a picture's side; the plain CLIP has learned from whole pictures."""

FRACTIONS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Guidance:
    """Classifier-free by ``scale``, and by a CLIP at ``clip_scale``.

    ``by`` is "noised" for that CLIP on x_t, "plain" for that one on the x0 estimate, "nothing" for neither.
    """

    by: str
    scale: float
    clip: NoisedClip | None = None
    clip_scale: float = 0.0
    cuts: int = 1

    def score(self, prompts: Sequence[str], seeds: tuple[int, ...], schedule: Schedule) -> ScoreFn | None:
        if self.clip is None:
            return None
        judge = CleanJudge(self.clip.network, self.clip.tokenizer)
        text = judge.text_embeddings(prompts)
        if self.by == "noised":
            return NoisedClipScore(judge.clip, text, self.clip_scale)
        cuts = {"cuts": self.cuts, "smallest": SMALLEST_CUT, "flips": False}
        return ClipScore(judge, text, schedule, seeds, self.clip_scale, **cuts)


def scores_of(pictures: Pixels, prompts: Sequence[str], scenes: Sequence[Scene], clips: Clips) -> Scores:
    """The pictures' scores by both CLIPs and by the verifier."""
    found: Scores = {name: np.float64(clip_fits(clip, pictures, prompts)) for name, clip in clips.items()}
    seen = Verifier.load().see(pictures)
    return found | {"verifier": np.array([right_share(*pair) for pair in zip(seen, scenes, strict=True)])}


def draw(stage: Stage, prompts: Sequence[str], guidance: Guidance) -> Pixels:
    """uint8 (N, S, S, 3) by a base stage and its preset; prompt k's picture has seed k."""
    assert stage.text_encoder is not None, "a base stage that reads prompts"
    device = next(stage.network.parameters()).device
    pictures = []
    for first in range(0, len(prompts), BATCH):
        part = prompts[first : first + BATCH]
        seeds = tuple(range(first, first + len(part)))
        texts = (part, [""] * len(part))
        said, nothing = (Conditioning(text=stage.text_encoder.encode(text)) for text in texts)
        denoiser = CFGDenoiser(
            stage.network,
            [(said, guidance.scale), (nothing, 1 - guidance.scale)],
            x0_transform=X0Transform(DynamicThreshold(stage.preset.percentile)),
            score=guidance.score(part, seeds, stage.schedule),
        )
        noise = NoiseSource(seeds, 0, 0, (3, stage.image_size, stage.image_size), device)
        times = solver_timesteps(stage.schedule, stage.preset.steps)
        drawn = sampled(SampleTask(denoiser, "dpm-solver++", times, noise.start(), noise))
        pictures.append(drawn.float().cpu())
    pixels = ((torch.cat(pictures) + 1) * 127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


def table_of_retrieval(clips: Clips, count: int) -> None:
    print_header(
        ["CLIP", "noise", "its caption of 32", "its caption, not the altered one", "by what was altered"]
    )
    for name, clip in clips.items():
        asked = questions(count, clip.network.config.image_size)
        for fraction in FRACTIONS if name == "noised" else FRACTIONS[:1]:
            found = retrieval(clip, asked, fraction)
            changes = ", ".join(f"{what} {share:.2f}" for what, share in found.by_change.items())
            print_row([name, fraction, f"{found.of_candidates:.3f}", f"{found.of_two:.3f}", changes])


def table_of_guidance(stage: Stage, asked: Sequence[Guidance], clips: Clips, count: int) -> None:
    print_header(["guided by", "classifier-free", "scale", "judge", "mean", "against unguided"])
    scenes, prompts = unseen_prompts(FIRST_SCENE, count)
    unguided: dict[float, Scores] = {}
    for guidance in asked:
        scores = scores_of(draw(stage, prompts, guidance), prompts, scenes, clips)
        reference = unguided.setdefault(guidance.scale, scores)
        for name, values in scores.items():
            change = ""
            if scores is not reference:
                difference = values - reference[name]
                low, high = interval(difference)
                change = f"{difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
            scales = (guidance.scale, guidance.clip_scale or "")
            print_row([guidance.by, *scales, name, f"{values.mean():.3f}", change])


def main() -> None:
    options = parser("clip", __doc__)
    options.add_argument("--noised", type=Path, required=True)
    options.add_argument("--plain", type=Path, required=True)
    options.add_argument("--model", default="toybox")
    options.add_argument("--prompts", type=int, default=64)
    options.add_argument("--questions", type=int, default=512)
    options.add_argument("--guidance", type=float, nargs="+", default=[1.0, 3.0])
    options.add_argument("--noised-scales", type=float, nargs="*", default=[1.0, 3.0])
    options.add_argument("--plain-scales", type=float, nargs="*", default=[1.0, 3.0])
    options.add_argument("--cuts", type=int, default=8)
    given = options.parse_args()
    runtime = choose_runtime()
    apply(runtime)
    exact = choose_runtime("cpu", "float32")
    clips = {"noised": load_clip(given.noised, exact), "plain": load_clip(given.plain, exact)}
    if given.questions:
        table_of_retrieval(clips, given.questions)
    asked = []
    for scale in given.guidance:
        asked.append(Guidance("nothing", scale))
        asked += [Guidance("noised", scale, clips["noised"], each) for each in given.noised_scales]
        asked += [Guidance("plain", scale, clips["plain"], each, given.cuts) for each in given.plain_scales]
    table_of_guidance(load_model(resolve(given.model), runtime).stages[0], asked, clips, given.prompts)


if __name__ == "__main__":
    main()

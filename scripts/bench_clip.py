"""Do pictures guided by a CLIP fit their prompts better, as something sees it that did not guide them?

    scripts/bench clip --noised DIR --plain DIR [--model MODEL] [--prompts N]

DIR are folders that `glide-edit train clip` and `train plain-clip` wrote (RUN/clip). First: how well each
tells captions of unseen scenes apart. Then the base stage of a model draws prompts of unseen scenes:
unguided, guided by the noised CLIP on x_t, and by the plain one on the x0 estimate. Both score the pictures,
by their cosine at t = 0, and the verifier says which share of the toys is there with kind and colour right;
the CLIP that guided is no fair judge. Everything is compared with the unguided pictures of the same seeds;
intervals are 95 % of a bootstrap over prompts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from edit_sweep import interval as bootstrapped
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import Schedule, solver_timesteps
from glide_edit.errors import ModelError
from glide_edit.evaluation.judging import right_share
from glide_edit.evaluation.retrieval import questions, retrieval
from glide_edit.evaluation.verifier import Verifier
from glide_edit.guidance import (
    CFGDenoiser,
    CleanJudge,
    ClipScore,
    DynamicThreshold,
    Finish,
    NoisedClipScore,
    ScoreFn,
    classifier_free,
)
from glide_edit.models import Model, Stage, load_model, resolve
from glide_edit.models.clip_folder import load_clip
from glide_edit.models.model import NoisedClip
from glide_edit.models.runtime import apply, choose_runtime
from glide_edit.toybox import Scene, caption, sample_scene

Scores = dict[str, NDArray[np.float64]]
"""By the judge's name, (N,)."""

FIRST_SCENE = 300_000
"""Of the scenes whose captions are drawn: no training shows them."""

AT_ONCE = 16
"""Pictures drawn side by side."""

SMALLEST_CUT = 0.8
"""Of a picture's side; the plain CLIP has learned from whole pictures."""

FRACTIONS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Way:
    """How pictures are guided: classifier-free by ``guidance``, and by a CLIP at ``scale``.

    ``name`` is "noised" for that CLIP on x_t, "plain" for that one on the x0 estimate, "nothing" for neither.
    """

    name: str
    guidance: float
    clip: CleanJudge | None = None
    scale: float = 0.0
    cuts: int = 1

    def score(self, prompts: Sequence[str], seeds: tuple[int, ...], schedule: Schedule) -> ScoreFn | None:
        if self.clip is None:
            return None
        text = self.clip.text_embeddings(prompts)
        if self.name == "noised":
            return NoisedClipScore(self.clip.clip, text, self.scale)
        return ClipScore(
            self.clip, text, schedule, seeds, self.scale, cuts=self.cuts, smallest=SMALLEST_CUT, flips=False
        )


@dataclass(frozen=True, eq=False)
class Judges:
    """What scores pictures; the scores are (N,)."""

    noised: CleanJudge
    plain: CleanJudge
    verifier: Verifier | None

    def scores(self, pictures: Tensor, prompts: Sequence[str], scenes: Sequence[Scene]) -> Scores:
        found: Scores = {}
        for name, judge in (("noised", self.noised), ("plain", self.plain)):
            with torch.inference_mode():
                cosines = (judge.image_embeddings(pictures) * judge.text_embeddings(prompts)).sum(1)
            found[name] = cosines.double().numpy()
        if self.verifier is not None:
            pixels = ((pictures + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
            seen = self.verifier.see(pixels.numpy())
            shares = [right_share(each, scene) for each, scene in zip(seen, scenes, strict=True)]
            found["verifier"] = np.array(shares)
        return found


def draw(model: Model, prompts: Sequence[str], way: Way) -> Tensor:
    """(N, 3, S, S) in [-1, 1] by the model's base stage and its preset; prompt k's picture has seed k."""
    parts = [range(first, min(first + AT_ONCE, len(prompts))) for first in range(0, len(prompts), AT_ONCE)]
    stage = model.stages[0]
    return torch.cat([_draw(stage, [prompts[k] for k in part], tuple(part), way) for part in parts])


def _draw(stage: Stage, prompts: Sequence[str], seeds: tuple[int, ...], way: Way) -> Tensor:
    assert stage.text_encoder is not None, "a base stage that reads prompts"
    device = next(stage.network.parameters()).device
    said, nothing = (
        Conditioning(text=stage.text_encoder.encode(texts)) for texts in (prompts, [""] * len(prompts))
    )
    denoiser = CFGDenoiser(
        stage.network,
        classifier_free(said, nothing, way.guidance),
        finish=Finish(DynamicThreshold(stage.preset.percentile)),
        score=way.score(prompts, seeds, stage.schedule),
    )
    noise = NoiseSource(seeds, 0, 0, (3, stage.image_size, stage.image_size), device)
    times = solver_timesteps(stage.schedule, stage.preset.steps)
    *_, last = get_sampler("dpm-solver++")(denoiser, noise.start(), times, noise)
    return last.x.clamp(-1, 1).float().cpu()


def interval(differences: NDArray[np.float64]) -> str:
    """The mean and its 95 % interval over 2,000 bootstrap samples of the prompts."""
    low, high = bootstrapped(differences)
    return f"{differences.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def row(cells: Sequence[object]) -> None:
    print(f"| {' | '.join(str(cell) for cell in cells)} |", flush=True)


def table_of_retrieval(clips: dict[str, NoisedClip], count: int) -> None:
    row(["CLIP", "noise", "its caption of 32", "its caption, not the altered one", "by what was altered"])
    row(["---"] * 5)
    for name, clip in clips.items():
        asked = questions(count, clip.network.config.image_size)
        for fraction in FRACTIONS if name == "noised" else FRACTIONS[:1]:
            found = retrieval(clip, asked, fraction)
            changes = ", ".join(f"{what} {share:.2f}" for what, share in found.by_change.items())
            row([name, fraction, f"{found.of_candidates:.3f}", f"{found.of_two:.3f}", changes])


def table_of_guidance(ways: Sequence[Way], scores_of: Callable[[Way], Scores]) -> None:
    row(["guided by", "classifier-free", "scale", "judge", "mean", "against unguided"])
    row(["---"] * 6)
    unguided: dict[float, Scores] = {}
    for way in ways:
        scores = scores_of(way)
        reference = unguided.setdefault(way.guidance, scores)
        for name, values in scores.items():
            change = "" if values is reference[name] else interval(values - reference[name])
            row([way.name, way.guidance, way.scale or "", name, f"{values.mean():.3f}", change])


def open_verifier() -> Verifier | None:
    try:
        return Verifier.load()
    except ModelError as error:
        print(f"no verifier: {error}")
        return None


def main() -> None:
    parser = argparse.ArgumentParser("scripts/bench clip", description=__doc__)
    parser.add_argument("--noised", type=Path, required=True)
    parser.add_argument("--plain", type=Path, required=True)
    parser.add_argument("--model", default="toybox")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--questions", type=int, default=512)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 3.0])
    parser.add_argument("--noised-scales", type=float, nargs="*", default=[1.0, 3.0])
    parser.add_argument("--plain-scales", type=float, nargs="*", default=[1.0, 3.0])
    parser.add_argument("--cuts", type=int, default=8)
    given = parser.parse_args()
    runtime = choose_runtime()
    apply(runtime)
    exact = choose_runtime("cpu", "float32")
    noised, plain = load_clip(given.noised, exact), load_clip(given.plain, exact)
    if given.questions:
        table_of_retrieval({"noised": noised, "plain": plain}, given.questions)
    judges = Judges(
        CleanJudge(noised.network, noised.tokenizer),
        CleanJudge(plain.network, plain.tokenizer),
        open_verifier(),
    )
    model = load_model(resolve(given.model), runtime)
    scenes = [sample_scene(FIRST_SCENE + k) for k in range(given.prompts)]
    prompts = [caption(scene, k) for k, scene in enumerate(scenes)]
    ways = []
    for guidance in given.guidance:
        ways.append(Way("nothing", guidance))
        ways += [Way("noised", guidance, judges.noised, scale) for scale in given.noised_scales]
        ways += [Way("plain", guidance, judges.plain, scale, given.cuts) for scale in given.plain_scales]
    table_of_guidance(ways, lambda way: judges.scores(draw(model, prompts, way), prompts, scenes))


if __name__ == "__main__":
    main()

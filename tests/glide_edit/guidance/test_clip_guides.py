"""Guidance by the toybox's own CLIP: a judge that did not guide finds that pictures fit better."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.samplers import get_sampler
from glide_edit.diffusion.schedule import solver_timesteps
from glide_edit.errors import ModelError
from glide_edit.evaluation.judging import right_share
from glide_edit.evaluation.verifier import Verifier
from glide_edit.guidance import (
    CFGDenoiser,
    CleanJudge,
    ClipScore,
    DynamicThreshold,
    NoisedClipScore,
    ScoreFn,
    X0Transform,
    prompt_embeddings,
)
from glide_edit.models import choose_runtime, load_model, resolve
from glide_edit.models.model import NoisedClip, Stage
from glide_edit.text.clip_tokens import CLIPTokenizer
from glide_edit.toybox import Scene, caption, sample_scene
from tests.glide_edit import clips

FIRST_SCENE, COUNT = 300_000, 64
"""The scenes whose captions are drawn, those of docs/clip-guidance.md: no training shows them."""

SCALE = 1.5


def test_a_noised_clip_judges_clean_pictures() -> None:
    """At t = 0, whatever their size; differentiable."""
    network = clips.recorded_clip()
    judge = CleanJudge(network, CLIPTokenizer(network.config.context))
    colours = torch.rand(2, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = network.image_embeddings(colours.expand(-1, -1, 16, 16), torch.zeros(2))
    torch.testing.assert_close(judge.image_embeddings(colours.expand(-1, -1, 16, 16)), expected)
    larger = colours.repeat(1, 1, 24, 40).requires_grad_()
    embeddings = judge.image_embeddings(larger)
    torch.testing.assert_close(embeddings, expected, rtol=1e-4, atol=1e-5)
    (gradient,) = torch.autograd.grad(embeddings[:, 0].sum(), larger)
    assert gradient.abs().max() > 0
    assert (judge.size, judge.logit_scale) == (16, network.logit_scale)


@pytest.fixture(scope="module")
def parts() -> tuple[Stage, NoisedClip, Verifier]:
    model = load_model(resolve("toybox"), choose_runtime("cpu"))
    if model.clip is None:
        pytest.skip("the toybox model that ships has no CLIP")
    try:
        verifier = Verifier.load()
    except ModelError:
        pytest.skip("no verifier ships")
    return model.stages[0], model.clip, verifier


def draw(stage: Stage, prompts: Sequence[str], score: ScoreFn | None) -> Tensor:
    """(N, 3, S, S) in [-1, 1], without classifier-free guidance; prompt k's picture has seed k."""
    assert stage.text_encoder is not None
    denoiser = CFGDenoiser(
        stage.network,
        [(Conditioning(text=stage.text_encoder.encode(prompts)), 1.0)],
        x0_transform=X0Transform(DynamicThreshold(stage.preset.percentile)),
        score=score,
    )
    noise = NoiseSource(tuple(range(len(prompts))), 0, 0, (3, stage.image_size, stage.image_size))
    times = solver_timesteps(stage.schedule, stage.preset.steps)
    *_, last = get_sampler("dpm-solver++")(denoiser, noise.start(), times, noise)
    return last.x.clamp(-1, 1)


def share_right(verifier: Verifier, pictures: Tensor, scenes: Sequence[Scene]) -> float:
    pixels = ((pictures + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    seen = verifier.see(pixels)
    return float(np.mean([right_share(each, scene) for each, scene in zip(seen, scenes, strict=True)]))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["noised", "clean"])
def test_the_verifier_finds_more_of_what_was_asked_for(
    way: str, parts: tuple[Stage, NoisedClip, Verifier]
) -> None:
    """The noised CLIP on x_t, and the same one as if it were a plain one, on the x0 estimate."""
    stage, clip, verifier = parts
    scenes = [sample_scene(FIRST_SCENE + k) for k in range(COUNT)]
    prompts = [caption(scene, k) for k, scene in enumerate(scenes)]
    text = prompt_embeddings(clip.network, clip.tokenizer, prompts)
    score: ScoreFn
    if way == "noised":
        score = NoisedClipScore(clip.network, text, SCALE)
    else:
        judge, seeds = CleanJudge(clip.network, clip.tokenizer), tuple(range(COUNT))
        score = ClipScore(judge, text, stage.schedule, seeds, SCALE, cuts=4, smallest=0.8, flips=False)
    unguided = share_right(verifier, draw(stage, prompts, None), scenes)
    guided = share_right(verifier, draw(stage, prompts, score), scenes)
    assert guided > unguided

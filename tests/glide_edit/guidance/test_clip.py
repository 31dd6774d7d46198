"""Guidance by CLIP: the published numbers, slopes by finite differences, and what follows from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.conditioning import Conditioning, Prediction
from glide_edit.diffusion.ddim import ddim
from glide_edit.diffusion.ddpm import ddpm
from glide_edit.diffusion.noise import NoiseSource
from glide_edit.diffusion.schedule import Schedule, per_image, timesteps
from glide_edit.diffusion.step import Step
from glide_edit.errors import InputError
from glide_edit.guidance import (
    CFGDenoiser,
    ClipScore,
    NoisedClipScore,
    StaticThreshold,
    X0Transform,
    clip,
    prompt_embeddings,
)
from glide_edit.networks.adm_unet import ADMUNet
from glide_edit.networks.noised_clip import NoisedCLIP
from glide_edit.networks.open_clip import OpenCLIP
from glide_edit.text.tokenizer import BytePairTokenizer
from tests.glide_edit import golden, golden_unets
from tests.glide_edit.clips import RECORDED, needs_open_clip, recorded_clip, tiny_open_clip

COSINE = Schedule.cosine()
GOLDEN = golden.load()
IMAGES, TIMES = GOLDEN["clip.images"], GOLDEN["clip.t"]
TEXT, GRADIENT = GOLDEN["clip.text_embedding"], GOLDEN["clip.gradient_scale_1"]


def recorded_base() -> tuple[ADMUNet, Conditioning, Conditioning]:
    """The recorded base network, what it was told, and "nothing" as it is told that."""
    unet, text = golden_unets.networks("base")
    tokens = GOLDEN["base.in.tokens"]
    empty = text(torch.full_like(tokens, golden_unets.END_TOKEN), torch.zeros_like(tokens, dtype=torch.bool))
    return unet, golden_unets.condition("base", text), Conditioning(text=empty)


class TestPublished:
    def test_gradient(self) -> None:
        score = NoisedClipScore(recorded_clip(), TEXT, scale=1.0)(IMAGES, TIMES, IMAGES)
        assert float((score - GRADIENT).abs().max()) < 1e-4

    def walk(self, score: NoisedClipScore | None, start: Tensor, skipped: int = 0) -> list[Step]:
        """The recorded walk from ``start``, without its first ``skipped`` steps."""
        network, told, _ = recorded_base()
        denoiser = CFGDenoiser(
            network, [(told, 1.0)], x0_transform=X0Transform(StaticThreshold()), score=score
        )
        noise = GOLDEN["clip_ddpm.noise"][skipped:]
        return list(ddpm(denoiser, start, timesteps(COSINE, 10)[skipped:], lambda step: noise[step]))

    def test_guided_trajectory(self) -> None:
        score = NoisedClipScore(recorded_clip(), TEXT, scale=3.0)
        published = GOLDEN["clip_ddpm.trajectory"]
        steps = self.walk(score, GOLDEN["clip_ddpm.x_T"])
        for step, expected in zip(steps, published, strict=True):
            assert float((step.x - expected).norm()) < 1e-4 * float(expected.norm())
        # At t = 999 x0 is 20,000 (x_t - eps): where it is not clipped, which happens at one value of 1536,
        # it is made of float32's rounding, there as here. Every other value, and every later step:
        clipped = steps[0].x0.abs() == 1
        assert int((~clipped).sum()) <= 2
        assert float(((steps[0].x - published[0]) * clipped).abs().max()) < 1e-4
        later = self.walk(score, published[0], skipped=1)
        assert float((torch.stack([step.x for step in later]) - published[1:]).abs().max()) < 1e-4

    def test_the_trajectory_is_a_guided_one(self) -> None:
        *_, last = self.walk(None, GOLDEN["clip_ddpm.x_T"])
        assert float((last.x - GOLDEN["clip_ddpm.trajectory"][-1]).norm()) > 0.01 * float(last.x.norm())


class CountingClip(NoisedCLIP):
    """The recorded CLIP; it writes down the times it is asked about."""

    def __init__(self) -> None:
        super().__init__(RECORDED)
        self.load_state_dict(recorded_clip().state_dict())
        self.asked: list[list[float]] = []

    def image_embeddings(self, x_t: Tensor, t: Tensor) -> Tensor:
        self.asked.append(t.tolist())
        return super().image_embeddings(x_t, t)


class TestNoised:
    def test_the_scale_scales(self) -> None:
        score = NoisedClipScore(recorded_clip(), TEXT, scale=-2.5)(IMAGES, TIMES, IMAGES)
        torch.testing.assert_close(score, -2.5 * GRADIENT, rtol=0, atol=1e-4)

    def test_a_model_of_another_temperature(self) -> None:
        cooler = NoisedCLIP(replace(RECORDED, logit_scale=20.0))
        cooler.load_state_dict(recorded_clip().state_dict())
        score = NoisedClipScore(cooler, TEXT, scale=1.0)(IMAGES, TIMES, IMAGES)
        torch.testing.assert_close(score, 0.2 * GRADIENT, rtol=0, atol=1e-4)

    def test_what_the_network_believes_does_not_matter(self) -> None:
        score = NoisedClipScore(recorded_clip(), TEXT, scale=1.0)
        assert torch.equal(score(IMAGES, TIMES, IMAGES), score(IMAGES, TIMES, IMAGES * 0))

    def test_one_prompt_for_all_pictures(self) -> None:
        one = NoisedClipScore(recorded_clip(), TEXT[:1], scale=1.0)(IMAGES, TIMES, IMAGES)
        both = NoisedClipScore(recorded_clip(), TEXT[[0, 0]], scale=1.0)(IMAGES, TIMES, IMAGES)
        assert torch.equal(one, both)

    @pytest.mark.parametrize(
        ("interval", "asked"),
        # The recorded times are 40 and 900 of 0 ... 999.
        [(None, [40, 900]), ((0.0, 1.0), [40, 900]), ((0.04, 0.9), [40]), ((0.5, 0.95), [900])],
    )
    def test_only_pictures_inside_the_interval_are_read(self, interval: Any, asked: list[int]) -> None:
        counting = CountingClip()
        score = NoisedClipScore(counting, TEXT, 1.0, interval)(IMAGES, TIMES, IMAGES)
        assert counting.asked == [asked]
        inside = torch.tensor([t in asked for t in TIMES.tolist()])
        torch.testing.assert_close(score, GRADIENT * per_image(inside, GRADIENT), rtol=0, atol=1e-4)

    def test_outside_the_interval_nothing_is_read(self) -> None:
        counting = CountingClip()
        score = NoisedClipScore(counting, TEXT, 1.0, (0.3, 0.6))(IMAGES, TIMES, IMAGES)
        assert counting.asked == []
        assert torch.equal(score, torch.zeros_like(IMAGES))

    def test_trainable_weights_gather_no_gradients(self) -> None:
        counting = CountingClip()
        score = NoisedClipScore(counting, TEXT, scale=1.0)(IMAGES, TIMES, IMAGES)
        assert not score.requires_grad
        assert all(parameter.grad is None for parameter in counting.parameters())

    def test_bfloat16_weights(self) -> None:
        rough = CountingClip().bfloat16()
        score = NoisedClipScore(rough, TEXT, scale=1.0)(IMAGES, TIMES, IMAGES)
        assert score.dtype == torch.float32
        assert float((score - GRADIENT).norm()) < 0.03 * float(GRADIENT.norm())

    def test_with_classifier_free_guidance_it_is_asked_once_a_step(self) -> None:
        network, told, nothing = recorded_base()
        counting = CountingClip()
        score = NoisedClipScore(counting, TEXT, scale=3.0)
        branches = [(told, 3.0), (nothing, -2.0)]
        guided, plain = CFGDenoiser(network, branches, score=score), CFGDenoiser(network, branches)
        x_t, t = GOLDEN["base.in.x"], GOLDEN["base.in.t"]
        with torch.no_grad():
            prediction, without = guided(x_t, t), plain(x_t, t)
        assert counting.asked == [t.tolist()]
        assert torch.equal(prediction.x0, without.x0)
        assert prediction.score is not None
        assert torch.equal(prediction.score, score(x_t, t, x_t))

    def test_prompts_through_a_tokenizer_of_ours(self) -> None:
        prompts = ["a red ball", "", "a blue box left of a red ball"]
        tokenizer = BytePairTokenizer.train(prompts, 270, RECORDED.context)
        network = NoisedCLIP(replace(RECORDED, vocabulary=tokenizer.vocabulary_size))
        together = prompt_embeddings(network, tokenizer, prompts)
        assert together.shape == (3, 32)
        assert not together.requires_grad
        for k, prompt in enumerate(prompts):
            assert torch.allclose(prompt_embeddings(network, tokenizer, [prompt])[0], together[k], atol=1e-6)
        assert not torch.allclose(together[0], together[2], atol=1e-3)


@dataclass
class Judge:
    """A CLIP in closed form: a picture's embedding is the direction of its pixels' sums under fixed weights.

    It writes down what it is shown.
    """

    size: int = 8
    logit_scale: float = 2.0
    shown: list[Tensor] = field(default_factory=list)
    answers: list[Tensor] = field(default_factory=list)

    def image_embeddings(self, pictures: Tensor) -> Tensor:
        weights = torch.randn(3 * self.size**2, 5, generator=torch.Generator().manual_seed(9))
        self.shown.append(pictures.detach())
        embeddings = F.normalize(pictures.flatten(1) @ weights.to(pictures.dtype), dim=-1)
        self.answers.append(embeddings.detach())
        return embeddings

    @property
    def cuts(self) -> Tensor:
        return torch.cat(self.shown)


DIRECTION = F.normalize(torch.tensor([[1.0, -0.5, 0.3, 0.8, 0.1]]), dim=-1)
MIDDLE = torch.tensor([400.0, 400.0])


def believed(count: int = 2, size: tuple[int, int] = (16, 20), seed: int = 0) -> Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def make(judge: Any, **changes: Any) -> ClipScore:
    values: dict[str, Any] = {"seeds": (1, 2), "scale": 3.0, "cuts": 6, "text": DIRECTION, **changes}
    return ClipScore(judge, schedule=COSINE, **values)


def shown(x0: Tensor, t: Tensor = MIDDLE, **changes: Any) -> Tensor:
    """The cuts that the judge is shown, (B * cuts, 3, size, size)."""
    judge = Judge()
    make(judge, **changes)(x0, t, x0)
    return judge.cuts


class TestClean:
    @pytest.mark.parametrize("cuts", [1, 6, 21])
    def test_the_score_is_the_slope_of_the_mean_likelihood(self, cuts: int) -> None:
        x0, direction = believed().double(), believed(seed=1).double()
        t, x_t = torch.tensor([100.0, 700.5]), believed(seed=2).double()

        def likelihood(x0: Tensor) -> Tensor:
            judge = Judge()
            make(judge, cuts=cuts)(x_t, t, x0)
            cosines = torch.cat(judge.answers) @ DIRECTION[0].double()
            return 3.0 * judge.logit_scale * cosines.reshape(2, cuts).mean(1)

        score = make(Judge(), cuts=cuts)(x_t, t, x0)
        slopes = (likelihood(x0 + 1e-5 * direction) - likelihood(x0 - 1e-5 * direction)) / 2e-5
        # x0 = (x_t - sqrt(1 - alpha_bar) eps) / sqrt(alpha_bar), the noise held fixed.
        expected = slopes / COSINE.alpha_bar(t).sqrt()
        torch.testing.assert_close((score * direction).sum((1, 2, 3)), expected, rtol=1e-6, atol=0)

    def test_cuts_are_squares_of_the_picture(self) -> None:
        # Every pixel's colour is its own place, so a cut tells where it comes from.
        height, width = 30, 40
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        x0 = torch.stack([rows, columns, 0 * rows]).double()[None].expand(2, 3, height, width)
        down, right = shown(x0, cuts=200, smallest=0.4)[:, :2].unbind(1)
        # From the first resized pixel's middle to the last one's are 7/8 of a cut's side.
        heights = (down[:, -1, 4] - down[:, 0, 4]) * 8 / 7
        widths = (right[:, 4, -1] - right[:, 4, 0]) * 8 / 7
        assert torch.allclose(heights, widths.abs(), atol=1.5)
        assert 10.5 <= float(heights.min()) < 15
        assert 27 < float(heights.max()) <= 30.5
        assert 0.4 < float((widths < 0).double().mean()) < 0.6
        centres = right.mean((1, 2))
        assert float(down.min()) > -0.5
        assert float(down.max()) < height - 0.5
        assert float(centres.min()) < 10
        assert float(centres.max()) > 30

    def test_without_flips_nothing_is_mirrored(self) -> None:
        x0 = torch.linspace(-1, 1, 20).expand(2, 3, 16, 20)
        cuts = shown(x0, cuts=50, flips=False)
        assert bool((cuts[..., -1] > cuts[..., 0]).all())

    def test_whole_pictures(self) -> None:
        cuts = shown(believed(size=(8, 8)), smallest=1.0, flips=False)
        assert torch.equal(cuts, believed(size=(8, 8)).repeat_interleave(6, dim=0))

    def test_a_picture_of_one_pixel(self) -> None:
        assert torch.allclose(shown(torch.full((2, 3, 1, 1), 0.3)), torch.tensor(0.3))

    def test_an_image_follows_from_its_own_seed(self) -> None:
        x0, x_t = believed(3), believed(3, seed=4)
        t = torch.tensor([200.0, 410.0, 30.0])
        text = F.normalize(torch.randn(3, 5, generator=torch.Generator().manual_seed(2)), dim=-1)
        together = make(Judge(), seeds=(7, 8, 9), text=text)(x_t, t, x0)
        for order in ([2], [1, 0], [2, 0, 1]):
            some = make(Judge(), seeds=tuple((7, 8, 9)[k] for k in order), text=text[order])
            torch.testing.assert_close(some(x_t[order], t[order], x0[order]), together[order])

    def test_seeds_and_times_have_cuts_of_their_own(self) -> None:
        x0 = believed(1).expand(2, -1, -1, -1)
        first, second = shown(x0).chunk(2)
        assert not torch.allclose(first, second)
        again, _ = shown(x0, seeds=(1, 5)).chunk(2)
        assert torch.equal(first, again)
        later, _ = shown(x0, torch.tensor([401.0, 400.0])).chunk(2)
        assert not torch.allclose(first, later)

    def test_memory_does_not_grow_with_the_cuts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        judge = Judge()
        score = make(judge, cuts=21)(believed(), MIDDLE, believed())
        assert max(len(pictures) for pictures in judge.shown) <= 8
        assert len(judge.cuts) == 42
        monkeypatch.setattr(clip, "_AT_ONCE", 100)
        torch.testing.assert_close(make(Judge(), cuts=21)(believed(), MIDDLE, believed()), score)

    def test_only_pictures_inside_the_interval_are_judged(self) -> None:
        judge = Judge()
        t = torch.tensor([900.0, 400.0])
        score = make(judge)(believed(), t, believed())
        assert len(judge.cuts) == 6
        assert torch.equal(score[0], torch.zeros(3, 16, 20))
        alone = make(Judge(), seeds=(2,))(believed()[1:], t[1:], believed()[1:])
        torch.testing.assert_close(score[1:], alone)
        assert float(alone.abs().max()) > 0

    def test_outside_the_interval_nothing_is_judged(self) -> None:
        judge = Judge()
        assert not make(judge)(believed(), torch.tensor([990.0, 850.0]), believed()).any()
        assert not make(judge, interval=(0.1, 0.2))(believed(), MIDDLE, believed()).any()
        assert judge.shown == []
        make(judge, interval=None)(believed(), torch.tensor([990.0, 850.0]), believed())
        assert len(judge.cuts) == 12

    @pytest.mark.parametrize(
        ("changes", "what"),
        [
            ({"cuts": 0}, "1 cut or more"),
            ({"smallest": 0.0}, "smallest cut"),
            ({"smallest": 1.5}, "smallest cut"),
            ({"scale": float("inf")}, "scale"),
            ({"interval": (0.7, 0.2)}, "interval"),
            ({"interval": (0.0, 1.2)}, "interval"),
        ],
    )
    def test_impossible_settings_are_refused(self, changes: Any, what: str) -> None:
        with pytest.raises(InputError, match=what):
            make(Judge(), **changes)

    @pytest.mark.parametrize("changes", [{"scale": float("nan")}, {"interval": (-0.1, 0.5)}])
    def test_impossible_settings_of_the_noised_kind_are_refused(self, changes: Any) -> None:
        with pytest.raises(InputError, match="guidance by CLIP"):
            NoisedClipScore(recorded_clip(), TEXT, **{"scale": 1.0, **changes})


class GaussianNetwork:
    """E[x0 | x_t] where every pixel is N(0, 0.3)."""

    schedule = COSINE

    def prepare(self, conditioning: Conditioning) -> Conditioning:
        return conditioning

    def predict(self, x_t: Tensor, t: Tensor, branches: Sequence[Conditioning]) -> list[Prediction]:
        alpha_bar = per_image(COSINE.alpha_bar(t), x_t).to(x_t.dtype)
        return [Prediction(alpha_bar.sqrt() * 0.3 / (alpha_bar * 0.3 + 1 - alpha_bar) * x_t)] * len(branches)


@needs_open_clip
class TestWithOpenClip:
    @pytest.fixture
    def judge(self, tmp_path: Path) -> OpenCLIP:
        return tiny_open_clip(tmp_path)

    def test_the_score_is_a_slope(self, judge: OpenCLIP) -> None:
        judge.double()
        text = judge.text_embeddings(["a red ball"])
        score = ClipScore(judge, text, COSINE, (1, 2), scale=2.0, cuts=3, smallest=1.0, flips=False)
        x0, direction = believed(size=(16, 16)).double(), believed(size=(16, 16), seed=1).double()

        def likelihood(x0: Tensor) -> float:
            return float(2.0 * judge.logit_scale * (judge.image_embeddings(x0) * text).sum())

        slope = (likelihood(x0 + 1e-5 * direction) - likelihood(x0 - 1e-5 * direction)) / 2e-5
        found = (score(x0, MIDDLE, x0) * direction).sum() * COSINE.alphas_bar[400] ** 0.5
        assert float(found) == pytest.approx(slope, rel=1e-5)

    def test_guided_pictures_fit_the_prompt_better(self, judge: OpenCLIP) -> None:
        seeds = (1, 2, 3, 4)
        text = judge.text_embeddings(["a red ball"])
        noise = NoiseSource(seeds, 0, 0, (3, 24, 24))

        def fit(scale: float) -> float:
            score = ClipScore(judge, text, COSINE, seeds, scale, cuts=2)
            denoiser = CFGDenoiser(GaussianNetwork(), [(Conditioning(), 1.0)], score=score)
            *_, last = ddim(denoiser, noise.start(), timesteps(COSINE, 16), noise)
            return float((judge.image_embeddings(last.x) * text).sum(-1).mean())

        assert fit(-2.0) + 0.1 < fit(0.0) < fit(2.0) - 0.1

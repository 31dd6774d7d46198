from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from glide_edit.errors import InputError, ModelFormatError
from glide_edit.models import records
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from tests.glide_edit import golden
from tests.glide_edit.clips import RECORDED, recorded_clip

GOLDEN = golden.load()
SMALL = replace(RECORDED, image_size=12, text_width=24, embedding_width=20, timesteps=50)


def make(config: NoisedCLIPConfig = SMALL) -> NoisedCLIP:
    torch.manual_seed(3)
    return NoisedCLIP(config)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ids(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, SMALL.vocabulary, shape, generator=torch.Generator().manual_seed(seed))


def gradient(clip: NoisedCLIP, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
    x_t = x_t.detach().requires_grad_()
    return torch.autograd.grad(clip.logit_scale * (clip.image_embeddings(x_t, t) * text).sum(), x_t)[0]


class TestPublished:
    def test_text_embedding(self) -> None:
        ours = recorded_clip().text_embeddings(GOLDEN["clip.tokens"], GOLDEN["clip.lengths"])
        assert golden.relative_error(ours, GOLDEN["clip.text_embedding"]) < 2e-5

    def test_image_embedding(self) -> None:
        ours = recorded_clip().image_embeddings(GOLDEN["clip.images"], GOLDEN["clip.t"])
        assert golden.relative_error(ours, GOLDEN["clip.image_embedding"]) < 2e-5

    def test_gradient(self) -> None:
        ours = gradient(
            recorded_clip(), GOLDEN["clip.images"], GOLDEN["clip.t"], GOLDEN["clip.text_embedding"]
        )
        assert float((ours - GOLDEN["clip.gradient_scale_1"]).abs().max()) < 1e-4
        assert golden.relative_error(ours, GOLDEN["clip.gradient_scale_1"]) < 2e-5


class TestTime:
    x_t = noise(1, 3, 12, 12)

    @torch.no_grad()
    def embedding(self, t: float | int) -> Tensor:
        return make().image_embeddings(self.x_t, torch.tensor([t]))

    def test_every_index_is_told_apart(self) -> None:
        assert not torch.allclose(self.embedding(20), self.embedding(21), atol=1e-4)

    @pytest.mark.parametrize(("between", "nearest"), [(20.4, 20), (20.6, 21), (21.0, 21), (48.7, 49)])
    def test_between_two_indices_the_nearest_counts(self, between: float, nearest: int) -> None:
        assert torch.equal(self.embedding(between), self.embedding(nearest))

    def test_the_axis_ends_with_the_table(self) -> None:
        assert torch.equal(self.embedding(49.6), self.embedding(49))
        assert torch.equal(self.embedding(-0.6), self.embedding(0))


class TestText:
    @torch.no_grad()
    def test_what_comes_after_a_prompt_is_not_read(self) -> None:
        clip, tokens = make(), ids(2, 4)
        short = clip.text_embeddings(tokens, torch.tensor([4, 3]))
        padded = torch.cat([tokens, ids(2, 8, seed=5)], dim=1)
        assert torch.allclose(clip.text_embeddings(padded, torch.tensor([4, 3])), short, atol=1e-6)
        assert not torch.allclose(clip.text_embeddings(padded, torch.tensor([5, 4])), short, atol=1e-3)

    @torch.no_grad()
    def test_every_token_of_a_prompt_is_read_in_its_place(self) -> None:
        clip, tokens, length = make(), ids(1, 5), torch.tensor([5])
        reference = clip.text_embeddings(tokens, length)
        for k in range(5):
            changed = tokens.clone()
            changed[0, k] = (changed[0, k] + 1) % SMALL.vocabulary
            assert not torch.allclose(clip.text_embeddings(changed, length), reference, atol=1e-4), k
        swapped = tokens[:, [1, 0, 2, 3, 4]]
        assert not torch.allclose(clip.text_embeddings(swapped, length), reference, atol=1e-5)

    @torch.no_grad()
    def test_no_tokens_at_all_are_the_padding_token(self) -> None:
        padding = torch.zeros(1, 3, dtype=torch.int64)
        nothing = make().text_embeddings(padding, torch.tensor([0]))
        assert torch.equal(nothing, make().text_embeddings(padding, torch.tensor([1])))
        assert nothing.isfinite().all()


@torch.no_grad()
def test_the_images_of_a_batch_do_not_see_each_other() -> None:
    clip, x_t, t = make(), noise(3, 3, 12, 12), torch.tensor([2, 30, 49])
    together = clip.image_embeddings(x_t, t)
    for k in range(3):
        assert torch.allclose(together[k], clip.image_embeddings(x_t[k : k + 1], t[k : k + 1])[0], atol=1e-6)


def test_the_gradient_is_the_slope_of_the_likelihood() -> None:
    clip = make().double()
    x_t, direction = noise(2, 3, 12, 12).double(), noise(2, 3, 12, 12, seed=1).double()
    t, text = torch.tensor([5, 40]), F.normalize(noise(2, 20, seed=2).double(), dim=-1)

    def likelihood(x: Tensor) -> float:
        with torch.no_grad():
            return float(clip.logit_scale * (clip.image_embeddings(x, t) * text).sum())

    slope = (likelihood(x_t + 1e-5 * direction) - likelihood(x_t - 1e-5 * direction)) / 2e-5
    assert float((gradient(clip, x_t, t, text) * direction).sum()) == pytest.approx(slope, rel=1e-6)


class TestBfloat16:
    @pytest.mark.parametrize("t", [17, 500, 950])
    def test_the_gradient_stays_within_3_percent(self, t: int) -> None:
        # Deep enough that what bfloat16 rounds in one layer could add up in the next.
        config = replace(SMALL, image_size=32, image_width=128, image_layers=12, timesteps=1000)
        exact, rough = make(config), make(config).bfloat16()
        x_t, times = noise(2, 3, 32, 32), torch.full((2,), t)
        text = F.normalize(noise(2, 20, seed=2), dim=-1)
        ours, theirs = gradient(rough, x_t, times, text), gradient(exact, x_t, times, text)
        assert ours.dtype == torch.float32
        assert float((ours - theirs).norm()) < 0.03 * float(theirs.norm())

    @torch.no_grad()
    def test_embeddings_are_unit_vectors_in_float32(self) -> None:
        rough = make().bfloat16()
        assert rough.dtype == torch.bfloat16
        for embedding, exact in (
            (
                rough.image_embeddings(noise(2, 3, 12, 12), torch.tensor([3, 9])),
                make().image_embeddings(noise(2, 3, 12, 12), torch.tensor([3, 9])),
            ),
            (
                rough.text_embeddings(ids(2, 6), torch.tensor([6, 2])),
                make().text_embeddings(ids(2, 6), torch.tensor([6, 2])),
            ),
        ):
            assert embedding.dtype == torch.float32
            assert torch.allclose(embedding.norm(dim=-1), torch.ones(2), atol=1e-5)
            assert torch.allclose(embedding, exact, atol=0.01)


def test_it_learns_which_prompt_is_whose_picture() -> None:
    clip = make(replace(SMALL, logit_scale=20.0))
    pictures, t = noise(6, 3, 12, 12), torch.arange(6)
    tokens, lengths = ids(6, 5, seed=4), torch.tensor([5, 4, 3, 5, 2, 5])
    optimizer = torch.optim.Adam(clip.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        images, texts = clip.image_embeddings(pictures, t), clip.text_embeddings(tokens, lengths)
        logits = clip.logit_scale * images @ texts.T
        loss = F.cross_entropy(logits, torch.arange(6)) + F.cross_entropy(logits.T, torch.arange(6))
        optimizer.zero_grad()
        loss.backward()
        dead = [name for name, p in clip.named_parameters() if p.grad is None or not p.grad.any()]
        assert dead == []
        optimizer.step()
        losses.append(float(loss.detach()))
    # Knowing nothing costs 2 log 6 = 3.6.
    assert losses[0] > 3.0
    assert losses[-1] < 0.3


def test_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="12 x 12 pixels, not 8 x 16"):
        make().image_embeddings(noise(1, 3, 16, 8), torch.tensor([3]))


def test_a_prompt_beyond_the_context_is_refused() -> None:
    with pytest.raises(InputError, match="12 tokens at most, not 13"):
        make().text_embeddings(ids(1, 13), torch.tensor([13]))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"image_size": 18}, "multiple of 4"),
        ({"image_heads": 3}, "multiple of its 3 heads"),
        ({"text_heads": 5}, "multiple of its 5 heads"),
        ({"text_layers": 0}, "text_layers"),
        ({"patch": 0, "vocabulary": -1}, "patch and vocabulary"),
        ({"logit_scale": 0.0}, "logit scale"),
        ({"logit_scale": float("nan")}, "logit scale"),
    ],
)
def test_an_impossible_configuration_is_refused(changes: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        replace(SMALL, **changes)


def test_a_configuration_is_a_record() -> None:
    assert records.into(NoisedCLIPConfig, vars(SMALL), "clip.config") == SMALL
    with pytest.raises(ModelFormatError, match=r"clip\.config will not do: .*multiple of 5"):
        records.into(NoisedCLIPConfig, {**vars(SMALL), "patch": 5}, "clip.config")

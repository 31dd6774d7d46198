import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glide_edit.errors import InputError
from glide_edit.guidance import DynamicThreshold, PasteKnown, StaticThreshold, X0Transform


def random_x0(seed: int, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(2, 3, 6, 7, generator=torch.Generator().manual_seed(seed))


def test_static_threshold_clips() -> None:
    x0 = torch.tensor([-3.0, -1.0, -0.25, 0.5, 1.0, 1.001]).reshape(1, 1, 2, 3)
    assert StaticThreshold()(x0).flatten().tolist() == [-1.0, -1.0, -0.25, 0.5, 1.0, 1.0]


def test_dynamic_threshold_by_hand() -> None:
    # 101 values 0, 0.04, ... 4: the 50th percentile of |x0| is 2, so clip to [-2, 2] and halve.
    x0 = torch.linspace(0, 4, 101).reshape(1, 1, 1, 101) * torch.tensor([1.0, -1.0]).repeat(51)[:101]
    ours = DynamicThreshold(0.5)(x0)
    torch.testing.assert_close(ours, x0.clamp(-2, 2) / 2)
    assert float(ours.abs().max()) == 1
    # At the 20th percentile it is 0.8, less than 1: then it is a plain clip.
    torch.testing.assert_close(DynamicThreshold(0.2)(x0), x0.clamp(-1, 1))


def test_dynamic_threshold_treats_every_picture_for_itself() -> None:
    calm, wild = random_x0(1, 0.1), random_x0(2, 10.0)
    both = torch.cat([calm[:1], wild[:1]])
    ours = DynamicThreshold(0.9)(both)
    assert torch.equal(ours[:1], calm[:1])
    assert torch.equal(ours[1:], DynamicThreshold(0.9)(wild[:1]))


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), percentile=st.floats(0.01, 1.0), scale=st.floats(0.01, 50.0))
def test_dynamic_threshold_stays_in_range_and_in_order(seed: int, percentile: float, scale: float) -> None:
    x0 = random_x0(seed, scale)
    ours = DynamicThreshold(percentile)(x0)
    assert float(ours.abs().max()) <= 1
    for before, after in zip(x0, ours, strict=True):
        rising = after.flatten()[before.flatten().argsort()]
        assert bool((rising.diff() >= 0).all())
    # Never more saturated than a plain clip, and the same where nothing is out of range.
    assert bool((ours.abs() <= StaticThreshold()(x0).abs() + 1e-6).all())
    small = x0 / x0.abs().max()
    assert torch.equal(DynamicThreshold(percentile)(small), small)


@pytest.mark.parametrize("percentile", [0.0, -0.5, 1.01, 99.5, float("nan")])
def test_a_percentile_out_of_range_is_refused(percentile: float) -> None:
    with pytest.raises(InputError, match="percentile"):
        DynamicThreshold(percentile)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000))
def test_known_pixels_are_pasted_exactly_and_others_left(seed: int) -> None:
    x0, known = random_x0(seed), random_x0(seed + 1).clamp(-1, 1)
    keep_mask = (torch.rand(2, 1, 6, 7, generator=torch.Generator().manual_seed(seed)) < 0.5).float()
    ours = PasteKnown(known, keep_mask)(x0)
    assert torch.equal(ours, torch.where(keep_mask.bool(), known, x0))


def test_one_known_picture_serves_a_batch() -> None:
    x0, known = random_x0(1), torch.full((1, 3, 6, 7), 0.5)
    keep_mask = torch.zeros(1, 1, 6, 7)
    keep_mask[..., 2] = 1
    ours = PasteKnown(known, keep_mask)(x0)
    assert torch.all(ours[..., 2] == 0.5)
    assert torch.equal(ours[..., 3:], x0[..., 3:])


def test_finish_thresholds_first_and_pastes_after() -> None:
    x0 = torch.full((1, 1, 1, 2), 4.0)
    # A known value out of range tells the order: pasted first, it would be clipped.
    known, keep_mask = torch.full((1, 1, 1, 2), 1.5), torch.tensor([0.0, 1.0]).reshape(1, 1, 1, 2)
    paste = PasteKnown(known, keep_mask)
    assert X0Transform(StaticThreshold(), paste)(x0).flatten().tolist() == [1.0, 1.5]
    assert X0Transform(None, paste)(x0).flatten().tolist() == [4.0, 1.5]
    assert X0Transform(StaticThreshold())(x0).flatten().tolist() == [1.0, 1.0]
    assert torch.equal(X0Transform()(x0), x0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_pasted_over_too(value: float) -> None:
    x0, known = torch.full((1, 3, 2, 2), value), torch.full((1, 3, 2, 2), 0.5)
    keep_mask = torch.tensor([[1.0, 0.0], [1.0, 1.0]]).expand(1, 1, 2, 2)
    pasted = PasteKnown(known, keep_mask)(x0)
    assert torch.isfinite(pasted).sum() == 9
    assert (pasted[torch.isfinite(pasted)] == 0.5).all()

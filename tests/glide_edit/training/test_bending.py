"""What an upsampler enlarges in training is bent where it is hidden, and nowhere else."""

from __future__ import annotations

import torch

from glide_edit.training.bending import bend


def pictures(count: int = 8, side: int = 32) -> torch.Tensor:
    """Stripes, in which every shift shows."""
    wave = torch.sin(torch.arange(side) * 1.1)
    return (wave[:, None] * wave).expand(count, 3, side, side).clone()


def bent(keep: torch.Tensor, by: float = 1.5, seed: int = 0) -> torch.Tensor:
    return bend(pictures(len(keep)), keep, by, torch.Generator().manual_seed(seed))


def test_known_pixels_stay_and_hidden_ones_move() -> None:
    keep = torch.zeros(8, 1, 128, 128)
    keep[:, :, :, :64] = 1
    change = (bent(keep) - pictures()).abs()
    assert change[..., :16].max() == 0
    assert change[..., 22:].max() > 0.3


def test_a_cell_that_is_known_in_part_stays() -> None:
    keep = torch.zeros(8, 1, 128, 128)
    keep[:, :, 5::32, 6::32] = 1
    known = torch.nn.functional.adaptive_max_pool2d(keep, 32) > 0
    change = (bent(keep) - pictures()).abs()
    assert known.any()
    assert change.masked_select(known.expand_as(change)).max() == 0
    assert change.max() > 0.1


def test_some_stay_straight_and_all_keep_their_range() -> None:
    made = bent(torch.zeros(64, 1, 32, 32))
    straight = (made - pictures(64)).abs().amax((1, 2, 3)) < 1e-4
    assert 3 < straight.sum() < 30
    assert made.shape == (64, 3, 32, 32)
    assert made.abs().max() < 1.5


def test_it_follows_from_the_generator_and_by_nothing_is_nothing() -> None:
    keep = torch.zeros(8, 1, 32, 32)
    assert torch.equal(bent(keep), bent(keep))
    assert not torch.equal(bent(keep), bent(keep, seed=1))
    generator = torch.Generator().manual_seed(0)
    assert (bend(pictures(), torch.ones(8, 1, 32, 32), 1.5, generator) == pictures()).all()

"""Tiles cover a canvas, their answers are blended without borders, and their noise is counted by cells."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from glide_edit.conditioning import Prediction
from glide_edit.diffusion.schedule import Schedule
from glide_edit.operations.frame import Tile
from glide_edit.pipeline.tiles import CanvasNoise, TiledDenoiser, cover

SCHEDULE = Schedule.cosine(100)
T = torch.zeros(1)


class Says:
    """A denoiser of a tile that believes in ``belief(x_t)``."""

    schedule = SCHEDULE

    def __init__(self, belief: object) -> None:
        self.belief = belief

    def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
        return Prediction(self.belief(x_t) if callable(self.belief) else torch.full_like(x_t, self.belief))


@given(height=st.integers(1, 40), width=st.integers(1, 40), side=st.integers(1, 9))
def test_tiles_cover_a_canvas_of_any_size(height: int, width: int, side: int) -> None:
    covered = torch.zeros(16 * height, 16 * width)
    for tile in cover(16 * height, 16 * width, 16 * side, 16):
        assert tile.y % 16 == tile.x % 16 == 0
        assert (tile.height, tile.width) == (min(16 * side, 16 * height), min(16 * side, 16 * width))
        part = tile.of(covered)
        assert part.shape == (tile.height, tile.width), "it lies within"
        part.add_(1)
    assert covered.min() >= 1


def test_neighbours_overlap_by_a_quarter() -> None:
    places = [tile.x for tile in cover(64, 64 * 3, 64, 16)]
    assert places == [0, 48, 96, 128]


def test_tiles_that_agree_leave_no_trace() -> None:
    tiles = [(tile, Says(torch.tanh)) for tile in cover(160, 224, 64, 16)]
    x = torch.randn(2, 3, 160, 224)
    answer = TiledDenoiser(SCHEDULE, tiles, torch.zeros(1, 3, 160, 224))(x, T)
    assert torch.allclose(answer.x0, torch.tanh(x), atol=1e-5)
    assert answer.variance_fraction is None


def test_tiles_that_disagree_are_led_over_to_each_other() -> None:
    places = cover(64, 112, 64, 16)
    values = iter((-1.0, 1.0))
    tiled = TiledDenoiser(
        SCHEDULE, [(tile, Says(next(values))) for tile in places], torch.zeros(1, 3, 64, 112)
    )
    row = tiled(torch.zeros(1, 3, 64, 112), T).x0[0, 0, 32]
    assert row[0] == -1
    assert row[-1] == 1
    steps = row.diff()
    assert (steps >= -1e-6).all()
    assert steps.max() < 0.2, "a hard border would be a step of 2"


def test_where_no_tile_lies_nothing_is_drawn() -> None:
    elsewhere = torch.full((1, 3, 64, 128), 0.25)
    x0 = TiledDenoiser(SCHEDULE, [(Tile(0, 0, 64, 64), Says(-1.0))], elsewhere)(
        torch.zeros(1, 3, 64, 128), T
    ).x0
    assert (x0[..., :64] == -1).all()
    assert (x0[..., 64:] == 0.25).all()


def test_learned_variance_is_blended_alike() -> None:
    class Unsure(Says):
        def __call__(self, x_t: Tensor, t: Tensor) -> Prediction:
            return Prediction(x_t, torch.full_like(x_t, 0.3))

    tiles = [(tile, Unsure(0)) for tile in cover(64, 112, 64, 16)]
    fraction = TiledDenoiser(SCHEDULE, tiles, torch.zeros(1, 3, 64, 112))(torch.zeros(1, 3, 64, 112), T)
    assert fraction.variance_fraction is not None
    assert torch.allclose(fraction.variance_fraction, torch.tensor(0.3))


def test_a_cell_has_its_noise_whatever_the_canvas() -> None:
    def noise(height: int, width: int, step: int = 0, **changed: int) -> Tensor:
        numbers = {"seed": 3, "stage": 1, **changed}
        return CanvasNoise(shape=(3, height, width), cell=64, device=torch.device("cpu"), **numbers)(step)

    large, small = noise(150, 200), noise(100, 70)
    assert large.shape == (1, 3, 150, 200)
    assert torch.equal(large[..., :100, :70], small)
    part = CanvasNoise(3, 1, (3, 90, 80), 64, torch.device("cpu"), corner=(40, 100))(0)
    assert torch.equal(large[..., 40:130, 100:180], part)
    assert abs(float(large.mean())) < 0.02
    assert abs(float(large.std()) - 1) < 0.02
    for other in (
        noise(150, 200, 1),
        noise(150, 200, seed=4),
        noise(150, 200, stage=2),
        noise(150, 200, first=1),
    ):
        assert (other != large).float().mean() > 0.99
    assert not torch.equal(large[..., :64, :64], large[..., 64:128, :64])
    assert not torch.equal(large[..., :64, :64], large[..., :64, 64:128])


@pytest.mark.parametrize("sizes", [(60, 64, 64), (64, 60, 64), (64, 64, 60)])
def test_sizes_must_be_multiples(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(AssertionError):
        cover(*sizes, 16)

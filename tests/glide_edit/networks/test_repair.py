"""The repair network: what it reads, what it leaves alone, and what it begins from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from glide_edit.errors import InputError
from glide_edit.networks.repair import RepairConfig, RepairNetwork, pulled

SMALL = RepairConfig(image_size=32, channels=(16, 16), blocks=(1, 1), middle=(1, 2))


def network() -> RepairNetwork:
    torch.manual_seed(0)
    made = RepairNetwork(SMALL).eval()
    for parameter in made.parameters():  # those that begin at 0 too
        torch.nn.init.normal_(parameter, std=0.1)
    return made


def views(hidden: float = 0.4) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand((2, 3, 32, 24), generator=generator) * 2 - 1
    keep = (torch.rand((2, 1, 32, 24), generator=generator) > hidden).float()
    return picture, keep


def test_known_pixels_come_back_and_hidden_ones_are_not_read() -> None:
    made, (picture, keep) = network(), views()
    with torch.no_grad():
        filled = made(picture, keep)
        again = made(torch.where(keep > 0, picture, torch.nan), keep)
    known = keep.expand_as(picture) > 0
    assert torch.equal(filled[known], picture[known])
    assert torch.equal(again, filled)
    assert (filled - picture)[~known].abs().mean() > 0.1


def test_it_begins_as_what_it_starts_from() -> None:
    picture, keep = views()
    torch.manual_seed(0)
    with torch.no_grad():
        filled = RepairNetwork(SMALL)(picture, keep)
    assert torch.allclose(filled, torch.where(keep > 0, picture, pulled(picture, keep)))


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (32, 24)])
def test_what_it_starts_from_has_the_colours_around(size: tuple[int, int]) -> None:
    picture = torch.full((1, 3, *size), 0.25)
    keep = torch.zeros((1, 1, *size))
    keep[..., 0, 0] = 1
    assert torch.allclose(pulled(picture, keep), picture, atol=1e-5)
    halves = torch.cat([picture, -picture], dim=3)
    both = torch.cat([keep, keep], dim=3)
    filled = pulled(halves, both)
    assert filled.max() <= 0.2501
    assert filled.min() >= -0.2501
    assert torch.equal(filled * both, halves * both)


def test_where_nothing_is_known_it_is_finite() -> None:
    picture, keep = views(hidden=1.1)
    with torch.no_grad():
        assert torch.isfinite(network()(picture, keep)).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": (16,)},
        {"channels": (), "blocks": ()},
        {"channels": (0, 16)},
        {"blocks": (-1, 1)},
        {"middle": (0,)},
        {"patch": 0},
        {"text_width": 8},
    ],
)
def test_what_makes_no_network_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        RepairConfig(**{"channels": (16, 16), "blocks": (1, 1), **changes})  # type: ignore[arg-type]

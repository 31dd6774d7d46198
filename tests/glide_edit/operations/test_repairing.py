"""Fills by the repair network that ships, at any size and thickness."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from glide_edit.operations import repairing
from glide_edit.operations.repairing import repair_fill
from masks import telea

Picture = NDArray[np.float32]


def photograph(name: str = "chelsea") -> Picture:
    return np.asarray(getattr(data, name)()[:300, :420] / np.float32(127.5) - 1, np.float32)


def kept_beside(shape: tuple[int, ...], thickness: int) -> NDArray[np.bool_]:
    """A line across is hidden."""
    hidden = np.zeros(shape[:2], np.uint8)
    cv2.line(hidden, (-9, shape[0] // 3), (shape[1] + 9, shape[0] // 2), 1, thickness)
    return hidden == 0


def psnr(one: Picture, other: Picture, where: NDArray[np.bool_]) -> float:
    return float(10 * np.log10(4 / np.square(one - other)[where].mean()))


@pytest.mark.parametrize("thickness", [1, 9, 60, 140])
@pytest.mark.parametrize("size", [(300, 420), (37, 61)])
def test_the_known_part_stays_and_the_hidden_one_is_not_read(thickness: int, size: tuple[int, int]) -> None:
    picture = photograph()[: size[0], : size[1]]
    kept = kept_beside(picture.shape, thickness)
    filled = repair_fill(np.where(kept[..., None], picture, np.float32(np.nan)), kept)
    assert filled.dtype == np.float32
    assert np.array_equal(filled[kept], picture[kept])
    assert np.isfinite(filled).all()
    assert np.abs(filled).max() <= 1
    assert np.array_equal(repair_fill(picture, kept), filled)


def test_everything_known_and_nothing_known() -> None:
    picture = photograph()[:40, :50]
    assert np.array_equal(repair_fill(picture, np.ones((40, 50), bool)), picture)
    assert np.isfinite(repair_fill(picture, np.zeros((40, 50), bool))).all()


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
@pytest.mark.parametrize(("thickness", "lead"), [(4, 0.3), (9, 0.3), (24, 0.3)])
def test_it_is_nearer_to_what_was_there_than_opencv(name: str, thickness: int, lead: float) -> None:
    picture = photograph(name)
    kept = kept_beside(picture.shape, thickness)
    assert psnr(repair_fill(picture, kept), picture, ~kept) > lead + psnr(
        telea(picture, kept, 3), picture, ~kept
    )


def test_an_edge_goes_on_through_a_spot() -> None:
    picture = np.full((160, 160, 3), -0.6, np.float32)
    picture[:, 80:] = 0.5
    kept = np.ones((160, 160), bool)
    kept[66:94, 66:94] = False
    filled = repair_fill(picture, kept)
    assert np.abs(filled - picture)[66:94, 66:76].max() < 0.25
    assert np.abs(filled - picture)[66:94, 84:94].max() < 0.25


def test_cells_join_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photograph("astronaut")
    kept = kept_beside(picture.shape, 7)
    whole = repair_fill(picture, kept)
    monkeypatch.setattr(repairing, "CELL", 64)
    cut = repair_fill(picture, kept)
    assert np.abs(cut - whole)[~kept].mean() < 0.02
    assert psnr(cut, picture, ~kept) > psnr(whole, picture, ~kept) - 0.3


def roughness(picture: Picture, where: NDArray[np.bool_]) -> float:
    return float(np.abs(picture - cv2.GaussianBlur(picture, (0, 0), 2))[where].mean())


def test_a_large_hole_is_as_rough_as_what_surrounds_it() -> None:
    rows, columns = np.mgrid[:256, :256].astype(np.float32)
    sky = np.repeat((rows / 400 + 0.2 * np.sin(columns / 60) - 0.3)[..., None], 3, 2)
    fine = np.random.default_rng(1).standard_normal((256, 256, 3)).astype(np.float32)
    rough = np.clip(sky + 4 * cv2.GaussianBlur(fine, (0, 0), 2), -1, 1)
    hidden = np.hypot(rows - 130, columns - 120) < 45
    inside = np.hypot(rows - 130, columns - 120) < 38
    plain_fill, rough_fill = (repair_fill(each, ~hidden) for each in (sky, rough))
    assert roughness(plain_fill, inside) < 0.004
    assert np.abs(plain_fill - sky)[inside].max() < 0.12
    assert 0.6 < roughness(rough_fill, inside) / roughness(rough, inside) < 1.3

"""Crops of large pictures at a smaller size: the same as all at once."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from masks import RING_WIDTH, Crop, Mask, reduce_keep, reduce_known, shape, shrink_keep, shrink_known


@given(
    seed=st.integers(0, 99),
    side=st.integers(60, 150),
    size=st.integers(20, 60),
    place=st.tuples(st.integers(-20, 40), st.integers(-20, 40)),
)
@settings(max_examples=40, deadline=None)
def test_bands_give_what_the_whole_crop_gives(
    seed: int, side: int, size: int, place: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (110, 90, 3), dtype=np.uint8)
    unknown = np.zeros((110, 90), bool)
    y, x = random.integers(0, 80, 2)
    unknown[y : y + 30, x : x + 25] = True
    crop = Crop(place[0], place[1], side, 110, 90)
    hidden = crop.extract_mask(unknown)
    wanted, keep = shrink_known(crop.extract(picture), ~hidden, (size, size))
    reduced, reduced_keep = reduce_known(crop, picture, unknown, size)
    assert not (reduced_keep & ~keep).any(), "nothing is known that was not"
    assert (reduced_keep == keep).mean() > 0.97
    np.testing.assert_allclose(reduced[reduced_keep], wanted[reduced_keep], atol=0.02)
    with_ring = reduce_keep(crop, unknown, size, RING_WIDTH)
    exact = shrink_keep(~shape.grow(Mask(hidden), RING_WIDTH).selected, (size, size))
    assert not (with_ring & ~exact)[1:-1, 1:-1].any()

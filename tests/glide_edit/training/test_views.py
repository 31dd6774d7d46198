"""The mixture of conditions: how often each is given, and that it says what it should."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from glide_edit.training.sources import Item
from glide_edit.training.views import Mixture, View, make_view, vary_drawing

COUNT = 3000


def views(source: Any, mixture: Mixture, count: int) -> list[tuple[Item, View]]:
    items = [source.draw(np.random.default_rng(k)) for k in range(count)]
    return [(item, make_view(item, mixture, np.random.default_rng([1, k]))) for k, item in enumerate(items)]


def assert_share(hits: int, share: float, count: int = COUNT) -> None:
    """Four standard deviations of a binomial: wrong once in 16,000 times, and here never, for the seeds."""
    assert hits / count == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / count))


def test_every_condition_comes_as_often_as_the_mixture_says(squares: Any) -> None:
    mixture = Mixture()
    made = [view for _, view in views(squares(16), mixture, COUNT)]
    assert_share(sum(view.caption == "" for view in made), 1 - mixture.caption)
    assert_share(sum(bool(view.drawing.any()) for view in made), mixture.drawing)
    assert_share(sum(bool(view.keep.any()) for view in made), mixture.known)
    alone = mixture.known * mixture.object_mask * mixture.object_caption * mixture.caption
    assert_share(sum(view.caption == "a square" for view in made), alone)
    # Each is drawn for itself, so that every mixture of them is seen.
    nothing = (1 - mixture.caption) * (1 - mixture.known) * (1 - mixture.drawing)
    bare = [v for v in made if not v.caption and not v.keep.any() and not v.drawing.any()]
    assert_share(len(bare), nothing)


def test_an_object_mask_hides_all_of_the_object_and_half_the_captions_name_it_alone(squares: Any) -> None:
    made = views(squares(24), Mixture(known=1, object_mask=1, caption=1), COUNT)
    for item, view in made:
        assert not (view.keep & item.objects[0]).any()
    assert_share(sum(view.caption == "a square" for _, view in made), 0.5)
    assert {view.caption for _, view in made} == {"a square", "a square on grey"}
    # Mostly it is near the object, rather than everywhere.
    assert np.mean([view.keep.mean() for _, view in made]) > 0.4


def test_captions_may_be_given_less_often_where_pixels_are_known(squares: Any) -> None:
    mixture = Mixture(known=0.5, caption=0.9, known_caption=0.3)
    made = [view for _, view in views(squares(16), mixture, COUNT)]
    known = [view for view in made if view.keep.any()]
    assert_share(sum(view.caption != "" for view in known), 0.3, len(known))
    bare = [view for view in made if not view.keep.any()]
    assert_share(sum(view.caption != "" for view in bare), 0.9, len(bare))


def test_boxes_and_strokes_hide_something_and_name_everything(squares: Any) -> None:
    made = [view for _, view in views(squares(24), Mixture(known=1, object_mask=0, caption=1), 500)]
    assert {view.caption for view in made} == {"a square on grey"}
    hidden = np.array([1 - view.keep.mean() for view in made])
    assert hidden.min() > 0
    assert hidden.std() > 0.1
    assert len({view.keep.tobytes() for view in made}) > 450


def test_a_view_follows_from_the_generator_alone(squares: Any) -> None:
    item = squares(16).draw(np.random.default_rng(0))
    mixture = Mixture(known=1, drawing=1)
    first, second, other = (make_view(item, mixture, np.random.default_rng(k)) for k in (5, 5, 6))
    assert first.caption == second.caption
    for name in ("image", "keep", "drawing", "foreground"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert any((getattr(first, name) != getattr(other, name)).any() for name in ("keep", "drawing"))


def test_the_order_of_draws_is_that_of_runs_under_way(squares: Any) -> None:
    """A run begun with an older version goes on with the data that it would have seen."""
    item = squares(16).draw(np.random.default_rng(0))
    # With a mask, with a drawing, with both, with a caption of the object, with all three.
    for seed, expected in {0: 970742, 1: 511821, 9: 809924, 22: 319991, 25: 152035}.items():
        rng = np.random.default_rng(seed)
        make_view(item, Mixture(), rng)
        assert int(rng.integers(1_000_000)) == expected, seed


def test_pictures_are_never_mirrored_or_changed(squares: Any) -> None:
    for item, view in views(squares(16), Mixture(), 200):
        np.testing.assert_array_equal(view.image, item.image)
        assert not np.shares_memory(view.image, item.image)


def test_the_foreground_is_the_items(squares: Any) -> None:
    for item, view in views(squares(16), Mixture(known=1), 50):
        assert item.foreground is not None
        assert item.foreground.any()
        np.testing.assert_array_equal(view.foreground, item.foreground)


def test_drawings_stay_in_range_and_vary(squares: Any) -> None:
    drawing = squares(32).draw(np.random.default_rng(0)).drawing
    made = [vary_drawing(drawing, np.random.default_rng(k)) for k in range(200)]
    for varied in made:
        assert varied.dtype == np.float32
        assert varied.shape == drawing.shape
        assert varied.min() == -1
        assert -1 < varied.max() <= 1
        assert (varied < -0.9).mean() > 0.4, "most of it is paper"
    # Some have nothing but their strength varied, and that is cut off at black.
    assert len({varied.tobytes() for varied in made}) > 150
    ink = [(varied > 0).mean() for varied in made]
    assert np.std(ink) > 0.01


def test_without_a_drawing_or_objects_none_is_made_up() -> None:
    item = Item(np.zeros((16, 16, 3), np.uint8), lambda seed: f"number {seed % 2}")
    made = [make_view(item, Mixture(known=1, drawing=1), np.random.default_rng(k)) for k in range(100)]
    assert not any(view.drawing.any() for view in made)
    assert {view.caption for view in made} == {"", "number 0", "number 1"}
    assert not any(view.foreground.any() for view in made)

"""The mask doctor: each thing that can be wrong is found, said, and where possible mended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mask_strategies import masks, quick, sizes
from skimage import data

from masks import Finding, Mask, MaskError, diagnose, draw, mend, shape, solve_crop

SIZE = (300, 400)
GOOD = draw.ellipse((120, 90, 260, 210), SIZE)


def codes(mask: Mask, *arguments: Any, **settings: Any) -> list[str]:
    return [each.code for each in diagnose(mask, *arguments, **settings)]


def only(code: str, mask: Mask, *arguments: Any, **settings: Any) -> Finding:
    """The finding with this code, of which there is one."""
    (found,) = (each for each in diagnose(mask, *arguments, **settings) if each.code == code)
    return found


def test_nothing_is_said_of_a_good_mask() -> None:
    assert diagnose(GOOD, SIZE) == ()
    assert mend(GOOD, SIZE) == (GOOD, ())


def test_an_empty_mask() -> None:
    found = only("empty", Mask.empty(SIZE), SIZE)
    assert found.severity == "error"
    assert codes(Mask.empty(SIZE)) == ["empty"]
    with pytest.raises(MaskError, match="without you"):
        found.fix(Mask.empty(SIZE))


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_a_mask_of_the_stored_picture_is_turned_as_exif_says(orientation: int) -> None:
    upright = draw.box((10, 20, 200, 120), (400, 300))
    undo = {5: 5, 6: 8, 7: 7, 8: 6}[orientation]
    stored = shape.turn_upright(upright, undo)
    found = only("turned", stored, (400, 300), orientation)
    assert found.severity == "error"
    assert f"EXIF orientation {orientation}" in found.text
    assert found.fix(stored) == upright
    assert mend(stored, (400, 300), orientation)[0] == upright


def test_which_way_a_mask_was_turned_cannot_be_guessed() -> None:
    found = only("turned", GOOD, (400, 300))
    assert found.remedy is None
    assert "turn the mask" in found.text


@pytest.mark.parametrize(("orientation", "how"), [(2, "mirrored"), (3, "upside down"), (4, "mirrored")])
def test_a_picture_stored_mirrored_is_only_a_note(orientation: int, how: str) -> None:
    found = only("orientation", GOOD, SIZE, orientation)
    assert found.severity == "note"
    assert how in found.text
    assert codes(GOOD, None, orientation) == []


def test_a_square_picture_does_not_tell_whether_it_was_turned() -> None:
    mask = draw.ellipse((90, 60, 210, 190), (300, 300))
    assert [each.code for each in diagnose(mask, (300, 300), 6)] == ["orientation"]
    assert "on its side" in only("orientation", mask, (300, 300), 6).text
    assert diagnose(mask, (300, 300)) == ()


def test_a_mask_at_another_scale_is_scaled() -> None:
    found = only("scaled", GOOD, (601, 801))
    assert found.severity == "error"
    assert found.fix(GOOD).size == (601, 801)
    assert found.fix(GOOD).share == pytest.approx(GOOD.share, rel=0.01)
    assert only("size", GOOD, (600, 850)).remedy is None


@pytest.mark.parametrize(("share", "said"), [(0.85, False), (0.9, False), (0.91, True)])
def test_over_nine_tenths(share: float, said: bool) -> None:
    mask = draw.box((0, 0, 400, round(300 * share)), SIZE)
    assert ("large" in codes(mask)) is said


def test_everything() -> None:
    assert codes(Mask.full(SIZE), SIZE) == ["everything"]
    assert codes(Mask.full((1, 1)), (1, 1)) == ["everything"]


def test_an_inverted_mask_is_turned_round() -> None:
    found = only("inverted", ~GOOD, SIZE)
    assert found.severity == "warning"
    assert found.fix(~GOOD) == GOOD
    assert mend(~GOOD, SIZE)[0] == GOOD
    below = draw.box((0, 100, 400, 300), SIZE)  # two thirds, as one paints a foreground
    assert "inverted" not in codes(below)


def test_specks_are_counted_and_dropped() -> None:
    specks = draw.strokes([[(20, 20)], [(380, 280)]], 1, SIZE)
    dirty = GOOD | specks
    found = only("specks", dirty, SIZE)
    assert "2 specks" in found.text
    assert f"({specks.count} pixels in all)" in found.text
    alone, both = solve_crop(GOOD).side, solve_crop(dirty).side
    assert f"from {alone:,} to {both:,} px" in found.text
    assert found.fix(dirty) == GOOD


def test_strokes_of_like_size_are_no_specks() -> None:
    dots = draw.strokes([[(60, 60)], [(340, 60)], [(200, 240)]], 20, SIZE)
    assert codes(dots, SIZE) == []


def test_small_holes_are_counted_and_filled_and_large_ones_left() -> None:
    pinholes = draw.strokes([[(170, 150)], [(200, 120)], [(220, 160)]], 1, SIZE)
    window = draw.box((180, 170, 210, 190), SIZE)
    ring = GOOD - pinholes - window
    found = only("holes", ring, SIZE)
    assert "3 small holes" in found.text
    assert f"({pinholes.count} pixels in all)" in found.text
    assert found.fix(ring) == GOOD - window
    enclosed = only("enclosed", ring, SIZE)
    assert (enclosed.severity, enclosed.remedy) == ("note", None)
    assert "1 area (600 pixels" in enclosed.text
    assert codes(GOOD - window, SIZE) == ["enclosed"]


@pytest.mark.parametrize(("thickness", "said"), [(9, True), (11, True), (13, False), (15, False)])
def test_thin_is_below_3_px_at_the_models_size(thickness: int, said: bool) -> None:
    """A bar of 128 px makes a crop of 2 x (128 + 4) = 264 px: 3 of 64 px there are 12.4 px of the picture."""
    bar = draw.box((200, 400, 328, 400 + thickness), (1000, 1000))
    assert ("thin" in codes(bar, context=2)) is said
    assert "thin" not in codes(bar, context=2, network_size=256)
    assert "thin" in codes(bar, context=4)
    assert "thin" not in codes(bar, context=2, grow=3)


def test_a_thin_line_is_grown_until_it_is_not() -> None:
    line = draw.strokes([(100, 100), (900, 500)], 1, (1000, 1000))
    found = only("thin", line, line.size)
    assert found.severity == "warning"
    grown = found.fix(line)
    assert "thin" not in codes(grown)
    assert found.remedy is not None
    growth = int(found.remedy.split()[3])
    assert "thin" in codes(shape.grow(line, growth * 0.7))


def test_a_thin_part_beside_a_thick_one_is_a_note() -> None:
    both = GOOD | draw.box((280, 100, 283, 200), SIZE)
    found = only("thin", both, SIZE)
    assert (found.severity, found.remedy) == ("note", None)
    assert "1 of 2 parts" in found.text


@pytest.mark.parametrize(
    ("box", "said"),
    [
        ((0, 100, 90, 200), "the left edge of"),
        ((300, 0, 400, 90), "the top and right edges of"),
        ((0, 200, 400, 300), "the left, right and bottom edges of"),
    ],
)
def test_which_edges_are_touched(box: tuple[int, int, int, int], said: str) -> None:
    found = only("edge", draw.box(box, SIZE), SIZE)
    assert found.severity == "note"
    assert said in found.text


def test_the_worst_comes_first_and_everything_goes_into_json() -> None:
    dirty = (GOOD | draw.box((2, 2, 4, 4), SIZE) | draw.box((399, 0, 400, 1), SIZE)) - draw.box(
        (180, 150, 182, 151), SIZE
    )
    found = diagnose(dirty, (600, 800), 3, context=2)
    assert [each.code for each in found] == ["scaled", "specks", "holes", "edge", "orientation"]
    assert found[1].to_json() == {
        "code": "specks",
        "severity": "warning",
        "text": found[1].text,
        "remedy": "drop islands of fewer than 20 px",
    }
    mended, done = mend(dirty, (600, 800), 3)
    assert [each.code for each in done] == ["scaled", "specks", "holes"]
    assert [each.severity for each in diagnose(mended, (600, 800), 3)] == ["note"]
    assert mend(dirty, (600, 800), 3, codes=["scaled"])[1] == done[:1]


def test_a_wand_on_a_photograph_leaves_specks_and_mending_finds_no_more() -> None:
    from masks import select

    cat = data.chelsea()
    rough = select.magic_wand(cat, (220, 120), 24, contiguous=False)
    assert {"specks", "holes"} <= set(codes(rough, rough.size))
    mended, _ = mend(rough, rough.size, codes=["specks", "holes"])
    assert not {"specks", "holes"} & set(codes(mended, rough.size))
    assert mended.count == pytest.approx(rough.count, rel=0.2)


@quick
@given(masks(may_be_empty=True), st.one_of(st.none(), sizes), st.integers(1, 8), st.floats(0, 9))
def test_any_mask_is_answered(
    mask: Mask, size: tuple[int, int] | None, orientation: int, grow: float
) -> None:
    found = diagnose(mask, size, orientation, grow=grow)
    assert len({each.code for each in found}) == len(found)
    usable = not mask.is_empty and size in (None, mask.size)
    assert any(each.severity == "error" for each in found) is not usable
    for each in found:
        assert "\n" not in each.text
        assert (each.remedy is None) is (each.mend is None)
        if each.mend is not None:
            assert isinstance(each.fix(mask), Mask)


def test_the_place_of_a_selection_makes_no_difference() -> None:
    """Only the surroundings of the selection are looked at."""
    spot = draw.strokes([(0, 0), (30, 12)], 2, (14, 33)).selected
    large = np.zeros((900, 900), bool)
    large[500 : 500 + 14, 300 : 300 + 33] = spot
    other = np.zeros((900, 900), bool)
    other[40 : 40 + 14, 600 : 600 + 33] = spot
    assert diagnose(Mask(large), grow=1.5) == diagnose(Mask(other), grow=1.5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"orientation": 0}, "from 1 to 8"),
        ({"network_size": 0}, "network of 0 px"),
        ({"grow": -1}, "-1 px"),
        ({"grow": float("nan")}, "nan px"),
        ({"context": 0.5}, "at least 1"),
        ({"protect": Mask.full(SIZE)}, "covers the whole selection"),
        ({"picture_size": (0, 3)}, "height, width"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(MaskError, match=message):
        diagnose(GOOD, **settings)

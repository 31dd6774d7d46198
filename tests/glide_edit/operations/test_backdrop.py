"""Things put into a photograph: cut out of what was drawn, and put onto a fill of the selection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glide_edit.editor import Editor
from glide_edit.errors import InputError, ModelFormatError
from glide_edit.images import open_picture
from glide_edit.models import Model
from glide_edit.operations import repaint
from glide_edit.operations.backdrop import cut_out
from glide_edit.pipeline.finish import finish
from glide_edit.pipeline.planner import plan_frames
from glide_edit.requests import Inpaint, Outpaint, Remove
from masks import Mask
from tests.glide_edit.operations.stand_ins import tiny_model

SIDE = 200
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
SELECTED = np.hypot(ROWS - 100, COLUMNS - 90) < 60
THING = np.hypot(ROWS - 105, COLUMNS - 92) < 28


def wood() -> NDArray[np.uint8]:
    """Brown stripes with some noise: a texture that a fill can continue."""
    stripes = 20 * np.sin(ROWS / 2.5 + 0.2 * np.sin(COLUMNS / 9))
    noise = np.random.default_rng(0).normal(0, 5, (SIDE, SIDE))
    return (
        np.stack([150 + stripes + noise, 105 + stripes + noise, 70 + stripes + noise], 2)
        .clip(0, 255)
        .astype(np.uint8)
    )


def drawn_with(thing: tuple[int, int, int] | None) -> NDArray[np.float32]:
    """The picture as a small model would draw it: no texture within the selection, and a blue disc."""
    drawn = wood().astype(np.float32)
    drawn[SELECTED] = (140, 110, 90)
    if thing is not None:
        drawn[THING] = thing
    return cv2.GaussianBlur(drawn, (0, 0), 1.5).astype(np.float32)


def request(**settings: Any) -> Inpaint:
    values = {"prompt": "a blue ball", "match_grain": False, **settings}
    return Inpaint(image=open_picture(wood()), mask=Mask.from_array(SELECTED, means="change"), **values)


def edited(drawn: NDArray[np.float32], *, fills: bool, **settings: Any) -> NDArray[Any]:
    """The picture that an edit of one frame gives where ``drawn`` (SIDE, SIDE, 3) is drawn."""
    plan = plan_frames(request(**settings))
    (frame,) = plan.frames
    assert frame.crop is not None
    crop = frame.crop.extract(drawn)
    return finish(replace(plan, frames=(replace(frame, fills_backdrop=fills),)), [crop]).picture.pixels


def detail(picture: NDArray[Any], where: NDArray[np.bool_]) -> float:
    grey = picture.astype(np.float32).mean(axis=2)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F))[where].mean())


BESIDE = SELECTED & (np.hypot(ROWS - 105, COLUMNS - 92) > 40)


def test_the_thing_stays_and_what_lies_behind_it_has_the_texture_of_its_surroundings() -> None:
    drawn = drawn_with((40, 60, 200))
    as_drawn, filled = (edited(drawn, fills=fills) for fills in (False, True))
    outside = ~SELECTED
    assert np.array_equal(filled[outside], wood()[outside])
    core = np.hypot(ROWS - 105, COLUMNS - 92) < 20
    assert np.array_equal(filled[core], as_drawn[core])
    around = detail(wood(), outside)
    assert detail(as_drawn, BESIDE) < 0.3 * around
    assert detail(filled, BESIDE) > 0.6 * around


def test_the_thing_casts_its_shadow_on_the_fill() -> None:
    drawn = drawn_with((40, 60, 200))
    shadow = (np.hypot(ROWS - 137, COLUMNS - 92) < 10) & ~THING
    drawn[shadow] *= 0.6
    dark, light = (edited(each, fills=True)[shadow].mean() for each in (drawn, drawn_with((40, 60, 200))))
    assert dark < 0.9 * light


def test_a_shadow_ends_where_the_selection_ends() -> None:
    drawn = drawn_with((40, 60, 200))
    drawn[SELECTED & ~THING] *= 0.75
    known, fill = ~SELECTED, wood().astype(np.float32)
    cutout = cut_out(np.where(known[..., None], fill, drawn), fill, known)
    assert cutout is not None
    away = cv2.distanceTransform(SELECTED.astype(np.uint8), cv2.DIST_L2, 5)
    left = cutout.behind.mean(2) / fill.mean(2)
    assert left[(away > 0) & (away < 2)].min() > 0.95
    assert left[(away > 22) & ~THING].max() < 0.92


@pytest.mark.parametrize("thing", [None, (140, 110, 90)])
def test_where_no_thing_is_told_the_picture_is_as_drawn(thing: tuple[int, int, int] | None) -> None:
    drawn = drawn_with(thing)
    assert np.array_equal(edited(drawn, fills=True), edited(drawn, fills=False))


def test_what_fills_the_whole_selection_is_no_thing_before_a_backdrop() -> None:
    drawn = drawn_with(None)
    drawn[SELECTED] = (20, 200, 60)
    assert np.array_equal(edited(drawn, fills=True), edited(drawn, fills=False))


def test_values_that_are_not_finite_are_left_to_the_finish() -> None:
    drawn = drawn_with((40, 60, 200))
    known = ~SELECTED
    assert cut_out(drawn, drawn, np.ones_like(known)) is None
    drawn[100, 90] = np.nan
    assert cut_out(drawn, wood().astype(np.float32), known) is None


def test_a_large_selection_is_looked_at_small_and_put_back_at_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = drawn_with((40, 60, 200))
    whole = edited(drawn, fills=True)
    monkeypatch.setattr(repaint, "LARGEST_SIDE", 150)
    small = edited(drawn, fills=True)
    assert np.array_equal(small[~SELECTED], whole[~SELECTED])
    core = np.hypot(ROWS - 105, COLUMNS - 92) < 20
    assert np.abs(small[core].astype(int) - whole[core]).mean() < 2
    assert np.abs(small[BESIDE].astype(int) - whole[BESIDE]).mean() < 25


def test_pieces_of_a_long_selection_are_as_drawn() -> None:
    long = np.zeros((60, 1400), bool)
    long[20:40, 5:1395] = True
    image = open_picture(np.tile(wood()[:60], (1, 7, 1)))
    planned = plan_frames(Inpaint(image=image, mask=Mask.from_array(long, means="change"), prompt="a rope"))
    assert len(planned.frames) > 1
    squares = [
        np.random.default_rng(k).uniform(0, 255, (64, 64, 3)).astype(np.float32)
        for k in range(len(planned.frames))
    ]
    results = [
        finish(
            replace(planned, frames=tuple(replace(frame, fills_backdrop=fills) for frame in planned.frames)),
            squares,
        )
        for fills in (False, True)
    ]
    assert np.array_equal(*(result.picture.pixels for result in results))


def test_it_is_the_same_each_time_and_for_16_bits() -> None:
    drawn = drawn_with((40, 60, 200))
    assert np.array_equal(edited(drawn, fills=True), edited(drawn, fills=True))
    deep = open_picture(wood().astype(np.uint16) * 257)
    plan = plan_frames(replace(request(), image=deep))
    (frame,) = plan.frames
    assert frame.crop is not None
    plan = replace(plan, frames=(replace(frame, fills_backdrop=True),))
    pixels = finish(plan, [frame.crop.extract(drawn)]).picture.pixels
    assert pixels.dtype == np.uint16
    assert np.array_equal(pixels[~SELECTED], deep.pixels[~SELECTED])
    assert np.abs(pixels / 257 - edited(drawn, fills=True)).mean() < 0.5


# -- when -----------------------------------------------------------------------------------------------


def model(backdrop: str) -> Model:
    tiny = tiny_model()
    return replace(tiny, spec=replace(tiny.spec, backdrop=backdrop))


def fills(asked: Inpaint | Outpaint, backdrop: str) -> bool:
    frames = Editor(model(backdrop)).plan(asked).frames
    (each,) = {frame.fills_backdrop for frame in frames}
    return each


@pytest.mark.parametrize(
    ("backdrop", "asked", "expected"),
    [
        ("drawn", request(), False),
        ("filled", request(), True),
        ("filled", request(backdrop="drawn"), False),
        ("drawn", request(backdrop="filled"), True),
        ("filled", request(prompt=""), False),
        ("filled", request(backdrop="filled", prompt=" "), False),
        ("filled", request(mask_fill="surroundings"), False),
        ("filled", Remove(image=open_picture(wood()), mask=Mask.from_array(SELECTED, means="change")), False),
        ("filled", Outpaint(image=open_picture(wood()), left=20, prompt="a ball"), False),
    ],
)
def test_the_request_decides_and_else_the_model(backdrop: str, asked: Any, expected: bool) -> None:
    assert fills(asked, backdrop) == expected


def test_the_preference_is_part_of_the_model() -> None:
    drawn, filled = model("drawn").spec, model("filled").spec
    assert drawn.identity != filled.identity
    assert "backdrop" not in drawn.to_json()
    assert filled.to_json()["backdrop"] == "filled"
    stored = replace(filled, files=dict.fromkeys(filled.file_names, "0" * 64))
    assert type(filled).from_json(stored.to_json()) == stored
    with pytest.raises(ModelFormatError, match="backdrop must be drawn or filled, not 'nice'"):
        model("nice")


def test_an_unknown_backdrop_is_refused() -> None:
    with pytest.raises(InputError, match="backdrop"):
        request(backdrop="nice")


def test_a_plan_says_so_and_goes_through_json() -> None:
    editor = Editor(model("filled"))
    planned = editor.plan(request())
    again = type(planned).from_json(planned.to_json(), planned.request.source)
    assert again == planned
    assert "filled" in str(planned)
    first, second = (editor.run(each).images[0] for each in (planned, request()))
    assert np.array_equal(np.asarray(first), np.asarray(second))

"""Nothing outside the allowed area changes, whatever the picture, the selection, the finish, the network."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.editor import Editor
from glide_edit.images import Picture, open_picture
from glide_edit.requests import FINISHES, MASK_FILLS, Inpaint, Outpaint, Remove
from glide_edit.results import EditResult
from masks import Mask, derive_areas
from tests.glide_edit.operations.stand_ins import noise, stand_in_editor, told

Plane = NDArray[np.bool_]

# Networks that do not behave -------------------------------------------------------------------------------


def _wild(x: Tensor) -> Tensor:
    """Noise over 60 orders of magnitude."""
    generator = torch.Generator().manual_seed(5)
    size = torch.randint(-30, 30, x.shape, generator=generator)
    return torch.randn(x.shape, generator=generator) * 10.0**size


def _speckled(x: Tensor, value: float) -> Tensor:
    holes = torch.rand(x.shape, generator=torch.Generator().manual_seed(6)) < 0.1
    return torch.where(holes, value, torch.randn(x.shape, generator=torch.Generator().manual_seed(8)))


HOSTILE: dict[str, Callable[[Tensor], Tensor]] = {
    "wild": _wild,
    "white": lambda x: torch.full_like(x, 1.0),
    "huge": lambda x: torch.full_like(x, 3e38),
    "black": lambda x: torch.full_like(x, -1e20),
    "not a number": lambda x: torch.full_like(x, torch.nan),
    "infinite": lambda x: torch.full_like(x, -torch.inf),
    "speckled with NaN": lambda x: _speckled(x, torch.nan),
    "speckled with inf": lambda x: _speckled(x, torch.inf),
    "the noise itself": lambda x: x,
}

# Selections ------------------------------------------------------------------------------------------------


def _pixel(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    selected = np.zeros(size, bool)
    selected[rng.integers(size[0]), rng.integers(size[1])] = True
    return selected


def _strokes(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    canvas = np.zeros(size, np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        points = rng.integers(0, size[::-1], (int(rng.integers(2, 5)), 2))
        cv2.polylines(canvas, [points.astype(np.int32)], False, 255, int(rng.integers(1, 12)))
    return canvas > 0


def _box(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    (y0, y1), (x0, x1) = (sorted(rng.integers(0, n, 2)) for n in size)
    selected = np.zeros(size, bool)
    selected[y0 : y1 + 1, x0 : x1 + 1] = True
    return selected


def _full(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    return np.ones(size, bool)


def _border(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    """A frame around the picture, or all but a frame."""
    width = int(rng.integers(1, 20))
    selected = np.ones(size, bool)
    selected[width:-width, width:-width] = False
    return ~selected if rng.random() < 0.3 and not selected.all() else selected


def _specks(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    selected = rng.random(size) < rng.choice([0.001, 0.05, 0.5, 0.99])
    return selected if selected.any() else _pixel(size, rng)


def _edge(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    """One row or column at the picture's very edge."""
    selected = np.zeros(size, bool)
    np.rot90(selected, int(rng.integers(4)))[0] = True
    return selected


SHAPES: dict[str, Callable[[tuple[int, int], np.random.Generator], Plane]] = {
    "pixel": _pixel,
    "strokes": _strokes,
    "box": _box,
    "full": _full,
    "border": _border,
    "specks": _specks,
    "edge": _edge,
}


@dataclass(frozen=True)
class Case:
    """A picture of noise, what is selected in it, and how it is edited by whom."""

    height: int
    width: int
    shape: str
    seed: int
    bits: int
    alpha: bool
    finish: str
    network: str
    threshold: str
    upsampler: bool
    grow: int
    protect: bool
    context: float

    def request(self) -> Inpaint:
        rng = np.random.default_rng(self.seed)
        size = self.height, self.width
        pixels = noise(*size, channels=4 if self.alpha else 3, bits=self.bits, seed=self.seed)
        selected = SHAPES[self.shape](size, rng)
        protect = Mask(_specks(size, rng) & ~_pixel(size, rng)) if self.protect else None
        if protect is not None and not (selected & ~protect.selected).any():
            protect = None
        finish: Any = self.finish
        return Inpaint(
            image=open_picture(pixels),
            mask=Mask(selected),
            grow=self.grow,
            protect=protect,
            context=self.context,
            finish=finish,
            seed=self.seed,
        )

    def editor(self) -> Editor:
        return stand_in_editor(HOSTILE[self.network], upsampler=self.upsampler, threshold=self.threshold)


sides = st.one_of(st.integers(1, 700), st.integers(1, 40), st.sampled_from([1, 2, 3, 63, 64, 65, 256, 700]))
cases = st.builds(  # of any shape and finish: the test goes through all of them
    Case,
    height=sides,
    width=sides,
    shape=st.just(""),
    seed=st.integers(0, 2**16),
    bits=st.sampled_from([8, 16]),
    alpha=st.booleans(),
    finish=st.just(""),
    network=st.sampled_from(sorted(HOSTILE)),
    threshold=st.sampled_from(["static", "dynamic"]),
    upsampler=st.booleans(),
    grow=st.sampled_from([0, 0, 1, 5, 40]),
    protect=st.booleans(),
    context=st.floats(1, 16),
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("finish", FINISHES)
@given(case=cases)
@settings(max_examples=6, deadline=None)
def test_nothing_outside_the_allowed_area_changes(shape: str, finish: str, case: Case) -> None:
    check_case(replace(case, shape=shape, finish=finish))


@pytest.mark.parametrize(
    "case",
    [
        Case(1, 1, "full", 0, 8, False, "membrane", "wild", "static", False, 0, False, 2.0),
        Case(700, 1, "pixel", 1, 16, True, "membrane", "wild", "dynamic", True, 0, False, 2.0),
        Case(1, 700, "strokes", 2, 8, True, "feather", "speckled with NaN", "static", True, 5, True, 1.0),
        Case(64, 64, "box", 3, 16, False, "hard", "not a number", "static", False, 0, False, 16.0),
        Case(700, 700, "specks", 4, 16, True, "membrane", "wild", "static", True, 1, True, 1.5),
    ],
    ids=["one pixel", "standing sliver", "lying sliver", "nothing drawn", "large"],
)
def test_nor_in_the_corner_cases(case: Case) -> None:
    check_case(case)


@pytest.mark.parametrize("mask_fill", MASK_FILLS)
@given(case=cases, shape=st.sampled_from(["strokes", "specks", "box"]), finish=st.sampled_from(FINISHES))
@settings(max_examples=4, deadline=None)
def test_nor_whatever_the_selection_begins_from(mask_fill: str, case: Case, shape: str, finish: str) -> None:
    check_request(
        replace(case, shape=shape, finish=finish).request().replace(mask_fill=mask_fill), case.editor()
    )


def _far_apart(size: tuple[int, int], rng: np.random.Generator) -> Plane:
    """Small patches in the corners and somewhere else."""
    selected = np.zeros(size, bool)
    for rows in (slice(5, 20), slice(-30, -8)):
        for columns in (slice(3, 25), slice(-40, -10)):
            selected[rows, columns] = rng.random() < 0.8
    selected[size[0] // 2, size[1] // 2] = True
    return selected


@given(case=cases, seed=st.integers(0, 99), finish=st.sampled_from(FINISHES))
@settings(max_examples=8, deadline=None)
def test_nor_where_parts_are_drawn_one_after_the_other(case: Case, seed: int, finish: str) -> None:
    request = replace(case, height=500, width=650, shape="box", finish=finish, context=2.0).request()
    mask = Mask(_far_apart((500, 650), np.random.default_rng(seed)))
    result = check_request(request.replace(mask=mask, protect=None), case.editor())
    assert "parts that lie far apart" in " ".join(result.notes)


@given(case=cases, shape=st.sampled_from(sorted(SHAPES)))
@settings(max_examples=8, deadline=None)
def test_nor_where_something_is_removed(case: Case, shape: str) -> None:
    request = replace(case, shape=shape, finish="membrane").request()
    remove = Remove(image=request.image, mask=request.mask, protect=request.protect, grow=case.grow)
    check_request(remove, case.editor())


@given(
    case=cases, left=st.integers(0, 90), top=st.integers(0, 90), aspect=st.sampled_from([None, "2:1", "1:3"])
)
@settings(max_examples=8, deadline=None)
def test_nor_in_a_picture_that_is_made_larger(case: Case, left: int, top: int, aspect: str | None) -> None:
    height, width = max(8, case.height % 200), max(8, case.width % 200)
    pixels = noise(height, width, channels=4 if case.alpha else 3, bits=case.bits, seed=case.seed)
    request = Outpaint(image=open_picture(pixels), left=left + 1, top=top, aspect=aspect, detail=False)
    result = case.editor().run(request)
    made, place = result.pictures[0], request.place
    assert np.array_equal(made.pixels[place], pixels[..., :3])
    assert result.receipts[0].kept
    assert result.receipts[0].preservation.outside == height * width
    if case.alpha:
        assert made.alpha is not None
        assert np.array_equal(made.alpha[place], pixels[..., 3])


@pytest.mark.parametrize("shape", ["strokes", "far apart"])
def test_nor_in_a_large_photograph(shape: str) -> None:
    """12 megapixels, with protected pixels, grown, in one crop and in several, with detail."""
    size = (3000, 4000)
    rng = np.random.default_rng(3)
    selected = np.zeros(size, bool)
    selected[1000:1240, 2000:2300] = True
    if shape == "far apart":
        selected[:40, :60] = selected[-50:, -30:] = True
    protect = np.zeros(size, bool)
    protect[1100:1120] = True
    editor = stand_in_editor(HOSTILE["wild"], upsampler=True)
    image = open_picture(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    request = Inpaint(image=image, mask=Mask(selected), grow=7, protect=Mask(protect), finish="feather")
    result = editor.run(request)
    check_kept(image, result, derive_areas(request.mask, 7, request.protect).allowed)


def check_case(case: Case) -> None:
    check_request(case.request(), case.editor())


def check_request(request: Inpaint, editor: Editor) -> EditResult:
    before = request.image.pixels.copy()
    # What may change, worked out without the code under test where that is possible.
    allowed = derive_areas(request.mask, request.grow, request.protect).allowed
    if request.grow == 0:
        expected = request.mask if request.protect is None else request.mask - request.protect
        assert allowed == expected
    result = editor.run(request)
    assert np.array_equal(request.image.pixels, before), "the source itself was changed"
    check_kept(request.image, result, allowed)
    with tempfile.TemporaryDirectory() as folder:
        check_file(request.image, result, allowed, Path(folder) / "edit.png")
    return result


def check_kept(source: Picture, result: EditResult, allowed: Mask) -> None:
    edited, receipt = result.pictures[0], result.receipts[0]
    outside = ~allowed.selected
    assert edited.pixels.shape == source.pixels.shape
    assert edited.pixels.dtype == source.pixels.dtype
    assert np.array_equal(edited.pixels[outside], source.pixels[outside])
    assert same_alpha(edited, source)
    assert receipt.kept
    assert receipt.preservation.outside == np.count_nonzero(outside)
    assert receipt.preservation.before_sha256 == receipt.preservation.after_sha256
    assert str(receipt) == f"0 of {np.count_nonzero(outside):,} pixels outside changed"
    assert result.allowed == allowed


def check_file(source: Picture, result: EditResult, allowed: Mask, path: Path) -> None:
    receipt = result.save(path)
    # OpenCV reads the file here, not the project's own reader.
    written = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert written is not None
    outside = ~allowed.selected
    assert written.dtype == source.pixels.dtype
    assert np.array_equal(written[..., 2::-1][outside], source.pixels[outside])
    if source.alpha is not None:
        assert np.array_equal(written[..., 3], source.alpha)
    assert receipt is not None
    assert receipt.kept
    assert receipt.where == path.name
    assert receipt.preservation == result.receipts[0].preservation


def same_alpha(one: Picture, other: Picture) -> bool:
    if one.alpha is None or other.alpha is None:
        return one.alpha is other.alpha
    return np.array_equal(one.alpha, other.alpha)


@pytest.mark.parametrize("network", ["white", "the noise itself", "wild"])
def test_the_selection_itself_does_change(network: str) -> None:
    """Otherwise doing nothing at all would pass."""
    pixels = np.full((50, 60, 3), 90, np.uint8)
    mask = np.zeros((50, 60), bool)
    mask[10:30, 20:40] = True
    result = stand_in_editor(HOSTILE[network]).inpaint(pixels, Mask(mask), finish="hard")
    changed = (result.pictures[0].pixels != pixels).any(axis=2)
    assert changed[mask].mean() > 0.9


def test_what_was_not_drawn_stays_the_original_and_is_said() -> None:
    pixels = noise(40, 40)
    result = stand_in_editor(HOSTILE["not a number"]).inpaint(pixels, Mask.full((40, 40)))
    assert np.array_equal(result.pictures[0].pixels, pixels)
    assert any("not finite" in note for note in result.notes)


@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    shape=st.sampled_from(sorted(SHAPES)),
    seed=st.integers(0, 99),
    finish=st.sampled_from(["hard", "membrane"]),
)
@settings(max_examples=40, deadline=None)
def test_nothing_of_what_was_selected_shines_through(
    height: int, width: int, shape: str, seed: int, finish: Any
) -> None:
    """Two pictures that differ only inside the selection become the same: the network cannot have seen it."""
    mask = Mask(SHAPES[shape]((height, width), np.random.default_rng(seed)))
    one, other = noise(height, width, seed=seed), noise(height, width, seed=seed + 1)
    other[~mask.selected] = one[~mask.selected]
    editor = stand_in_editor(lambda x: torch.zeros_like(x), upsampler=True)
    results = [editor.inpaint(pixels, mask, finish=finish).pictures[0] for pixels in (one, other)]
    assert np.array_equal(results[0].pixels, results[1].pixels)
    for stage in (0, 1):
        calls = told(editor, stage)
        half = len(calls) // 2
        for before, after in zip(calls[:half], calls[half:], strict=True):
            assert before[0].known is not None
            assert after[0].known is not None
            assert torch.equal(before[0].known, after[0].known)

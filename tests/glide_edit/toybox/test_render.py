"""Pictures, masks, shadows and drawings."""

import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glide_edit.errors import InputError
from glide_edit.toybox import COLOURS, Rendering, Scene, kernels, patterns, render, sample_scene
from glide_edit.toybox.render import line_drawing

FIELDS = ("image", "visible", "whole", "shadow", "drawing")


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Scene, Rendering]]:
    scenes = [sample_scene(seed) for seed in range(24)]
    return [(scene, render(scene, 96)) for scene in scenes]


def content(rendering: Rendering) -> list[bytes]:
    return [getattr(rendering, name).tobytes() for name in FIELDS]


def test_shapes_and_types() -> None:
    scene = next(s for s in map(sample_scene, range(50)) if len(s.toys) == 3)
    full, quick = render(scene, 70), render(scene, 70, "image")
    described = {name: (getattr(full, name).shape, getattr(full, name).dtype) for name in FIELDS}
    assert described == {
        "image": ((70, 70, 3), np.uint8),
        "visible": ((70, 70), np.int8),
        "whole": ((3, 70, 70), np.bool_),
        "shadow": ((3, 70, 70), np.bool_),
        "drawing": ((70, 70), np.uint8),
    }
    assert quick.whole.size == quick.shadow.size == quick.drawing.size == 0
    assert (quick.image == full.image).all()
    assert (quick.visible == full.visible).all()


def test_same_scene_same_bytes_whatever_the_threads_and_through_json() -> None:
    scene = sample_scene(9)
    again = Scene.from_json(json.loads(json.dumps(scene.to_json())))
    first = content(render(scene, 80, threads=1))
    assert content(render(again, 80, threads=3)) == first
    with ThreadPoolExecutor(3) as pool:
        assert all(content(r) == first for r in pool.map(lambda _: render(scene, 80, threads=1), range(6)))
    assert content(render(sample_scene(10), 80)) != first


@pytest.mark.parametrize("arguments", [(8, "all", 1), (5000, "all", 1), (64, "depth", 1), (64, "all", 0)])
def test_bad_arguments_are_refused(arguments: tuple[int, str, int]) -> None:
    with pytest.raises(InputError):
        render(sample_scene(0), *arguments)  # type: ignore[arg-type]


def test_the_package_imports_without_numba() -> None:
    code = "import sys, glide_edit.toybox; assert 'numba' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_know_their_patterns() -> None:
    stamp = hashlib.sha256(Path(patterns.__file__).read_bytes()).hexdigest()[:12]
    assert stamp == kernels.PATTERNS_STAMP, f"patterns.py changed: set kernels.PATTERNS_STAMP to {stamp!r}"


def test_visible_parts_lie_inside_whole_ones_and_boxes_are_tight(
    pairs: list[tuple[Scene, Rendering]],
) -> None:
    for scene, r in pairs:
        for k in range(len(scene.toys)):
            seen = r.visible == k
            assert not (seen & ~r.whole[k]).any()
            box = r.boxes[k]
            assert box is not None
            x0, y0, x1, y1 = box
            assert seen[y0:y1, x0:x1].sum() == seen.sum()
            assert all(side.any() for side in (seen[y0], seen[y1 - 1], seen[:, x0], seen[:, x1 - 1]))
        assert ((r.visible >= 0) == r.whole.any(0)).all()


def test_whole_is_what_a_toy_alone_shows() -> None:
    scene = next(s for s in map(sample_scene, range(50)) if len(s.toys) == 3)
    together = render(scene, 64)
    for k, toy in enumerate(scene.toys):
        alone = render(replace(scene, toys=(toy,)), 64)
        assert ((alone.visible == 0) == together.whole[k]).all()


def test_a_hidden_toy_has_no_box() -> None:
    scene = next(s for s in map(sample_scene, range(50)) if len(s.toys) == 1)
    away = replace(scene.toys[0], x=scene.toys[0].x + 40.0)
    assert render(replace(scene, toys=(*scene.toys, away)), 32).boxes[1] is None


def test_taking_a_toy_away_changes_little_outside_its_mask_and_shadow() -> None:
    """The promise of the removal masks, checked against a picture without the toy."""
    outside, inside = [], []
    for scene in (s for s in map(sample_scene, range(60)) if len(s.toys) == 2):
        full = render(scene, 64)
        bare = render(replace(scene, toys=scene.toys[:1]), 64, "image")
        moved = np.abs(full.image.astype(int) - bare.image.astype(int)).max(-1)
        near = cv2.dilate((full.whole[1] | full.shadow[1]).astype(np.uint8), np.ones((3, 3))) > 0
        ground = full.visible != 0
        outside.append((moved[ground & ~near] > 25).mean())
        inside.append((moved[ground & near] > 25).mean())
    assert np.mean(outside) < 0.004
    assert np.mean(inside) > 0.4


def test_shadows_lie_on_the_ground_and_are_dark(pairs: list[tuple[Scene, Rendering]]) -> None:
    darker = []
    for scene, r in pairs:
        assert not (r.shadow.any(0) & (r.visible >= 0)).any()
        if scene.ground == "snow" and scene.light == "day":
            ground = r.visible < 0
            shaded, lit = r.shadow.any(0), ground & ~r.shadow.any(0)
            darker.append(r.image[shaded].mean() < r.image[lit].mean() - 15)
    assert len(darker) >= 2
    assert all(darker)


def test_drawings_have_ink_on_outlines_and_none_far_away(pairs: list[tuple[Scene, Rendering]]) -> None:
    for _scene, r in pairs:
        ink = r.drawing < 128
        away = cv2.distanceTransform((~ink).astype(np.uint8), cv2.DIST_L2, 5)
        labels = r.visible.astype(int)
        outline = np.zeros(labels.shape, bool)
        outline[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        outline[1:] |= labels[1:] != labels[:-1]
        assert (away[outline] <= 2.0).mean() > 0.99
        toys = cv2.dilate((labels >= 0).astype(np.uint8), np.ones((7, 7)))
        assert (r.drawing[toys == 0] == 255).all()
        assert 0.005 < ink.mean() < 0.35


def test_a_cubes_drawing_shows_its_inner_edges() -> None:
    scene = next(s for s in map(sample_scene, range(200)) if [t.kind for t in s.toys] == ["cube"])
    r = render(scene, 128)
    inner = cv2.erode((r.visible == 0).astype(np.uint8), np.ones((13, 13))) > 0
    assert (r.drawing[inner] < 128).sum() > 20


def test_pen_width_follows_the_size() -> None:
    def ink(size: int) -> float:
        faces = np.full((size * 2, size * 2), -1, np.int32)
        faces[:, size:] = 1
        return float((255.0 - line_drawing(faces, 2)).sum() / 255 / size)

    assert ink(512) / ink(256) == pytest.approx(2.0, rel=0.15)
    assert 1.0 < ink(64) < 4.0
    assert (line_drawing(np.full((64, 64), -1, np.int32), 2) == 255).all()


def test_outlines_are_smoothed() -> None:
    scene = next(s for s in map(sample_scene, range(200)) if s.ground == "snow" and s.light == "day")
    image = render(scene, 96, "image").image.astype(float)
    large = render(scene, 384, "image").image.astype(float).reshape(96, 4, 96, 4, 3).mean((1, 3))
    assert np.abs(image - large).mean() < 2.0
    assert (np.abs(image - large).max(-1) > 40).mean() < 0.01


@pytest.mark.parametrize("light", ["day", "sunset", "night"])
def test_colours_can_be_told_apart_in_every_light(light: str) -> None:
    """The mean colours of a ball in any two of the twelve colours lie well apart."""
    scene = next(s for s in map(sample_scene, range(200)) if [t.kind for t in s.toys] == ["ball"])
    scene = replace(scene, light=light, ground="marble", sun=(0.6, 0.8))

    def seen(colour: str) -> np.ndarray:
        toy = replace(scene.toys[0], colour=colour, material="matte")
        r = render(replace(scene, toys=(toy,)), 48, "image")
        return r.image[r.visible == 0].mean(0)

    means = np.array([seen(colour) for colour in COLOURS])
    apart = np.linalg.norm(means[:, None] - means[None], axis=-1) + 1e3 * np.eye(len(means))
    assert apart.min() > 22


def test_materials_look_different() -> None:
    scene = next(s for s in map(sample_scene, range(200)) if [t.kind for t in s.toys] == ["ball"])
    looks = []
    for material in ("matte", "shiny", "metal"):
        r = render(replace(scene, light="day", toys=(replace(scene.toys[0], material=material),)), 64)
        looks.append(r.image[r.visible == 0].astype(float))
    matte, shiny, metal = looks
    assert np.abs(shiny - matte).max() > 50  # a highlight
    assert np.abs(metal - matte).mean() > 15  # mirror images everywhere
    assert np.abs(metal - shiny).mean() > 15


def test_the_kernels_are_compiled_once_and_kept() -> None:
    """By the first process that renders; this one finds them in numba's cache, whose own counts are read."""
    render(sample_scene(3), 32, threads=1)
    code = """
from glide_edit.toybox import kernels, render, sample_scene
render(sample_scene(3), 32, threads=1)
entries = kernels.shade_rows, kernels.refine_pixels, kernels.face_pixels
print([(sum(each.stats.cache_hits.values()), sum(each.stats.cache_misses.values())) for each in entries])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[(1, 0), (1, 0), (1, 0)]\n"

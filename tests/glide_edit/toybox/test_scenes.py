"""Scenes: chance, splits, JSON, and how they fill the frame."""

import functools
import json
from dataclasses import replace
from itertools import combinations, combinations_with_replacement

import numpy as np
import pytest

from glide_edit import toybox
from glide_edit.errors import InputError
from glide_edit.toybox import (
    COLOURS,
    KINDS,
    Scene,
    held_out_colour,
    held_out_pair,
    of_one_kind,
    render,
    sample_scene,
)
from glide_edit.toybox.camera import project, toy_extents
from glide_edit.toybox.shapes import FOOTPRINTS, hull_points

sample = functools.cache(sample_scene)


def holds_held_out(scene: Scene) -> bool:
    """Written apart from the sampler's own check."""
    pairs = [(a.kind, b.kind) for a, b in combinations(scene.toys, 2)]
    return any(held_out_colour(t.kind, t.colour) for t in scene.toys) or any(held_out_pair(*p) for p in pairs)


def test_a_seed_gives_one_scene_and_seeds_differ() -> None:
    assert sample_scene(5) == sample_scene(5)
    assert len({json.dumps(sample_scene(seed).to_json()) for seed in range(50)}) == 50


def test_toys_of_one_kind_keep_their_colours_and_places_apart() -> None:
    made = 0
    for seed in range(120):
        scene = sample(seed)
        alike = of_one_kind(scene)
        if alike is None:
            continue
        made += len(scene.toys) > 1
        (kind,) = {toy.kind for toy in alike.toys}
        assert kind in {toy.kind for toy in scene.toys}
        assert [(toy.colour, toy.x, toy.z) for toy in alike.toys] == [
            (toy.colour, toy.x, toy.z) for toy in scene.toys
        ]
        assert not holds_held_out(alike)
        assert abs(toy_extents(alike)[:, :4]).max() <= 1
        seen = render(alike, 64)
        for k in range(len(alike.toys)):
            assert (seen.visible == k).sum() > 0.3 * seen.whole[k].sum()
    assert made > 20


def test_two_toys_of_one_colour_cannot_be_of_one_kind() -> None:
    scene = sample(next(seed for seed in range(200) if len(sample(seed).toys) == 2))
    first, second = scene.toys
    assert of_one_kind(replace(scene, toys=(first, replace(second, colour=first.colour)))) is None


def test_json_round_trip_is_exact() -> None:
    for seed in range(40):
        scene = sample_scene(seed, "all")
        assert Scene.from_json(json.loads(json.dumps(scene.to_json()))) == scene


def test_wrong_json_is_explained() -> None:
    value = sample_scene(0).to_json()
    for broken in (
        {k: v for k, v in value.items() if k != "camera"},
        {**value, "weather": "rain"},
        {**value, "ground": "lava"},
        {**value, "toys": []},
        {**value, "seed": "7"},
        {**value, "sun": [0.1]},
        {**value, "camera": {**value["camera"], "distance": 0}},
        {**value, "toys": [{**value["toys"][0], "x": "left"}]},
        {**value, "toys": [{**value["toys"][0], "scale": float("nan")}]},
        {**value, "toys": [{**value["toys"][0], "colour": "plaid"}]},
    ):
        with pytest.raises(InputError):
            Scene.from_json(broken)


@pytest.mark.parametrize("arguments", [(-1, "train"), (0, "test")])
def test_bad_arguments_are_refused(arguments: tuple[int, str]) -> None:
    with pytest.raises(InputError):
        sample_scene(*arguments)  # type: ignore[arg-type]


def test_one_colour_in_twelve_is_held_out_for_every_kind_and_colour() -> None:
    table = np.array([[held_out_colour(kind, colour) for colour in COLOURS] for kind in KINDS])
    assert 0.08 <= table.mean() <= 0.12
    assert [*table.sum(0), *table.sum(1)] == 24 * [1]


def test_a_few_kind_pairs_are_held_out_in_either_order() -> None:
    pairs = list(combinations_with_replacement(KINDS, 2))
    assert 5 <= sum(held_out_pair(*pair) for pair in pairs) <= 8
    assert all(held_out_pair(a, b) == held_out_pair(b, a) for a, b in pairs)


def test_unknown_words_are_refused() -> None:
    with pytest.raises(InputError, match="choose from"):
        held_out_colour("ball", "plaid")
    with pytest.raises(InputError, match="choose from"):
        held_out_pair("ball", "dragon")


def test_splits_keep_to_the_rule() -> None:
    assert not any(holds_held_out(sample(seed)) for seed in range(600))
    assert all(holds_held_out(sample_scene(seed, "held_out")) for seed in range(100))
    assert 0.05 < np.mean([holds_held_out(sample_scene(seed, "all")) for seed in range(250)]) < 0.35


def test_all_words_and_counts_occur() -> None:
    scenes = [sample(seed) for seed in range(600)]
    toys = [toy for scene in scenes for toy in scene.toys]
    counts = np.bincount([len(scene.toys) for scene in scenes], minlength=5)[1:] / len(scenes)
    assert np.abs(counts - (0.5, 0.3, 0.13, 0.07)).max() < 0.06
    assert {toy.kind for toy in toys} == set(KINDS)
    assert {toy.colour for toy in toys} == set(COLOURS)
    assert {toy.material for toy in toys} == set(toybox.MATERIALS)
    assert {scene.ground for scene in scenes} == set(toybox.GROUNDS)
    assert {scene.light for scene in scenes} == set(toybox.LIGHTS)


def test_toys_stand_apart_and_differ() -> None:
    for seed in range(200):
        toys = sample(seed).toys
        assert len({(toy.kind, toy.colour) for toy in toys}) == len(toys)
        for a, b in combinations(toys, 2):
            radii = FOOTPRINTS[a.kind] * a.scale + FOOTPRINTS[b.kind] * b.scale
            assert np.hypot(a.x - b.x, a.z - b.z) > radii


def test_toys_fill_the_frame() -> None:
    totals, single, smallest = [], [], []
    for seed in range(150):
        scene = sample(seed)
        visible = render(scene, 64, "image").visible
        shares = [float((visible == k).mean()) for k in range(len(scene.toys))]
        totals.append(sum(shares))
        smallest.append(min(shares))
        if len(shares) == 1:
            single.append(shares[0])
    assert np.median(single) >= 0.12
    assert np.median(totals) >= 0.12
    assert max(totals) < 0.7
    assert min(smallest) > 0.004  # every toy is to be seen


def test_small_and_large_differ_in_the_picture() -> None:
    shares: dict[str, list[float]] = {"small": [], "large": []}
    for seed in range(150):
        scene = sample(seed)
        if len(scene.toys) == 1:
            u0, v0, u1, v1, _depth = toy_extents(scene)[0]
            shares[scene.toys[0].size].append((u1 - u0) * (v1 - v0))
    assert np.median(shares["large"]) > 1.6 * np.median(shares["small"])


def test_a_toys_hull_projects_onto_its_silhouette() -> None:
    """Framing relies on hull_points; the renderer's own silhouette is the truth."""
    for kind in KINDS:
        scene = sample_scene(3)
        scene = replace(
            scene, toys=(replace(scene.toys[0], kind=kind, stretch=1.0, x=0.0, z=0.0, scale=1.0),)
        )
        scene = replace(scene, camera=replace(scene.camera, target=(0.0, 0.55, 0.0), half_tan=0.35))
        scene = replace(scene, camera=replace(scene.camera, shift_u=0.0, shift_v=0.0))
        seen = np.argwhere(render(scene, 96, "image").visible == 0)
        u, v = project(scene.camera, hull_points(scene.toys[0]))[:, :2].T
        expected = np.array([1 - v.max(), 1 + u.min(), 1 - v.min(), 1 + u.max()]) * 48
        found = np.array([*seen.min(0), *(seen.max(0) + 1)])
        assert np.abs(found - expected).max() < 5, (kind, found, expected)


def test_camera_matches_its_description() -> None:
    camera = sample_scene(0).camera
    camera = replace(camera, shift_u=0.0, shift_v=0.0)
    middle = project(camera, np.array([camera.target]))[0]
    assert middle == pytest.approx([0.0, 0.0, camera.distance])

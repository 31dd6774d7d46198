"""Random scenes: which toys, where they stand, and a camera that frames them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.toybox.camera import tangents, toy_extents
from glide_edit.toybox.shapes import FOOTPRINTS, hull_points
from glide_edit.toybox.world import (
    COLOURS,
    GROUNDS,
    KINDS,
    LIGHTS,
    MATERIALS,
    Camera,
    Scene,
    Toy,
    held_out_colour,
    held_out_pair,
)

Split = Literal["train", "held_out", "all"]

_STREAM = 7011  # so that other uses of the same seed get other random numbers
_COUNTS = (0.5, 0.3, 0.13, 0.07)
_COLOUR_NAMES = tuple(COLOURS)
# The share of the convex hull's area that a kind with a waist or a hole covers.
_SOLIDITY = {"ring": 0.80, "tree": 0.88, "snowman": 0.85, "rocket": 0.80, "mushroom": 0.86, "car": 0.88}


def sample_scene(seed: int, split: Split = "train") -> Scene:
    """The scene of a seed (an integer >= 0), the same on every call.

    `train` contains no held-out combination, `held_out` at least one, `all` any.
    Raises InputError for a negative seed or an unknown split.
    """
    if split not in ("train", "held_out", "all"):
        raise InputError(f"unknown split {split!r}; choose train, held_out or all")
    if seed < 0:
        raise InputError(f"a seed is 0 or more, not {seed}")
    rng = np.random.default_rng([seed, _STREAM])
    count = int(rng.choice(4, p=_COUNTS)) + 1
    identities = _identities(rng, count, split)
    toys = [_toy(rng, kind, colour, count) for kind, colour in identities]
    light = LIGHTS[int(rng.choice(3, p=(0.68, 0.17, 0.15)))]
    low, high = (0.42, 0.60) if light == "sunset" else (0.75, 1.1)
    scene = Scene(
        seed=seed,
        toys=tuple(toys),
        ground=GROUNDS[int(rng.integers(len(GROUNDS)))],
        light=light,
        camera=Camera(0.0, 0.3, 4.0, (0.0, 0.4, 0.0), 0.3, 0.0, 0.0),
        sun=(float(rng.choice((-1.0, 1.0)) * rng.uniform(0.25, 1.3)), float(rng.uniform(low, high))),
        texture=int(rng.integers(1000)),
    )
    return _arrange(rng, scene)


def of_one_kind(scene: Scene) -> Scene | None:
    """The scene with all toys of one of their kinds, in their own colours.

    None if two colours are the same, or if a toy would have a colour held out of training, intersect another
    toy, leave the picture or be half hidden.
    """
    colours = {toy.colour for toy in scene.toys}
    if len(colours) < len(scene.toys):
        return None
    for kind in dict.fromkeys(toy.kind for toy in scene.toys):
        if any(held_out_colour(kind, colour) for colour in colours):
            continue
        toys = (toy if toy.kind == kind else replace(toy, kind=kind, stretch=1.0) for toy in scene.toys)
        alike = replace(scene, toys=tuple(toys))
        if _is_clear(alike):
            return alike
    return None


def _is_clear(scene: Scene) -> bool:
    for a, b in combinations(scene.toys, 2):
        if math.hypot(a.x - b.x, a.z - b.z) < FOOTPRINTS[a.kind] * a.scale + FOOTPRINTS[b.kind] * b.scale:
            return False
    return abs(toy_extents(scene)[:, :4]).max() <= 1 and _worst_cover(scene) <= 0.5


def has_held_out(identities: list[tuple[str, str]]) -> bool:
    """True where any of the (kind, colour) toys, or any two of their kinds, are held out of training."""
    if any(held_out_colour(kind, colour) for kind, colour in identities):
        return True
    return any(held_out_pair(a, b) for (a, _), (b, _) in combinations(identities, 2))


def _identities(rng: np.random.Generator, count: int, split: Split) -> list[tuple[str, str]]:
    while True:
        kinds, colours = rng.integers(len(KINDS), size=count), rng.integers(len(COLOURS), size=count)
        found = [(KINDS[kind], _COLOUR_NAMES[colour]) for kind, colour in zip(kinds, colours, strict=True)]
        if len(set(found)) < count:
            continue
        if split == "all" or has_held_out(found) == (split == "held_out"):
            return found


def _toy(rng: np.random.Generator, kind: str, colour: str, count: int) -> Toy:
    large = rng.random() < (0.72 if count == 1 else 0.58)
    yaw = rng.uniform(-0.6, 0.6)
    if kind == "car":
        yaw = rng.uniform(-0.5, 0.5)
    if kind in ("car", "mug") and rng.random() < 0.5:
        yaw += math.pi
    return Toy(
        kind=kind,
        colour=colour,
        material=MATERIALS[int(rng.choice(3, p=(0.5, 0.28, 0.22)))],
        size="large" if large else "small",
        scale=float(rng.uniform(0.95, 1.12) if large else rng.uniform(0.50, 0.62)),
        x=0.0,
        z=0.0,
        yaw=float(yaw),
        stretch=1.0 if kind in ("ball", "ring") else float(rng.uniform(0.90, 1.10)),
    )


def _arrange(rng: np.random.Generator, scene: Scene) -> Scene:
    """Places the toys and the camera so that every toy can be seen."""
    best, best_cover = scene, math.inf
    for _attempt in range(12):
        toys = _place(rng, scene.toys)
        placed = replace(scene, toys=toys)
        placed = replace(placed, camera=_frame(rng, placed))
        cover = _worst_cover(placed)
        if cover < best_cover:
            best, best_cover = placed, cover
        if best_cover < 0.45:
            break
    return best


def _place(rng: np.random.Generator, toys: tuple[Toy, ...]) -> tuple[Toy, ...]:
    placed: list[Toy] = []
    reach = 0.45 * math.sqrt(len(toys))
    for toy in toys:
        room = reach
        while True:
            x, z = float(rng.uniform(-1.35, 1.35) * room), float(rng.uniform(-1.0, 1.0) * room)
            radius = FOOTPRINTS[toy.kind] * toy.scale
            gaps = [math.hypot(x - o.x, z - o.z) - FOOTPRINTS[o.kind] * o.scale - radius for o in placed]
            if all(gap > 0.06 for gap in gaps):
                break
            room *= 1.06
        placed.append(replace(toy, x=x, z=z))
    return tuple(placed)


def _frame(rng: np.random.Generator, scene: Scene) -> Camera:
    clouds = [hull_points(toy) for toy in scene.toys]
    points = np.concatenate(clouds)
    middle = (points.min(0) + points.max(0)) / 2
    count = len(clouds)
    camera = Camera(
        azimuth=float(rng.uniform(-0.3, 0.3)),
        elevation=float(rng.uniform(0.22, 0.48)),
        distance=float(rng.uniform(3.3, 4.4) + 0.55 * (count - 1)),
        target=(float(middle[0]), float(middle[1]), float(middle[2])),
        half_tan=1.0,
        shift_u=0.0,
        shift_v=0.0,
    )
    flat = tangents(camera, points)[:, :2]
    low, high = flat.min(0), flat.max(0)
    wide, tall = high - low
    if count == 1:
        half = _single_zoom(rng, scene.toys[0], flat)
        half = max(half, wide / 2 / 0.84, tall / 2 / 0.76)
    else:
        half = max(wide, tall) / 2 / rng.uniform(0.78, 0.98)
    # Half of the free room on each side, so that toys are rarely centred and rarely cut off.
    room = np.maximum(half - (high - low) / 2, 0.0)
    slip = rng.uniform(-1, 1, size=2) * (0.8 if rng.random() < 0.85 else 1.25)
    centre = (low + high) / 2 + room * slip
    return replace(camera, half_tan=float(half), shift_u=float(centre[0]), shift_v=float(centre[1]))


def _single_zoom(rng: np.random.Generator, toy: Toy, flat: NDArray[np.float64]) -> float:
    hull = cv2.convexHull(flat.astype(np.float32))
    area = float(cv2.contourArea(hull)) * _SOLIDITY.get(toy.kind, 1.0)
    share = rng.uniform(0.15, 0.25) if toy.size == "large" else rng.uniform(0.065, 0.10)
    return math.sqrt(area / (4 * share))


def _worst_cover(scene: Scene) -> float:
    """The largest share of a toy's box that the box of a nearer toy covers."""
    worst = 0.0
    boxes = toy_extents(scene)
    for far, near in combinations(sorted(boxes.tolist(), key=lambda box: -box[4]), 2):
        wide = min(far[2], near[2]) - max(far[0], near[0])
        tall = min(far[3], near[3]) - max(far[1], near[1])
        own = (far[2] - far[0]) * (far[3] - far[1])
        worst = max(worst, max(wide, 0.0) * max(tall, 0.0) / own)
    return worst

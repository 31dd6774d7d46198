"""The twelve kinds of toy as lists of primitives with distance functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glide_edit.toybox.world import COLOURS, MATERIALS, Scene, Toy

# The primitives kernels.py knows. (a, b, c) are: ELLIPSOID and DOME (an upper half) radii; BOX half sizes;
# CYLINDER radius, half height, hole's wall thickness (0 = solid); CONE bottom radius, half height, top
# radius; TORUS major and minor radius, 1 where it stands upright; PRISM (a gable roof) half width, half
# height, half depth; WHEEL radius, half width along z.
ELLIPSOID, BOX, CYLINDER, CONE, TORUS, PRISM, DOME, WHEEL = range(8)

# Columns of a primitive's row: 0 type, 1-3 centre, 4-6 size, 7 rounding, 8-10 rgb, 11 material, 12-13 cosine
# and sine of the yaw, 14 bounding radius, 15 whether drawings show its edges.
TYPE, CENTRE, SIZE, COS, SIN, BOUND = 0, 1, 4, 12, 13, 14

Rgb = tuple[float, float, float]
Vec = tuple[float, float, float]

_CREAM: Rgb = (0.90, 0.86, 0.76)
_SNOW: Rgb = (0.93, 0.95, 0.98)
_COAL: Rgb = (0.03, 0.03, 0.03)
_GLASS: Rgb = (0.50, 0.68, 0.80)
_WOOD: Rgb = (0.33, 0.18, 0.08)
_CARROT: Rgb = (0.95, 0.42, 0.04)
_COFFEE: Rgb = (0.16, 0.08, 0.04)

MATTE, SHINY = 0, 1


@dataclass
class _Builder:
    """Collects a toy's primitives, placing toy coordinates in the world."""

    toy: Toy
    rows: list[list[float]]

    def add(
        self,
        kind: int,
        centre: Vec,
        size: Vec,
        rounding: float = 0.0,
        rgb: Rgb | None = None,
        material: int | None = None,
        turn: float = 0.0,
        creased: bool = True,
    ) -> None:
        toy, tall, wide = self.toy, self.toy.stretch, self.toy.stretch**-0.5
        x, y, z = centre[0] * wide, centre[1] * tall, centre[2] * wide
        c, s = math.cos(toy.yaw), math.sin(toy.yaw)
        a, b, d = size
        a, b = a * wide * toy.scale, b * (wide if kind in (TORUS, WHEEL) else tall) * toy.scale
        if kind != TORUS:  # whose third number is a flag
            d *= (1.0 if kind == CYLINDER else wide) * toy.scale
        row = [float(kind), toy.x + toy.scale * (c * x + s * z), toy.scale * y]
        row += [toy.z + toy.scale * (-s * x + c * z), a, b, d, rounding * toy.scale]
        row += list(rgb or COLOURS[toy.colour])
        row += [float(MATERIALS.index(toy.material) if material is None else material)]
        row += [math.cos(toy.yaw + turn), math.sin(toy.yaw + turn), _bound(kind, a, b, d), float(creased)]
        self.rows.append(row)


def _bound(kind: int, a: float, b: float, c: float) -> float:
    """The radius of a sphere about the centre that holds the primitive."""
    if kind in (ELLIPSOID, DOME):
        return max(a, b, c)
    if kind in (BOX, PRISM):
        return math.sqrt(a * a + b * b + c * c)
    if kind == CONE:
        return math.hypot(max(a, c), b) + 0.03
    if kind == TORUS:
        return a + b
    return math.hypot(a, b)


def _ball(o: _Builder) -> None:
    o.add(ELLIPSOID, (0, 0.5, 0), (0.5, 0.5, 0.5))


def _cube(o: _Builder) -> None:
    o.add(BOX, (0, 0.44, 0), (0.44, 0.44, 0.44), 0.04)


def _cylinder(o: _Builder) -> None:
    o.add(CYLINDER, (0, 0.5, 0), (0.40, 0.5, 0), 0.03)


def _cone(o: _Builder) -> None:
    o.add(CONE, (0, 0.54, 0), (0.50, 0.53, 0.02), 0.015)


def _ring(o: _Builder) -> None:
    o.add(TORUS, (0, 0.57, 0), (0.40, 0.165, 1.0))


def _tree(o: _Builder) -> None:
    o.add(CYLINDER, (0, 0.12, 0), (0.11, 0.12, 0), 0.01, _WOOD, MATTE)
    o.add(CONE, (0, 0.46, 0), (0.50, 0.25, 0.16), 0.012)
    o.add(CONE, (0, 0.79, 0), (0.41, 0.23, 0.10), 0.012)
    o.add(CONE, (0, 1.11, 0), (0.31, 0.23, 0.01), 0.012)


def _house(o: _Builder) -> None:
    r, g, b = COLOURS[o.toy.colour]
    wall = (0.78 * _CREAM[0] + 0.22 * r, 0.78 * _CREAM[1] + 0.22 * g, 0.78 * _CREAM[2] + 0.22 * b)
    o.add(BOX, (0, 0.28, 0), (0.46, 0.28, 0.40), 0.01, wall, MATTE)
    o.add(PRISM, (0, 0.83, 0), (0.64, 0.29, 0.50))
    o.add(BOX, (0.30, 0.92, -0.18), (0.07, 0.20, 0.07), 0.005, (0.42, 0.20, 0.15), MATTE)
    o.add(BOX, (0, 0.19, 0.40), (0.09, 0.19, 0.02), 0.0, _WOOD, MATTE, creased=False)
    for side in (-0.27, 0.27):
        o.add(BOX, (side, 0.33, 0.40), (0.09, 0.10, 0.02), 0.0, (0.25, 0.45, 0.65), SHINY, creased=False)


def _mushroom(o: _Builder) -> None:
    o.add(CONE, (0, 0.27, 0), (0.20, 0.27, 0.14), 0.015, _CREAM, MATTE, creased=False)
    o.add(DOME, (0, 0.46, 0), (0.52, 0.44, 0.52))
    spot = (0.50, 0.40, 0.34) if o.toy.colour in ("white", "yellow", "pink") else _CREAM
    spots = ((-0.5, 0.62, 0.085), (0.55, 0.50, 0.075), (0.0, 1.08, 0.085), (1.5, 0.7, 0.08))
    for turn, tilt, radius in spots:
        flat = 0.505 * math.cos(tilt)
        at = (flat * math.sin(turn), 0.46 + 0.425 * math.sin(tilt), flat * math.cos(turn))
        o.add(ELLIPSOID, at, (radius, radius * 0.8, radius), 0.0, spot, MATTE, creased=False)


def _snowman(o: _Builder) -> None:
    o.add(ELLIPSOID, (0, 0.34, 0), (0.39, 0.36, 0.39), 0.0, _SNOW, MATTE)
    o.add(ELLIPSOID, (0, 0.87, 0), (0.27, 0.26, 0.27), 0.0, _SNOW, MATTE)
    o.add(TORUS, (0, 0.665, 0), (0.215, 0.085, 0.0))
    o.add(BOX, (0.13, 0.50, 0.335), (0.065, 0.17, 0.035), 0.02, creased=False)
    o.add(CYLINDER, (0, 1.07, 0), (0.32, 0.03, 0), 0.01, creased=False)
    o.add(CYLINDER, (0, 1.24, 0), (0.21, 0.18, 0), 0.015)
    o.add(ELLIPSOID, (0, 0.86, 0.31), (0.045, 0.045, 0.13), 0.0, _CARROT, MATTE)
    for side in (-0.1, 0.1):
        o.add(ELLIPSOID, (side, 0.94, 0.235), (0.038, 0.038, 0.038), 0.0, _COAL, MATTE)


def _car(o: _Builder) -> None:
    o.add(BOX, (0, 0.31, 0), (0.74, 0.17, 0.36), 0.07)
    o.add(BOX, (-0.06, 0.57, 0), (0.40, 0.17, 0.30), 0.08, _GLASS, SHINY, creased=False)
    o.add(BOX, (-0.06, 0.72, 0), (0.37, 0.045, 0.30), 0.03, creased=False)
    o.add(BOX, (-0.06, 0.56, 0), (0.045, 0.15, 0.312), 0.01, creased=False)
    for x in (-0.44, 0.44):
        for z in (-0.33, 0.33):
            o.add(WHEEL, (x, 0.165, z), (0.165, 0.06, 0), 0.02, _COAL, MATTE, creased=False)
            at = (x, 0.165, z * 1.15)
            o.add(WHEEL, at, (0.075, 0.03, 0), 0.01, (0.6, 0.6, 0.62), SHINY, creased=False)
    for z in (-0.23, 0.23):
        o.add(ELLIPSOID, (0.72, 0.35, z), (0.05, 0.065, 0.065), 0.0, (1.0, 0.92, 0.6), SHINY)


def _mug(o: _Builder) -> None:
    o.add(CYLINDER, (0, 0.45, 0), (0.39, 0.45, 0.055), 0.02, creased=False)
    o.add(CYLINDER, (0, 0.72, 0), (0.35, 0.03, 0), 0.0, _COFFEE, SHINY, creased=False)
    o.add(TORUS, (0.43, 0.45, 0), (0.22, 0.07, 1.0))


def _rocket(o: _Builder) -> None:
    o.add(CONE, (0, 0.64, 0), (0.24, 0.44, 0.25), 0.02, (0.90, 0.90, 0.92), creased=False)
    o.add(CONE, (0, 1.30, 0), (0.275, 0.25, 0.02), 0.015)
    o.add(CYLINDER, (0, 0.56, 0), (0.285, 0.065, 0), 0.01, creased=False)
    o.add(CYLINDER, (0, 0.18, 0), (0.275, 0.05, 0), 0.01, creased=False)
    o.add(PRISM, (0, 0.34, 0), (0.56, 0.34, 0.04))
    o.add(PRISM, (0, 0.34, 0), (0.56, 0.34, 0.04), turn=math.pi / 2)
    o.add(ELLIPSOID, (0, 0.84, 0.235), (0.11, 0.11, 0.05), 0.0, (0.20, 0.42, 0.70), SHINY)


# For each kind its builder, and the radius of its footprint at scale 1, for placing toys without overlap.
_KINDS: dict[str, tuple[Callable[[_Builder], None], float]] = {
    "ball": (_ball, 0.46),
    "cube": (_cube, 0.54),
    "cylinder": (_cylinder, 0.42),
    "cone": (_cone, 0.50),
    "ring": (_ring, 0.52),
    "tree": (_tree, 0.50),
    "house": (_house, 0.66),
    "mushroom": (_mushroom, 0.50),
    "snowman": (_snowman, 0.42),
    "car": (_car, 0.72),
    "mug": (_mug, 0.52),
    "rocket": (_rocket, 0.46),
}
FOOTPRINTS: dict[str, float] = {kind: radius for kind, (_, radius) in _KINDS.items()}


def toy_primitives(toy: Toy) -> NDArray[np.float64]:
    """The toy's primitives in world coordinates, (M, 16) rows with the columns listed above."""
    builder = _Builder(toy, [])
    _KINDS[toy.kind][0](builder)
    return np.array(builder.rows, np.float64)


def scene_primitives(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """All primitives (M, 16); and per toy, (N, 6): bounding sphere's centre and radius, first and end row."""
    parts = [toy_primitives(toy) for toy in scene.toys]
    spheres, start = [], 0
    for rows in parts:
        points = rows[:, CENTRE : CENTRE + 3]
        bound = rows[:, BOUND : BOUND + 1]
        centre = ((points - bound).min(0) + (points + bound).max(0)) / 2
        radius = (np.linalg.norm(points - centre, axis=1) + rows[:, BOUND]).max() + 0.01
        spheres.append([*centre, radius, start, start + len(rows)])
        start += len(rows)
    return np.concatenate(parts), np.array(spheres, np.float64)


_AXES = np.array(
    [(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], float
)
_CORNERS = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
_CIRCLE = np.array([(math.cos(t), math.sin(t)) for t in np.arange(12) * math.pi / 6])


@lru_cache(maxsize=64)  # framing and captions ask for the same toys again and again
def hull_points(toy: Toy) -> NDArray[np.float64]:
    """Points (K, 3) on the toy whose convex hull is close to the toy's own; read-only."""
    found = []
    for row in toy_primitives(toy):
        kind, (a, b, c) = int(row[TYPE]), row[SIZE : SIZE + 3]
        if kind in (ELLIPSOID, DOME):
            local = _AXES / np.linalg.norm(_AXES, axis=1, keepdims=True) * (a, b, c)
            if kind == DOME:
                local = local * (1, 0, 1) * (local[:, 1:2] < 0) + local * (local[:, 1:2] >= 0)
        elif kind == BOX:
            local = _CORNERS * (a, b, c)
        elif kind == PRISM:
            local = _CORNERS * (a, b, c) * np.where(_CORNERS[:, 1:2] > 0, (0, 1, 1), 1)
        elif kind == TORUS:
            ring = _CIRCLE * (a + b)
            flat = np.zeros(len(ring))
            columns = (ring[:, 0], ring[:, 1], flat) if c > 0.5 else (ring[:, 0], flat, ring[:, 1])
            local = np.stack(columns, 1)
        elif kind == WHEEL:
            local = np.concatenate([np.c_[_CIRCLE * a, np.full(12, z)] for z in (-b, b)])
        else:
            ends = ((a, -b), (c if kind == CONE else a, b))
            rings = [np.c_[_CIRCLE[:, 0] * r, np.full(12, y), _CIRCLE[:, 1] * r] for r, y in ends]
            local = np.concatenate(rings)
        cos, sin = row[COS], row[SIN]
        x, z = cos * local[:, 0] + sin * local[:, 2], -sin * local[:, 0] + cos * local[:, 2]
        found.append(np.stack([x, local[:, 1], z], 1) + row[CENTRE : CENTRE + 3])
    points = np.concatenate(found)
    points.flags.writeable = False
    return points

"""Where points of the world land in the picture."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glide_edit.toybox.shapes import hull_points
from glide_edit.toybox.world import Camera, Scene


def basis(camera: Camera) -> NDArray[np.float64]:
    """(4, 3): the camera's position and its forward, up and right unit vectors."""
    ca, sa = math.cos(camera.azimuth), math.sin(camera.azimuth)
    ce, se = math.cos(camera.elevation), math.sin(camera.elevation)
    away = np.array([ce * sa, se, ce * ca])
    forward, right = -away, np.array([ca, 0.0, -sa])
    return np.stack(
        [np.array(camera.target) + camera.distance * away, forward, np.cross(right, forward), right]
    )


def tangents(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 3) of tangent right, tangent up and depth, ignoring the lens shift and zoom."""
    position, forward, up, right = basis(camera)
    offset = points - position
    depth = offset @ forward
    return np.stack([offset @ right / depth, offset @ up / depth, depth], 1)


def project(camera: Camera, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 3) of u and v in [-1, 1] inside the picture (u right, v up) and depth in world units."""
    flat = tangents(camera, points)
    shift = (camera.shift_u, camera.shift_v)
    return np.concatenate([(flat[:, :2] - shift) / camera.half_tan, flat[:, 2:]], 1)


def toy_extents(scene: Scene) -> NDArray[np.float64]:
    """(N, 5): each toy's projected box u0, v0, u1, v1 in [-1, 1] units and the depth of its foot."""
    rows = []
    for toy in scene.toys:
        points = project(scene.camera, hull_points(toy))
        foot = project(scene.camera, np.array([[toy.x, 0.0, toy.z]]))
        rows.append([*points[:, :2].min(0), *points[:, :2].max(0), foot[0, 2]])
    return np.array(rows)

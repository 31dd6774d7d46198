"""From a scene to its picture, masks, boxes and line drawing."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from glide_edit.errors import InputError
from glide_edit.toybox.camera import basis
from glide_edit.toybox.shapes import scene_primitives
from glide_edit.toybox.world import GROUNDS, LIGHTS, Scene

Passes = Literal["image", "all"]
Box = tuple[int, int, int, int]

# Sun (or moon) and sky light, linear rgb, for day, sunset and night.
_SUN = ((1.22, 1.16, 1.06), (1.26, 0.94, 0.70), (0.41, 0.44, 0.54))
_SKYLIGHT = ((0.36, 0.40, 0.46), (0.35, 0.35, 0.41), (0.23, 0.24, 0.31))
_GROUND_MIRROR = {"wood": 0.05, "marble": 0.15, "checkered floor": 0.06}

# Eight samples, one in each row and each column of an 8 x 8 grid (the 8-rooks pattern).
_ROOKS = np.array([(0, 3), (1, 6), (2, 1), (3, 4), (4, 7), (5, 2), (6, 5), (7, 0)])
_OFFSETS = np.ascontiguousarray((_ROOKS + 0.5) / 8.0)
_FEWER = np.array([(0.125, 0.375), (0.375, 0.875), (0.625, 0.125), (0.875, 0.625)])  # rotated grid
_CONTRAST = 0.07  # a step between neighbours, in displayed units, that gets extra samples


@dataclass(frozen=True, eq=False)
class Rendering:
    """A rendered scene of N toys at S x S pixels.

    image: uint8 (S, S, 3) RGB.  visible: int8 (S, S), the toy seen at the pixel's middle, -1 none.
    whole: bool (N, S, S), each toy's silhouette as if it were alone.  shadow: bool (N, S, S), ground pixels
    that the toy darkens or is mirrored in.  drawing: uint8 (S, S), 255 paper, 0 ink.  boxes: (x0, y0, x1, y1)
    of the visible part with exclusive ends, None if nothing of the toy is visible.  With passes="image",
    whole, shadow and drawing have no pixels.
    """

    image: NDArray[np.uint8]
    visible: NDArray[np.int8]
    whole: NDArray[np.bool_]
    shadow: NDArray[np.bool_]
    drawing: NDArray[np.uint8]
    boxes: tuple[Box | None, ...]


def render(scene: Scene, size: int = 256, passes: Passes = "all", threads: int | None = None) -> Rendering:
    """Renders a scene at size x size pixels (16 … 2048).

    The bytes depend on the scene, the size and the machine only, not on `threads` (default: one per core).
    Rendering releases the interpreter lock: many scenes may be rendered in parallel with threads=1.
    Raises InputError for a size, passes or threads out of range.
    """
    if not 16 <= size <= 2048:
        raise InputError(f"a picture is 16 to 2048 pixels wide, not {size}")
    if passes not in ("image", "all"):
        raise InputError(f"unknown passes {passes!r}; choose image or all")
    if threads is not None and threads < 1:
        raise InputError(f"rendering takes at least one thread, not {threads}")
    from glide_edit.toybox import kernels

    everything = passes == "all"
    workers = threads or os.cpu_count() or 1
    prims, toys = scene_primitives(scene)
    camera, light = _camera_row(scene), _light_row(scene, size)
    world = (prims, toys, light, camera, size)
    picture = np.empty((size, size, 3), np.float32)
    visible, faces = np.empty((size, size), np.int8), np.empty((size, size), np.int32)
    met, dark = np.empty((size, size), np.uint8), np.empty((size, size), np.uint8)
    rows = (workers, everything, picture, visible, faces, met, dark)
    _spread(lambda k: kernels.shade_rows(*world, k, *rows), workers)
    toy_edges = _edges(faces)
    patterns = _uneven(picture) & ~toy_edges
    for chosen, offsets in ((toy_edges, _OFFSETS), (patterns, _FEWER)):
        refine = partial(kernels.refine_pixels, *world, np.argwhere(chosen), workers, offsets, picture)
        _spread(refine, workers)
    none = np.zeros((len(scene.toys), 0, 0), bool)
    bits = np.arange(len(scene.toys), dtype=np.uint8)[:, None, None]
    return Rendering(
        image=np.round(picture * 255).astype(np.uint8),
        visible=visible,
        whole=(met >> bits & 1).astype(bool) if everything else none,
        shadow=(dark >> bits & 1).astype(bool) if everything else none,
        drawing=_drawing(prims, toys, camera, faces, workers) if everything else np.zeros((0, 0), np.uint8),
        boxes=tuple(_box(visible == k) for k in range(len(scene.toys))),
    )


def _drawing(
    prims: NDArray[np.float64],
    toys: NDArray[np.float64],
    camera: NDArray[np.float64],
    faces: NDArray[np.int32],
    workers: int,
) -> NDArray[np.uint8]:
    """The drawing of a face map, which is refined where faces meet so that strokes are smooth."""
    from glide_edit.toybox import kernels

    factor = 2 if len(faces) >= 128 else 4
    fine = faces.repeat(factor, 0).repeat(factor, 1)
    # One more pixel on every side, for slivers that cover no pixel's middle.
    edges = cv2.dilate(_edges(faces).astype(np.uint8), np.ones((3, 3), np.uint8))
    pixels = np.argwhere(edges)
    scene = (prims, toys, camera, len(faces), pixels)
    _spread(lambda k: kernels.face_pixels(*scene, k, workers, factor, fine), workers)
    return line_drawing(fine, factor)


def line_drawing(faces: NDArray[np.int32], factor: int) -> NDArray[np.uint8]:
    """The drawing of a face map, uint8 (S, S), 255 paper and 0 ink.

    `faces` is (S * factor, S * factor), a number for each face and -1 for the ground. There is ink where
    faces meet; the pen is about 1/110 of the picture wide and at least 1.1 pixels.
    """
    size = faces.shape[0] // factor
    edge = np.zeros(faces.shape, bool)
    edge[:, 1:] |= faces[:, 1:] != faces[:, :-1]
    edge[1:, :] |= faces[1:, :] != faces[:-1, :]
    if not edge.any():
        return np.full((size, size), 255, np.uint8)
    away = cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, 5)
    half_width = max(1.1, size / 110) * factor / 2
    ink = np.clip(half_width + 0.5 - away, 0.0, 1.0)
    ink = cv2.GaussianBlur(ink, (0, 0), 0.45 * factor)
    ink = np.clip(ink * 1.25, 0.0, 1.0)
    small = cv2.resize(ink, (size, size), interpolation=cv2.INTER_AREA)
    return np.round(255 * (1.0 - np.asarray(small))).astype(np.uint8)


def _spread(work: Callable[[int], None], workers: int) -> None:
    """Runs work(0 … workers-1) in parallel, in plain threads: numba's are neither fork- nor thread-safe."""
    if workers == 1:
        work(0)
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))


def _camera_row(scene: Scene) -> NDArray[np.float64]:
    """Position, forward, up, right, then half_tan and the lens shift: 15 numbers."""
    camera = scene.camera
    tail = (camera.half_tan, camera.shift_u, camera.shift_v)
    return np.concatenate([basis(camera).ravel(), tail])


def _light_row(scene: Scene, size: int) -> NDArray[np.float64]:
    """Sun direction, sun and sky rgb (0 … 8), ground kind, texture, light, pixel tangent, ground mirror."""
    azimuth, elevation = scene.sun
    flat = math.cos(elevation)
    sun = (flat * math.sin(azimuth), math.sin(elevation), flat * math.cos(azimuth))
    light = LIGHTS.index(scene.light)
    pixel = 2 * scene.camera.half_tan / size
    row = [*sun, *_SUN[light], *_SKYLIGHT[light], GROUNDS.index(scene.ground), scene.texture, light, pixel]
    return np.array([*row, _GROUND_MIRROR.get(scene.ground, 0.0)], np.float64)


def _edges(faces: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(S, S): pixels whose face differs from a neighbour's."""
    return _on_both_sides(faces[:, 1:] != faces[:, :-1], faces[1:] != faces[:-1])


def _uneven(picture: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(S, S): pixels whose brightness steps against a neighbour's."""
    across, down = (np.abs(np.diff(picture, axis=axis)).max(-1) > _CONTRAST for axis in (1, 0))
    return _on_both_sides(across, down)


def _on_both_sides(across: NDArray[np.bool_], down: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(S, S): the pixels on both sides of steps (S, S - 1) across and (S - 1, S) down."""
    return (
        np.pad(across, ((0, 0), (1, 0)))
        | np.pad(across, ((0, 0), (0, 1)))
        | np.pad(down, ((1, 0), (0, 0)))
        | np.pad(down, ((0, 1), (0, 0)))
    )


def _box(seen: NDArray[np.bool_]) -> Box | None:
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

"""A correction that removes the seam around a repaint: given on a ring, harmonic inside, fading.

The colours of a repaint are a little off, so its edge shows. The membrane takes the difference to the
original on a ring just outside, continues it inwards as a soap film (Laplace's equation; Perez et al.,
Poisson Image Editing, 2003, eq. 10), and fades it with the distance from the edge, so that the network's own
colours remain further in. It follows from the ring alone: nothing of the old inside can show through.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import cv2
import numpy as np

from masks.mask import BoolArray, FloatArray
from masks.shape import disc, distance_inside

RING_WIDTH = 2
"""px (Euclidean). Two, because the difference of single pixels is mostly grain."""
FADE_SHARE = 0.5
"""Length scale of the fade as a share of the greatest depth inside."""
LEAST_FADE = 16.0
"""px: the least length scale. All of a thin stroke is close to the edge and gets the correction."""

CYCLES = 2
MORE_CYCLES = 4
"""V-cycles on the finest grid; more up to SMALL px, where they cost little and thin strips need them."""
SMALL = 2**18
DAMPING = np.float32(0.8)
HALF = np.float32(0.5)
CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


def correction(
    difference: FloatArray, valid: BoolArray, allowed: BoolArray, longest_fade: float = inf
) -> FloatArray:
    """What to add to a repaint inside ``allowed``.

    The fade is exp(-(s / L)^2) with s the px from the edge pixels and L = max(16, half the greatest depth):
    1 with no slope at the edge, 0.37 at L, 0.02 at 2 L.

    Args:
        difference: float32 (C, H, W), original minus repaint, finite; read on the ring only.
        valid: bool (H, W), where ``difference`` is known.
        allowed: bool (H, W).
        longest_fade: px; L is no longer.

    Returns:
        float32 (C, H, W), 0 outside ``allowed``, and everywhere if no pixel of the ring is valid.
    """
    if allowed.all() or not allowed.any():
        return np.zeros_like(difference)
    ring = ring_around(allowed)
    depth = distance_inside(allowed)
    scale = min(max(LEAST_FADE, FADE_SHARE * float(depth.max())), longest_fade)
    fade = np.exp(-np.square((depth - 1) / np.float32(scale))) * allowed
    film = harmonic(*smoothed_along(difference, ring, valid), allowed)
    film *= fade
    return film


def ring_around(allowed: BoolArray) -> BoolArray:
    """The RING_WIDTH px outside, bool (H, W), where a repaint is compared with the original."""
    return np.asarray((cv2.dilate(allowed.astype(np.uint8), disc(RING_WIDTH)) > 0) & ~allowed)


def harmonic(values: FloatArray, known: BoolArray, inside: BoolArray) -> FloatArray:
    """The solution of Laplace's equation (5 points) inside, with the given values around it.

    The picture's border is free (no slope across it). Full multigrid: a V-cycle on each grid from coarse to
    fine, then several on the finest. The error is below 1 % of the values' range, and smooth.

    Args:
        values: float32 (C, H, W).
        known: bool (H, W), where ``values`` is read; outside only. Other neighbours outside get values from
            known ones near them.
        inside: bool (H, W); not everything.

    Returns:
        float32 (C, H, W), valid inside.
    """
    grids = _grids(inside, known)
    return np.stack([_solve(plane, grids) for plane in values])


@dataclass(frozen=True)
class _Grid:
    """``average of the four neighbours - diagonal * u + rest = 0`` inside, on one grid of (H, W) cells.

    ``step`` and ``stay`` are the factors of a damped Jacobi step; ``held`` marks known cells outside.
    """

    inside: FloatArray
    diagonal: FloatArray
    step: FloatArray
    stay: FloatArray
    known: FloatArray
    held: BoolArray
    scratch: FloatArray


def _grids(inside: BoolArray, known: BoolArray) -> list[_Grid]:
    """The grids from fine to coarse, each with half the rows and columns of the one before (rounded up).

    A coarse cell is inside if any part of it is. The links to the outside that it loses by that are added to
    its diagonal: their number, a quarter each as in CROSS, halved because coarse cells are twice as far
    apart. So the cycles converge for walls and specks of single pixels too.
    """
    share, ring = inside.astype(np.float32), known.astype(np.float32)
    links = _average(1 - share) * share
    diagonal: FloatArray = np.ones_like(share)
    grids = []
    while True:
        step, held = DAMPING * share / diagonal, (ring > 0) & (share == 0)
        scratch = np.empty_like(share)
        grids.append(_Grid(share, diagonal, step, 1 - DAMPING * share, ring, held, scratch))
        if max(share.shape) <= 2:
            return grids
        links = _summed(links)
        share = (_coarser(share) > 0).astype(np.float32)
        ring = (_coarser(ring) > 0).astype(np.float32)
        diagonal = 1 + links * HALF


def _solve(values: FloatArray, grids: list[_Grid]) -> FloatArray:
    """One channel on the finest grid, from the coarsest up."""
    # On each grid the known values, and their contribution to the equations of the cells inside.
    mean: FloatArray = values * grids[0].known
    known = [(mean, np.zeros_like(values))]
    links = _average(mean) * grids[0].inside
    for finer in grids[:-1]:
        mean = _coarser(mean)
        mean /= np.maximum(_coarser(finer.known), np.float32(1e-6))
        links = _summed(links)
        known.append((mean, links * HALF))
    cycles = MORE_CYCLES if values.size <= SMALL else CYCLES
    film = np.zeros_like(mean)
    for k in reversed(range(len(grids))):
        mean, rest = known[k]
        film = _finer(film, mean)
        np.copyto(film, mean, where=grids[k].held)
        for _ in range(cycles if k == 0 else 1):
            _cycle(film, rest, grids[k:])
    return film


def _cycle(u: FloatArray, rest: FloatArray, grids: list[_Grid]) -> None:
    """One V-cycle: bring ``u`` closer to the solution on ``grids[0]``, in place."""
    grid = grids[0]
    if len(grids) == 1:
        _relax(u, rest, grid, 20)
        return
    _relax(u, rest, grid, 2)
    residual = _average(u, grid.scratch)
    residual -= grid.diagonal * u
    residual += rest
    residual *= grid.inside
    coarse = _summed(residual)
    change = np.zeros_like(coarse)
    _cycle(change, coarse, grids[1:])
    finer = _finer(change, u)
    finer *= grid.inside
    # Coarse cells that are partly inside misplace the edge, and where the region is only a few cells wide the
    # change is several times too large. This step length is the optimal one: the energy never rises.
    stiffness = np.vdot(finer, grid.diagonal * finer - _average(finer))
    if stiffness > 0:
        finer *= np.vdot(finer, residual) / stiffness
    u += finer
    _relax(u, rest, grid, 2)


def _relax(u: FloatArray, rest: FloatArray, grid: _Grid, times: int) -> None:
    """Damped Jacobi steps, in place."""
    for _ in range(times):
        change = _average(u, grid.scratch)
        change += rest
        change *= grid.step
        u *= grid.stay
        u += change


def smoothed_along(difference: FloatArray, ring: BoolArray, valid: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The difference averaged along the ring, (C, H, W), and where on the ring it is known, (H, W)."""
    weight = (ring & valid).astype(np.float32)
    total = cv2.GaussianBlur(weight, (5, 5), 0)
    known = ring & (total > 1e-6)
    smooth = np.stack([cv2.GaussianBlur(plane * weight, (5, 5), 0) for plane in difference])
    smooth /= np.where(known, total, np.float32(1))
    return smooth, known


def _average(u: FloatArray, out: FloatArray | None = None) -> FloatArray:
    # BORDER_REPLICATE makes the border free: a missing neighbour counts as the pixel itself.
    return np.asarray(cv2.filter2D(u, -1, CROSS, dst=out, borderType=cv2.BORDER_REPLICATE), np.float32)


def _coarser(u: FloatArray) -> FloatArray:
    size = (u.shape[1] + 1) // 2, (u.shape[0] + 1) // 2
    return np.asarray(cv2.resize(u, size, interpolation=cv2.INTER_AREA), np.float32)


def _summed(u: FloatArray) -> FloatArray:
    """Links or residuals on the coarser grid, where they grow with the square of the cell's side."""
    coarse = _coarser(u)
    # The larger ratio counts, since a single row or column keeps its size.
    coarse *= np.float32(max(u.shape[0] / coarse.shape[0], u.shape[1] / coarse.shape[1]) ** 2)
    return coarse


def _finer(u: FloatArray, like: FloatArray) -> FloatArray:
    return np.asarray(cv2.resize(u, like.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

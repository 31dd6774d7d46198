"""A correction that removes the seam around a repaint: known on a ring, harmonic inside, fading.

A repaint's colours are a little off, so its edge shows. The membrane takes the difference to the original
on a ring just outside, stretches it over the inside as a soap film (Laplace's equation; Perez et al.,
Poisson Image Editing, 2003, eq. 10), and lets it fade with the distance from the edge, so that far from it
the network's own colours stand. The film is made of the ring alone: nothing of what was inside can show
through.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from masks.shape import distance_inside

Field = NDArray[np.float32]
Cells = NDArray[np.bool_]

RING_WIDTH = 2
"""Pixels (Euclidean, round). Two, because the difference on single pixels is mostly grain."""
FADE_SHARE = 0.5
"""Length scale of the fade as a share of the greatest depth inside."""
LEAST_FADE = 16.0
"""Pixels: the least length scale. All of a thin stroke is close to the edge and takes the correction."""

CYCLES = 2
MORE_CYCLES = 4
"""On the finest grid; more up to SMALL px, where they cost little and strips a few px high need them."""
SMALL = 2**18
DAMPING = np.float32(0.8)
HALF = np.float32(0.5)
CROSS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.float32) / 4


def correction(difference: Field, valid: Cells, allowed: Cells) -> Field:
    """What to add to a repaint inside ``allowed``.

    The fade is exp(-(s / L)^2) with s the px from the edge pixels and L = max(16, half the greatest depth):
    1 with no slope at the edge, 0.37 at L, 0.02 at 2 L.

    Args:
        difference: float32 (C, H, W), original minus repaint, finite. Read on the ring only.
        valid: bool (H, W), where ``difference`` means something.
        allowed: bool (H, W).

    Returns:
        float32 (C, H, W), 0 outside ``allowed``, and everywhere if no pixel of the ring is valid.
    """
    if allowed.all() or not allowed.any():
        return np.zeros_like(difference)
    reach = np.square(np.arange(-RING_WIDTH, RING_WIDTH + 1))
    disc = (np.add.outer(reach, reach) <= RING_WIDTH**2).astype(np.uint8)
    ring = (cv2.dilate(allowed.astype(np.uint8), disc) > 0) & ~allowed
    depth = distance_inside(allowed)
    scale = max(LEAST_FADE, FADE_SHARE * float(depth.max()))
    fade: Field = np.exp(-np.square((depth - 1) / np.float32(scale))) * allowed
    film = harmonic(*_along(ring, difference, valid), allowed)
    film *= fade
    return film


def harmonic(values: Field, known: Cells, inside: Cells) -> Field:
    """The solution of Laplace's equation (5 points) inside, with the given values around it.

    The picture's border is free (no slope across it). Full multigrid: a V-cycle on each grid from coarse to
    fine, then several on the finest. The error is below 1 % of the values' range, and of long wave.

    Args:
        values: float32 (C, H, W).
        known: bool (H, W), where ``values`` is read; outside only. The rest of the neighbours outside get
            values from known ones near by.
        inside: bool (H, W); not everything.

    Returns:
        float32 (C, H, W), to be read inside.
    """
    levels = _levels(inside, known)
    return np.stack([_solve(plane, levels) for plane in values])


@dataclass(frozen=True)
class _Level:
    """``average of the four neighbours - diagonal * u + rest = 0`` inside, on one grid of (H, W) cells.

    ``step`` and ``stay`` make a damped Jacobi step of it, ``held`` is where cells outside have a known value.
    """

    inside: Field
    diagonal: Field
    step: Field
    stay: Field
    known: Field
    held: Cells
    scratch: Field


def _levels(inside: Cells, known: Cells) -> list[_Level]:
    """The grids from fine to coarse, each with half the rows and columns of the one before (rounded up).

    A coarse cell is inside if any part of it is. What of its edge with the outside is lost by that goes
    into its diagonal: the number of fine links to the outside, a quarter each as in CROSS, halved because
    coarse cells are twice as far apart. So the cycles converge on walls and specks of single pixels too.
    """
    share, ring = inside.astype(np.float32), known.astype(np.float32)
    links = _average(1 - share) * share
    diagonal: Field = np.ones_like(share)
    levels = []
    while True:
        levels.append(
            _Level(
                inside=share,
                diagonal=diagonal,
                step=DAMPING * share / diagonal,
                stay=1 - DAMPING * share,
                known=ring,
                held=(ring > 0) & (share == 0),
                scratch=np.empty_like(share),
            )
        )
        if max(share.shape) <= 2:
            return levels
        links = _summed(links)
        share = (_coarser(share) > 0).astype(np.float32)
        ring = (_coarser(ring) > 0).astype(np.float32)
        diagonal = 1 + links * HALF


def _solve(values: Field, levels: list[_Level]) -> Field:
    """One channel on the finest grid, from the coarsest up."""
    # What the known values are on each grid, and how they pull on the cells inside through the links.
    pull: Field = np.zeros_like(values)
    mean: Field = values * levels[0].known
    grids = [(mean, pull)]
    links = _average(mean) * levels[0].inside
    for finer in levels[:-1]:
        mean = _coarser(mean)
        mean /= np.maximum(_coarser(finer.known), np.float32(1e-6))
        links = _summed(links)
        grids.append((mean, links * HALF))
    cycles = MORE_CYCLES if values.size <= SMALL else CYCLES
    film = np.zeros_like(mean)
    for k in reversed(range(len(levels))):
        mean, pull = grids[k]
        film = _finer(film, mean)
        np.copyto(film, mean, where=levels[k].held)
        for _ in range(cycles if k == 0 else 1):
            _cycle(film, pull, levels[k:])
    return film


def _cycle(u: Field, rest: Field, levels: list[_Level]) -> None:
    """One V-cycle: bring ``u`` closer to the solution on ``levels[0]``, in place."""
    level = levels[0]
    if len(levels) == 1:
        _relax(u, rest, level, 20)
        return
    _relax(u, rest, level, 2)
    residual = _average(u, level.scratch)
    residual -= level.diagonal * u
    residual += rest
    residual *= level.inside
    coarse = _summed(residual)
    change = np.zeros_like(coarse)
    _cycle(change, coarse, levels[1:])
    finer = _finer(change, u)
    finer *= level.inside
    # Coarse cells that are partly inside put the edge in the wrong place, and where the region is a few cells
    # wide the change is too large by a multiple. This length of the step is the best one: energy never rises.
    stiffness = np.vdot(finer, level.diagonal * finer - _average(finer))
    if stiffness > 0:
        finer *= np.vdot(finer, residual) / stiffness
    u += finer
    _relax(u, rest, level, 2)


def _relax(u: Field, rest: Field, level: _Level, times: int) -> None:
    """Damped Jacobi steps, in place."""
    for _ in range(times):
        change = _average(u, level.scratch)
        change += rest
        change *= level.step
        u *= level.stay
        u += change


def _along(ring: Cells, difference: Field, valid: Cells) -> tuple[Field, Cells]:
    """The difference averaged along the ring, (C, H, W), and where on the ring it is known, (H, W)."""
    weight = (ring & valid).astype(np.float32)
    total = cv2.GaussianBlur(weight, (5, 5), 0)
    known = ring & (total > 1e-6)
    smooth = np.stack([cv2.GaussianBlur(plane * weight, (5, 5), 0) for plane in difference])
    smooth /= np.where(known, total, np.float32(1))
    return smooth, known


def _average(u: Field, out: Field | None = None) -> Field:
    # Repeating the border pixel makes the border free: a missing neighbour counts as the pixel itself.
    return np.asarray(cv2.filter2D(u, -1, CROSS, dst=out, borderType=cv2.BORDER_REPLICATE), np.float32)


def _coarser(u: Field) -> Field:
    size = (u.shape[1] + 1) // 2, (u.shape[0] + 1) // 2
    return np.asarray(cv2.resize(u, size, interpolation=cv2.INTER_AREA), np.float32)


def _summed(u: Field) -> Field:
    """What belongs to links and residuals on the coarser grid: these grow with the cell's side squared."""
    coarse = _coarser(u)
    # A single row or column stays as it is, so the longer ratio is the true one.
    coarse *= np.float32(max(u.shape[0] / coarse.shape[0], u.shape[1] / coarse.shape[1]) ** 2)
    return coarse


def _finer(u: Field, like: Field) -> Field:
    return np.asarray(cv2.resize(u, like.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)

"""What the grounds and the sky look like, compiled into the kernels by numba.

numba's cache does not notice edits in here: after one, put this file's new stamp into kernels.py (the test
of the kernels says which), which makes numba compile afresh.
"""
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import math

from numba import njit

helper = njit(fastmath=True)


@helper
def _hash(i, j, seed):
    h = (int(i) * 374761393 + int(j) * 668265263 + seed * 2147483647 + 1013904223) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 16)) / 4294967296.0


@helper
def _noise(x, y, scale, seed, foot):
    """Value noise about 0.5 that fades where its grain is finer than a pixel (`foot` world units wide)."""
    x, y, fade = x * scale, y * scale, 1.0 / (1.0 + (scale * foot) ** 2 * 4.0)
    i, j = math.floor(x), math.floor(y)
    f, g = x - i, y - j
    f, g = f * f * (3.0 - 2.0 * f), g * g * (3.0 - 2.0 * g)
    top = _hash(i, j, seed) * (1.0 - f) + _hash(i + 1, j, seed) * f
    low = _hash(i, j + 1, seed) * (1.0 - f) + _hash(i + 1, j + 1, seed) * f
    return 0.5 + (top * (1.0 - g) + low * g - 0.5) * fade


@helper
def ground(kind, x, z, seed, foot):
    """Linear rgb of ground number `kind` of GROUNDS at a point, seen by a pixel `foot` world units wide."""
    if kind == 0:
        plank = math.floor(x * 2.4)
        edge = x * 2.4 - plank
        shift = 9.0 * _hash(plank, 0, seed)
        warp = _noise(x * 3.0, z * 0.5 + shift, 2.4, seed, foot)
        grain = 0.5 + 0.5 * math.sin((z * 0.7 + shift + warp * 2.2 + x * 3.0) * 5.0)
        grain = 0.6 * grain + 0.4 * _noise(x * 6.0, z * 0.5, 4.0, seed + 1, foot * 3.0)
        tone = (0.72 + 0.42 * _hash(plank, 3, seed)) * (1.0 if 0.035 < edge < 0.965 else 0.45)
        tone = 0.9 + (tone - 0.9) / (1.0 + (foot * 7.0) ** 2)
        return (0.50 + 0.14 * grain) * tone, (0.29 + 0.11 * grain) * tone, (0.13 + 0.07 * grain) * tone
    if kind == 1:
        fade = 1.0 / (1.0 + (foot * 6.0) ** 2)
        odd = (math.floor(x * 1.9 + seed) + math.floor(z * 1.9)) % 2
        v = 0.47 + (0.41 if odd == 0 else -0.41) * fade
        return v, v, v
    if kind == 2:
        v = 0.35 * _noise(x, z, 4.0, seed, foot) + 0.40 * _noise(x, z * 0.6, 19.0, seed + 1, foot)
        v += 0.25 * _noise(x, z * 0.6, 47.0, seed + 2, foot)
        v = min(max((v - 0.5) * 1.8 + 0.5, 0.0), 1.0)
        return 0.10 + 0.17 * v, 0.26 + 0.34 * v, 0.05 + 0.09 * v
    if kind == 3:
        v = 0.6 * _noise(x, z, 5.0, seed, foot) + 0.4 * _noise(x, z, 38.0, seed + 1, foot)
        wave = 0.5 + 0.5 * math.sin(z * 13.0 + 6.0 * _noise(x, z, 1.6, seed + 2, foot))
        v = 0.72 * v + 0.28 * wave
        return 0.70 + 0.20 * v, 0.54 + 0.19 * v, 0.29 + 0.15 * v
    if kind == 4:
        v = 0.65 * _noise(x, z, 2.6, seed, foot) + 0.35 * _noise(x, z, 8.0, seed + 1, foot)
        return 0.74 + 0.20 * v, 0.80 + 0.17 * v, 0.90 + 0.10 * v
    warp = 0.65 * _noise(x, z, 1.4, seed, foot) + 0.35 * _noise(x, z, 4.0, seed + 1, foot)
    vein = abs(math.sin(warp * 8.0 + x * 0.9 + z * 0.5)) ** 0.45
    cloud = _noise(x, z, 2.1, seed + 2, foot)
    v = 0.34 + 0.66 * vein
    return (0.74 + 0.10 * cloud) * v, (0.76 + 0.08 * cloud) * v, (0.74 + 0.06 * cloud) * v + 0.03


@helper
def sky(light, dy):
    """Linear rgb of the sky under light number `light` of LIGHTS, along a ray of upward part `dy`."""
    up = max(0.0, min(1.0, dy * 1.5 + 0.2))
    low = 1.0 - up
    if light == 0:
        return 0.80 * low + 0.33 * up, 0.88 * low + 0.58 * up, 0.96 * low + 0.94 * up
    if light == 1:
        return 1.05 * low + 0.42 * up, 0.63 * low + 0.34 * up, 0.36 * low + 0.52 * up
    return 0.10 * low + 0.02 * up, 0.12 * low + 0.03 * up, 0.26 * low + 0.12 * up

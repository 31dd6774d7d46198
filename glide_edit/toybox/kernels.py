"""The ray marcher, compiled by numba.

Arrays: `P` primitives and `T` toys as in shapes.py, `E` the light and ground (columns in render.py), `C` the
camera; all other arguments are floats and integers, whose types numba finds itself. Colours are linear until
`_display`.
"""
# mypy: allow-untyped-defs, allow-untyped-calls, allow-untyped-decorators

from __future__ import annotations

import math

from numba import njit

from glide_edit.toybox.patterns import ground, helper, sky

# The start of patterns.py's SHA-256. numba's cache looks only at the file a cached function stands in, so a
# change over there has to show in here.
PATTERNS_STAMP = "e20bd5bfb4f8"

# Only the entries are cached; helpers become part of them. fastmath is safe: no NaN or infinity occurs.
entry = njit(fastmath=True, cache=True, nogil=True)

_FAR = 45.0


@helper
def _local(P, i, x, y, z):
    x, y, z = x - P[i, 1], y - P[i, 2], z - P[i, 3]
    return P[i, 12] * x - P[i, 13] * z, y, P[i, 13] * x + P[i, 12] * z


@helper
def _distance(P, i, x, y, z):
    x, y, z = _local(P, i, x, y, z)
    kind, a, b, c, r = int(P[i, 0]), P[i, 4], P[i, 5], P[i, 6], P[i, 7]
    if kind == 0 or kind == 6:
        k0 = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
        k1 = math.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
        d = k0 * (k0 - 1.0) / (k1 + 1e-9)
        return d if kind == 0 else max(d, -y)
    if kind == 1:
        qx, qy, qz = abs(x) - a + r, abs(y) - b + r, abs(z) - c + r
        inside = min(max(qx, max(qy, qz)), 0.0)
        return math.sqrt(max(qx, 0.0) ** 2 + max(qy, 0.0) ** 2 + max(qz, 0.0) ** 2) + inside - r
    if kind == 2 or kind == 7:
        if kind == 7:
            y, z = z, y
        flat = math.sqrt(x * x + z * z)
        d1, d2 = flat - a + r, abs(y) - b + r
        d = min(max(d1, d2), 0.0) + math.sqrt(max(d1, 0.0) ** 2 + max(d2, 0.0) ** 2) - r
        if kind == 2 and c > 0.0:
            d = max(d, min(a - c - flat, y + b - c))
        return d
    if kind == 3:
        return _cone(math.sqrt(x * x + z * z), y, a, b, c) - r
    if kind == 4:
        if c > 0.5:
            y, z = z, y
        ring = math.sqrt(x * x + z * z) - a
        return math.sqrt(ring * ring + y * y) - b
    return max(max(abs(z) - c, -y - b), _slope(x, y, a, b))


@helper
def _slope(x, y, a, b):
    """Distance to the nearer slope of a gable roof."""
    return (abs(x) * 2.0 * b + (y + b) * a - 2.0 * a * b) / math.sqrt(4.0 * b * b + a * a)


@helper
def _cone(flat, y, bottom, half, top):
    """Exact distance to a capped cone (Quilez, "distance functions")."""
    tilt = top - bottom
    cap_x = flat - min(flat, bottom if y < 0.0 else top)
    cap_y = abs(y) - half
    along = ((top - flat) * tilt + (half - y) * 2.0 * half) / (tilt * tilt + 4.0 * half * half)
    along = min(max(along, 0.0), 1.0)
    side_x = flat - top + tilt * along
    side_y = y - half + 2.0 * half * along
    sign = -1.0 if side_x < 0.0 and cap_y < 0.0 else 1.0
    return sign * math.sqrt(min(cap_x * cap_x + cap_y * cap_y, side_x * side_x + side_y * side_y))


@helper
def _toy_distance(P, T, j, x, y, z):
    best, part = 1e9, -1
    for i in range(int(T[j, 4]), int(T[j, 5])):
        limit = best + P[i, 14]
        if limit < 0.0:
            continue
        if (x - P[i, 1]) ** 2 + (y - P[i, 2]) ** 2 + (z - P[i, 3]) ** 2 > limit * limit:
            continue
        d = _distance(P, i, x, y, z)
        if d < best:
            best, part = d, i
    return best, part


@helper
def _sphere(T, j, margin, ox, oy, oz, dx, dy, dz):
    """Where a ray enters and leaves toy j's bounding sphere; leaving at -1 means never."""
    ex, ey, ez = ox - T[j, 0], oy - T[j, 1], oz - T[j, 2]
    radius = T[j, 3] + margin
    b = ex * dx + ey * dy + ez * dz
    root = b * b - (ex * ex + ey * ey + ez * ez - radius * radius)
    if root < 0.0:
        return 0.0, -1.0
    root = math.sqrt(root)
    return -b - root, -b + root


@helper
def _hit_toy(P, T, j, ox, oy, oz, dx, dy, dz, limit):
    """Where the ray first meets toy j, and its primitive; (-1, -1) where it does not before `limit`."""
    t, end = _sphere(T, j, 0.0, ox, oy, oz, dx, dy, dz)
    t, end = max(t, 0.0), min(end, limit)
    for _ in range(90):
        if t > end:
            break
        d, part = _toy_distance(P, T, j, ox + dx * t, oy + dy * t, oz + dz * t)
        if d < 0.001:
            return t, part
        t += d * 0.97
    return -1.0, -1


@helper
def _trace(P, T, ox, oy, oz, dx, dy, dz, every):
    """Nearest hit (t, primitive, toy) and, where `every`, the bits of all toys the ray meets."""
    best, part, toy, met = 1e9, -1, -1, 0
    for j in range(T.shape[0]):
        t, k = _hit_toy(P, T, j, ox, oy, oz, dx, dy, dz, 1e9 if every else best)
        if k >= 0:
            met |= 1 << j
            if t < best:
                best, part, toy = t, k, j
    return best, part, toy, met


@helper
def _toy_shadow(P, T, j, x, y, z, lx, ly, lz):
    """How much of the sun toy j leaves at a point, 0 … 1, with a soft edge."""
    t, end = _sphere(T, j, 0.22, x, y, z, lx, ly, lz)
    if end < 0.0:
        return 1.0
    left, t = 1.0, max(0.02, t)
    for _ in range(44):
        d, _part = _toy_distance(P, T, j, x + lx * t, y + ly * t, z + lz * t)
        left = min(left, 0.5 + 4.5 * d / t)
        if left < 0.01:
            return 0.0
        t += max(0.014, min(d, 0.3))
        if t > end:
            break
    left = max(left, 0.0)
    return left * left * (3.0 - 2.0 * left)


@helper
def _occlusion(P, T, x, y, z, nx, ny, nz):
    """Ambient light that reaches a point, 0.2 … 1, and the bits of toys that take some of it."""
    seen, near = 1.0, 0
    weight = 0.95
    for step in range(4):
        h = 0.03 + 0.11 * step * (1.0 + 0.25 * step)
        px, py, pz = x + nx * h, y + ny * h, z + nz * h
        gap = py if ny < 0.999 else h
        for j in range(T.shape[0]):
            away = math.sqrt((px - T[j, 0]) ** 2 + (py - T[j, 1]) ** 2 + (pz - T[j, 2]) ** 2) - T[j, 3]
            if away < min(gap, h):
                d, _part = _toy_distance(P, T, j, px, py, pz)
                gap = min(gap, d)
                if d < 0.55 * h and step == 2:
                    near |= 1 << j
        seen -= max(0.0, h - gap) * weight
        weight *= 0.72
    return max(seen, 0.2), near


@helper
def _normal(P, i, x, y, z):
    e = 0.0015
    d = _distance(P, i, x, y, z)
    nx = _distance(P, i, x + e, y, z) - d
    ny = _distance(P, i, x, y + e, z) - d
    nz = _distance(P, i, x, y, z + e) - d
    n = math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    return nx / n, ny / n, nz / n


@helper
def _surface(P, T, E, x, y, z, part, t, dx, dy, dz, first):
    """Colour without mirror images, the normal, and the bits of toys that darken the point."""
    lx, ly, lz = E[0], E[1], E[2]
    if part >= 0:
        nx, ny, nz = _normal(P, part, x, y, z)
        r, g, b, material = P[part, 8], P[part, 9], P[part, 10], int(P[part, 11])
    else:
        nx, ny, nz = 0.0, 1.0, 0.0
        # Mirrors are a little rough: they see the ground without its fine pattern.
        foot = t * E[12] / max(-dy, 0.05) + (0.0 if first else 0.3)
        r, g, b = ground(int(E[9]), x, z, int(E[10]), foot)
        material = 0
    facing = nx * lx + ny * ly + nz * lz
    sun, dark = 1.0, 0
    if facing > 0.0:
        for j in range(T.shape[0]):
            left = _toy_shadow(P, T, j, x + nx * 0.012, y + ny * 0.012, z + nz * 0.012, lx, ly, lz)
            sun = min(sun, left)
            if left < 0.82:
                dark |= 1 << j
    seen, near = (_occlusion(P, T, x, y, z, nx, ny, nz)) if first else (0.8, 0)
    lit = max(0.0, facing) * sun
    fill = seen * (0.72 + 0.28 * ny + 0.16 * max(0.0, -ny))
    r, g, b = r * (E[3] * lit + E[6] * fill), g * (E[4] * lit + E[7] * fill), b * (E[5] * lit + E[8] * fill)
    if material >= 1:
        hx, hy, hz = lx - dx, ly - dy, lz - dz
        h = max(0.0, (nx * hx + ny * hy + nz * hz) / math.sqrt(hx * hx + hy * hy + hz * hz))
        shine = sun * (1.1 * h**110 if material == 1 else 0.55 * h**45)
        r, g, b = r + shine * E[3], g + shine * E[4], b + shine * E[5]
    return r, g, b, nx, ny, nz, dark | near


@helper
def _mist(E, t, r, g, b):
    """Far ground melts into the horizon."""
    sr, sg, sb = sky(int(E[11]), 0.02)
    f = 1.0 - math.exp(-max(0.0, t - 7.0) * 0.10)
    return r * (1.0 - f) + sr * f, g * (1.0 - f) + sg * f, b * (1.0 - f) + sb * f


@helper
def _mirrored(P, T, E, x, y, z, dx, dy, dz):
    """What a mirror at a point sees, and the toy in it (-1 none)."""
    t, part, toy, _met = _trace(P, T, x, y, z, dx, dy, dz, False)
    if part < 0:
        t = -y / dy if dy < -1e-4 else 1e9
        if t > _FAR:
            # The open sky with a large soft lamp about the sun, which is what makes metal look like metal.
            r, g, b = sky(int(E[11]), dy)
            lamp = 0.9 * min(max((dx * E[0] + dy * E[1] + dz * E[2] - 0.72) * 6.0, 0.0), 1.0)
            return r + lamp * E[3], g + lamp * E[4], b + lamp * E[5], -1
    r, g, b = _surface(P, T, E, x + dx * t, y + dy * t, z + dz * t, part, t, dx, dy, dz, False)[:3]
    if part < 0:
        r, g, b = _mist(E, t, r, g, b)
    return r, g, b, toy


@helper
def _face(P, i, x, y, z):
    """Which side of a primitive a surface point lies on, so that its edges can be drawn."""
    x, y, z = _local(P, i, x, y, z)
    kind, a, b, c = int(P[i, 0]), P[i, 4], P[i, 5], P[i, 6]
    if kind == 2 and c > 0.0:
        return 1 if math.sqrt(x * x + z * z) < a - 0.5 * c else 0
    if P[i, 15] == 0.0:
        return 0
    if kind == 1:
        px, py, pz = abs(x) - a, abs(y) - b, abs(z) - c
        if px > py and px > pz:
            return 1 if x > 0 else 2
        if py > pz:
            return 3 if y > 0 else 4
        return 5 if z > 0 else 6
    if kind == 2 or kind == 3:
        top = a if kind == 2 else c
        if abs(y) - b > math.sqrt(x * x + z * z) - max(a if y < 0.0 else top, 0.03):
            return 1 if y > 0 and top > 0.06 else (2 if y < 0 else 0)
    if kind == 5:
        if abs(z) - c > _slope(x, y, a, b):
            return 1 if z > 0 else 2
        return 3 if x > 0 else 4
    return 0


@helper
def _radiance(P, T, E, ox, oy, oz, dx, dy, dz, every):
    """Colour along a camera ray, the face (primitive * 8 + side) and toy seen, the bits of toys met and of
    toys that darken the ground."""
    t, part, toy, met = _trace(P, T, ox, oy, oz, dx, dy, dz, every)
    if part < 0:
        t = -oy / dy if dy < -1e-4 else 1e9
        if t > _FAR:
            r, g, b = sky(int(E[11]), dy)
            return r, g, b, -1, -1, met, 0
    x, y, z = ox + dx * t, oy + dy * t, oz + dz * t
    r, g, b, nx, ny, nz, dark = _surface(P, T, E, x, y, z, part, t, dx, dy, dz, True)
    material = int(P[part, 11]) if part >= 0 else 0
    mirror = E[13]
    if part >= 0:
        mirror = 0.0 if material == 0 else (0.07 if material == 1 else 0.55)
    if mirror > 0.0:
        turn = dx * nx + dy * ny + dz * nz
        qx, qy, qz = dx - 2.0 * turn * nx, dy - 2.0 * turn * ny, dz - 2.0 * turn * nz
        mr, mg, mb, other = _mirrored(P, T, E, x + nx * 0.012, y + ny * 0.012, z + nz * 0.012, qx, qy, qz)
        share = mirror + (1.0 - mirror) * (1.0 - min(1.0, abs(turn))) ** 5 * 0.5
        if material == 2:
            mr *= 1.305 * P[part, 8] + 0.1015
            mg *= 1.305 * P[part, 9] + 0.1015
            mb *= 1.305 * P[part, 10] + 0.1015
        r, g, b = (
            r * (1.0 - share) + mr * share,
            g * (1.0 - share) + mg * share,
            b * (1.0 - share) + mb * share,
        )
        if part < 0 and other >= 0:
            dark |= 1 << other
    if part < 0:
        r, g, b = _mist(E, t, r, g, b)
        return r, g, b, -1, -1, met, dark
    return r, g, b, part * 8 + _face(P, part, x, y, z), toy, met, 0


@helper
def _display(v):
    v = max(v, 0.0)
    return math.sqrt(min(v * (1.0 + 0.25 * v) / (1.0 + 0.55 * v), 1.0))


@helper
def _ray(C, x, y):
    """The camera's ray through a point of the picture, x right and y down in 0 … 1."""
    u, v = C[13] + C[12] * (2.0 * x - 1.0), C[14] + C[12] * (1.0 - 2.0 * y)
    dx, dy, dz = C[3] + u * C[9] + v * C[6], C[4] + u * C[10] + v * C[7], C[5] + u * C[11] + v * C[8]
    n = math.sqrt(dx * dx + dy * dy + dz * dz)
    return dx / n, dy / n, dz / n


@entry
def shade_rows(P, T, E, C, size, row, step, every, image, toys, faces, met, dark):
    """One sample in the middle of each pixel of rows row, row + step, …; writes the arrays after `every`."""
    for j in range(row, size, step):
        for i in range(size):
            dx, dy, dz = _ray(C, (i + 0.5) / size, (j + 0.5) / size)
            r, g, b, face, toy, bits, shade = _radiance(P, T, E, C[0], C[1], C[2], dx, dy, dz, every)
            image[j, i, 0], image[j, i, 1], image[j, i, 2] = _display(r), _display(g), _display(b)
            toys[j, i], faces[j, i], met[j, i], dark[j, i] = toy, face, bits, shade


@entry
def refine_pixels(P, T, E, C, size, pixels, step, offsets, image, first):
    """Replaces the colour of pixels (K, 2: row, column) by the mean over the sample offsets (M, 2)."""
    count = offsets.shape[0]
    for k in range(first, pixels.shape[0], step):
        j, i = pixels[k, 0], pixels[k, 1]
        red = green = blue = 0.0
        for m in range(count):
            dx, dy, dz = _ray(C, (i + offsets[m, 0]) / size, (j + offsets[m, 1]) / size)
            s = _radiance(P, T, E, C[0], C[1], C[2], dx, dy, dz, False)
            red, green, blue = red + _display(s[0]), green + _display(s[1]), blue + _display(s[2])
        image[j, i, 0], image[j, i, 1], image[j, i, 2] = red / count, green / count, blue / count


@entry
def face_pixels(P, T, C, size, pixels, first, step, factor, faces):
    """The faces seen at factor x factor samples in each of the pixels (K, 2: row, column) of a size x size
    picture, written to `faces` (size * factor, size * factor)."""
    fine = size * factor
    for k in range(first, pixels.shape[0], step):
        for m in range(factor * factor):
            j, i = pixels[k, 0] * factor + m // factor, pixels[k, 1] * factor + m % factor
            dx, dy, dz = _ray(C, (i + 0.5) / fine, (j + 0.5) / fine)
            t, part, _toy, _met = _trace(P, T, C[0], C[1], C[2], dx, dy, dz, False)
            faces[j, i] = -1
            if part >= 0:
                faces[j, i] = part * 8 + _face(P, part, C[0] + dx * t, C[1] + dy * t, C[2] + dz * t)

"""What a toybox scene is: the words it is made of, its dataclasses, and what training never sees."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from glide_edit.errors import InputError

KINDS: tuple[str, ...] = (
    "ball",
    "cube",
    "cylinder",
    "cone",
    "ring",
    "tree",
    "house",
    "mushroom",
    "snowman",
    "car",
    "mug",
    "rocket",
)

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.80, 0.07, 0.06),
    "blue": (0.06, 0.18, 0.78),
    "green": (0.07, 0.55, 0.12),
    "yellow": (0.93, 0.78, 0.06),
    "purple": (0.42, 0.10, 0.62),
    "orange": (0.95, 0.42, 0.04),
    "pink": (0.95, 0.45, 0.62),
    "white": (0.92, 0.92, 0.90),
    "black": (0.04, 0.04, 0.045),
    "brown": (0.36, 0.19, 0.08),
    "cyan": (0.08, 0.70, 0.75),
    "gray": (0.42, 0.42, 0.43),
}

MATERIALS: tuple[str, ...] = ("matte", "shiny", "metal")
GROUNDS: tuple[str, ...] = ("wood", "checkered floor", "grass", "sand", "snow", "marble")
LIGHTS: tuple[str, ...] = ("day", "sunset", "night")
SIZES: tuple[str, ...] = ("small", "large")


@dataclass(frozen=True)
class Toy:
    """One toy standing on the ground plane y = 0.

    `x` points right and `z` towards the viewer, in world units (a large toy is about one unit tall);
    `yaw` is in radians, 0 showing the toy's face; `stretch` makes it taller and slimmer (1 = as designed).
    """

    kind: str
    colour: str
    material: str
    size: str
    scale: float
    x: float
    z: float
    yaw: float
    stretch: float = 1.0

    def __post_init__(self) -> None:
        _known("kind", self.kind, KINDS)
        _known("colour", self.colour, tuple(COLOURS))
        _known("material", self.material, MATERIALS)
        _known("size", self.size, SIZES)
        _numbers("a toy's position", self.x, self.z, self.yaw)
        _numbers("a toy's scale and stretch", self.scale, self.stretch, positive=True)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a shifted lens.

    It looks at `target` from `distance` world units away, `azimuth` radians to the right of the z axis
    and `elevation` radians above the ground. The picture spans `half_tan` (a tangent) to each side of
    (`shift_u`, `shift_v`), which are tangents too.
    """

    azimuth: float
    elevation: float
    distance: float
    target: tuple[float, float, float]
    half_tan: float
    shift_u: float
    shift_v: float

    def __post_init__(self) -> None:
        if len(self.target) != 3:
            raise InputError(f"a camera's target is x, y and z, not {self.target}")
        _numbers(
            "a camera's direction", self.azimuth, self.elevation, *self.target, self.shift_u, self.shift_v
        )
        _numbers("a camera's distance and zoom", self.distance, self.half_tan, positive=True)


@dataclass(frozen=True)
class Scene:
    """Everything a picture follows from; `render(scene)` adds no randomness of its own.

    `sun` is the (azimuth, elevation) of the main light in radians; `texture` moves the ground's pattern.
    """

    seed: int
    toys: tuple[Toy, ...]
    ground: str
    light: str
    camera: Camera
    sun: tuple[float, float]
    texture: int

    def __post_init__(self) -> None:
        _known("ground", self.ground, GROUNDS)
        _known("light", self.light, LIGHTS)
        if not 1 <= len(self.toys) <= 8:
            raise InputError(f"a scene holds 1 to 8 toys, not {len(self.toys)}")
        if len(self.sun) != 2:
            raise InputError(f"the sun has an azimuth and an elevation, not {self.sun}")
        _numbers("the sun's direction", *self.sun)
        for what, number in (("seed", self.seed), ("texture", self.texture)):
            if not isinstance(number, int) or number < 0:
                raise InputError(f"a scene's {what} is a whole number of 0 or more, not {number!r}")

    def to_json(self) -> dict[str, Any]:
        """A dict of plain JSON values; `Scene.from_json` gives back an equal scene."""
        value = asdict(self)
        value["toys"] = [asdict(toy) for toy in self.toys]
        value["sun"] = list(self.sun)
        value["camera"]["target"] = list(self.camera.target)
        return value

    @staticmethod
    def from_json(value: dict[str, Any]) -> Scene:
        """The scene `to_json` described. Raises InputError where a field is missing, unknown or wrong."""
        try:
            fields = dict(value)
            camera = dict(fields.pop("camera"))
            target = tuple(camera.pop("target"))
            toys = tuple(Toy(**toy) for toy in fields.pop("toys"))
            sun = tuple(fields.pop("sun"))
            return Scene(toys=toys, sun=sun, camera=Camera(target=target, **camera), **fields)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a toybox scene: {error}") from error


def held_out_colour(kind: str, colour: str) -> bool:
    """True where training never shows this kind in this colour.

    A Latin square over the indices: each kind lacks exactly one colour and each colour exactly one kind
    (12 of 144 pairs), so that every word is well trained and only the combination is new.
    """
    return (5 * _index("kind", kind, KINDS) + _index("colour", colour, tuple(COLOURS))) % 12 == 1


def held_out_pair(kind_a: str, kind_b: str) -> bool:
    """True where training never shows these two kinds in one scene (6 of the 78 unordered pairs)."""
    a, b = sorted((_index("kind", kind_a, KINDS), _index("kind", kind_b, KINDS)))
    return (3 * a + 4 * b) % 11 == 5 and a != b


def _known(what: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise InputError(f"unknown {what} {name!r}; choose from: {', '.join(names)}")


def _numbers(what: str, *numbers: float, positive: bool = False) -> None:
    for number in numbers:
        if not isinstance(number, int | float) or not math.isfinite(number) or (positive and number <= 0):
            raise InputError(f"{what} must be {'positive' if positive else 'finite'} numbers, not {number!r}")


def _index(what: str, name: str, names: tuple[str, ...]) -> int:
    _known(what, name, names)
    return names.index(name)

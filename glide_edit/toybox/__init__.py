"""The toybox: a procedural world of toys with exact masks, captions and line drawings.

>>> scene = sample_scene(7)
>>> picture, text = render(scene).image, caption(scene, seed=0)
"""

from glide_edit.toybox.captions import caption, describe_toy, vocabulary
from glide_edit.toybox.folder import write_folder
from glide_edit.toybox.render import Rendering, render
from glide_edit.toybox.sampling import of_one_kind, sample_scene
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

__all__ = [
    "COLOURS",
    "GROUNDS",
    "KINDS",
    "LIGHTS",
    "MATERIALS",
    "Camera",
    "Rendering",
    "Scene",
    "Toy",
    "caption",
    "describe_toy",
    "held_out_colour",
    "held_out_pair",
    "of_one_kind",
    "render",
    "sample_scene",
    "vocabulary",
    "write_folder",
]

"""The verifier's network: each cell of a grid names the object whose middle lies in it.

Objects are points with properties, as in CenterNet (Zhou et al., "Objects as Points", arXiv 1904.07850): a
heatmap for each kind, and at each cell the colour, the material and the distances to the box's four sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glide_edit.errors import InputError

STRIDE = 8
"""Pixels a cell is wide."""


@dataclass(frozen=True)
class VerifierConfig:
    """The shape of the network: how many words of each sort it tells apart, and its ``channels`` at 4, 8 and
    16 pixels a cell. Raises InputError for a number below 1, or an ``image_size`` no multiple of 16."""

    kinds: int
    colours: int
    materials: int
    grounds: int
    lights: int
    image_size: int = 128
    channels: tuple[int, int, int] = (64, 112, 96)

    def __post_init__(self) -> None:
        numbers = (self.kinds, self.colours, self.materials, self.grounds, self.lights, *self.channels)
        if min(numbers) < 1 or len(self.channels) != 3:
            raise InputError("a verifier needs one word or more of each sort, and three widths of 1 or more")
        if self.image_size < 16 or self.image_size % 16:
            raise InputError(f"image_size must be a multiple of 16, not {self.image_size}")


@dataclass(frozen=True, eq=False)
class Answers:
    """What the network says of B pictures, on a grid of G x G cells; float32.

    ``kind`` (B, kinds, G, G), ``colour`` (B, colours, G, G) and ``material`` (B, materials, G, G) are logits,
    independent ones for the kinds. ``sides`` (B, 4, G, G) are the distances from a cell's middle to the box's
    left, top, right and bottom, as fractions of the picture. ``ground`` (B, grounds) and ``light``
    (B, lights) are logits. ``features`` (B, D) are means over the picture.
    """

    kind: Tensor
    colour: Tensor
    material: Tensor
    sides: Tensor
    ground: Tensor
    light: Tensor
    features: Tensor


class _Block(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Convolution(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm(self.second(self.first(x))))


class _Convolution(nn.Module):
    """3 x 3 convolution - norm - ReLU; with ``stride`` 2 down to half the size."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.convolution(x)))


class VerifierNetwork(nn.Module):
    """Pictures (B, 3, S, S) in [-1, 1], S the configuration's ``image_size``, to ``Answers``."""

    def __init__(self, config: VerifierConfig) -> None:
        super().__init__()
        self.config = config
        fine, cells, coarse = config.channels
        # Patches of 4 x 4: layers at full size would cost the most and see the least.
        self.fine = nn.Sequential(nn.PixelUnshuffle(4), _Convolution(48, fine), _Block(fine))
        self.cells = nn.Sequential(_Convolution(fine, cells, stride=2), _Block(cells))
        self.coarse = nn.Sequential(_Convolution(cells, coarse, stride=2), _Block(coarse))
        self.back = nn.Conv2d(coarse, cells, 1)
        self.surroundings = nn.Linear(coarse, cells)  # colours are judged by the light on the whole picture
        self.joint = _Block(cells)
        last = nn.Conv2d(cells, config.kinds + config.colours + config.materials + 4, 1)
        self.point_head = nn.Sequential(_Convolution(cells, cells), last)
        self.picture_head = nn.Linear(cells + coarse, config.grounds + config.lights)
        # Few cells hold an object: begin by saying so, or the many empty ones drown the rest (RetinaNet).
        with torch.no_grad():
            last.get_parameter("bias")[: config.kinds] = -4.6

    def forward(self, pictures: Tensor) -> Answers:
        config = self.config
        cells = self.cells(self.fine(pictures))
        coarse = self.coarse(cells)
        wide = coarse.mean((2, 3))
        back = self.back(coarse).repeat_interleave(2, 2).repeat_interleave(2, 3)
        cells = self.joint(cells + back + self.surroundings(wide)[:, :, None, None])
        points = self.point_head(cells).float()
        widths = [config.kinds, config.colours, config.materials, 4]
        kind, colour, material, sides = points.split(widths, dim=1)
        features = torch.cat([cells.mean((2, 3)), wide], dim=1)
        ground, light = self.picture_head(features).float().split([config.grounds, config.lights], dim=1)
        return Answers(kind, colour, material, F.softplus(sides), ground, light, features.float())

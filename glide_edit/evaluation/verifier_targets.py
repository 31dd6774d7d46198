"""The training targets of the verifier's network, and its loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from glide_edit.evaluation.renders import LabelledRenders
from glide_edit.evaluation.verifier_network import Answers

MIN_SHARE = 0.25
MIN_AREA = 0.004
"""Objects of which less is visible count neither as hits nor as misses."""


@dataclass(frozen=True, eq=False)
class Targets:
    """For B pictures on G x G cells.

    ``heat`` (B, kinds, G, G): 1 at the cell of an object's middle, falling off around it. ``counted``
    (B, 1, G, G): 0 where a hardly visible object lies. ``weight`` (B, G, G): how close a cell is to an
    object's middle; ``colour``, ``material`` (B, G, G) and ``sides`` (B, 4, G, G) are that object's.
    ``ground`` and ``light`` (B,).
    """

    heat: Tensor
    counted: Tensor
    weight: Tensor
    colour: Tensor
    material: Tensor
    sides: Tensor
    ground: Tensor
    light: Tensor

    def to(self, device: torch.device) -> Targets:
        return Targets(**{name: value.to(device) for name, value in vars(self).items()})


def targets(truth: LabelledRenders, kinds: int, cells: int) -> Targets:
    """The targets of labelled pictures on a grid of ``cells`` x ``cells``."""
    count = len(truth)
    heat = np.zeros((count, kinds, cells, cells), np.float32)
    counted = np.ones((count, 1, cells, cells), np.float32)
    weight = np.zeros((count, cells, cells), np.float32)
    colour, material = np.zeros((2, count, cells, cells), np.int64)
    sides = np.zeros((count, 4, cells, cells), np.float32)
    middles = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    for n, k in np.argwhere((truth.kind >= 0) & (truth.area > 0)):
        x0, y0, x1, y1 = box = truth.box[n, k]
        if truth.share[n, k] < MIN_SHARE or truth.area[n, k] < MIN_AREA:
            rows, columns = (middles >= y0) & (middles <= y1), (middles >= x0) & (middles <= x1)
            counted[n, 0] *= 1 - rows[:, None] * columns
            continue
        hill = _hill(box, cells)
        kind = truth.kind[n, k]
        heat[n, kind] = np.maximum(heat[n, kind], hill)
        own = hill > np.maximum(weight[n], 0.2)
        weight[n][own] = hill[own]
        colour[n][own], material[n][own] = truth.colour[n, k], truth.material[n, k]
        x, y = np.meshgrid(middles, middles)
        sides[n][:, own] = np.maximum(0, np.stack([x - x0, y - y0, x1 - x, y1 - y]))[:, own]
    counted[heat.max(1, keepdims=True) > 0.2] = 1
    arrays = (heat, counted, weight, colour, material, sides, truth.ground, truth.light)
    return Targets(*(torch.from_numpy(np.ascontiguousarray(array)) for array in arrays))


def _hill(box: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """A Gaussian about the box's middle, a fifth as wide as the box, moved to the middle of its cell."""
    lines = []
    for low, high in ((box[1], box[3]), (box[0], box[2])):
        peak = min(cells - 1, int((low + high) / 2 * cells))
        sigma = max(0.55, 0.1 * (high - low) * cells)
        lines.append(np.exp(-((np.arange(cells) - peak) ** 2) / (2 * sigma**2)))
    return np.outer(*lines).astype(np.float32)


def loss(answers: Answers, truth: Targets) -> Tensor:
    """Focal loss of the heatmaps (Zhou et al., equation 1), and losses of the other answers."""
    objects = (truth.heat == 1).sum().clamp(min=1)
    points = _focal(answers.kind, truth).sum() / objects
    weight = truth.weight / truth.weight.sum().clamp(min=1)
    colour = (F.cross_entropy(answers.colour, truth.colour, reduction="none") * weight).sum()
    material = (F.cross_entropy(answers.material, truth.material, reduction="none") * weight).sum()
    box = ((1 - _overlap(answers.sides, truth.sides)) * weight).sum()
    box = box + 4 * ((answers.sides - truth.sides).abs().mean(1) * weight).sum()
    ground = F.cross_entropy(answers.ground, truth.ground)
    light = F.cross_entropy(answers.light, truth.light)
    return points + colour + material + box + 0.3 * (ground + light)


def _focal(logits: Tensor, truth: Targets) -> Tensor:
    here, away = F.logsigmoid(logits), F.logsigmoid(-logits)
    probability = logits.sigmoid()
    hit = (1 - probability) ** 2 * here
    miss = (1 - truth.heat) ** 4 * probability**2 * away * truth.counted
    return -torch.where(truth.heat == 1, hit, miss)


def _overlap(sides: Tensor, truth: Tensor) -> Tensor:
    """(B, G, G): intersection over union of two boxes around the same point, from their four distances."""
    common = torch.minimum(sides, truth)
    shared = (common[:, 0] + common[:, 2]) * (common[:, 1] + common[:, 3])
    areas = [(box[:, 0] + box[:, 2]) * (box[:, 1] + box[:, 3]) for box in (sides, truth)]
    return shared / (areas[0] + areas[1] - shared).clamp(min=1e-6)

"""Low-resolution pictures as a small base network draws them, with wavering outlines, from those as they are.

An upsampler that learned on pictures shrunk without a fault repeats the faults of the base before it. One
that learned on bent ones, whose outlines it is to give straight, mends them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

WAVE = 5
"""px: the distance between places that are moved apart from each other."""

_UNBENT = 0.2
"""This share of the pictures stays straight, so that what is right is left alone."""


def bend(pictures: Tensor, keep_mask: Tensor, by: float, generator: torch.Generator) -> Tensor:
    """The pictures with their hidden parts bent and, as much as they are bent, softened.

    Args:
        pictures: (B, 3, h, w) in [-1, 1].
        keep_mask: (B, 1, H, W), of the same or a larger size, 1 where a pixel is known: it stays as it is.
        by: px, the standard deviation of the shifts where a picture is bent most.
        generator: of the CPU.
    """
    count, _, height, width = pictures.shape
    # Edges of the mask count as known: what the base draws joins what it knows.
    known = F.adaptive_max_pool2d(keep_mask, (height, width))
    free = 1 - F.avg_pool2d(F.max_pool2d(known, 3, 1, 1), 5, 1, 2, count_include_pad=False)
    amount = torch.rand(count, 1, 1, 1, generator=generator)
    amount *= torch.rand(count, 1, 1, 1, generator=generator) >= _UNBENT
    cells = [max(2, round(side / WAVE) + 1) for side in (height, width)]
    coarse = torch.randn(count, 2, *cells, generator=generator) * amount * by
    shifts = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)
    shifts = shifts.to(pictures.device) * free
    rows = torch.linspace(-1, 1, height, device=pictures.device)[:, None].expand(height, width)
    columns = torch.linspace(-1, 1, width, device=pictures.device).expand(height, width)
    scale = torch.tensor([2 / max(1, width - 1), 2 / max(1, height - 1)], device=pictures.device)
    grid = torch.stack([columns, rows], dim=-1) + shifts.permute(0, 2, 3, 1) * scale
    moved = F.grid_sample(pictures, grid, mode="bicubic", padding_mode="reflection", align_corners=True)
    soft = F.avg_pool2d(F.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = amount.to(pictures.device) * free
    return torch.where(known > 0, pictures, moved + share * (soft - moved))

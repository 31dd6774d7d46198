"""Counted randomness: every draw follows from what it is for, never from what was drawn before it.

So an image follows from its own seed, whatever the batch it is made in, how many candidates there are, or in
which order tiles and steps are visited (EDM2's generator per image, taken down to the single step).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

START = -1
"""The step number under which x_T itself is drawn; the steps of a sampler count from 0."""


def noise_for(seed: int, stage: int, tile: int, step: int, shape: Sequence[int]) -> Tensor:
    """Standard normal noise of ``shape``, float32 on the CPU, a function of the four whole numbers alone.

    ``stage`` counts the networks of a cascade, ``tile`` the tiles of a large picture, ``step`` the steps of
    a sampler (``START`` is x_T). Any whole numbers will do, however large or negative; neighbouring numbers
    give unrelated noise.
    """
    label = f"{seed:d},{stage:d},{tile:d},{step:d}"
    # Neighbouring seeds given to the generator as they are would start it in related states.
    digest = hashlib.sha256(label.encode()).digest()
    generator = torch.Generator("cpu").manual_seed(int.from_bytes(digest[:8], "little"))
    return torch.randn(tuple(shape), generator=generator, dtype=torch.float32)


@dataclass(frozen=True)
class NoiseSource:
    """The noise of one stage and tile for a batch: image k depends on ``seeds[k]``, not on the others.

    ``shape`` is one image's (C, H, W). The draws are made on the CPU and moved to ``device``, so they are the
    same on every machine.
    """

    seeds: tuple[int, ...]
    stage: int
    tile: int
    shape: tuple[int, ...]
    device: torch.device | str = "cpu"

    def __call__(self, step: int) -> Tensor:
        """The noise of a step, (B, C, H, W) float32, to be handed to a sampler as its ``noise``."""
        images = [noise_for(seed, self.stage, self.tile, step, self.shape) for seed in self.seeds]
        return torch.stack(images).to(self.device)

    def start(self) -> Tensor:
        """x_T, (B, C, H, W) float32."""
        return self(START)

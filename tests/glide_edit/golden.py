"""What openai/glide-text2im itself made of tiny networks, and the weights it made it with.

``tests/data/glide/golden.safetensors`` holds inputs and float32 outputs. The weights are not stored: each
tensor follows from its name in the published state dict alone (``weights``).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

FOLDER = Path(__file__).resolve().parent.parent / "data" / "glide"


def load() -> dict[str, Tensor]:
    """Every recorded tensor, by its name."""
    return load_file(FOLDER / "golden.safetensors")


def keys(checkpoint: str) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a released checkpoint, such as "base_inpaint"."""
    lines = (FOLDER / f"{checkpoint}.keys.txt").read_text(encoding="utf-8").split("\n")
    rows = [line.split(" ") for line in lines if line]
    return {name: tuple(int(size) for size in sizes) for name, *sizes in rows}


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The recorded networks' weights: published names and shapes -> float32 tensors."""
    return {name: _weight(name, shape) for name, shape in shapes.items()}


def relative_error(ours: Tensor, published: Tensor) -> float:
    """The largest difference, as a fraction of the largest published value."""
    return float((ours - published).abs().max() / published.abs().max())


def _weight(name: str, shape: tuple[int, ...]) -> Tensor:
    generator = np.random.RandomState(zlib.crc32(name.encode()))
    n = torch.from_numpy(generator.standard_normal(shape).astype(np.float32))
    if len(shape) > 1:
        return n * (0.8 / n[0].numel() ** 0.5)
    return 1 + 0.1 * n if name.endswith((".weight", ".g")) else 0.1 * n

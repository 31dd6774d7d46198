"""Weights on their way from files into modules."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from glide_edit.errors import ModelFormatError
from glide_edit.models import tensors

CPU = torch.device("cpu")


def write(path: Path, **values: torch.Tensor) -> dict[Path, str | None]:
    save_file(values, path)
    return {path: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_every_half_becomes_the_nearest_bfloat16(tmp_path: Path) -> None:
    every = torch.arange(2**16).to(torch.uint16).view(torch.float16)
    module = nn.Module()
    module.every = nn.Parameter(torch.zeros(2**16))
    tensors.fill(module, write(tmp_path / "w", every=every), CPU, torch.bfloat16)
    assert torch.equal(module.every.nan_to_num(7), every.to(torch.bfloat16).nan_to_num(7))
    assert module.every.isnan().equal(every.isnan())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_convolutions_come_channels_last(tmp_path: Path, dtype: torch.dtype) -> None:
    source = nn.Conv2d(4, 6, 3).half()
    files = write(tmp_path / "w", **{name: each.data for name, each in source.state_dict().items()})
    module = nn.Conv2d(4, 6, 3)
    tensors.fill(module, files, CPU, dtype, channels_last=True)
    assert module.weight.is_contiguous(memory_format=torch.channels_last)
    assert not module.weight.requires_grad
    assert torch.equal(module.weight, source.weight.to(dtype))


def test_that_it_is_another_file_is_said_first(tmp_path: Path) -> None:
    files = write(tmp_path / "w", weight=torch.zeros(3, 3))
    with pytest.raises(ModelFormatError, match="has unknown weight"):
        tensors.fill(nn.BatchNorm2d(3, affine=False), files, CPU, torch.float32)
    with pytest.raises(ModelFormatError, match="sha256 differs"):
        tensors.fill(nn.Linear(3, 3), dict.fromkeys(files, "0" * 64), CPU, torch.float32)

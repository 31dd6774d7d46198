"""Weights are read in one pass: the bytes that are hashed are those that are loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from glide_edit.errors import ModelFormatError
from glide_edit.models import tensors, weight_file
from glide_edit.models.weight_file import WeightFile

CPU = torch.device("cpu")


@pytest.fixture
def stored() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    made = {
        f"{index}": torch.randn(shape, generator=generator).to(dtype)
        for index, (shape, dtype) in enumerate(
            [
                ((3, 5, 2), torch.float32),
                ((), torch.float64),
                ((0, 4), torch.bfloat16),
                ((700,), torch.float16),
                ((1, 1, 9), torch.bfloat16),
            ]
        )
    }
    return made | {"whole": torch.arange(7), "yes": torch.tensor([True, False])}


@pytest.mark.parametrize("block", [1, 64, weight_file._BLOCK])
def test_it_reads_what_the_library_wrote(
    stored: dict[str, Tensor], tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_file, "_BLOCK", block)
    path = tmp_path / "w.safetensors"
    save_file(stored, path, metadata={"format": "pt"})
    with WeightFile(path) as file:
        read, digest = file.read(torch.clone)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read.keys() == stored.keys()
    for name, value in stored.items():
        assert read[name].dtype == value.dtype
        assert torch.equal(read[name], value), name


def test_tensors_that_are_not_aligned(tmp_path: Path) -> None:
    """The format allows it; the library sorts what it writes so that none is."""
    header = json.dumps(
        {
            "a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
        }
    ).encode()
    values = torch.tensor([1.5, -2.0])
    path = tmp_path / "w.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\x07" + values.numpy().tobytes())
    with WeightFile(path) as file:
        assert torch.equal(file.read(torch.clone)[0]["b"], values)


def _header(change: Callable[[dict[str, Any]], object]) -> bytes:
    data = save({"a": torch.zeros(4), "b": torch.zeros(2)})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


DAMAGED = {
    "an empty file": b"",
    "no length": b"\x01\x00",
    "a header longer than the file": (1000).to_bytes(8, "little") + b"{}",
    "a header longer than can be": b"\xff" * 8,
    "no JSON": (3).to_bytes(8, "little") + b"abc",
    "no object": (2).to_bytes(8, "little") + b"[]",
    "an unknown dtype": _header(lambda h: h["a"].update(dtype="F7")),
    "no shape": _header(lambda h: h["a"].pop("shape")),
    "another key": _header(lambda h: h["a"].update(surprise=1)),
    "a shape of text": _header(lambda h: h["a"].update(shape=["4"])),
    "no fields": _header(lambda h: h.update(a=3)),
    "too few values": _header(lambda h: h["a"].update(shape=[5])),
    "a negative size": _header(lambda h: h["a"].update(shape=[-4, -1])),
    "values that overlap": _header(lambda h: h["b"].update(data_offsets=[8, 16])),
    "a hole": _header(lambda h: h.pop("a")),
    "the end cut off": save({"a": torch.zeros(4)})[:-1],
    "more after the end": save({"a": torch.zeros(4)}) + b"\0",
}


@pytest.mark.parametrize("what", DAMAGED)
def test_damaged_files(what: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(DAMAGED[what])
    with pytest.raises(ModelFormatError, match=r"w\.safetensors is damaged"):
        tensors.read([path], {"a": (4,)})


def test_each_file_is_opened_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Linear(300, 200)
    path = tmp_path / "w.safetensors"
    save_file(dict(network.state_dict()), path)
    opened: list[Path] = []
    count = 0
    take = WeightFile._fill

    def opening(self: WeightFile, path: Path, begin: Any = WeightFile.__init__) -> None:
        opened.append(path)
        begin(self, path)

    def filling(self: WeightFile, buffer: memoryview) -> None:
        nonlocal count
        count += len(buffer)
        take(self, buffer)

    monkeypatch.setattr(WeightFile, "__init__", opening)
    monkeypatch.setattr(WeightFile, "_fill", filling)
    tensors.fill(network, {path: hashlib.sha256(path.read_bytes()).hexdigest()}, CPU, torch.float32)
    assert opened == [path]
    assert count == path.stat().st_size


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is right when it is opened, and right again afterwards: only what was read was not."""
    network = nn.Linear(30, 20)
    path = tmp_path / "w.safetensors"
    save_file(dict(network.state_dict()), path)
    right = path.read_bytes()
    digest = hashlib.sha256(right).hexdigest()
    read = WeightFile.read

    def reading(self: WeightFile, convert: Callable[[Tensor], Tensor]) -> tuple[dict[str, Tensor], str]:
        with open(path, "r+b") as file:
            file.seek(-1, 2)
            file.write(bytes([right[-1] ^ 1]))
        result = read(self, convert)
        path.write_bytes(right)
        return result

    monkeypatch.setattr(WeightFile, "read", reading)
    with pytest.raises(ModelFormatError, match="sha256 differs"):
        tensors.fill(nn.Linear(30, 20), {path: digest}, CPU, torch.float32)


def test_float16_becomes_bfloat16_as_in_pytorch() -> None:
    """Every one of the 65,536 numbers, and more than one piece of them."""
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.float16)
    value = every.repeat(3)[: 2**17 + 77]
    expected = value.to(torch.bfloat16)
    found = tensors.converted(value, CPU, torch.bfloat16)
    assert torch.equal(found.isnan(), expected.isnan())
    assert torch.equal(found.nan_to_num(), expected.nan_to_num())
    grid = value[: 2**17].view(2, -1, 64)
    assert tensors.converted(grid, CPU, torch.bfloat16).shape == grid.shape

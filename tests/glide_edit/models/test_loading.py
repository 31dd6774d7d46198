"""A model folder that is whole loads as it was written; one that is not is refused with a reason."""

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from glide_edit.conditioning import Conditioning
from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.models import Runtime, load_model, read_spec
from glide_edit.networks.efficient_unet import EfficientUNet

MakeRuntime = Callable[[torch.dtype], Runtime]


@torch.no_grad()
def answers(base: EfficientUNet, upsampler: EfficientUNet, text: Any) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(1, 3, 16, 16, generator=generator)
    large = torch.randn(1, 3, 64, 64, generator=generator)
    branches = [Conditioning(text=text), Conditioning()]
    low = base.predict(small, torch.tensor([700.0]), branches)
    high = upsampler.predict(large, torch.tensor([100.0]), [Conditioning(low_res=small)])
    return [prediction.x0 for prediction in (*low, *high)]


def encode(parts: Any, prompts: list[str]) -> Any:
    tokens = parts.tokenizer.encode(prompts)
    return parts.transformer(tokens.ids, tokens.token_mask)


def test_what_is_written_is_what_is_loaded(parts: Any, tmp_path: Path, runtime: MakeRuntime) -> None:
    folder = parts.write(tmp_path / "exact", dtype=torch.float32)
    model = load_model(folder, runtime(torch.float32))
    assert model.text_encoder is not None
    text = model.text_encoder.encode(["a RED ball"])
    assert torch.equal(text.states, encode(parts, ["a RED ball"]).states)
    base, upsampler = model.stages
    for ours, theirs in zip(
        answers(base.network, upsampler.network, text),
        answers(parts.base, parts.upsampler, text),
        strict=True,
    ):
        # Channels-last convolutions may add in another order.
        assert torch.allclose(ours, theirs, atol=1e-5)
    for name, value in base.network.state_dict().items():
        assert torch.equal(value, parts.base.state_dict()[name]), name


def test_bfloat16_is_what_is_stored_and_half_the_size(
    parts: Any, folder: Path, tmp_path: Path, runtime: Any
) -> None:
    stored = load_file(folder / "base.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
    network = load_model(folder, runtime(torch.float32)).stages[0].network
    for name, value in parts.base.state_dict().items():
        assert torch.equal(network.state_dict()[name], value.bfloat16().float()), name
    large = parts.write(tmp_path / "large", dtype=torch.float32)
    assert (large / "base.safetensors").stat().st_size > 1.6 * (folder / "base.safetensors").stat().st_size


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_networks_are_ready_to_run(
    parts: Any, folder: Path, runtime: MakeRuntime, dtype: torch.dtype
) -> None:
    model = load_model(str(folder), runtime(dtype))
    assert [stage.name for stage in model.stages] == ["base", "upsampler"]
    assert [stage.image_size for stage in model.stages] == [16, 64]
    assert [stage.schedule for stage in model.stages] == [parts.base.schedule, parts.upsampler.schedule]
    assert [stage.preset for stage in model.stages] == [
        parts.base_stage[0].preset,
        parts.upsampler_stage[0].preset,
    ]
    assert [stage.network.config for stage in model.stages] == [parts.base.config, parts.upsampler.config]
    for stage in model.stages:
        assert stage.network.dtype == dtype
        assert not stage.network.training
        assert not any(p.requires_grad for p in stage.network.parameters())
        assert stage.network.stem.weight.is_contiguous(memory_format=torch.channels_last)
    assert model.text_encoder is not None
    assert {p.dtype for p in model.text_encoder.transformer.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in model.text_encoder.transformer.parameters())
    assert model.text_encoder.tokenizer.context == 8
    assert model.name == "tiny"
    assert model.spec.provenance == {"recipe": {"seed": 7}}


def test_a_model_need_not_read_text(parts: Any, tmp_path: Path, runtime: MakeRuntime) -> None:
    model = load_model(
        parts.write(tmp_path / "m", stages=[parts.upsampler_stage], text=None), runtime(torch.float32)
    )
    assert model.text_encoder is None


def test_loading_uses_up_no_random_numbers(folder: Path, runtime: MakeRuntime) -> None:
    before = torch.get_rng_state()
    load_model(folder, runtime(torch.float32))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_loaded_model_does_not_change_with_its_files(
    parts: Any, tmp_path: Path, runtime: MakeRuntime
) -> None:
    folder = parts.write(tmp_path / "m", dtype=torch.float32)
    network = load_model(folder, runtime(torch.float32)).stages[0].network
    path = folder / "base.safetensors"
    with open(path, "r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    for name, value in parts.base.state_dict().items():
        assert torch.equal(network.state_dict()[name], value), name


def rehash(folder: Path) -> None:
    """Make ``model.json`` name the files as they are now, as somebody who edits a folder would."""
    record = json.loads((folder / "model.json").read_text())
    record["files"] = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in record["files"]
    }
    (folder / "model.json").write_text(json.dumps(record))


def change_weights(
    folder: Path, change: Callable[[dict[str, Tensor]], object], name: str = "base.safetensors"
) -> None:
    tensors = {key: value.clone() for key, value in load_file(folder / name).items()}
    change(tensors)
    save_file(tensors, folder / name)


@pytest.mark.parametrize(
    "name", ["base.safetensors", "upsampler.safetensors", "text.safetensors", "tokenizer.json"]
)
def test_every_file_is_verified(folder: Path, name: str) -> None:
    data = bytearray((folder / name).read_bytes())
    data[-2] ^= 1
    (folder / name).write_bytes(bytes(data))
    with pytest.raises(ModelFormatError, match=rf"{name} is not the file .* copy or fetch"):
        load_model(folder)


def test_verification_can_be_left_out(parts: Any, folder: Path, runtime: MakeRuntime) -> None:
    change_weights(folder, lambda tensors: tensors["head.bias"].fill_(3.0))
    with pytest.raises(ModelFormatError, match="sha256"):
        load_model(folder)
    changed = load_model(folder, runtime(torch.float32), verify=False)
    assert (changed.stages[0].network.head.bias == 3).all()


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize(
    "name", ["base.safetensors", "upsampler.safetensors", "text.safetensors", "tokenizer.json"]
)
def test_every_file_must_be_there(folder: Path, name: str, verify: bool) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelFormatError, match=rf"{name} is missing"):
        load_model(folder, verify=verify)


def _add(key: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda tensors: tensors.update({key: torch.zeros(1)})


BAD_WEIGHTS: list[tuple[str, Callable[[dict[str, Tensor]], object], str]] = [
    ("base.safetensors", lambda tensors: tensors.pop("stem.bias"), "lacks stem.bias"),
    ("base.safetensors", _add("extra"), "has unknown extra"),
    ("text.safetensors", lambda tensors: tensors.pop("positions"), "lacks positions"),
    (
        "upsampler.safetensors",
        lambda t: t.update(a=t.pop("stem.bias")),
        r"lacks stem\.bias and has unknown a",
    ),
    (
        "base.safetensors",
        lambda t: t.update({"head.bias": torch.zeros(3)}),
        r"head\.bias of shape \[3\], not \[12\]",
    ),
    ("base.safetensors", lambda t: t.update({"head.bias": torch.zeros(12, dtype=torch.int32)}), "int32"),
    ("text.safetensors", lambda t: [t.pop(key) for key in list(t)[:6]], "and 3 more"),
]


@pytest.mark.parametrize(("name", "change", "message"), BAD_WEIGHTS)
def test_weights_must_be_exactly_the_networks(folder: Path, name: str, change: Any, message: str) -> None:
    change_weights(folder, change, name)
    rehash(folder)
    with pytest.raises(ModelFormatError, match=message):
        load_model(folder)


@pytest.mark.parametrize("damage", [b"", b"not weights", b"\xff" * 64])
def test_damaged_weights(folder: Path, damage: bytes) -> None:
    (folder / "base.safetensors").write_bytes(damage)
    rehash(folder)
    with pytest.raises(ModelFormatError, match=r"base\.safetensors is damaged"):
        load_model(folder)


def test_weights_cut_short(folder: Path) -> None:
    path = folder / "base.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFormatError, match=r"base\.safetensors is damaged"):
        load_model(folder, verify=False)


class _Trap:
    """Unpickled, it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_nothing_is_unpickled(folder: Path, tmp_path: Path, how: str) -> None:
    sprung = tmp_path / "sprung"
    trap = _Trap(sprung)
    if how == "pickle":
        (folder / "base.safetensors").write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap, folder / "base.safetensors")
    rehash(folder)
    with pytest.raises(ModelFormatError, match="damaged"):
        load_model(folder)
    assert not sprung.exists()


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"version": "1.0", "model": null}'])
def test_damaged_tokenizer(folder: Path, damage: str) -> None:
    (folder / "tokenizer.json").write_text(damage)
    rehash(folder)
    with pytest.raises(ModelFormatError, match=r"tokenizer\.json is missing or damaged"):
        load_model(folder)


def test_a_tokenizer_with_more_tokens_than_the_encoder_knows(folder: Path) -> None:
    record = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = record["model"]["vocab"]
    vocabulary.update({f"extra{k}": len(vocabulary) + k for k in range(30)})
    (folder / "tokenizer.json").write_text(json.dumps(record))
    rehash(folder)
    with pytest.raises(ModelFormatError, match="do not belong together"):
        load_model(folder)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model folder"):
        load_model(tmp_path / "nowhere")


def test_a_folder_without_model_json(folder: Path) -> None:
    (folder / "model.json").unlink()
    with pytest.raises(ModelFormatError, match=r"has no model\.json"):
        load_model(folder)


def test_model_json_that_is_a_folder(folder: Path) -> None:
    (folder / "model.json").unlink()
    (folder / "model.json").mkdir()
    with pytest.raises(ModelFormatError, match=r"model\.json cannot be read"):
        load_model(folder)


def test_files_outside_the_folder_are_out_of_reach(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "base.safetensors", tmp_path / "base.safetensors")
    for name in (
        "../base.safetensors",
        str(tmp_path / "base.safetensors"),
        "sub/base.safetensors",
        "..\\b.safetensors",
    ):
        record = json.loads((folder / "model.json").read_text())
        record["files"] = {name if "base" in key else key: value for key, value in record["files"].items()}
        record["stages"][0]["weights"] = name
        (folder / "changed").mkdir(exist_ok=True)
        (folder / "changed" / "model.json").write_text(json.dumps(record))
        with pytest.raises(ModelFormatError, match="not a plain file name"):
            read_spec(folder / "changed")

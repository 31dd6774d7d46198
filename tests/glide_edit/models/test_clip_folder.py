"""A CLIP's folder: written and read again, put into a model, refused where it is damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.models import choose_runtime, load_model
from glide_edit.models.clip_folder import CLIP_FILE, add_clip, load_clip, write_clip
from glide_edit.models.spec import ClipSpec
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.tokenizer import BytePairTokenizer

CPU = choose_runtime("cpu", "float32")
PROVENANCE = {"training": {"clip": {"step": 7}}}


@pytest.fixture
def clip_folder(tmp_path: Path, parts: Any) -> Path:
    """With the tokenizer of the model that ``parts`` writes."""
    return write(tmp_path / "clip", parts.tokenizer)


def write(folder: Path, tokenizer: BytePairTokenizer) -> Path:
    config = NoisedCLIPConfig(
        image_size=16,
        patch=8,
        image_width=32,
        image_layers=1,
        image_heads=2,
        vocabulary=tokenizer.vocabulary_size,
        context=12,
        text_width=32,
        text_layers=1,
        text_heads=2,
        embedding_width=16,
        logit_scale=21.5,
    )
    torch.manual_seed(3)
    return write_clip(folder, ClipSpec(config), NoisedCLIP(config).state_dict(), tokenizer, PROVENANCE)


def test_what_was_written_is_read(clip_folder: Path) -> None:
    clip = load_clip(clip_folder, CPU)
    torch.manual_seed(3)
    expected = NoisedCLIP(clip.network.config)
    for name, value in clip.network.state_dict().items():
        assert torch.equal(value, expected.state_dict()[name].bfloat16().float()), name
    assert clip.network.logit_scale == 21.5
    assert not clip.network.training
    assert clip.tokenizer.encode(["a red ball"]).ids.shape[0] == 1


def test_a_model_gets_a_clip_and_shares_its_tokenizer(parts: Any, clip_folder: Path, tmp_path: Path) -> None:
    folder = parts.write(tmp_path / "model")
    before = load_model(folder, CPU)
    assert before.clip is None
    add_clip(folder, clip_folder)
    after = load_model(folder, CPU)
    assert after.clip is not None
    expected = load_clip(clip_folder, CPU)
    for name, value in after.clip.network.state_dict().items():
        assert torch.equal(value, expected.network.state_dict()[name]), name
    assert after.spec.clip is not None
    assert after.spec.clip.tokenizer == "tokenizer.json"
    assert after.spec.provenance == {"recipe": {"seed": 7}, **PROVENANCE}
    assert after.identity != before.identity
    assert sorted(path.name for path in folder.iterdir()) == sorted(["model.json", *after.spec.file_names])


def test_a_clip_with_another_tokenizer_brings_it(parts: Any, tmp_path: Path) -> None:
    folder = parts.write(tmp_path / "model")
    tokenizer = BytePairTokenizer.train(["a purple igloo, a purple igloo"], 300, 12)
    add_clip(folder, write(tmp_path / "other", tokenizer))
    model = load_model(folder, CPU)
    assert model.clip is not None
    assert model.text_encoder is not None
    ids = model.clip.tokenizer.encode(["a purple igloo"]).ids
    assert torch.equal(ids, tokenizer.encode(["a purple igloo"]).ids)
    assert not torch.equal(ids, model.text_encoder.tokenizer.encode(["a purple igloo"]).ids)


def test_another_clip_takes_the_place_of_the_first(parts: Any, clip_folder: Path, tmp_path: Path) -> None:
    folder = parts.write(tmp_path / "model")
    add_clip(folder, write(tmp_path / "other", BytePairTokenizer.train(["a purple igloo"], 300, 12)))
    add_clip(folder, clip_folder)
    model = load_model(folder, CPU)
    assert model.spec.clip is not None
    assert model.spec.clip.tokenizer == "tokenizer.json"
    assert set(model.spec.files) == set(model.spec.file_names)


def damage_weights(folder: Path) -> None:
    path = folder / "clip.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")


def damage_record(folder: Path) -> None:
    (folder / CLIP_FILE).write_text("{")


def forget_tokenizer(folder: Path) -> None:
    record = json.loads((folder / CLIP_FILE).read_text())
    record["clip"]["tokenizer"] = None
    (folder / CLIP_FILE).write_text(json.dumps(record))


def lose_weights(folder: Path) -> None:
    (folder / "clip.safetensors").unlink()


@pytest.mark.parametrize("spoil", [damage_weights, damage_record, forget_tokenizer, lose_weights])
def test_a_damaged_clip_is_refused_and_the_model_left_alone(
    spoil: Any, parts: Any, clip_folder: Path, tmp_path: Path
) -> None:
    folder = parts.write(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    spoil(clip_folder)
    with pytest.raises(ModelFormatError):
        load_clip(clip_folder, CPU)
    with pytest.raises(ModelFormatError):
        add_clip(folder, clip_folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_no_clip_and_no_model(parts: Any, clip_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="holds no CLIP"):
        add_clip(parts.write(tmp_path / "model"), tmp_path / "nothing")
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ModelNotFound):
        add_clip(tmp_path / "model", clip_folder)

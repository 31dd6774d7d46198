"""Models that read with a frozen language model: what their folders hold, and where the model is found."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from glide_edit.diffusion.schedule import Schedule
from glide_edit.errors import ModelError, ModelFormatError, ModelNotFound
from glide_edit.models import StagePreset, StageSpec, TextSpec, assemble, load_model, write_model
from glide_edit.models.clip_folder import add_clip, write_clip
from glide_edit.models.fetch import HOME_VARIABLE
from glide_edit.models.language import FOLDER, find_language, frozen_config, open_language, weights_sha256
from glide_edit.models.registry import describe
from glide_edit.models.spec import ClipSpec, ModelSpec
from glide_edit.networks.efficient_unet import EfficientUNet, EfficientUNetConfig
from glide_edit.networks.noised_clip import NoisedCLIP, NoisedCLIPConfig
from glide_edit.text.frozen import FrozenText
from glide_edit.text.tokenizer import BytePairTokenizer
from tests.glide_edit.languages import minilm, needs_minilm, needs_transformers, write_language

pytestmark = needs_transformers

NETWORK = EfficientUNetConfig(
    image_size=8, channels=(16,), blocks=(1,), attention=(False,), embedding_width=8, text_width=12
)
UPSAMPLER = replace(NETWORK, image_size=32, text_width=0, low_res=True)
PRESET = StagePreset(steps=2, sampler="ddim", guidance=3.0)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder, and no cache of Hugging Face."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "home" / FOLDER


def write(folder: Path, language: Path, name: str = "tiny") -> tuple[Path, FrozenText]:
    """A model folder that reads with the language model, and its projection."""
    config = frozen_config(name, language, NETWORK.text_width)
    torch.manual_seed(2)
    text = FrozenText(config)
    network = EfficientUNet(NETWORK, Schedule.cosine())
    stage = StageSpec("base", NETWORK, Schedule.cosine(), PRESET)
    write_model(
        folder,
        name="frozen",
        licence="MIT",
        provenance={},
        stages=[(stage, network.state_dict())],
        text=(TextSpec(config), text.state_dict(), None),
        dtype=torch.float32,
    )
    return folder, text


@pytest.fixture
def model(tmp_path: Path, home: Path) -> Path:
    return write(tmp_path / "model", write_language(home / "tiny"))[0]


def test_a_model_folder_names_the_language_model_and_holds_the_projection(model: Path, home: Path) -> None:
    record = json.loads((model / "model.json").read_text())
    assert record["format"] == 2
    text = record["text_encoder"]
    assert (text["kind"], text["tokenizer"]) == ("frozen", None)
    assert text["config"]["name"] == "tiny"
    assert text["config"]["architecture"] == "T5EncoderModel"
    assert text["config"]["sha256"] == weights_sha256(home / "tiny")
    assert set(load_file(model / "text.safetensors")) == {
        "norm.weight",
        "norm.bias",
        "linear.weight",
        "linear.bias",
    }
    assert {path.name for path in model.iterdir()} == {"model.json", "text.safetensors", "base.safetensors"}
    assert ModelSpec.from_json(record).to_json() == record
    assert describe(model).parameters["text"] == 16 + 16 + 16 * 12 + 12


def test_it_reads_as_it_was_written(tmp_path: Path, home: Path) -> None:
    folder, text = write(tmp_path / "model", write_language(home / "tiny"))
    config = text.config
    language = open_language(home / "tiny", config, torch.device("cpu"))
    text.language = language.model
    encoder = load_model(folder).text_encoder
    assert encoder is not None
    tokens = language.tokenizer.encode(["a red ball"])
    torch.testing.assert_close(
        encoder.encode(["a red ball"]).states, text(tokens.ids, tokens.token_mask).states
    )
    assert encoder.dropped_tokens("a red ball " * 40) > 0
    assert encoder.dropped_tokens("a red ball") == 0
    assert not any(value.requires_grad for value in encoder.transformer.parameters())  # type: ignore[attr-defined]


# -- where it is found --------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["model/text-encoders", "text-encoders", "home/text-encoders"])
def test_places_where_it_may_lie(place: str, model: Path, home: Path, tmp_path: Path) -> None:
    shutil.move(home / "tiny", tmp_path / "away")
    with pytest.raises(ModelNotFound, match=r"needs the language model 'tiny' \(T5EncoderModel, sha256 "):
        load_model(model)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "tiny").symlink_to(tmp_path / "away")
    assert load_model(model).text_encoder is not None


def test_the_cache_of_hugging_face_is_looked_into(home: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--someone--tiny" / "snapshots" / "0123456789abcdef"
    write_language(snapshot)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text(snapshot.name)
    assert find_language("someone/tiny") == ("someone/tiny", snapshot)


@pytest.mark.parametrize("changed", ["model.safetensors", "tokenizer.json"])
def test_another_one_of_the_same_name_is_refused_or_passed_by(
    changed: str, model: Path, home: Path, tmp_path: Path
) -> None:
    (model / FOLDER).mkdir()
    shutil.copytree(home / "tiny", model / FOLDER / "tiny")
    other = write_language(tmp_path / "other", seed=1) / changed
    if changed == "tokenizer.json":
        other.write_text(other.read_text().replace("12", "13"))
    shutil.copy(other, home / "tiny" / changed)
    assert load_model(model).text_encoder is not None  # with the right one, which is in the model folder
    shutil.rmtree(model / FOLDER)
    with pytest.raises(
        ModelFormatError, match=r"is not the one that .* was trained with.*text-encoders.tiny"
    ):
        load_model(model)
    assert load_model(model, verify=False).text_encoder is not None


def test_names_are_known_or_refused(home: Path, tmp_path: Path) -> None:
    folder = write_language(tmp_path / "elsewhere" / "my T5!")
    assert find_language(str(folder)) == ("my-T5-", folder)
    for name in ("nothing", "../tiny", "a/b/c", "", str(tmp_path)):
        with pytest.raises(ModelNotFound, match="No language model"):
            find_language(name)


@needs_minilm
def test_minilm_has_a_name(tmp_path: Path) -> None:
    folder, _ = write(tmp_path / "model", minilm(), "minilm")
    encoder = load_model(folder).text_encoder
    assert encoder is not None
    assert encoder.encode(["a red igloo", ""]).states.shape == (2, 7, 12)


def test_weights_in_several_files_are_one_hash(tmp_path: Path) -> None:
    folder = write_language(tmp_path / "tiny")
    shutil.copy(folder / "model.safetensors", folder / "part.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": "part.safetensors"}}))
    (folder / "model.safetensors").rename(folder / "one.safetensors")
    index.write_text(json.dumps({"weight_map": {"a": "one.safetensors", "b": "part.safetensors"}}))
    before = weights_sha256(folder)
    (folder / "part.safetensors").write_bytes(b"other")
    assert weights_sha256(folder) != before
    (folder / "part.safetensors").unlink()
    with pytest.raises(ModelFormatError, match=r"part\.safetensors is missing"):
        weights_sha256(folder)
    index.write_text("{}")
    with pytest.raises(ModelFormatError, match="is damaged"):
        weights_sha256(folder)


# -- strictness ---------------------------------------------------------------------------------------------


def change(model: Path, **changes: Any) -> None:
    record = json.loads((model / "model.json").read_text())
    for key, value in changes.items():
        record["text_encoder"]["config" if key != "tokenizer" else key] = (
            value if key == "tokenizer" else record["text_encoder"]["config"] | {key: value}
        )
    (model / "model.json").write_text(json.dumps(record))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer": "tokenizer.json"}, "lies with its language model"),
        ({"architecture": "T5Model"}, "'T5Model' is unknown"),
        ({"architecture": "BertModel"}, "is no BertModel"),
        ({"language_width": 17}, "17"),
        ({"name": "../../tiny"}, "not a plain one"),
        ({"extra": 1}, "unknown keys: extra"),
        ({"sha256": 3}, "sha256 must be text"),
    ],
)
def test_a_record_that_will_not_do(changes: dict[str, Any], message: str, model: Path) -> None:
    change(model, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(model)


def test_other_encoders_still_need_a_tokenizer(folder: Path) -> None:
    record = json.loads((folder / "model.json").read_text())
    record["text_encoder"]["tokenizer"] = None
    with pytest.raises(ModelFormatError, match=r"text_encoder\.tokenizer must be text"):
        ModelSpec.from_json(record)


# -- with other parts ---------------------------------------------------------------------------------------


def test_it_is_assembled_into_a_cascade(model: Path, tmp_path: Path) -> None:
    network = EfficientUNet(UPSAMPLER, Schedule.cosine())
    upper = write_model(
        tmp_path / "upper",
        name="upper",
        licence="MIT",
        provenance={},
        stages=[(StageSpec("upsampler", UPSAMPLER, Schedule.cosine(), PRESET), network.state_dict())],
    )
    joined = load_model(assemble(tmp_path / "joined", model, upper, "joined", "MIT"))
    assert [stage.name for stage in joined.stages] == ["base", "upsampler"]
    assert joined.text_encoder is not None
    assert joined.text_encoder.encode(["a red ball"]).states.shape[-1] == 12


def test_a_clip_comes_in_with_its_own_tokenizer(model: Path, tmp_path: Path) -> None:
    tokenizer = BytePairTokenizer.train(["a red ball"], 262, context=8)
    config = NoisedCLIPConfig(
        image_size=8,
        patch=4,
        image_width=8,
        image_layers=1,
        image_heads=1,
        vocabulary=262,
        context=8,
        text_width=8,
        text_layers=1,
        text_heads=1,
        embedding_width=8,
    )
    clip = write_clip(tmp_path / "clip", ClipSpec(config), NoisedCLIP(config).state_dict(), tokenizer, {})
    loaded = load_model(add_clip(model, clip))
    assert loaded.clip is not None
    assert loaded.spec.clip is not None
    assert loaded.spec.clip.tokenizer == "clip-tokenizer.json"


@pytest.mark.parametrize("name", ["../evil/w.safetensors", "/w.safetensors", 3, "w.bin"])
def test_a_weight_map_names_only_files_of_its_own_folder(tmp_path: Path, name: Any) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"harmless")
    (tmp_path / "w.bin").write_bytes(b"harmless")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}), encoding="utf-8")
    with pytest.raises(ModelFormatError, match="not a plain name"):
        weights_sha256(tmp_path)

import shutil
from pathlib import Path
from typing import Any

import pytest

from glide_edit.errors import ModelFormatError, ModelNotFound
from glide_edit.models import describe, list_models, load_model, registry, resolve


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose packaged weights can be changed; empty at first."""
    monkeypatch.setattr(registry, "PACKAGED", tmp_path / "weights")
    return tmp_path / "weights"


def test_packaged_weights_lie_in_the_package() -> None:
    assert registry.PACKAGED.parent.name == "models"
    assert registry.PACKAGED.parent.parent.name == "glide_edit"


def test_a_shipped_model_by_name(folder: Path, packaged: Path) -> None:
    shutil.copytree(folder, packaged / "toybox")
    assert resolve("toybox") == packaged / "toybox"
    assert load_model(resolve("toybox")).name == "tiny"


def test_a_name_wins_over_a_folder_and_a_path_over_the_name(
    folder: Path, packaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, packaged / "toybox")
    shutil.copytree(folder, tmp_path / "here" / "toybox")
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("toybox") == packaged / "toybox"
    assert resolve("./toybox").resolve() == tmp_path / "here" / "toybox"
    assert resolve(Path("toybox")).resolve() == tmp_path / "here" / "toybox"


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(folder) == resolve(str(folder)) == folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert resolve("~/model") == folder


def test_weights_missing_from_the_installation(packaged: Path) -> None:
    with pytest.raises(ModelNotFound, match="missing from this installation"):
        resolve("toybox")


def test_glide_has_to_be_fetched_first(packaged: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"'glide' is not on this machine.*models fetch glide"):
        resolve("glide")


def test_glide_is_where_it_was_fetched_to(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLIDE_EDIT_HOME", str(tmp_path))
    shutil.copytree(folder, tmp_path / "models" / "glide")
    assert resolve("glide") == tmp_path / "models" / "glide"
    assert list_models()[1].available


@pytest.mark.parametrize("name", ["gilde", "no/such/folder", ""])
def test_unknown_names_get_the_known_ones(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = "toybox, glide" if name else "not a model folder"
    with pytest.raises(ModelNotFound, match=message):
        resolve(name)


def test_a_folder_that_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"has no model\.json"):
        resolve(tmp_path)


def test_the_list_shows_what_is_here(parts: Any, folder: Path, packaged: Path) -> None:
    shutil.copytree(folder, packaged / "toybox")
    toybox, glide = list_models()
    assert (toybox.name, toybox.available, toybox.licence, toybox.where) == (
        "toybox",
        True,
        "MIT",
        packaged / "toybox",
    )
    assert toybox.parameters == {
        "text": sum(p.numel() for p in parts.transformer.parameters()),
        "base": sum(p.numel() for p in parts.base.parameters()),
        "upsampler": sum(p.numel() for p in parts.upsampler.parameters()),
    }
    assert toybox.size == sum(path.stat().st_size for path in folder.iterdir())
    assert (glide.name, glide.available, glide.where, glide.parameters, glide.size) == (
        "glide",
        False,
        None,
        {},
        0,
    )
    assert "models fetch glide" in glide.about


@pytest.mark.parametrize("damage", ["missing", "model.json", "base.safetensors", "tokenizer.json"])
def test_the_list_survives_damage(folder: Path, packaged: Path, damage: str) -> None:
    if damage != "missing":
        shutil.copytree(folder, packaged / "toybox")
        (packaged / "toybox" / damage).unlink()
    toybox = list_models()[0]
    assert not toybox.available
    assert "missing" in toybox.about


def test_any_folder_can_be_described(folder: Path, tmp_path: Path) -> None:
    info = describe(folder)
    assert (info.name, info.where, info.about) == ("tiny", folder, "16 then 64 pixels")
    (folder / "base.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelFormatError, match="damaged"):
        describe(folder)
    with pytest.raises(ModelNotFound):
        describe(tmp_path / "nowhere")

"""The wrapper against open_clip itself, on a tiny model that open_clip loads from a folder or a file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from glide_edit import optional_dependencies
from glide_edit.errors import InputError, ModelFormatError, ModelNotFound
from glide_edit.networks.open_clip import OpenCLIP, fit_square
from tests.glide_edit.clips import TINY, needs_open_clip, write_open_clip

pytestmark = needs_open_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_open_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def clip(folder: Path) -> OpenCLIP:
    return OpenCLIP.load(f"local-dir:{folder}")


@pytest.fixture(scope="module")
def architecture(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A name that open_clip knows from a file of ours, beside those that it brings along."""
    path = tmp_path_factory.mktemp("configs") / "tiny-of-ours.json"
    path.write_text(json.dumps(TINY["model_cfg"]), encoding="utf-8")
    optional_dependencies.open_clip().add_model_config(path)
    return path.stem


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def by_open_clip(clip: OpenCLIP, pixels: np.ndarray) -> Tensor:
    """The embedding through open_clip's own preprocessing of a file's picture."""
    package = optional_dependencies.open_clip()
    recorded = package.transform.PreprocessCfg(**package.get_model_preprocess_cfg(clip.model))
    preprocess = package.transform.image_transform_v2(recorded, is_train=False)
    with torch.no_grad():
        return clip.model.encode_image(preprocess(Image.fromarray(pixels))[None], normalize=True)


def test_pictures_are_read_as_open_clip_reads_them(clip: OpenCLIP) -> None:
    assert clip.size == 24
    ours = clip.image_embeddings(as_tensor(picture(24, 24)))
    assert ours.dtype == torch.float32
    assert torch.allclose(ours, by_open_clip(clip, picture(24, 24)), atol=1e-5)
    assert not torch.allclose(ours, by_open_clip(clip, picture(24, 24, seed=1)), atol=0.05)


@pytest.mark.parametrize("size", [(60, 60), (12, 12), (48, 72), (97, 50)])
def test_pictures_of_other_sizes_are_resized_as_open_clip_does(clip: OpenCLIP, size: tuple[int, int]) -> None:
    # Smooth, so that the middle of an odd rest may be a pixel aside, and PIL may round to 8 bits.
    rows, columns = np.linspace(0, 3, size[0])[:, None, None], np.linspace(0, 2, size[1])[None, :, None]
    pixels = (127.5 + 110 * np.sin(rows + columns * np.array([1.0, -0.5, 2.0]))).astype(np.uint8)
    ours, theirs = clip.image_embeddings(as_tensor(pixels)), by_open_clip(clip, pixels)
    assert float((ours * theirs).sum()) > 0.999


def test_prompts_are_read_as_open_clip_reads_them(clip: OpenCLIP) -> None:
    prompts = ["a red ball", "Two blue boxes, left of a cone"]
    embeddings = clip.text_embeddings(prompts)
    ids = optional_dependencies.open_clip().tokenize(prompts, context_length=20)
    with torch.no_grad():
        assert torch.allclose(embeddings, clip.model.encode_text(ids, normalize=True), atol=1e-6)
    assert embeddings.shape == (2, 16)
    assert not embeddings.requires_grad


def test_embeddings_are_the_same_whatever_the_batch(clip: OpenCLIP) -> None:
    pictures = torch.cat([as_tensor(picture(24, 24, seed)) for seed in range(3)])
    together = clip.image_embeddings(pictures)
    for k in range(3):
        assert torch.allclose(together[k], clip.image_embeddings(pictures[k : k + 1])[0], atol=1e-5)


def test_the_scale_is_the_learned_one(clip: OpenCLIP) -> None:
    assert clip.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


@pytest.mark.parametrize("size", [(24, 24), (40, 30), (10, 15)])
def test_gradients_are_slopes(clip: OpenCLIP, size: tuple[int, int]) -> None:
    clip.double()
    generator = torch.Generator().manual_seed(1)
    pictures, direction = torch.randn(2, 2, 3, *size, generator=generator, dtype=torch.float64)
    text = clip.text_embeddings(["a red ball"])

    def cosines(x: Tensor) -> Tensor:
        return (clip.image_embeddings(x) * text).sum()

    (gradient,) = torch.autograd.grad(cosines(pictures.requires_grad_()), pictures)
    with torch.no_grad():
        slope = (cosines(pictures + 1e-5 * direction) - cosines(pictures - 1e-5 * direction)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_weights_are_neither_trained_nor_differentiated(clip: OpenCLIP) -> None:
    assert not clip.model.training
    assert not any(parameter.requires_grad for parameter in clip.parameters())


def test_shrinking_does_not_alias() -> None:
    fine = (torch.arange(64) % 2 * 2.0 - 1).expand(1, 3, 64, 64)
    inside = fit_square(fine, 16)[..., 2:-2]
    assert float(inside.abs().max()) < 0.02


class TestByName:
    def test_an_architecture_and_a_file(self, architecture: str, folder: Path, clip: OpenCLIP) -> None:
        named = OpenCLIP.load(architecture, folder / "open_clip_model.safetensors")
        state = clip.model.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in named.model.state_dict().items())
        # Without a record of its own it is normalised as OpenAI's models are.
        assert named._mean == pytest.approx((0.4814, 0.4578, 0.4082), abs=1e-3)

    def test_no_such_file(self, architecture: str, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="no file"):
            OpenCLIP.load(architecture, tmp_path / "absent.pt")

    @pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04cposix\nsystem\n"])
    def test_a_damaged_file(self, architecture: str, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "weights.pt"
        path.write_bytes(content)
        with pytest.raises(ModelFormatError, match="holds no weights of tiny-of-ours") as told:
            OpenCLIP.load(architecture, path)
        assert "\n" not in str(told.value)

    def test_weights_of_another_model(self, architecture: str, tmp_path: Path) -> None:
        torch.save({"visual.proj": torch.zeros(2)}, tmp_path / "weights.pt")
        with pytest.raises(ModelFormatError, match="holds no weights of"):
            OpenCLIP.load(architecture, tmp_path / "weights.pt")

    @pytest.mark.parametrize(
        ("name", "what"),
        [
            ("ViT-B-33/openai", "no model 'ViT-B-33'"),
            ("", "no model ''"),
            ("ViT-B-32/nobody", "no weights 'nobody' of ViT-B-32; possible are openai"),
            ("ViT-B-32", "no weights '' of ViT-B-32"),
            ("tiny-of-ours/openai", "possible are none, so give a file"),
        ],
    )
    def test_names_that_nobody_knows(self, architecture: str, name: str, what: str) -> None:
        with pytest.raises(InputError, match=what):
            OpenCLIP.load(name)

    def test_a_folder_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ModelNotFound, match="could not be loaded"):
            OpenCLIP.load(f"local-dir:{tmp_path / 'absent'}")

    def test_weights_that_cannot_be_fetched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def offline(*args: Any, **kwargs: Any) -> None:
            raise OSError("no way\nout")

        monkeypatch.setattr(optional_dependencies.open_clip().factory, "download_pretrained", offline)
        with pytest.raises(ModelNotFound, match=r"ViT-B-32/openai could not be fetched \(.*no way out"):
            OpenCLIP.load("ViT-B-32/openai")


@pytest.mark.parametrize(("tag", "quick"), [("openai", True), ("laion2b_s34b_b79k", False)])
def test_weights_get_the_activation_they_were_trained_with(
    tag: str, quick: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenAI's weights were trained with QuickGELU, which the architecture of their name no longer has.
    built: list[Any] = []

    def create(name: str, **settings: Any) -> None:
        built.append(settings["force_quick_gelu"])
        raise OSError("far enough")

    monkeypatch.setattr(optional_dependencies.open_clip(), "create_model", create)
    with pytest.raises(ModelNotFound, match="far enough"):
        OpenCLIP.load(f"ViT-B-32/{tag}")
    assert built == [quick]
